"""The log as the projections read it: once for all that stand close together, and whole appends at a time."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

import msgspec

from store.log import Event, Log, Meta, Recorded, Stored, Unreadable

from .projection import Poison, Projection, Size

BATCH_EVENTS = 2_000  # read at once; more only where one append has more
BATCHES_KEPT = 4
NEVER = 2**63

Decode = Callable[[Stored], Recorded]


class Fed(msgspec.Struct, gc=False, eq=False):
    """An event as the log gave it: Recorded to whoever asks, but decoded only once somebody does.

    A projection that needs little of many events takes it from `stored`, and saves the rest.
    """

    position: int
    stream: UUID
    version: int
    name: str
    state: bytes
    personal: bytes | None
    decode: Decode
    kept: Recorded | None = None
    begun: tuple[int, int, object] | None = None  # what read models share that begin with it
    size: int = 0  # of the append that it opens, once that is known

    @property
    def stored(self) -> Stored:
        return Stored(self.position, self.stream, self.version, self.name, self.state, self.personal)

    @property
    def decoded(self) -> Recorded:
        if self.kept is None:
            try:
                self.kept = self.decode(self.stored)
            except Unreadable as error:
                raise Poison(self.position, self.name, str(error)) from error
        return self.kept

    @property
    def event(self) -> Event:
        return self.decoded.event

    @property
    def recorded(self) -> datetime:
        return self.decoded.recorded

    @property
    def meta(self) -> Meta:
        return self.decoded.meta

    @property
    def prev(self) -> str:
        return self.decoded.prev

    @property
    def digest(self) -> str:
        return self.stored.digest


def wanted(projection: Projection, events: Iterable[Fed]) -> Sequence[Recorded]:
    """The events that a projection is made of, decoded unless it does that itself."""
    found = [event for event in events if event.name in projection.topics]
    return [cast(Recorded, event) for event in found] if projection.lazy else [each.decoded for each in found]


class Feed:
    """Reads the log, and remembers what it read last for the projection that asks a moment later.

    While the log grows it is read once in `pace` seconds, so that what is read together is projected
    together: a transaction for each read model costs as much for one invoice as for twenty.
    """

    def __init__(self, log: Log, decode: Decode, batch: int, pace: float = 0.0) -> None:
        self._log = log
        self._decode = decode
        self._batch = batch
        self._pace = pace
        self._due = 0.0  # when it may be read again, by the loop's clock
        self._turn = asyncio.Lock()
        self._reads = 0
        self._end = -1  # where the last read found nothing, if it did
        self._kept: deque[tuple[int, Sequence[Fed]]] = deque(maxlen=BATCHES_KEPT)

    async def after(self, position: int, least: int = 1) -> Sequence[Fed]:
        """What follows a position: at least so many events where there are as many, none at the end."""
        if found := self._known(position, least):
            return found
        asked = self._reads
        async with self._turn:
            if found := self._known(position, least):
                return found
            if self._end == position and self._reads > asked:
                return ()  # it was looked for while this one waited
            await asyncio.sleep(self._due - asyncio.get_running_loop().time())
            return await self._read(position, max(self._batch, 2 * least))

    def _known(self, position: int, least: int) -> Sequence[Fed]:
        """What was read already, where that is enough."""
        for after, events in self._kept:
            following = events[bisect_right(events, position, key=_position) :]
            if after <= position and len(following) >= least:
                return following
        return ()

    async def wait(self, position: int, seconds: float) -> None:
        await self._log.wait(position, seconds)

    async def _read(self, position: int, limit: int) -> Sequence[Fed]:
        self._reads += 1
        events = [
            Fed(each.position, each.stream, each.version, each.topic, each.state, each.personal, self._decode)
            for each in await self._log.feed(position, limit)
        ]
        self._end = -1 if events else position
        if events:
            self._kept.append((position, events))
            behind = len(events) >= limit
            self._due = 0.0 if behind else asyncio.get_running_loop().time() + self._pace
        return events


def _position(event: Fed) -> int:
    return event.position


async def whole(feed: Feed, position: int, openings: Mapping[str, Size], known: Collection[str]) -> Whole:
    """What follows a position, as far as it is whole and can be read; none at the end of the log.

    A part of an invoice is never shown: a batch that the limit has cut in the middle of an append ends before
    that append, and one that is longer than a batch is read whole. Raises Poison where the first append
    cannot be read.
    """
    events = await feed.after(position)
    while True:
        found = Whole(events, openings, known)
        if found.ends or not events:
            return found
        if found.poison is not None:
            raise found.poison
        longer = await feed.after(position, least=len(events) + 1)
        if len(longer) <= len(events):
            first = events[0]
            raise Poison(first.position, first.name, "the append that begins here is not whole")
        events = longer


class Whole:
    """A batch and the places where it can end; `poison` is what stands behind the last of them, if any."""

    def __init__(self, events: Sequence[Fed], openings: Mapping[str, Size], known: Collection[str]) -> None:
        self._events = events
        self.ends: list[int] = []
        self.poison: Poison | None = None
        try:
            for end in _ends(events, openings, known):
                self.ends.append(end)
        except Poison as poison:
            self.poison = poison

    def __bool__(self) -> bool:
        return bool(self.ends)

    def upto(self, appends: int) -> tuple[Sequence[Fed], int]:
        """The events of so many appends, and the position where those end."""
        count = self.ends[min(appends, len(self.ends)) - 1]
        taken = self._events[:count]
        return taken, taken[-1].position

    def within(self, position: int) -> int:
        """How many of the appends end at or before a position."""
        return sum(self._events[end - 1].position <= position for end in self.ends)


def _ends(events: Sequence[Fed], openings: Mapping[str, Size], known: Collection[str]) -> Iterator[int]:
    """How many events make a batch in which nothing is half: one number for each such place."""
    open_: dict[int, int] = {}  # streams in the middle of an append, and its last version
    for count, event in enumerate(events, 1):
        if event.name not in known:
            raise Poison(event.position, event.name, f"{event.name} is newer than this program")
        if (size := openings.get(event.name)) is not None:
            event.size = event.size or size(cast(Recorded, event))
            open_[event.stream.int] = event.version + event.size - 1
        if open_ and event.version >= open_.get(event.stream.int, NEVER):
            del open_[event.stream.int]
        if not open_:
            yield count
