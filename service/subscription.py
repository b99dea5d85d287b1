"""The feed: what happened and happens, from a position on and for ever, for one who reads at his own pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from projections.feed import Fed, Feed
from store.log import Log, Recorded

from .belonging import ANYTHING, Belonging, Chosen, Wanted
from .errors import Ended

BATCH_EVENTS = 100  # read at once: as much as a reader who stands still keeps in memory
PART_EVENTS_MAX = 100
PART_BYTES_MAX = 1024 * 1024  # of stored events in one part, unless a single one has more
CHECKPOINT_SECONDS = 1.0  # at the most between the log's moving on and word of it
QUIET_SECONDS = 5.0  # between looks at a log that says nothing


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a subscriber has come: to a position, and in the history of what enters next to a version."""

    position: int = 0
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the feed, and how far the subscriber has come with it."""

    mark: Mark
    events: Sequence[Recorded] = ()
    earlier: Sequence[Recorded] = ()
    caught_up: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a subscriber wants: events of these types, of what belongs to these; all where nothing is said."""

    types: frozenset[str] = frozenset()
    wanted: Wanted = ANYTHING

    def includes(self, name: str) -> bool:
        return not self.types or name in self.types


class Subscription:
    """One subscriber's way along the log."""

    def __init__(self, log: Log, feed: Feed, asked: Asked, after: Mark, token: Callable[[Mark], str]) -> None:
        self._log = log
        self._feed = feed
        self._asked = asked
        self._belonging = Belonging(log, asked.wanted) if asked.wanted else None
        self._token = token
        self._clock = asyncio.get_running_loop().time
        self._mark = self._told = after
        self._told_at = self._clock()
        self._caught_up = False

    async def parts(self) -> AsyncIterator[Part]:
        """Part after part, for ever; raises Ended when it is cancelled, Unavailable if the store is away."""
        try:
            while True:
                events = await self._feed.after(self._mark.position)
                async for part in self._of(events):
                    yield self._telling(part)
                if events:
                    self._mark = Mark(events[-1].position)
                if self._is_due(at_end=not events):
                    yield self._telling(Part(self._mark, caught_up=not events and not self._caught_up))
                if not events:
                    self._caught_up = True
                    await self._feed.wait(self._mark.position, self._patience())
        except asyncio.CancelledError:
            raise Ended(resume_token=self._token(self._mark)) from None

    async def _of(self, events: Sequence[Fed]) -> AsyncIterator[Part]:
        """What is asked for of these events, in parts, and the histories of what enters with them."""
        part: list[Recorded] = []
        for chosen in await self._chosen(events):
            if chosen.enters:
                if part:
                    yield Part(Mark(part[-1].position), part)
                    part = []
                async for history in self._history(chosen.event):
                    yield history
            if self._asked.includes(chosen.event.name):
                part.append(chosen.event.decoded)
                if _is_full(part):
                    yield Part(Mark(part[-1].position), part)
                    part = []
        if part:
            yield Part(Mark(part[-1].position), part)

    async def _chosen(self, events: Sequence[Fed]) -> Sequence[Chosen]:
        if self._belonging is not None:
            return await self._belonging.chosen(events)
        return [Chosen(event) for event in events if self._asked.includes(event.name)]

    async def _history(self, entering: Fed) -> AsyncIterator[Part]:
        """What happened to a stream before it belonged, but for what the subscriber has had of it."""
        before = entering.position - 1
        had = self._mark.earlier if self._mark.position == before else 0
        part: list[Recorded] = []
        history = await self._log.read(entering.stream, after=had, upto=entering.version - 1)
        for each in history.recorded:
            if self._asked.includes(each.name):
                part.append(each)
                if _is_full(part):
                    yield Part(Mark(before, part[-1].version), earlier=part)
                    part = []
        if part:
            yield Part(Mark(before, part[-1].version), earlier=part)

    def _telling(self, part: Part) -> Part:
        self._mark = self._told = part.mark
        self._told_at = self._clock()
        return part

    def _is_due(self, *, at_end: bool) -> bool:
        if at_end and not self._caught_up:
            return True
        return self._mark != self._told and self._clock() >= self._told_at + CHECKPOINT_SECONDS

    def _patience(self) -> float:
        """Until there is word to be given, or it is time to look."""
        if self._mark == self._told:
            return QUIET_SECONDS
        return max(0.0, self._told_at + CHECKPOINT_SECONDS - self._clock())


def _is_full(part: Sequence[Recorded]) -> bool:
    return len(part) >= PART_EVENTS_MAX or sum(len(each.stored.state) for each in part) >= PART_BYTES_MAX
