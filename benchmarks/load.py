"""The load: so many callers, each with one call under way, until so many calls are answered."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from .invoice import METHOD
from .processes import HOUSE

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
    seconds: float
    p50: float  # seconds
    p99: float
    answer_bytes: int  # all answers together: a gRPC error has none, and h2load takes it for a success

    @property
    def rate(self) -> float:
        return self.calls / self.seconds


def generator() -> str:
    return "h2load" if shutil.which("h2load") else "Python"


def load(target: str, callers: int, calls: int, frame: bytes) -> Load:
    with tempfile.TemporaryDirectory(prefix="daybook-load-") as folder:
        request, log = Path(folder, "request"), Path(folder, "log")
        request.write_bytes(frame)
        by = _h2load if shutil.which("h2load") else _python
        return by(target, callers, max(calls, callers), request, log)


def _h2load(target: str, callers: int, calls: int, request: Path, log: Path) -> Load:
    connections = min(callers, CONNECTIONS_MAX)
    command: list[str | Path] = [
        "h2load", "-n", str(calls), "-c", str(connections), "-m", str(callers // connections), "-d", request,
        "-H", "content-type: application/grpc", "-H", "te: trailers", f"--log-file={log}",
        f"http://{target}{METHOD}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, check=False)
    succeeded, data = _REQUESTS.search(done.stdout), _DATA.search(done.stdout)
    if done.returncode or not succeeded or not data or int(succeeded[1]) != calls:
        raise CallsFailed((done.stdout + done.stderr).decode(errors="replace"))
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    starts = [int(row[0]) / 1e6 for row in rows]
    return _seen(starts, [int(row[2]) / 1e6 for row in rows], int(data[1]))


def _python(target: str, callers: int, calls: int, request: Path, log: Path) -> Load:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "benchmarks.caller",
        target,
        str(callers),
        str(calls),
        request,
        log,
    ]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, check=False, cwd=HOUSE)
    if done.returncode:
        raise CallsFailed(done.stderr.decode(errors="replace"))
    told = json.loads(log.read_text())
    return _seen(told["starts"], told["took"], told["answer_bytes"])


def _seen(starts: list[float], took: list[float], answer_bytes: int) -> Load:
    ends = (start + each for start, each in zip(starts, took, strict=True))
    hundredths = quantiles(took, n=100)
    return Load(len(took), max(ends) - min(starts), hundredths[49], hundredths[98], answer_bytes)
