"""What settles a posted invoice, or takes that back: payments, credits, conversions, writing off, voiding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


class CreditOrigin(StrEnum):
    """What a credit memo was made for."""

    VOID = "VOID"
    CONVERSION = "CONVERSION"
    WRITE_OFF = "WRITE_OFF"


@dataclass(frozen=True, slots=True)
class PaymentRecorded:
    """Somebody paid this much."""

    payment_id: UUID
    amount: Decimal
    effective_date: date
    reference: str = ""  # what the payment is called where it came in
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class PaymentReversed:
    """So much of a payment was taken back."""

    payment_id: UUID
    amount: Decimal
    effective_date: date
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class CreditApplied:
    """A credit memo takes this much off the balance."""

    application_id: UUID
    credit_memo_id: UUID
    amount: Decimal
    effective_date: date
    origin: CreditOrigin
    of_invoice_id: UUID  # that the credit memo was made of
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class CreditUnapplied:
    """An application of a credit memo was taken back, whole."""

    application_id: UUID
    amount: Decimal
    effective_date: date
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class NegativeLinesConverted:
    """Negative lines became a credit memo: `amount`, negative, leaves the balance, which rises by it.

    At posting, by the settings, as much of the credit as can be is applied at once.
    """

    credit_memo_id: UUID
    lines: tuple[int, ...]
    amount: Decimal
    effective_date: date
    request_id: str = ""
    automatic: bool = False
    applied: CreditApplied | None = None


@dataclass(frozen=True, slots=True)
class InvoiceWrittenOff:
    """Nobody expects to be paid any more: a credit memo closes what was open."""

    reason_code: str
    credit: CreditApplied


@dataclass(frozen=True, slots=True)
class InvoiceVoided:
    """The invoice was taken back: a credit memo mirrors it. It keeps its number."""

    credit: CreditApplied


SettlementEvent = (
    PaymentRecorded
    | PaymentReversed
    | CreditApplied
    | CreditUnapplied
    | NegativeLinesConverted
    | InvoiceWrittenOff
    | InvoiceVoided
)
SETTLEMENT_EVENTS: tuple[type, ...] = (
    PaymentRecorded,
    PaymentReversed,
    CreditApplied,
    CreditUnapplied,
    NegativeLinesConverted,
    InvoiceWrittenOff,
    InvoiceVoided,
)
