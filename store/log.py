"""The log: what happened, written down once, in order; appended to and read, never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import msgspec

from . import chain

Event: TypeAlias = Any
"""One of the domain's events, a frozen dataclass that the registry knows by a stable name."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who caused an event. `kind` says how far that is proven: local, claimed, mtls or jwt."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Meta:
    """What accompanies every event of one append."""

    who: Who
    correlation: str = ""
    causation: str = ""
    reason: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """Events for one stream. `expected` is the last version that the decision saw, 0 for a new stream.

    Without events it is a guard: only the expectation is checked. `meta` accompanies these events in place of
    what accompanies the append.
    """

    stream: UUID
    expected: int
    events: Sequence[Event]
    meta: Meta | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Writes that follow the head of `stream`, whatever it is when their turn comes.

    `numbered` is pure and is given that head; what it raises costs only its own append. It may be asked more
    than once before the append is written.
    """

    stream: UUID
    numbered: Callable[[int], Sequence[Write]]


@dataclass(frozen=True, slots=True)
class Append:
    """Writes that belong together, all or nothing, and what accompanies them."""

    writes: Sequence[Write]
    meta: Meta
    series: Series | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """The positions of an append's events, in the order of its writes, and when its batch formed."""

    positions: Sequence[int]
    recorded: datetime

    @property
    def position(self) -> int:
        """Of the last event."""
        return self.positions[-1] if self.positions else 0


class Stored(msgspec.Struct, frozen=True, gc=False):
    """One event as it lies in the log. `personal` is the text kept apart, if there is any (still)."""

    position: int
    stream: UUID
    version: int
    topic: str
    state: bytes
    personal: bytes | None = None

    @property
    def digest(self) -> str:
        return chain.digest(self.stream, self.version, self.topic, self.state)


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One event, read: what happened, when it was written down, by whom, and its link in the chain."""

    event: Event
    recorded: datetime
    meta: Meta
    prev: str
    stored: Stored

    @property
    def position(self) -> int:
        return self.stored.position

    @property
    def stream(self) -> UUID:
        return self.stored.stream

    @property
    def version(self) -> int:
        return self.stored.version

    @property
    def name(self) -> str:
        return self.stored.topic

    @property
    def state(self) -> bytes:
        return self.stored.state

    @property
    def personal(self) -> bytes | None:
        return self.stored.personal

    @property
    def digest(self) -> str:
        return self.stored.digest


@dataclass(frozen=True, slots=True)
class History:
    """A stream, whole or in part, up to `version`; version and position are 0 where nothing happened."""

    stream: UUID
    recorded: Sequence[Recorded]

    @property
    def version(self) -> int:
        return self.recorded[-1].version if self.recorded else 0

    @property
    def position(self) -> int:
        return self.recorded[-1].position if self.recorded else 0

    @property
    def events(self) -> Sequence[Event]:
        return [recorded.event for recorded in self.recorded]


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log the positions belong to; every restore starts a new epoch."""

    log_id: UUID
    epoch: int


class Conflict(Exception):
    """A stream has moved on since the decision was taken; nothing of the append was written."""

    def __init__(self, *streams: UUID) -> None:
        super().__init__(f"moved on: {', '.join(map(str, streams))}")
        self.streams = streams


class Overloaded(Exception):
    """More waits to be written than may wait; nothing was written."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too much is waiting; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class Unavailable(Exception):
    """The log is out of reach; nothing was written."""

    def __init__(self, because: str, retry_after: float = 1.0) -> None:
        super().__init__(because)
        self.retry_after = retry_after


class DeadlineExceeded(TimeoutError):
    """The deadline passed while the append or the read still waited; nothing was written."""


class OutcomeUnknown(TimeoutError):
    """The deadline passed, or the store went away, in mid-write; read to see what became of it."""


class Unreadable(Exception):
    """An event in the log is not what the registry says it is."""


class Log(Protocol):
    """What the rest of the house knows of the log. Deadlines are instants of the running loop's clock."""

    @property
    def identity(self) -> LogIdentity: ...

    async def append(
        self,
        writes: Sequence[Write],
        meta: Meta,
        *,
        deadline: float | None = None,
        caller: str = "",
        series: Series | None = None,
    ) -> Appended:
        """Append to any number of streams, all or nothing.

        Raises Conflict, Overloaded, Unavailable, DeadlineExceeded, OutcomeUnknown, or what `numbered` raises.
        """
        ...

    async def append_each(
        self, appends: Sequence[Append], *, deadline: float | None = None, caller: str = ""
    ) -> Sequence[Appended | Exception]:
        """Append each for itself, in one go: what `append` would raise for one stands in its place.

        Raises Overloaded, Unavailable or DeadlineExceeded where none of them may wait.
        """
        ...

    async def read(
        self,
        stream: UUID,
        *,
        after: int = 0,
        upto: int | None = None,
        position: int | None = None,
        deadline: float | None = None,
    ) -> History:
        """Return what happened in a stream after a version, up to another one and up to a position."""
        ...

    async def read_many(
        self, streams: Iterable[UUID], *, deadline: float | None = None
    ) -> Mapping[UUID, History]: ...

    async def feed(self, after: int, limit: int, *, topics: Sequence[str] | None = None) -> Sequence[Stored]:
        """Return what comes after a position, in order, perhaps with gaps; `topics` picks by stored name."""
        ...

    async def head(self) -> int:
        """Return the last position, 0 for an empty log."""
        ...

    async def position_at(self, instant: datetime, *, deadline: float | None = None) -> int:
        """Return the last position before the first event that was recorded after an instant."""
        ...

    async def wait(self, after: int, timeout: float) -> None:  # noqa: ASYNC109
        """Return as soon as something after the position is heard of, or when the time is over."""
        ...

    async def close(self) -> None:
        """Let what is in the queue be written, refuse what comes, and go."""
        ...
