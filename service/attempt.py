"""One command on its way into the log: what it has to know, what it decided, and what came of it.

Nothing is read or written here. An attempt says what it wants to have read, and is decided on that again
and again until it has something to append or has come to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from domain import identity, invoice, numbering
from domain.decision import Decided
from domain.findings import Malformed
from domain.invoice import Rules
from domain.numbering import Number
from domain.reference import ReferenceData
from domain.refusal import Refused
from store.log import Append, Appended, History, Meta, Recorded, Series, Stored, Write

from .numbering import Numbering

S = TypeVar("S")
Decide = Callable[[S | None, Rules], Decided[Any]]
Fold = Callable[[Iterable[Any], S | None], S | None]
Concerned = Callable[[S | None], Collection[UUID]]  # the other streams that a decision must know
Histories = dict[UUID, History]
Informed = Callable[[Rules, Histories], Rules]  # the rules with what those streams hold

NOT_YET = 0  # the position of an event that would be written


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What became of a command: how things stand, and what was written."""

    state: S
    history: History  # as it was before
    recorded: datetime | None  # when this command's events were written; None where none were
    position: int  # of what was written; of the newest event where nothing was

    def followed_by(self, later: Outcome[S]) -> Outcome[S]:
        """Both as one, for whoever asked for the first and got the second with it."""
        if later.recorded is None:
            return replace(self, state=later.state)
        return replace(later, history=self.history)


class NotRead(Exception):
    """A decision needs to know these streams."""

    def __init__(self, *streams: UUID) -> None:
        self.streams = streams


def only(beginning: type, fold: Fold[S]) -> Fold[S]:
    """The fold of the streams that begin so; with the id of another stream one finds nothing."""

    def folded(events: Iterable[Any], since: S | None) -> S | None:
        events = tuple(events)
        foreign = since is None and events and not isinstance(events[0], beginning)
        return None if foreign else fold(events, since)

    return folded


@dataclass(slots=True)
class Attempt(Generic[S]):
    """What a command is about, and how far it has come.

    What is presumed new is decided on nothing and read only when that fails. An append is guarded by what it
    expects; a refusal and a dry run are guarded by nothing, and so rest on what is read for them.
    """

    stream: UUID
    fold: Fold[S]
    decide: Decide[S]
    concerned: Concerned[S]
    informed: Informed
    meta: Meta
    limits: invoice.Limits
    presumed_new: bool = False
    dry_run: bool = False
    histories: Histories = field(default_factory=dict)  # what has been read so far
    wanted: set[UUID] = field(default_factory=set)  # what is to be read before it can be decided
    stale: bool = False  # the reference data are to be refreshed before it can be
    looked: bool = False  # all that it rests on was read for it
    decision: Decided[Any] | None = None  # to be appended
    writes: Sequence[Write] = ()
    series: Series | None = None  # that the rest of the writes waits for
    numbering: Numbering | None = None
    end: Outcome[S] | Exception | None = None

    def __post_init__(self) -> None:
        if self.dry_run:
            self.look()
        elif not self.presumed_new:
            self.wanted.add(self.stream)

    @property
    def waits(self) -> bool:
        return self.end is None and (self.stale or bool(self.wanted))

    def look(self) -> None:
        """Has all read again that another process may have changed."""
        self.stale = self.looked = True
        self.wanted = {self.stream, *self.histories}

    def lost(self, streams: Collection[UUID]) -> None:
        """Has read again what has moved on; and what was presumed to be new may not be."""
        self.stale = identity.REFERENCE_HEAD in streams
        self.wanted = {*streams} - {identity.REFERENCE_HEAD}
        if self.numbering is not None:
            self.wanted |= self.numbering.lost(streams)
        if self.stream not in self.histories:
            self.wanted.add(self.stream)

    def take(self, found: Histories) -> None:
        """What was read for it."""
        for stream in self.wanted:
            self.histories[stream] = found[stream]
        self.wanted = set()
        self.stale = False

    def try_(self, reference: ReferenceData, now: datetime) -> None:
        """Decides; then it has writes, or wants more to be read, or has come to its end."""
        self.writes, self.series = (), None
        try:
            self._try(reference, now)
        except NotRead as missing:
            self.wanted.update(missing.streams)
        except (Malformed, Refused) as refusal:
            if self.looked:
                self.end = refusal.with_traceback(None)  # it would hold all of this
            else:
                self.look()
        except Exception as error:
            self.end = error

    def _try(self, reference: ReferenceData, now: datetime) -> None:
        state = self._state()
        others = self._others(state)
        rules = Rules(reference, now, self.limits)
        decision = self.decide(state, self.informed(rules, others) if others else rules)
        if not decision.events:
            assert state is not None
            history = self.histories[self.stream]
            self.end = Outcome(state, history, None, history.position)
            return
        self.writes = self._writes(decision, reference, others)
        self.decision = decision
        if self.dry_run:
            self.written(NOT_YET, now)

    def written(self, position: int, recorded: datetime) -> None:
        """All of it was appended, the last event at this position."""
        assert self.decision is not None
        numbered = self.series is not None and self.numbering is not None
        number = self.numbering.number if numbered and self.numbering else ""
        events = self.decision.numbered(number) if number else self.decision.events
        state = self.fold(events, self._state())
        assert state is not None
        history = self.histories.get(self.stream) or History(self.stream, ())
        self.end = Outcome(state, history, recorded, position)

    @property
    def append(self) -> Append:
        return Append(self.writes, self.meta, self.series)

    def result(self) -> Outcome[S]:
        """What came of it; raises what it failed of."""
        end, self.end = self.end, None
        assert end is not None
        try:
            if isinstance(end, Exception):
                raise end
            return end
        finally:
            del end  # an error that is raised from here must not hold itself

    def _state(self) -> S | None:
        history = self.histories.get(self.stream)
        return self.fold(history.events, None) if history else None

    def _others(self, state: S | None) -> Histories:
        ids = self.concerned(state)
        if missing := [each for each in ids if each not in self.histories]:
            raise NotRead(*missing)
        return {each: self.histories[each] for each in ids}

    def _writes(self, decision: Decided[Any], reference: ReferenceData, others: Histories) -> list[Write]:
        """What it is about comes last: its last event's position is the append's, now and in every replay.

        What takes its number from a series is left to the series.
        """
        version, events = self._version(self.stream), decision.events
        if decision.place is not None and not self.dry_run:
            if self.numbering is None or self.numbering.place != decision.place:
                self.numbering = Numbering(decision.place, self.stream)
            self.series = self.numbering.series(decision, version, self.histories)
            events = events[: decision.place_at]
        return [
            Write(identity.REFERENCE_HEAD, reference.version, ()),
            *self._number_writes(decision, reference),
            *(Write(each.stream, _seen(others, each.stream), each.events) for each in decision.elsewhere),
            Write(self.stream, version, events),
        ]

    def _version(self, stream: UUID) -> int:
        history = self.histories.get(stream)
        return history.version if history else 0

    def _read(self, stream: UUID) -> History:
        if stream not in self.histories:
            raise NotRead(stream)
        return self.histories[stream]

    def _number_writes(self, decision: Decided[Any], reference: ReferenceData) -> list[Write]:
        writes = []
        if decision.claim:
            stream = _stream(decision.claim)
            history = self._read(stream) if self.dry_run else self.histories.get(stream)
            duplicates = reference.settings.duplicate_numbers_allowed
            claimed = numbering.claim(decision.claim, self.stream, duplicates, _holders(history))
            writes.append(Write(stream, self._version(stream), claimed))
        if decision.release:
            history = self._read(_stream(decision.release))
            released = numbering.release(decision.release, self.stream, _holders(history))
            writes.append(Write(history.stream, history.version, released))
        return writes


def _seen(others: Histories, stream: UUID) -> int:
    """The version that the decision saw; what it did not look at is new."""
    return others[stream].version if stream in others else 0


def _stream(number: Number) -> UUID:
    return identity.number(number.legal_entity_id, number.text)


def _holders(history: History | None) -> numbering.Holders:
    return numbering.fold(history.events) if history else frozenset()


# Several in one piece: each is decided on what those before it would have written


def followed(histories: Histories, writes: Iterable[Write], meta: Meta, now: datetime) -> None:
    """The histories as they are once these are written; the positions are not known yet."""
    for write in writes:
        if not write.events:
            continue
        before = histories.get(write.stream)
        recorded = before.recorded if before else ()
        would = (
            Recorded(event, now, meta, "", Stored(NOT_YET, write.stream, version, "", b""))
            for version, event in enumerate(write.events, write.expected + 1)
        )
        histories[write.stream] = History(write.stream, (*recorded, *would))


def placed(history: History, positions: dict[tuple[UUID, int], int], appended: Appended) -> History:
    """The history with the positions that its events were written at."""
    return History(history.stream, [_placed(each, positions, appended) for each in history.recorded])


def _placed(recorded: Recorded, positions: dict[tuple[UUID, int], int], appended: Appended) -> Recorded:
    if recorded.position != NOT_YET:
        return recorded
    position = positions[recorded.stream, recorded.version]
    stored = Stored(position, recorded.stream, recorded.version, "", b"")
    return Recorded(recorded.event, appended.recorded, recorded.meta, "", stored)
