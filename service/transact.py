"""Load, decide, append. A lost race is decided again on what the winner wrote."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from domain import identity, invoice, numbering
from domain.findings import Malformed
from domain.numbering import Number, NumberTaken
from domain.reference import ReferenceData
from store.log import Conflict, History, Log, Meta, Write

from .errors import Contended, NoReferenceData
from .snapshot import Snapshot

ATTEMPTS_MAX = 10

Decide = Callable[[invoice.Invoice | None, invoice.Rules], invoice.Decision]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: the invoice as it stands, and what was written of it."""

    invoice: invoice.Invoice
    history: History  # as it was before
    recorded: datetime | None  # when this command's events were written; None where none were
    position: int  # of what was written; of the newest event where nothing was

    def followed_by(self, later: Outcome) -> Outcome:
        """Both as one, for whoever asked for the first and got the second with it."""
        if later.recorded is None:
            return replace(self, invoice=later.invoice)
        return replace(later, history=self.history)


@dataclass(slots=True)
class Book:
    """Everything that a command on an invoice needs."""

    log: Log
    snapshot: Snapshot
    clock: Callable[[], datetime]
    limits: invoice.Limits = field(default_factory=invoice.Limits)

    async def transact(
        self,
        invoice_id: UUID,
        decide: Decide,
        meta: Meta,
        deadline: float,
        *,
        presumed_new: bool = False,
        dry_run: bool = False,
    ) -> Outcome:
        """Decides and appends, whole or not at all.

        What is presumed new is decided on nothing and read only when that fails. An append is guarded by what
        it expects; a refusal and a dry run are guarded by nothing, and so rest on what is read for them.
        """
        attempt = _Attempt(self, invoice_id, deadline, dry_run)
        if dry_run or not self.snapshot.current.version:
            await attempt.look()
        elif not presumed_new:
            await attempt.read()
        for _ in range(ATTEMPTS_MAX):
            try:
                decision = attempt.decide(decide)
                if not decision.events:
                    return attempt.unchanged()
                writes = await attempt.writes(decision)
            except (Malformed, NumberTaken):
                if attempt.looked:
                    raise
                await attempt.look()
                continue
            if dry_run:
                return attempt.dry(decision)
            try:
                appended = await self.log.append(writes, meta, deadline=deadline, caller=meta.who.id)
            except Conflict as conflict:
                await attempt.lost(conflict.streams)
                continue
            return attempt.done(decision, appended.position, appended.recorded)
        raise Contended(attempts=ATTEMPTS_MAX)


@dataclass(slots=True)
class _Attempt:
    """One command on its way: what has been read so far."""

    book: Book
    invoice_id: UUID
    deadline: float
    dry_run: bool
    looked: bool = False
    history: History | None = None
    reference: ReferenceData = field(default_factory=ReferenceData)
    numbers: dict[UUID, History] = field(default_factory=dict)

    async def read(self) -> None:
        self.history = await self.book.log.read(self.invoice_id, deadline=self.deadline)

    def state(self) -> invoice.Invoice | None:
        return invoice.fold(self.history.events) if self.history else None

    async def look(self) -> None:
        """Reads what another process may have changed: the invoice, and the reference data."""
        await self.book.snapshot.refresh()
        if not self.book.snapshot.current.version:
            raise NoReferenceData
        await self.read()
        self.looked = True

    def decide(self, decide: Decide) -> invoice.Decision:
        self.reference = self.book.snapshot.current
        return decide(self.state(), invoice.Rules(self.reference, self.book.clock(), self.book.limits))

    async def writes(self, decision: invoice.Decision) -> list[Write]:
        """The invoice comes last: its last event's position is the append's, now and in every replay."""
        version = self.history.version if self.history else 0
        return [
            Write(identity.REFERENCE_HEAD, self.reference.version, ()),
            *await self._number_writes(decision),
            Write(self.invoice_id, version, decision.events),
        ]

    async def _number_writes(self, decision: invoice.Decision) -> list[Write]:
        writes = []
        if decision.claim:
            stream = _stream(decision.claim)
            history = await self._number(decision.claim) if self.dry_run else self.numbers.get(stream)
            duplicates = self.reference.settings.duplicate_numbers_allowed
            claimed = numbering.claim(decision.claim, self.invoice_id, duplicates, _holders(history))
            writes.append(Write(stream, history.version if history else 0, claimed))
        if decision.release:
            history = await self._number(decision.release)
            released = numbering.release(decision.release, self.invoice_id, _holders(history))
            writes.append(Write(_stream(decision.release), history.version, released))
        return writes

    async def _number(self, number: Number) -> History:
        stream = _stream(number)
        if stream not in self.numbers:
            self.numbers[stream] = await self.book.log.read(stream, deadline=self.deadline)
        return self.numbers[stream]

    async def lost(self, streams: Collection[UUID]) -> None:
        """Reads again what has moved on; and what was presumed to be new may not be."""
        if self.history is None or self.invoice_id in streams:
            await self.read()
        if identity.REFERENCE_HEAD in streams:
            await self.book.snapshot.refresh()
        for stream in set(streams) - {self.invoice_id, identity.REFERENCE_HEAD}:
            self.numbers[stream] = await self.book.log.read(stream, deadline=self.deadline)

    def unchanged(self) -> Outcome:
        state = self.state()
        assert state is not None and self.history is not None
        return Outcome(state, self.history, None, self.history.position)

    def dry(self, decision: invoice.Decision) -> Outcome:
        return self.done(decision, 0, self.book.clock())

    def done(self, decision: invoice.Decision, position: int, recorded: datetime) -> Outcome:
        state = invoice.fold(decision.events, since=self.state())
        assert state is not None
        history = self.history or History(self.invoice_id, ())
        return Outcome(state, history, recorded, position)


def _stream(number: Number) -> UUID:
    return identity.number(number.legal_entity_id, number.text)


def _holders(history: History | None) -> numbering.Holders:
    return numbering.fold(history.events) if history else frozenset()
