"""Many callers, one commit: what arrives during a write is the next batch, and no timer decides."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from .batch import Request
from .deadlines import Deadlines
from .log import Appended, DeadlineExceeded, OutcomeUnknown, Overloaded, Unavailable

logger = logging.getLogger(__name__)

APPEND_SECONDS_MAX = 60.0  # for callers who name no deadline
RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 5.0
MEBI = 1 << 20

Commit = Callable[[Sequence[Request]], Awaitable[Sequence[Request]]]
"""Writes a batch and answers its requests, all but those it returns: they stand first in the next."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait to be written, and how much is written at once.

    Appends that were submitted together count as one of those that wait, and are written together.
    """

    queued: int = 4096
    queued_per_caller: int = 1024
    queued_bytes: int = 256 * MEBI
    batch: int = 256
    batch_bytes: int = 8 * MEBI


class Parcel:
    """Appends that wait together; none is known to another."""

    __slots__ = ("caller", "requests", "size")

    def __init__(self, requests: Sequence[Request], caller: str) -> None:
        self.requests = requests
        self.caller = caller
        self.size = sum([request.size for request in requests])

    def expire(self) -> None:
        for request in self.requests:
            request.expire()


class GroupCommit:
    """The queue and the one task that writes. A caller can leave the queue, but never stop a commit."""

    def __init__(self, commit: Commit, limits: Limits) -> None:
        self._commit = commit
        self._limits = limits
        self._queue: dict[Parcel, None] = {}  # in order of arrival
        self._first: list[Request] = []
        self._deadlines: Deadlines[Parcel] = Deadlines(Parcel.expire)
        self._bytes = 0
        self._callers: Counter[str] = Counter()
        self._writer: asyncio.Task[None] | None = None
        self._seconds = 0.0
        self._closing = False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def submit(self, request: Request, deadline: float | None, caller: str = "") -> Appended:
        parcel = Parcel((request,), caller)
        self._wait(parcel, deadline)
        try:
            return await request.answer
        finally:
            self._leave(parcel)

    async def submit_each(
        self, requests: Sequence[Request], deadline: float | None, caller: str = ""
    ) -> Sequence[Appended | Exception]:
        """Each for itself; what is raised for one stands in its place."""
        if not requests:
            return ()
        parcel = Parcel(requests, caller)
        self._wait(parcel, deadline)
        try:
            return [await _answer(request) for request in requests]
        finally:
            self._leave(parcel)

    def _wait(self, parcel: Parcel, deadline: float | None) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        until = now + APPEND_SECONDS_MAX if deadline is None else deadline
        if until <= now:
            raise DeadlineExceeded()
        self._admit(parcel)
        self._enter(parcel)
        self._deadlines.add(parcel, until)

    async def close(self) -> None:
        """Refuse what comes; return when all that waited has its answer."""
        self._closing = True
        if self._writer is not None:
            await asyncio.shield(self._writer)

    def turn_away(self, error: Unavailable) -> None:
        """Answer all that waits; what is being written is not concerned."""
        for request in (*self._first, *(each for parcel in self._queue for each in parcel.requests)):
            request.fail(error)

    def _admit(self, parcel: Parcel) -> None:
        if self._closing:
            raise Unavailable("the log is being closed")
        of_caller = self._callers[parcel.caller] if parcel.caller else 0
        if (
            len(self._queue) >= self._limits.queued
            or of_caller >= self._limits.queued_per_caller
            or (self._bytes and self._bytes + parcel.size > self._limits.queued_bytes)
        ):
            raise Overloaded(self._retry_after())

    def _retry_after(self) -> float:
        batches = 1 + len(self._queue) / self._limits.batch
        return min(max(RETRY_SECONDS_MIN, batches * self._seconds), RETRY_SECONDS_MAX)

    def _enter(self, parcel: Parcel) -> None:
        self._queue[parcel] = None
        self._bytes += parcel.size
        self._callers[parcel.caller] += 1
        if self._writer is None:
            self._writer = asyncio.create_task(self._run(), name="writer")

    def _leave(self, parcel: Parcel) -> None:
        """Whether it was written or given up; what is not in a batch yet is not written any more."""
        self._deadlines.discard(parcel)
        self._drop(parcel)
        for request in parcel.requests:
            request.answer.cancel()
        self._callers[parcel.caller] -= 1
        if not self._callers[parcel.caller]:
            del self._callers[parcel.caller]

    def _drop(self, parcel: Parcel) -> None:
        if parcel in self._queue:
            del self._queue[parcel]
            self._bytes -= parcel.size

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while batch := self._take():
                started = loop.time()
                self._first = [request for request in await self._write(batch) if not request.left]
                self._seconds = loop.time() - started
        finally:
            self._writer = None

    def _take(self) -> list[Request]:
        """The next batch: those that were put off, then as many as fit; all of them leave the queue."""
        batch, self._first = self._first, []
        size = sum(request.size for request in batch)
        for parcel in list(self._queue):
            if batch and (len(batch) >= self._limits.batch or size + parcel.size > self._limits.batch_bytes):
                break
            batch.extend(parcel.requests)
            size += parcel.size
            self._drop(parcel)
        return batch

    async def _write(self, batch: Sequence[Request]) -> Sequence[Request]:
        try:
            return await self._commit(batch)
        except Exception:
            logger.exception("a batch of %d appends failed", len(batch))
            for request in batch:
                request.fail(OutcomeUnknown() if request.sent else Unavailable("the batch failed"))
            return ()


async def _answer(request: Request) -> Appended | Exception:
    try:
        return await request.answer
    except Exception as error:
        return error
