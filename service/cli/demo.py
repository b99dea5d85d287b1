"""`daybook demo`: the whole of it on one machine, in plain sight, with nothing left behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from .histories import history
from .ingest import Job, ingest
from .invoice_verbs import Conditions
from .memo_verbs import NamedMemo
from .memos import create, post
from .numbers import numbers
from .options import Author, Named, Service, Shape, Stop
from .posting import post_one as post_invoice
from .reading import list_, order, show
from .receivables import receivables
from .reference import apply
from .settlement_verbs import Owed, Sum
from .settling import convert, record, void
from .taxes import unfinished

SAMPLES = Path(__file__).parents[2] / "samples"
ORDER = "SO-2026-00417"
INVOICE = Named(key="nl-de:2026-0467")
TAXED = Named(key="nl-de:2026-0710")
PAID, DISCOUNTED, MISTAKEN = "nl-de:2026-0601", "nl-uk:SI-10442", "nl-kw:KW-26-0031"
MEMO, MEMO_ORDER = NamedMemo("nl-de:DM-2026-0007"), "SO-2026-00533"
READY_SECONDS_MAX = 600.0  # a first start compiles everything, and the machine may be busy
STOP_SECONDS_MAX = 30.0
LOG_SHOWN = 2000  # characters
SERVES = "daybook serves on "
DAYBOOK = (sys.executable, "-c", "from service.cli import main; main()")


def demo(data_dir: Path | None) -> None:
    if not SAMPLES.is_dir():
        raise Stop(f"the samples are not here: {SAMPLES}")
    began = time.monotonic()
    with folder(data_dir) as data, serving(data) as target:
        ask(Service(target))
        step("SIGTERM")
    print(f"\nall in {time.monotonic() - began:.1f} s")


def ask(service: Service) -> None:
    """What a visitor would ask first."""
    author, table = Author(reason="demonstration"), Shape()
    step("daybook reference apply samples/reference.yaml")
    apply(service, author, str(SAMPLES / "reference.yaml"))
    step("daybook ingest samples/invoices/*")
    files = tuple(str(path) for path in sorted((SAMPLES / "invoices").iterdir()))
    done = ingest(service, author, table, Job(files, window=1))
    if done.status:
        raise Stop("a sample was refused", done.status)
    step(f"daybook order {ORDER}")
    order(service, table, ORDER, None, done.position)
    charge_later(service, author, table)
    settle(service, author, table)
    step("daybook list --label region=apac")
    list_(service, table, Conditions(label=["region=apac"]), None, done.position)
    step(f"daybook show --key {INVOICE.key}")
    show(service, table, INVOICE, done.position)
    step(f"daybook show --key {TAXED.key} --explain")
    show(service, table, TAXED, done.position, explain=True)
    step(f"daybook history --key {INVOICE.key}")
    history(service, table, INVOICE, every=False)
    step(f"daybook post --key {TAXED.key}")
    if post_invoice(service, author, table, TAXED):
        raise Stop("the invoice was not posted")
    year = str(datetime.now(ZoneInfo("Europe/Berlin")).year)
    step(f"daybook numbers nl-de-invoices --period {year}")
    numbers(service, "nl-de-invoices", year, as_json=False)
    step("daybook unfinished")
    unfinished(service, author, retry=False, as_json=False)


def charge_later(service: Service, author: Author, table: Shape) -> None:
    """What was charged too little, by a debit memo that becomes one invoice."""
    step("daybook memo create samples/memos/memo.yaml")
    create(service, author, table, str(SAMPLES / "memos/memo.yaml"), "", dry_run=False)
    step(f"daybook memo post {MEMO.memo}")
    post(service, author, table, MEMO)
    step("daybook ingest samples/memos/invoice.yaml")
    done = ingest(service, author, table, Job((str(SAMPLES / "memos/invoice.yaml"),)))
    step(f"daybook order {MEMO_ORDER}")
    order(service, table, MEMO_ORDER, None, done.position)


def settle(service: Service, author: Author, table: Shape) -> None:
    """One is paid, the discount of another becomes credit, a third is taken back."""
    paid = Sum("7151.35", "EUR")
    step(f"daybook payment record {PAID} --amount {paid.amount} --currency {paid.currency}")
    record(service, author, table, Named(key=PAID), sum_=paid, date="", reference="", request_id="demo")
    step(f"daybook credit convert {DISCOUNTED}")
    convert(service, author, table, Named(key=DISCOUNTED), lines=(), date="", request_id="demo")
    step(f"daybook void {MISTAKEN}")
    position = void(service, author, table, Named(key=MISTAKEN))
    step("daybook receivables")
    receivables(service, table, Owed(), None, position)


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
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [*DAYBOOK, "serve", "--data-dir", str(data), "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # an interrupt from the keyboard is ours to pass on
        )
        try:
            target = target_of(server)
            if target is None:
                raise Stop(f"the service did not start within {READY_SECONDS_MAX:.0f} s, or ended before", 3)
            yield target
        except BaseException:
            log.seek(0)
            print(f"what the service said:\n{log.read()[-LOG_SHOWN:]}", file=sys.stderr)
            raise
        finally:
            stop(server)


def target_of(server: subprocess.Popen[str]) -> str | None:
    """Where it listens, once it says so; None when it ends instead."""
    assert server.stdout is not None
    began = time.monotonic()
    late = threading.Event()

    def give_up() -> None:
        late.set()
        server.terminate()

    timer = threading.Timer(READY_SECONDS_MAX, give_up)
    timer.start()
    try:
        for line in server.stdout:
            print(line, end="", flush=True)
            if line.startswith(SERVES) and not late.is_set():
                print(f"ready after {time.monotonic() - began:.1f} s")
                return line.removeprefix(SERVES).strip()
        return None
    finally:
        timer.cancel()


def stop(server: subprocess.Popen[str]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        said, _ = server.communicate(timeout=STOP_SECONDS_MAX)
        print(said, end="")
    except subprocess.TimeoutExpired:
        server.kill()
        raise Stop("the service did not stop in time", 3) from None
