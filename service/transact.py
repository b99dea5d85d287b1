"""Load, decide, append. A lost race is decided again on what the winner wrote."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from domain import billing, credit_memo, crediting, debit_memo, identity, invoice, numbering
from domain.decision import Decided
from domain.findings import Malformed
from domain.invoice import Rules
from domain.numbering import Number
from domain.reference import ReferenceData
from domain.refusal import Refused
from store.log import Conflict, History, Log, Meta, Write

from .errors import Contended, NoReferenceData
from .snapshot import Snapshot

ATTEMPTS_MAX = 10

S = TypeVar("S")
Decide = Callable[[S | None, Rules], Decided[Any]]
Fold = Callable[[Iterable[Any], S | None], S | None]
Concerned = Callable[[S | None], Collection[UUID]]  # the other streams that a decision must know
Histories = Mapping[UUID, History]
Informed = Callable[[Rules, Histories], Rules]  # the rules with what those streams hold


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


@dataclass(slots=True)
class Book:
    """Everything that a command needs."""

    log: Log
    snapshot: Snapshot
    clock: Callable[[], datetime]
    limits: invoice.Limits = field(default_factory=invoice.Limits)

    async def transact(
        self,
        invoice_id: UUID,
        decide: Callable[[invoice.Invoice | None, Rules], invoice.Decision],
        meta: Meta,
        deadline: float,
        *,
        memos: Collection[UUID] = (),
        presumed_new: bool = False,
        dry_run: bool = False,
    ) -> Outcome[invoice.Invoice]:
        """Decides on an invoice and appends, whole or not at all.

        What is presumed new is decided on nothing and read only when that fails. An append is guarded by what
        it expects; a refusal and a dry run are guarded by nothing, and so rest on what is read for them.

        The decision is given the debit memos that are named, and the one that the invoice is of; what the
        decision entails for that one, and for credit memos, is part of the append.
        """

        def concerned(state: invoice.Invoice | None) -> Collection[UUID]:
            own = billing.memo_of(state)
            return {*memos, own} if own else memos

        def entailing(state: invoice.Invoice | None, rules: Rules) -> invoice.Decision:
            decision = billing.following(decide(state, rules), state, invoice_id, rules.memos)
            return crediting.following(decision, state, invoice_id, rules)

        attempt = _Attempt(self, invoice_id, invoice.fold, concerned, _with_memos, deadline, dry_run)
        return await self._transact(attempt, entailing, meta, presumed_new)

    async def transact_memo(
        self,
        memo_id: UUID,
        decide: Decide[debit_memo.DebitMemo],
        meta: Meta,
        deadline: float,
        *,
        presumed_new: bool = False,
        dry_run: bool = False,
    ) -> Outcome[debit_memo.DebitMemo]:
        """Decides on a debit memo and appends, in the same manner."""
        attempt = _Attempt(self, memo_id, debit_memo.fold, _nothing_else, _with_memos, deadline, dry_run)
        return await self._transact(attempt, decide, meta, presumed_new)

    async def transact_credit(
        self,
        memo_id: UUID,
        decide: Decide[credit_memo.CreditMemo],
        meta: Meta,
        deadline: float,
        *,
        invoices: Concerned[credit_memo.CreditMemo],
    ) -> Outcome[credit_memo.CreditMemo]:
        """Decides on a credit memo and the invoices that it concerns, and appends to all of them."""
        attempt = _Attempt(self, memo_id, credit_memo.fold, invoices, _with_invoices, deadline)
        return await self._transact(attempt, decide, meta, presumed_new=False)

    async def _transact(
        self, attempt: _Attempt[S], decide: Decide[S], meta: Meta, presumed_new: bool
    ) -> Outcome[S]:
        if attempt.dry_run or not self.snapshot.current.version:
            await attempt.look()
        elif not presumed_new:
            await attempt.read()
        for _ in range(ATTEMPTS_MAX):
            try:
                decision = await attempt.decide(decide)
                if not decision.events:
                    return attempt.unchanged()
                writes = await attempt.writes(decision)
            except (Malformed, Refused):
                if attempt.looked:
                    raise
                await attempt.look()
                continue
            if attempt.dry_run:
                return attempt.dry(decision)
            try:
                appended = await self.log.append(writes, meta, deadline=attempt.deadline, caller=meta.who.id)
            except Conflict as conflict:
                await attempt.lost(conflict.streams)
                continue
            return attempt.done(decision, appended.position, appended.recorded)
        raise Contended(attempts=ATTEMPTS_MAX)


@dataclass(slots=True)
class _Attempt(Generic[S]):
    """One command on its way: what has been read so far."""

    book: Book
    stream: UUID
    fold: Fold[S]
    concerned: Concerned[S]
    informed: Informed
    deadline: float
    dry_run: bool = False
    looked: bool = False
    history: History | None = None
    reference: ReferenceData = field(default_factory=ReferenceData)
    numbers: dict[UUID, History] = field(default_factory=dict)
    others: dict[UUID, History] = field(default_factory=dict)

    async def read(self) -> None:
        self.history = await self._read(self.stream)

    async def _read(self, stream: UUID) -> History:
        return await self.book.log.read(stream, deadline=self.deadline)

    def state(self) -> S | None:
        return self.fold(self.history.events, None) if self.history else None

    async def look(self) -> None:
        """Reads what another process may have changed: the stream, memos, and the reference data."""
        await self.book.snapshot.refresh()
        if not self.book.snapshot.current.version:
            raise NoReferenceData
        self.others.clear()
        await self.read()
        self.looked = True

    async def decide(self, decide: Decide[S]) -> Decided[Any]:
        self.reference = self.book.snapshot.current
        state = self.state()
        for other in self.concerned(state):
            if other not in self.others:
                self.others[other] = await self._read(other)
        rules = Rules(self.reference, self.book.clock(), self.book.limits)
        return decide(state, self.informed(rules, self.others) if self.others else rules)

    async def writes(self, decision: Decided[Any]) -> list[Write]:
        """What it is about comes last: its last event's position is the append's, now and in every replay."""
        version = self.history.version if self.history else 0
        return [
            Write(identity.REFERENCE_HEAD, self.reference.version, ()),
            *await self._number_writes(decision),
            *(Write(each.stream, self._seen(each.stream), each.events) for each in decision.elsewhere),
            Write(self.stream, version, decision.events),
        ]

    def _seen(self, stream: UUID) -> int:
        """The version that the decision saw; what it did not look at is new."""
        return self.others[stream].version if stream in self.others else 0

    async def _number_writes(self, decision: Decided[Any]) -> list[Write]:
        writes = []
        if decision.claim:
            stream = _stream(decision.claim)
            history = await self._number(decision.claim) if self.dry_run else self.numbers.get(stream)
            duplicates = self.reference.settings.duplicate_numbers_allowed
            claimed = numbering.claim(decision.claim, self.stream, duplicates, _holders(history))
            writes.append(Write(stream, history.version if history else 0, claimed))
        if decision.release:
            history = await self._number(decision.release)
            released = numbering.release(decision.release, self.stream, _holders(history))
            writes.append(Write(_stream(decision.release), history.version, released))
        return writes

    async def _number(self, number: Number) -> History:
        stream = _stream(number)
        if stream not in self.numbers:
            self.numbers[stream] = await self._read(stream)
        return self.numbers[stream]

    async def lost(self, streams: Collection[UUID]) -> None:
        """Reads again what has moved on; and what was presumed to be new may not be."""
        if self.history is None or self.stream in streams:
            await self.read()
        if identity.REFERENCE_HEAD in streams:
            await self.book.snapshot.refresh()
        for stream in set(streams) - {self.stream, identity.REFERENCE_HEAD}:
            histories = self.others if stream in self.others else self.numbers
            histories[stream] = await self._read(stream)

    def unchanged(self) -> Outcome[S]:
        state = self.state()
        assert state is not None and self.history is not None
        return Outcome(state, self.history, None, self.history.position)

    def dry(self, decision: Decided[Any]) -> Outcome[S]:
        return self.done(decision, 0, self.book.clock())

    def done(self, decision: Decided[Any], position: int, recorded: datetime) -> Outcome[S]:
        state = self.fold(decision.events, self.state())
        assert state is not None
        history = self.history or History(self.stream, ())
        return Outcome(state, history, recorded, position)


def _with_memos(rules: Rules, histories: Histories) -> Rules:
    memos = {key: memo for key, each in histories.items() if (memo := debit_memo.fold(each.events))}
    return replace(rules, memos=memos)


def _with_invoices(rules: Rules, histories: Histories) -> Rules:
    invoices = {key: state for key, each in histories.items() if (state := invoice.fold(each.events))}
    return replace(rules, invoices=invoices)


def _nothing_else(_: object) -> Collection[UUID]:
    return ()


def _stream(number: Number) -> UUID:
    return identity.number(number.legal_entity_id, number.text)


def _holders(history: History | None) -> numbering.Holders:
    return numbering.fold(history.events) if history else frozenset()
