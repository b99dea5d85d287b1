"""A batch: what arrived together, set against the heads of its streams, becomes rows; pure, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from . import chain
from .codec import Codec, Encoded, accompanying
from .log import Append, Appended, Conflict, DeadlineExceeded, OutcomeUnknown, Series, Write


class Head(NamedTuple):
    """The last event of a stream: its version and digest."""

    version: int
    digest: str


class Row(NamedTuple):
    """One event on its way into the log, with its chain link and everything but its position."""

    stream: UUID
    version: int
    topic: str
    state: bytes
    salt: bytes | None
    body: bytes | None


class Prepared(NamedTuple):
    """A write whose events are encoded."""

    stream: UUID
    expected: int
    events: Sequence[Encoded]
    accompanying: bytes | None  # None: that of the append


BEGINNING = Head(0, "")
WRITES_AT_ONCE, APPENDS_AT_ONCE = 64, 16  # that are encoded before others have their turn
Prepare = Callable[[Sequence[Write]], Sequence[Prepared]]


@dataclass(slots=True, eq=False)
class Request:
    """One append on its way; `sent` are its rows, from when on they may be in the log."""

    writes: Sequence[Prepared]
    series: Series | None
    accompanying: bytes
    answer: asyncio.Future[Appended]
    sent: Sequence[Row] = ()

    @property
    def left(self) -> bool:
        """The caller has given up, or has been answered."""
        return self.answer.done()

    @property
    def streams(self) -> Iterable[UUID]:
        if self.series is not None:
            yield self.series.stream
        for write in self.writes:
            yield write.stream

    @property
    def size(self) -> int:
        return sum(len(event.data) for write in self.writes for event in write.events)

    def succeed(self, positions: Sequence[int], recorded: datetime) -> None:
        if not self.answer.done():
            self.answer.set_result(Appended(positions, recorded))

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def expire(self) -> None:
        self.fail(OutcomeUnknown() if self.sent else DeadlineExceeded())


async def encoded(codec: Codec, append: Append) -> Request:
    """An append, encoded in its caller's time; while many writes are encoded, others have their turn."""
    prepared = prepare(codec, append.writes[:WRITES_AT_ONCE])
    for start in range(WRITES_AT_ONCE, len(append.writes), WRITES_AT_ONCE):
        await asyncio.sleep(0)
        prepared += prepare(codec, append.writes[start : start + WRITES_AT_ONCE])
    return request(append, prepared)


async def encoded_each(codec: Codec, appends: Sequence[Append]) -> list[Request]:
    requests = []
    for count, append in enumerate(appends, 1):
        requests.append(await encoded(codec, append))
        if not count % APPENDS_AT_ONCE:
            await asyncio.sleep(0)
    return requests


def request(append: Append, prepared: Sequence[Prepared]) -> Request:
    if append.series is None and not any(write.events for write in append.writes):
        raise ValueError("nothing to append")
    answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
    return Request(prepared, append.series, accompanying(append.meta), answer)


def prepare(codec: Codec, writes: Sequence[Write]) -> list[Prepared]:
    return [
        Prepared(
            write.stream,
            write.expected,
            [codec.encode(event) for event in write.events],
            accompanying(write.meta) if write.meta else None,
        )
        for write in writes
    ]


@dataclass(slots=True)
class Settlement:
    """What becomes of a batch: rows, refusals, what waits for the next.

    It holds only if the streams in `missing`, whose heads were not at hand, have indeed not begun.
    """

    accepted: list[tuple[Request, list[Row]]] = field(default_factory=list)
    refused: list[tuple[Request, Exception]] = field(default_factory=list)
    deferred: list[Request] = field(default_factory=list)
    missing: set[UUID] = field(default_factory=set)

    @property
    def rows(self) -> list[Row]:
        return [row for _, rows in self.accepted for row in rows]


def settle(
    requests: Iterable[Request], heads: Mapping[UUID, Head], recorded: datetime, prepare: Prepare
) -> Settlement:
    """Set every request against the heads. One that disagrees costs the others nothing.

    A stream that an earlier request has written is left to the next batch; only a series goes on.
    """
    tips: dict[UUID, Row] = {}
    settlement = Settlement()
    stamp = recorded.isoformat(timespec="microseconds").replace("+00:00", "Z").encode()
    for request in requests:
        placing = _Placing(request, heads, tips, stamp, settlement.missing)
        try:
            placing.place(prepare)
        except _Taken:
            settlement.deferred.append(request)
        except Exception as error:
            settlement.refused.append((request, error))
        else:
            settlement.accepted.append((request, placing.rows))
            tips.update(placing.tips)
    return settlement


class _Taken(Exception):
    pass


class _Placing:
    """One request, set on top of what the batch holds so far."""

    def __init__(
        self,
        request: Request,
        heads: Mapping[UUID, Head],
        before: Mapping[UUID, Row],
        stamp: bytes,
        missing: set[UUID],
    ) -> None:
        self.rows: list[Row] = []
        self.tips: dict[UUID, Row] = {}
        self._request = request
        self._heads = heads
        self._before = before
        self._stamp = stamp
        self._missing = missing

    def place(self, prepare: Prepare) -> None:
        series = self._request.series
        for write in self._request.writes:
            self._put(write)
        if series is not None:
            for write in prepare(series.numbered(self._head(series.stream).version)):
                self._put(write)

    def _put(self, write: Prepared) -> None:
        head = self._head(write.stream)
        if head.version != write.expected:
            raise Conflict(write.stream)
        told = write.accompanying or self._request.accompanying
        row: Row | None = None
        version, prev = head
        for event in write.events:
            if row is not None:
                prev = _digest(row)
            version += 1
            state = event.state(self._stamp, told, prev)
            row = Row(write.stream, version, event.topic, state, event.salt, event.body)
            self.rows.append(row)
        if row is not None:
            self.tips[write.stream] = row

    def _head(self, stream: UUID) -> Head:
        tip = self.tips.get(stream) or self._of_the_batch(stream)
        if tip is not None:
            return Head(tip.version, _digest(tip))
        head = self._heads.get(stream)
        if head is None:
            self._missing.add(stream)
            return BEGINNING
        return head

    def _of_the_batch(self, stream: UUID) -> Row | None:
        tip = self._before.get(stream)
        series = self._request.series
        if tip is not None and (series is None or series.stream != stream):
            raise _Taken()
        return tip


def _digest(row: Row) -> str:
    return chain.digest(row.stream, row.version, row.topic, row.state)
