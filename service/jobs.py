"""Long work for a caller, in a process of its own: a worker's other callers do not wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from subprocess import PIPE, Popen
from tempfile import TemporaryFile
from typing import IO

from store.log import Overloaded, Unavailable

JOBS_MAX = 2  # at once, in each worker
RETRY_AFTER = 5.0  # seconds
LINE_BYTES_MAX = 1 << 20
WORDS_BYTES_MAX = 1 << 16


class JobRefused(Exception):
    """The work cannot be done; `kind` names the exception that says why."""

    def __init__(self, kind: str, because: str) -> None:
        super().__init__(because)
        self.kind = kind


class Jobs:
    """Starts jobs, a few at a time, and ends those that nobody waits for."""

    def __init__(self, most: int = JOBS_MAX) -> None:
        self._free = asyncio.Semaphore(most)

    @contextlib.asynccontextmanager
    async def doing(self, name: str, told: dict[str, object]) -> AsyncIterator[asyncio.StreamReader]:
        """What the job answers; raises JobRefused, Unavailable, or Overloaded where too many are at work."""
        if self._free.locked():
            raise Overloaded(RETRY_AFTER)
        async with self._free, _running(name, told) as (process, words):
            assert process.stdout is not None
            answers = asyncio.StreamReader(LINE_BYTES_MAX)
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(answers), process.stdout
            )
            try:
                yield answers
                await asyncio.to_thread(process.wait)
            finally:
                transport.close()
            _check(process, words)


@contextlib.asynccontextmanager
async def _running(name: str, told: dict[str, object]) -> AsyncIterator[tuple[Popen[bytes], IO[bytes]]]:
    """A child and its words on standard error; it is ended with the context.

    Not started by the event loop: that one forks, which gRPC does not survive, and this does not.
    """
    with TemporaryFile() as words:
        process = _started(name, words)
        try:
            assert process.stdin is not None
            with process.stdin as stdin:
                stdin.write(json.dumps(told).encode() + b"\n")
            yield process, words
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)
            assert process.stdout is not None
            process.stdout.close()


def _started(name: str, words: IO[bytes]) -> Popen[bytes]:
    command = [sys.executable, "-m", "service.job", name]
    return Popen(command, stdin=PIPE, stdout=PIPE, stderr=words, start_new_session=True)


def _check(process: Popen[bytes], words: IO[bytes]) -> None:
    """Raise the job's own word where it did not come to its end."""
    if not process.returncode:
        return
    words.seek(0)
    said = words.read(WORDS_BYTES_MAX).decode(errors="replace").strip()
    try:
        word = json.loads(said.splitlines()[-1])
        kind, because = str(word["refused"]), str(word["because"])
    except (ValueError, LookupError, TypeError) as fault:
        raise RuntimeError(f"a job ended with {process.returncode}: {said}") from fault
    raise Unavailable(because) if kind == Unavailable.__name__ else JobRefused(kind, because)
