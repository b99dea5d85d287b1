"""`daybook demo`: the whole of it on one machine, in plain sight, with nothing left behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .ingest import Job, ingest
from .invoice_verbs import Conditions
from .options import Author, Named, Service, Shape, Stop
from .reading import list_, order, show
from .reference import apply

SAMPLES = Path(__file__).parents[2] / "samples"
ORDER = "SO-2026-00417"
INVOICE = Named(key="nl-de:2026-0412")
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
SERVES = "daybook serves on "


def demo(data_dir: Path | None) -> None:
    if not SAMPLES.is_dir():
        raise Stop(f"the samples are not here: {SAMPLES}")
    began = time.monotonic()
    with folder(data_dir) as data, serving(data) as target:
        service, author, table = Service(target), Author(reason="demonstration"), Shape()
        step("daybook reference apply samples/reference.yaml")
        apply(
            service,
            author,
            str(SAMPLES / "reference.yaml"),
            dry_run=False,
            prune=False,
            base=0,
            as_json=False,
        )
        files = tuple(str(path) for path in sorted((SAMPLES / "invoices").iterdir()))
        step("daybook ingest samples/invoices/*")
        if status := ingest(service, author, table, Job(files, None, None, False, 16, False)):
            raise Stop("a sample was refused", status)
        step(f"daybook order {ORDER}")
        order(service, table, ORDER, None, "")
        step("daybook list --label region=apac")
        list_(service, table, Conditions(label=["region=apac"]), None, "")
        step(f"daybook show --key {INVOICE.key}")
        show(service, table, INVOICE, "")
        step("the end: SIGTERM")
    print(f"all in {time.monotonic() - began:.1f} s")


def step(what: str) -> None:
    print(f"\n$ {what}", flush=True)


@contextmanager
def folder(data_dir: Path | None) -> Iterator[Path]:
    """Your own folder, kept; else one that goes when the demonstration ends."""
    if data_dir is not None:
        yield data_dir
        return
    made = Path(tempfile.mkdtemp(prefix="daybook-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """`daybook serve` in a process of its own, on a free port; gone at the end, whatever happens."""
    step(f"daybook serve --data-dir {data} --listen 127.0.0.1:0")
    began = time.monotonic()
    with (data / "serve.log").open("w+") if data.is_dir() else tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-c", "from service.cli import main; main()", "serve"]
        server = subprocess.Popen(
            [*command, "--data-dir", str(data), "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # an interrupt from the keyboard is ours to pass on
        )
        try:
            yield target_of(server, log_tail=log.name, began=began)
        finally:
            stop(server)


def target_of(server: subprocess.Popen[str], *, log_tail: object, began: float) -> str:
    """Where it listens, once it says so."""
    assert server.stdout is not None
    for line in server.stdout:
        print(line, end="", flush=True)
        if line.startswith(SERVES):
            print(f"ready after {time.monotonic() - began:.1f} s")
            return line.removeprefix(SERVES).strip()
        if time.monotonic() - began > READY_SECONDS_MAX:
            break
    raise Stop(f"the service did not start; its log: {log_tail}", 3)


def stop(server: subprocess.Popen[str]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        said, _ = server.communicate(timeout=STOP_SECONDS_MAX)
        print(said, end="")
    except subprocess.TimeoutExpired:
        server.kill()
        raise Stop("the service did not stop in time", 3) from None
