"""What may be asked of a credit memo, and what the book says to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from ..decision import Decided
from ..money import plain
from ..refusal import Refused
from .events import Event
from .state import CreditMemo

# Refusals


class NotFound(Refused):
    reason = "CREDIT_MEMO_NOT_FOUND"
    because = "no credit memo {key}"


class ApplicationNotFound(Refused):
    reason = "CREDIT_APPLICATION_NOT_FOUND"
    because = "credit memo {memo_id} has no application {application_id}"


class UsedUp(Refused):
    reason = "CREDIT_USED_UP"
    because = "nothing is left of credit memo {memo_id}"


class MoreThanCredit(Refused):
    reason = "MORE_THAN_CREDIT"
    because = "{amount} is more than what is left of credit memo {memo_id}, {balance} {currency}"


class CreditElsewhere(Refused):
    reason = "CREDIT_OF_ANOTHER"
    because = "credit memo {memo_id} and invoice {invoice_id} are not of one {kind}: {credit}, {invoice}"


class CreditStays(Refused):
    reason = "CREDIT_STAYS"
    because = "the credit of an invoice that was {because} stays applied to it"


# Commands


@dataclass(frozen=True, slots=True)
class Apply:
    """Without an amount: as much as the memo has and the invoice owes."""

    invoice_id: UUID
    request_id: str
    amount: Decimal | None = None
    currency: str = ""
    effective_date: date | None = None


@dataclass(frozen=True, slots=True)
class Unapply:
    application_id: UUID
    request_id: str = ""
    effective_date: date | None = None


@dataclass(frozen=True, slots=True)
class Decision(Decided[Event]):
    """The events of the memo's stream, and what they entail. No events: nothing changes."""


NOTHING = Decision()


def require_left(amount: Decimal | None, memo: CreditMemo, memo_id: UUID) -> None:
    """Something is left, and no less than the amount, if there is one."""
    balance = memo.totals.balance
    if balance <= 0:
        raise UsedUp(memo_id=memo_id)
    if amount is not None and amount > balance:
        raise MoreThanCredit(
            amount=plain(amount), memo_id=memo_id, balance=plain(balance), currency=memo.header.currency
        )
