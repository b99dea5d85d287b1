"""What settles an invoice: payments, and what every settlement needs to be in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from .. import identity
from ..dates import check_date
from ..findings import Findings, Malformed, Rule, shown
from ..money import CURRENCIES, INTEGER_DIGITS_MAX, normal, plain
from ..reference import PeriodStatus, ReferenceData
from ..refusal import Refused
from ..texts import check_required, check_text
from .decide import NOTHING, Decision
from .events import Status
from .ledger import Payment
from .limits import Rules
from .settlement_events import PaymentRecorded, PaymentReversed
from .state import Invoice

_TOO_LARGE = Decimal(10) ** INTEGER_DIGITS_MAX

# Refusals


class NotPosted(Refused):
    reason = "INVOICE_NOT_POSTED"
    because = "invoice {invoice_id} is {status}; only a posted one can be {verb}"


class OtherCurrency(Refused):
    reason = "OTHER_CURRENCY"
    because = "{said} is not the currency of invoice {invoice_id}, which is {currency}"


class NothingOwed(Refused):
    reason = "NOTHING_OWED"
    because = "nothing is owed on invoice {invoice_id}: its balance is {balance} {currency}"


class MoreThanBalance(Refused):
    reason = "MORE_THAN_BALANCE"
    because = "{amount} is more than the balance of invoice {invoice_id}, {balance} {currency}"


class PaymentNotFound(Refused):
    reason = "PAYMENT_NOT_FOUND"
    because = "invoice {invoice_id} has no payment {payment_id}"


class MoreThanPaid(Refused):
    reason = "MORE_THAN_PAID"
    because = "{amount} is more than what is left of payment {payment_id}, {left} {currency}"


class PeriodClosed(Refused):
    reason = "PERIOD_IS_CLOSED"
    because = "{day} is in accounting period {period} of legal entity {legal_entity_id}, which is closed"


class RequestDiffers(Refused):
    reason = "REQUEST_DIFFERS"
    because = "request {request_id} of {subject} stands for something else"


# Commands


@dataclass(frozen=True, slots=True)
class RecordPayment:
    amount: Decimal | None
    currency: str
    request_id: str
    effective_date: date | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class ReversePayment:
    """Without an amount: all that is left of the payment."""

    payment_id: UUID
    request_id: str
    amount: Decimal | None = None
    currency: str = ""
    effective_date: date | None = None


# Decisions


def record_payment(
    command: RecordPayment, invoice: Invoice, invoice_id: UUID, rules: Rules, findings: Findings
) -> Decision:
    findings = findings.copy()
    check_required(command.request_id, "request_id", findings)
    check_text(command.reference, "reference", findings)
    amount = check_amount(command.amount, command.currency, findings)
    check_day(command.effective_date, "effective_date", findings)
    if findings or amount is None:
        raise Malformed(findings)
    heard = invoice.ledger.heard(command.request_id)
    if heard is not None:
        same = isinstance(heard, PaymentRecorded) and _said(command, amount, heard)
        return again(same, command.request_id, invoice_id)
    require_posted(invoice, invoice_id, "paid")
    require_currency(command.currency, invoice, invoice_id)
    day = effective(command.effective_date, invoice.header.legal_entity_id, rules)
    require_owed(amount, invoice, invoice_id)
    payment_id = identity.payment(invoice_id, command.request_id)
    return Decision((PaymentRecorded(payment_id, amount, day, command.reference, command.request_id),))


def _said(command: RecordPayment, amount: Decimal, heard: PaymentRecorded) -> bool:
    return (
        (amount, command.reference) == (heard.amount, heard.reference)
        and command.effective_date in (None, heard.effective_date)
    )  # fmt: skip


def reverse_payment(
    command: ReversePayment, invoice: Invoice, invoice_id: UUID, rules: Rules, findings: Findings
) -> Decision:
    findings = findings.copy()
    check_required(command.request_id, "request_id", findings)
    check_day(command.effective_date, "effective_date", findings)
    amount = None
    if command.amount is not None:
        amount = check_amount(command.amount, command.currency, findings)
    if findings:
        raise Malformed(findings)
    heard = invoice.ledger.heard(command.request_id)
    if heard is not None:
        same = (
            isinstance(heard, PaymentReversed)
            and heard.payment_id == command.payment_id
            and amount in (None, heard.amount)
            and command.effective_date in (None, heard.effective_date)
        )
        return again(same, command.request_id, invoice_id)
    payment = invoice.ledger.payment(command.payment_id)
    if payment is None:
        raise PaymentNotFound(invoice_id=invoice_id, payment_id=command.payment_id)
    if amount is not None:
        require_currency(command.currency, invoice, invoice_id)
    day = effective(command.effective_date, invoice.header.legal_entity_id, rules)
    taken = _left(payment, amount, invoice)
    return Decision((PaymentReversed(command.payment_id, taken, day, command.request_id),))


def _left(payment: Payment, amount: Decimal | None, invoice: Invoice) -> Decimal:
    wanted = payment.left if amount is None else amount
    if not payment.left or wanted > payment.left:
        raise MoreThanPaid(
            amount=plain(wanted) if wanted else "anything",
            payment_id=payment.recorded.payment_id,
            left=plain(payment.left),
            currency=invoice.header.currency,
        )
    return wanted


# What every settlement needs


def check_amount(
    amount: Decimal | None, currency: str, findings: Findings, path: str = "amount"
) -> Decimal | None:
    """A sum of money as it is kept: in units of its currency, and more than zero."""
    known = CURRENCIES.get(currency)
    if not currency:
        findings.add(f"{path}.currency_code", Rule.REQUIRED)
    elif known is None:
        findings.add(f"{path}.currency_code", Rule.CURRENCY, value=shown(currency))
    if amount is None:
        findings.add(path, Rule.REQUIRED)
        return None
    if amount <= 0:
        findings.add(path, Rule.NOT_POSITIVE, value=normal(amount))
    elif amount >= _TOO_LARGE:
        findings.add(path, Rule.TOO_LARGE, limit=INTEGER_DIGITS_MAX)
    elif known is not None:
        if (exact := known.exactly(amount)) is not None:
            return exact
        facts = {"currency": currency, "decimals": known.decimals, "value": shown(normal(amount))}
        findings.add(path, Rule.FINER_THAN_CURRENCY, **facts)
    return None


def check_day(day: date | None, path: str, findings: Findings) -> None:
    if day is not None:
        check_date(day, path, findings)


def effective(day: date | None, legal_entity_id: str, rules: Rules, path: str = "effective_date") -> date:
    """The day that a change counts for: today unless one is said; not to come, and in an open period."""
    today = rules.reference.today(legal_entity_id, rules.now)
    if day is not None and day > today:
        findings = Findings()
        findings.add(path, Rule.AFTER_TODAY, today=today, value=day)
        raise Malformed(findings)
    require_open(day or today, legal_entity_id, rules.reference)
    return day or today


def require_open(day: date, legal_entity_id: str, reference: ReferenceData) -> None:
    """Nothing is booked on a day whose accounting period is closed, unless the settings allow it."""
    period = reference.period_of(legal_entity_id, day)
    if period is None or period.status is PeriodStatus.OPEN or reference.settings.closed_periods_allowed:
        return
    raise PeriodClosed(day=day, period=period.id, legal_entity_id=legal_entity_id)


def require_posted(invoice: Invoice, invoice_id: UUID, verb: str) -> None:
    if invoice.status is not Status.POSTED:
        raise NotPosted(invoice_id=invoice_id, status=invoice.status.lower(), verb=verb)


def require_currency(currency: str, invoice: Invoice, invoice_id: UUID) -> None:
    if currency != invoice.header.currency:
        raise OtherCurrency(said=currency, invoice_id=invoice_id, currency=invoice.header.currency)


def require_owed(amount: Decimal | None, invoice: Invoice, invoice_id: UUID) -> None:
    """Something is owed, and no less than the amount, if there is one."""
    balance, currency = invoice.totals.balance, invoice.header.currency
    facts = {"invoice_id": invoice_id, "balance": plain(balance), "currency": currency}
    if balance <= 0:
        raise NothingOwed(**facts)
    if amount is not None and amount > balance:
        raise MoreThanBalance(amount=plain(amount), **facts)


def again(same: bool, request_id: str, subject: object) -> Decision:
    """The same request heard twice changes nothing; another one under its id is refused."""
    if not same:
        raise RequestDiffers(request_id=shown(request_id), subject=subject)
    return NOTHING
