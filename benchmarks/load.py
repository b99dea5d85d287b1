"""The load: so many callers, each with one call under way, until so many calls are answered.

h2load takes a gRPC error for a success: an error has no body, so that the bytes of all answers tell.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from .invoice import framed, streamed
from .processes import HOUSE
from .shapes import STREAM_METHOD, Shape, WrongAnswer

CONNECTIONS_MAX = 8  # callers share connections, as the threads of a few programs do
SECONDS_MAX = 120
TO_INSTALL = "h2load is missing; install it (Debian: nghttp2-client). A Python caller stands in for it."

_REQUESTS = re.compile(rb"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded")
_DATA = re.compile(rb"\((\d+)\) data")


class CallsFailed(Exception):
    """Calls were not answered; the text is what the load generator said."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the callers saw. Seconds are from the first call's start to the last one's end."""

    calls: int
    invoices: int  # sent or asked for
    seconds: float
    p50: float  # seconds; nan for a stream
    p99: float

    @property
    def rate(self) -> float:
        """Invoices a second."""
        return self.invoices / self.seconds


def generator() -> str:
    return "h2load" if shutil.which("h2load") and shutil.which("nghttp") else "Python"


def load(target: str, callers: int, calls: int, shape: Shape, pace: float = 0.0) -> Load:
    """So many calls; no more than `pace` a second, where one is set. Raises CallsFailed or WrongAnswer."""
    with tempfile.TemporaryDirectory(prefix="daybook-load-") as folder:
        if shape.answered:
            return _stream(target, callers, calls, Path(folder), shape.answered)
        request, log = Path(folder, "request"), Path(folder, "log")
        request.write_bytes(shape.frame)
        calls = max(calls, callers)
        if shutil.which("h2load"):
            return _h2load(target, callers, calls, shape, pace, request, log)
        if pace:
            raise CallsFailed("a pace is kept by h2load alone")
        return _python(target, callers, calls, shape, request, log)


def _h2load(
    target: str, callers: int, calls: int, shape: Shape, pace: float, request: Path, log: Path
) -> Load:
    connections = min(callers, CONNECTIONS_MAX)
    command: list[str | Path] = [
        "h2load", "-n", str(calls), "-c", str(connections), "-m", str(callers // connections), "-d", request,
        "-H", "content-type: application/grpc", "-H", "te: trailers", f"--log-file={log}",
        *([f"--rps={pace / connections:g}"] if pace else []), f"http://{target}{shape.method}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, check=False)
    succeeded, data = _REQUESTS.search(done.stdout), _DATA.search(done.stdout)
    if done.returncode or not succeeded or not data or int(succeeded[1]) != calls:
        raise CallsFailed((done.stdout + done.stderr).decode(errors="replace"))
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    starts = [int(row[0]) / 1e6 for row in rows]
    return _seen(shape, starts, [int(row[2]) / 1e6 for row in rows], int(data[1]))


def _python(target: str, callers: int, calls: int, shape: Shape, request: Path, log: Path) -> Load:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "benchmarks.caller",
        target,
        shape.method,
        str(callers),
        str(calls),
        request,
        log,
    ]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, check=False, cwd=HOUSE)
    if done.returncode:
        raise CallsFailed(done.stderr.decode(errors="replace"))
    told = json.loads(log.read_text())
    return _seen(shape, told["starts"], told["took"], told["answer_bytes"])


def _seen(shape: Shape, starts: list[float], took: list[float], answer_bytes: int) -> Load:
    shape.require_right(len(took), answer_bytes)
    ends = (start + each for start, each in zip(starts, took, strict=True))
    hundredths = quantiles(took, n=100) if len(took) > 1 else took * 100
    return Load(
        len(took),
        len(took) * shape.invoices,
        max(ends) - min(starts),
        hundredths[49],
        hundredths[98],
    )


def _stream(target: str, streams: int, invoices: int, folder: Path, answered: Callable[[bytes], int]) -> Load:
    """Every caller sends its invoices in one stream, as fast as it may, under keys of their own."""
    each = max(1, invoices // streams)
    bodies = [folder / f"body-{number}" for number in range(streams)]
    for body in bodies:
        body.write_bytes(b"".join(map(framed, streamed(each))))
    began = time.monotonic()
    answers = _nghttp(target, bodies) if shutil.which("nghttp") else _python_streams(target, bodies)
    seconds = time.monotonic() - began
    if (right := sum(map(answered, answers))) != each * streams:
        raise WrongAnswer(f"{right} right answers to {each * streams} invoices sent in streams")
    nan = float("nan")
    return Load(streams, each * streams, seconds, nan, nan)


def _nghttp(target: str, bodies: Sequence[Path]) -> list[bytes]:
    command = [
        "nghttp", "--no-dep", "-H", "content-type: application/grpc", "-H", "te: trailers",
        "-w", "24", "-W", "24", f"http://{target}{STREAM_METHOD}",
    ]  # fmt: skip
    running = [
        subprocess.Popen([*command, "-d", str(body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for body in bodies
    ]
    answers = [each.communicate(timeout=SECONDS_MAX) for each in running]
    for each, (_, said) in zip(running, answers, strict=True):
        if each.returncode:
            raise CallsFailed(said.decode(errors="replace"))
    return [answer for answer, _ in answers]


def _python_streams(target: str, bodies: Sequence[Path]) -> list[bytes]:
    command = [sys.executable, "-m", "benchmarks.caller", target, STREAM_METHOD, *map(str, bodies)]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, check=False, cwd=HOUSE)
    if done.returncode:
        raise CallsFailed(done.stderr.decode(errors="replace"))
    return [done.stdout]
