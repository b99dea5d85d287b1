"""Load, decide, append. A lost race is decided again on what the winner wrote."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain import billing, credit_memo, crediting, debit_memo, invoice
from domain.findings import Malformed
from domain.invoice import Rules
from domain.refusal import Refused
from store.log import Appended, Conflict, History, Log, Meta, Write

from .attempt import Attempt, Concerned, Decide, Histories, Outcome, followed, only, placed
from .errors import Contended, NoReferenceData
from .snapshot import Snapshot

__all__ = ["ATTEMPTS_MAX", "Asked", "Book", "Decide", "Outcome"]

ATTEMPTS_MAX = 10
DECIDED_AT_ONCE = 16  # of many, before others have their turn

REFUSALS = (Malformed, Refused)
INVOICE = only(invoice.InvoiceDrafted, invoice.fold)
DEBIT_MEMO = only(debit_memo.DebitMemoDrafted, debit_memo.fold)
CREDIT_MEMO = only(credit_memo.CreditMemoPosted, credit_memo.fold)
InvoiceDecide = Callable[[invoice.Invoice | None, Rules], invoice.Decision]


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision to be taken on an invoice, on the debit memos that are named, and on the one it is of.

    What the decision entails for that one, and for credit memos, is part of the append.
    """

    invoice_id: UUID
    decide: InvoiceDecide
    meta: Meta
    memos: Collection[UUID] = ()
    presumed_new: bool = False
    dry_run: bool = False

    def concerned(self, state: invoice.Invoice | None) -> Collection[UUID]:
        own = billing.memo_of(state)
        return {*self.memos, own} if own else self.memos

    def entailing(self, state: invoice.Invoice | None, rules: Rules) -> invoice.Decision:
        decision = billing.following(self.decide(state, rules), state, self.invoice_id, rules.memos)
        return crediting.following(decision, state, self.invoice_id, rules)


@dataclass(slots=True)
class Book:
    """Everything that a command needs."""

    log: Log
    snapshot: Snapshot
    clock: Callable[[], datetime]
    limits: invoice.Limits = field(default_factory=invoice.Limits)

    def today(self, legal_entity_id: str) -> date:
        """The date where the legal entity is."""
        return self.snapshot.current.today(legal_entity_id, self.clock())

    async def transact(
        self,
        invoice_id: UUID,
        decide: InvoiceDecide,
        meta: Meta,
        deadline: float,
        *,
        memos: Collection[UUID] = (),
        presumed_new: bool = False,
        dry_run: bool = False,
    ) -> Outcome[invoice.Invoice]:
        """Decides on an invoice and appends, whole or not at all."""
        return await self.carry_out(Asked(invoice_id, decide, meta, memos, presumed_new, dry_run), deadline)

    async def carry_out(self, asked: Asked, deadline: float) -> Outcome[invoice.Invoice]:
        attempt = self._on_invoice(asked)
        await self._bring_to_end((attempt,), deadline)
        return attempt.result()

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
        attempt = Attempt(
            memo_id,
            DEBIT_MEMO,
            decide,
            _nothing_else,
            _with_memos,
            meta,
            self.limits,
            presumed_new,
            dry_run,
        )
        await self._bring_to_end((attempt,), deadline)
        return attempt.result()

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
        attempt = Attempt(memo_id, CREDIT_MEMO, decide, invoices, _with_invoices, meta, self.limits)
        await self._bring_to_end((attempt,), deadline)
        return attempt.result()

    async def carry_out_each(
        self, asked: Sequence[Asked], deadline: float
    ) -> Sequence[Outcome[invoice.Invoice] | Exception]:
        """Each for itself, many at once; what would be raised for one stands in its place.

        Decisions on the same invoice are taken in their order.
        """
        attempts = [self._on_invoice(each) for each in asked]
        for turn in _in_turns(attempts):
            await self._bring_to_end(turn, deadline)
        return [_end(attempt) for attempt in attempts]

    async def carry_out_together(
        self, asked: Sequence[Asked], deadline: float
    ) -> Sequence[Outcome[invoice.Invoice] | Exception | None]:
        """All in one piece or none, each decided on what those before it decided.

        Where one is refused nothing is written: refusals stand in their places, None in those of the rest.
        """
        attempts = [self._on_invoice(each) for each in asked]
        for _ in range(ATTEMPTS_MAX):
            writes = await self._decided_together(attempts, deadline)
            if refused := [end for attempt in attempts if isinstance(end := attempt.end, Exception)]:
                if not isinstance(refused[0], REFUSALS):
                    raise refused[0]
                return [end if isinstance(end := attempt.end, REFUSALS) else None for attempt in attempts]
            if not writes:
                return [_end(attempt) for attempt in attempts]
            try:
                meta = attempts[0].meta
                appended = await self.log.append(writes, meta, deadline=deadline, caller=meta.who.id)
            except Conflict:  # it names the first stream that has moved on, and there may be many
                continue
            _written_together(attempts, writes, appended)
            return [_end(attempt) for attempt in attempts]
        raise Contended(attempts=ATTEMPTS_MAX)

    def _on_invoice(self, asked: Asked) -> Attempt[invoice.Invoice]:
        return Attempt(
            asked.invoice_id,
            INVOICE,
            asked.entailing,
            asked.concerned,
            _with_memos,
            asked.meta,
            self.limits,
            asked.presumed_new,
            asked.dry_run,
        )

    async def _bring_to_end(self, attempts: Sequence[Attempt[Any]], deadline: float) -> None:
        """Reads, decides and appends until each has its end, whatever becomes of the others."""
        if not self.snapshot.current.version:
            for attempt in attempts:
                attempt.look()
        for _ in range(ATTEMPTS_MAX):
            await self._decided(attempts, deadline)
            attempts = [attempt for attempt in attempts if attempt.end is None]
            if not attempts:
                return
            for attempt, appended in zip(attempts, await self._appended(attempts, deadline), strict=True):
                if isinstance(appended, Appended):
                    attempt.written(appended.position, appended.recorded)
                elif isinstance(appended, Conflict):
                    attempt.lost(appended.streams)
                else:
                    attempt.end = appended
            attempts = [attempt for attempt in attempts if attempt.end is None]
            if not attempts:
                return
        for attempt in attempts:
            attempt.end = Contended(attempts=ATTEMPTS_MAX)

    async def _decided(self, attempts: Sequence[Attempt[Any]], deadline: float) -> None:
        """Until each has writes, or its end."""
        while attempts:
            await self._read(attempts, deadline)
            now = self.clock()
            for count, attempt in enumerate(attempts, 1):
                if attempt.end is None:
                    attempt.try_(self.snapshot.current, now)
                if not count % DECIDED_AT_ONCE:
                    await asyncio.sleep(0)
            attempts = [attempt for attempt in attempts if attempt.waits]

    async def _read(self, attempts: Sequence[Attempt[Any]], deadline: float) -> None:
        waiting = [attempt for attempt in attempts if attempt.waits]
        if not waiting:
            return
        try:
            if any(attempt.stale for attempt in waiting):
                await self.snapshot.refresh()
                if not self.snapshot.current.version:
                    raise NoReferenceData
            found = await self._found({stream for each in waiting for stream in each.wanted}, deadline)
        except Exception as error:
            _end_all(waiting, error)
        else:
            for attempt in waiting:
                attempt.take(found)

    async def _found(self, streams: Collection[UUID], deadline: float) -> Histories:
        if len(streams) == 1:
            [stream] = streams
            return {stream: await self.log.read(stream, deadline=deadline)}
        return dict(await self.log.read_many(streams, deadline=deadline)) if streams else {}

    async def _appended(
        self, attempts: Sequence[Attempt[Any]], deadline: float
    ) -> Sequence[Appended | Exception]:
        caller = attempts[0].meta.who.id
        try:
            if len(attempts) == 1:
                [attempt] = attempts
                append = attempt.append
                appended = await self.log.append(
                    append.writes, append.meta, deadline=deadline, caller=caller, series=append.series
                )
                return [appended]
            appends = [attempt.append for attempt in attempts]
            return await self.log.append_each(appends, deadline=deadline, caller=caller)
        except Exception as error:
            return [error] * len(attempts)

    async def _decided_together(self, attempts: Sequence[Attempt[Any]], deadline: float) -> Sequence[Write]:
        """What all of them come to, with all that they rest on read for them."""
        histories: Histories = {}  # as it was read, whatever is decided on it
        for attempt in attempts:
            attempt.histories = histories
            attempt.look()
        while True:
            for attempt in attempts:
                attempt.histories, attempt.end = histories, None
            await self._read(attempts, deadline)
            if any(attempt.end is not None for attempt in attempts):
                return ()
            reference, now, seen = self.snapshot.current, self.clock(), dict(histories)
            writes: list[Write] = []
            for attempt in attempts:
                attempt.histories = seen
                attempt.try_(reference, now)
                if attempt.writes:
                    writes += (replace(write, meta=attempt.meta) for write in attempt.writes[bool(writes) :])
                    followed(seen, attempt.writes, attempt.meta, now)
            if not any(attempt.waits for attempt in attempts):
                return () if all(attempt.dry_run for attempt in attempts) else writes


def _written_together(attempts: Iterable[Attempt[Any]], writes: Iterable[Write], appended: Appended) -> None:
    """Each has its own part; those that found it said already have that of the one who said it."""
    left = iter(appended.positions)
    positions = {
        (write.stream, version): next(left)
        for write in writes
        for version, _ in enumerate(write.events, write.expected + 1)
    }
    for attempt in attempts:
        if isinstance(attempt.end, Outcome):
            history = placed(attempt.end.history, positions, appended)
            attempt.end = replace(attempt.end, history=history, position=history.position)
        else:
            own = attempt.writes[-1]
            before = History(own.stream, attempt.histories[own.stream].recorded[: own.expected])
            attempt.histories = {own.stream: placed(before, positions, appended)}
            attempt.written(positions[own.stream, own.expected + len(own.events)], appended.recorded)


def _in_turns(attempts: Iterable[Attempt[Any]]) -> Sequence[Sequence[Attempt[Any]]]:
    """What is about the same stream comes one after the other."""
    turns: list[list[Attempt[Any]]] = []
    counts: Counter[UUID] = Counter()
    for attempt in attempts:
        if counts[attempt.stream] == len(turns):
            turns.append([])
        if counts[attempt.stream]:
            attempt.wanted.add(attempt.stream)  # it is hardly new
        turns[counts[attempt.stream]].append(attempt)
        counts[attempt.stream] += 1
    return turns


def _end(attempt: Attempt[invoice.Invoice]) -> Outcome[invoice.Invoice] | Exception:
    end, attempt.end = attempt.end, None
    assert end is not None
    return end


def _end_all(attempts: Iterable[Attempt[Any]], error: Exception) -> None:
    for attempt in attempts:
        attempt.end = error


def _with_memos(rules: Rules, histories: Histories) -> Rules:
    memos = {key: memo for key, each in histories.items() if (memo := DEBIT_MEMO(each.events, None))}
    credits_ = frozenset(key for key, each in histories.items() if CREDIT_MEMO(each.events, None))
    return replace(rules, memos=memos, credit_memos=credits_)


def _with_invoices(rules: Rules, histories: Histories) -> Rules:
    invoices = {key: state for key, each in histories.items() if (state := INVOICE(each.events, None))}
    return replace(rules, invoices=invoices)


def _nothing_else(_: object) -> Collection[UUID]:
    return ()
