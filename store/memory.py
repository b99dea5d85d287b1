"""MemoryLog: the log's twin for tests, the same in everything but that it forgets."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

from .batch import BEGINNING, Head, Request, Row, Settlement, encoded, encoded_each, prepare, settle
from .bell import Bell
from .codec import Codec
from .group_commit import GroupCommit, Limits
from .log import Append, Appended, History, LogIdentity, Meta, Series, Stored, Write

Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


class MemoryLog:
    """A log in memory. Whoever holds `turn` keeps everybody from writing, as another process may do."""

    def __init__(self, codec: Codec, *, clock: Clock = now, limits: Limits | None = None) -> None:
        self.identity = LogIdentity(uuid4(), 1)
        self.turn = asyncio.Lock()
        self._codec = codec
        self._clock = clock
        self._bell = Bell()
        self._commits = GroupCommit(self._commit, limits or Limits())
        self._log: list[Stored] = []
        self._streams: defaultdict[UUID, list[Stored]] = defaultdict(list)
        self._seen = datetime.min.replace(tzinfo=UTC)

    async def append(
        self,
        writes: Sequence[Write],
        meta: Meta,
        *,
        deadline: float | None = None,
        caller: str = "",
        series: Series | None = None,
    ) -> Appended:
        append = Append(writes, meta, series)
        return await self._commits.submit(await encoded(self._codec, append), deadline, caller)

    async def append_each(
        self, appends: Sequence[Append], *, deadline: float | None = None, caller: str = ""
    ) -> Sequence[Appended | Exception]:
        requests = await encoded_each(self._codec, appends)
        return await self._commits.submit_each(requests, deadline, caller)

    async def read(
        self,
        stream: UUID,
        *,
        after: int = 0,
        upto: int | None = None,
        position: int | None = None,
        deadline: float | None = None,
    ) -> History:
        stored = self._streams.get(stream, [])[after:upto]
        there = (event for event in stored if position is None or event.position <= position)
        return History(stream, [self._codec.decode(event) for event in there])

    async def read_many(
        self, streams: Iterable[UUID], *, deadline: float | None = None
    ) -> Mapping[UUID, History]:
        return {stream: await self.read(stream) for stream in streams}

    async def feed(self, after: int, limit: int, *, topics: Sequence[str] | None = None) -> Sequence[Stored]:
        following = (event for event in self._log[after:] if topics is None or event.topic in topics)
        return [event for event, _ in zip(following, range(limit), strict=False)]

    async def head(self) -> int:
        return len(self._log)

    async def position_at(self, instant: datetime, *, deadline: float | None = None) -> int:
        later = (each.position for each in self._log if self._codec.decode(each).recorded > instant)
        return next(later, len(self._log) + 1) - 1

    async def wait(self, after: int, timeout: float) -> None:  # noqa: ASYNC109
        await self._bell.wait(after, timeout)

    async def close(self) -> None:
        await self._commits.close()

    async def _commit(self, batch: Sequence[Request]) -> Sequence[Request]:
        async with self.turn:
            recorded = self._seen = max(self._clock(), self._seen)
            settlement = self._settled([request for request in batch if not request.left], recorded)
            for request, error in settlement.refused:
                request.fail(error)
            for request, rows in settlement.accepted:
                request.sent = rows
                before = len(self._log)
                self._keep(rows)
                request.succeed(range(before + 1, len(self._log) + 1), recorded)
            self._bell.ring(len(self._log))
        return settlement.deferred

    def _settled(self, requests: Sequence[Request], recorded: datetime) -> Settlement:
        heads = {stream: self._head_of(stream) for request in requests for stream in request.streams}
        while True:
            settlement = settle(requests, heads, recorded, partial(prepare, self._codec))
            if not settlement.missing:
                return settlement
            heads |= {stream: self._head_of(stream) for stream in settlement.missing}

    def _head_of(self, stream: UUID) -> Head:
        stored = self._streams.get(stream)
        return Head(stored[-1].version, stored[-1].digest) if stored else BEGINNING

    def _keep(self, rows: Sequence[Row]) -> None:
        for stream, version, topic, state, _, body in rows:
            stored = Stored(len(self._log) + 1, stream, version, topic, state, body)
            self._log.append(stored)
            self._streams[stream].append(stored)
