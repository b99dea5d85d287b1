"""What has been paid, credited and converted of an invoice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import assert_never
from uuid import UUID

from ..money import ZERO
from .settlement_events import (
    CreditApplied,
    CreditUnapplied,
    InvoiceVoided,
    InvoiceWrittenOff,
    NegativeLinesConverted,
    PaymentRecorded,
    PaymentReversed,
    SettlementEvent,
)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment and what was taken back of it."""

    recorded: PaymentRecorded
    reversals: tuple[PaymentReversed, ...] = ()

    @property
    def left(self) -> Decimal:
        return self.recorded.amount - sum((each.amount for each in self.reversals), ZERO)


@dataclass(frozen=True, slots=True)
class Credit:
    """An application of a credit memo, and whether it was taken back."""

    applied: CreditApplied
    unapplied: CreditUnapplied | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Never changed, only replaced. The three sums suffice for a balance; the rest explains them."""

    converted: Decimal = ZERO  # zero or negative
    paid: Decimal = ZERO
    credited: Decimal = ZERO
    payments: tuple[Payment, ...] = ()
    credits: tuple[Credit, ...] = ()
    conversions: tuple[NegativeLinesConverted, ...] = ()
    written_off: InvoiceWrittenOff | None = None

    @property
    def touched(self) -> bool:
        """Whether payments or credits stand."""
        return any(each.left for each in self.payments) or any(not each.unapplied for each in self.credits)

    @property
    def memos(self) -> int:
        """How many credit memos were made of the invoice."""
        return len(self.conversions) + (self.written_off is not None)

    @property
    def converted_lines(self) -> frozenset[int]:
        return frozenset(line for each in self.conversions for line in each.lines)

    @property
    def last_date(self) -> date | None:
        """The latest day on which something happened that still stands."""
        return max(self._dates(), default=None)

    def _dates(self) -> Iterator[date]:
        yield from (each.recorded.effective_date for each in self.payments if each.left)
        yield from (each.applied.effective_date for each in self.credits if not each.unapplied)
        yield from (each.effective_date for each in self.conversions)

    def payment(self, payment_id: UUID) -> Payment | None:
        return next((each for each in self.payments if each.recorded.payment_id == payment_id), None)

    def heard(self, request_id: str) -> SettlementEvent | None:
        """What this request has led to."""
        return next((event for asked, event in self._asked() if request_id and asked == request_id), None)

    def _asked(self) -> Iterator[tuple[str, SettlementEvent]]:
        if self.written_off:
            yield self.written_off.credit.request_id, self.written_off
        for payment in self.payments:
            yield payment.recorded.request_id, payment.recorded
            yield from ((each.request_id, each) for each in payment.reversals)
        yield from ((each.applied.request_id, each.applied) for each in self.credits)
        yield from ((each.unapplied.request_id, each.unapplied) for each in self.credits if each.unapplied)
        yield from ((each.request_id, each) for each in self.conversions)


UNTOUCHED = Ledger()


def evolve(ledger: Ledger, event: SettlementEvent) -> Ledger:
    match event:
        case PaymentRecorded(amount=amount):
            payments = (*ledger.payments, Payment(event))
            return replace(ledger, paid=ledger.paid + amount, payments=payments)
        case PaymentReversed(amount=amount):
            payments = tuple(_reversed(each, event) for each in ledger.payments)
            return replace(ledger, paid=ledger.paid - amount, payments=payments)
        case CreditApplied():
            return _credited(ledger, event)
        case CreditUnapplied(amount=amount):
            credits_ = tuple(_unapplied(each, event) for each in ledger.credits)
            return replace(ledger, credited=ledger.credited - amount, credits=credits_)
        case NegativeLinesConverted(amount=amount, applied=applied):
            conversions = (*ledger.conversions, event)
            ledger = replace(ledger, converted=ledger.converted + amount, conversions=conversions)
            return _credited(ledger, applied) if applied else ledger
        case InvoiceWrittenOff(credit=credit):
            return _credited(replace(ledger, written_off=event), credit)
        case InvoiceVoided(credit=credit):
            return _credited(ledger, credit)
        case _:
            assert_never(event)


def _credited(ledger: Ledger, applied: CreditApplied) -> Ledger:
    credits_ = (*ledger.credits, Credit(applied))
    return replace(ledger, credited=ledger.credited + applied.amount, credits=credits_)


def _reversed(payment: Payment, event: PaymentReversed) -> Payment:
    if payment.recorded.payment_id != event.payment_id:
        return payment
    return replace(payment, reversals=(*payment.reversals, event))


def _unapplied(credit: Credit, event: CreditUnapplied) -> Credit:
    if credit.applied.application_id != event.application_id:
        return credit
    return replace(credit, unapplied=event)
