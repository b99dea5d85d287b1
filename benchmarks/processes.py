"""Server processes of our own, and what they cost: CPU seconds of a process and all its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

READY_SECONDS_MAX = 180.0
STOP_SECONDS_MAX = 30.0
HOUSE = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


class DidNotStart(Exception):
    """A server ended, or took too long, before it took connections; the text is what it said last."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server process."""

    port: int
    pid: int

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def part(self, name: str) -> int:
        """The process among its children that was started under this name."""
        [found] = self.parts(name)
        return found

    def parts(self, name: str) -> list[int]:
        return [pid for pid in _children().get(self.pid, ()) if name in _command(pid)]


@contextmanager
def running(arguments: Sequence[str], log: Path, said: str = "") -> Iterator[Server]:
    """A Python process that serves on the port put in place of `{listen}`; it is told `said` first."""
    port = free_port()
    listen = f"127.0.0.1:{port}"
    command = [sys.executable, *(each.replace("{listen}", listen) for each in arguments)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, cwd=HOUSE
        )
        assert process.stdin
        try:
            process.stdin.write(said.replace("{listen}", listen).encode())
            process.stdin.flush()
            _wait_until_ready(port, process, log)
            yield Server(port, process.pid)
        finally:
            _stop(process)


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + READY_SECONDS_MAX
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ready = grpc.channel_ready_future(channel)
        while time.monotonic() < until and process.poll() is None:
            try:
                ready.result(timeout=0.1)
                return
            except grpc.FutureTimeoutError:
                continue
    raise DidNotStart(log.read_text(errors="replace")[-2000:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, of its children that run, and of those it has buried."""
    children = _children()
    waiting, seconds = [pid], 0.0
    while waiting:
        each = waiting.pop()
        seconds += _own_seconds(each)
        waiting += children.get(each, ())
    return seconds


@dataclass(frozen=True, slots=True)
class Size:
    """What a process holds."""

    megabytes: float
    files: int


def size_of(pid: int) -> Size:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Size(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list(Path(f"/proc/{pid}/fd").iterdir())))


def _own_seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / TICKS if fields else 0.0


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (fields := _stat(int(path.name))):
            found.setdefault(int(fields[1]), []).append(int(path.name))
    return found


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def _stat(pid: int) -> list[str]:
    """The fields after the name; the first is the state."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def machine_seconds() -> tuple[float, float]:
    """Busy CPU seconds of the whole machine, and those that its host gave to others."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq) / TICKS, steal / TICKS
