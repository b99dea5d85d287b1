"""The credit memos of invoices: made by voiding, converting and writing off; applied, and taken back.

A credit memo and the invoices that it touches are streams of their own. What happens to one is decided with
its consequence for the other, so that both are appended together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from . import credit_memo, identity, invoice
from .credit_memo import CreditMemo, CreditMemoApplied, CreditMemoLineAdded, CreditMemoPosted, CreditOrigin
from .decision import Elsewhere
from .findings import Findings, Malformed, Rule, listed
from .invoice import CreditApplied, Decision, Invoice, Line, Rules
from .money import ZERO
from .refusal import Refused
from .texts import check_required, check_text

LINES_TOLD_MAX = 12

# Refusals


class Settled(Refused):
    reason = "INVOICE_SETTLED"
    because = "invoice {invoice_id} has payments or credits; take them back first"


class WrittenOff(Refused):
    reason = "INVOICE_WRITTEN_OFF"
    because = "invoice {invoice_id} is written off already"


class Converted(Refused):
    reason = "INVOICE_CONVERTED"
    because = "negative lines of invoice {invoice_id} were converted to credit; it cannot be voided any more"


class NotConvertible(Refused):
    reason = "LINES_NOT_CONVERTIBLE"
    because = "invoice {invoice_id} has no negative, unconverted lines {lines}"


# Commands


@dataclass(frozen=True, slots=True)
class Void:
    pass


@dataclass(frozen=True, slots=True)
class Convert:
    """Without lines: all that can be converted."""

    lines: tuple[int, ...] = ()
    effective_date: date | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class WriteOff:
    reason_code: str
    request_id: str = ""
    effective_date: date | None = None


# Making credit memos


def void(command: Void, state: Invoice, invoice_id: UUID, rules: Rules) -> Decision:
    """Takes a posted invoice back that nothing has touched yet; what was settled is taken back before."""
    if state.status is invoice.Status.VOIDED:
        return invoice.NOTHING
    invoice.require_posted(state, invoice_id, "voided")
    if state.ledger.written_off:
        raise WrittenOff(invoice_id=invoice_id)
    if state.ledger.touched:
        raise Settled(invoice_id=invoice_id)
    if state.ledger.conversions:
        raise Converted(invoice_id=invoice_id)
    day = invoice.effective(None, state.header.legal_entity_id, rules)
    making = _Making(state, invoice_id, rules, CreditOrigin.VOID, day)
    making.add_lines(state.lines, sign=1)
    credit = making.applied(state.totals.balance)
    filed = invoice.void_documents(state, "the invoice was voided")
    return Decision((invoice.InvoiceVoided(credit), *filed), elsewhere=making.elsewhere(credit))


def write_off(
    command: WriteOff, state: Invoice, invoice_id: UUID, rules: Rules, findings: Findings
) -> Decision:
    """Closes what is open, without tax: whether the tax comes back is for a tax return to say."""
    findings = findings.copy()
    check_required(command.reason_code, "reason_code", findings)
    check_text(command.request_id, "request_id", findings)
    invoice.check_day(command.effective_date, "effective_date", findings)
    if findings:
        raise Malformed(findings)
    if (heard := state.ledger.heard(command.request_id)) is not None:
        same = isinstance(heard, invoice.InvoiceWrittenOff) and heard.reason_code == command.reason_code
        return invoice.again(same, command.request_id, invoice_id)
    invoice.require_posted(state, invoice_id, "written off")
    if state.ledger.written_off:
        raise WrittenOff(invoice_id=invoice_id)
    invoice.require_owed(None, state, invoice_id)
    day = invoice.effective(command.effective_date, state.header.legal_entity_id, rules)
    making = _Making(state, invoice_id, rules, CreditOrigin.WRITE_OFF, day, command.reason_code)
    balance = state.totals.balance
    making.lines.append(CreditMemoLineAdded(1, f"Write-off of {state.number or invoice_id}", balance))
    credit = making.applied(balance, command.request_id)
    written_off = invoice.InvoiceWrittenOff(command.reason_code, credit)
    return Decision((written_off,), elsewhere=making.elsewhere(credit))


def convert(command: Convert, state: Invoice, invoice_id: UUID, rules: Rules, findings: Findings) -> Decision:
    """Negative lines become a credit memo that is free to be applied; the balance rises by them."""
    findings = findings.copy()
    check_text(command.request_id, "request_id", findings)
    invoice.check_day(command.effective_date, "effective_date", findings)
    if len(set(command.lines)) < len(command.lines):
        findings.add("line_numbers", Rule.DUPLICATE, value="a line", first="line_numbers")
    if findings:
        raise Malformed(findings)
    if (heard := state.ledger.heard(command.request_id)) is not None:
        same = isinstance(heard, invoice.NegativeLinesConverted) and _same_lines(command, heard)
        return invoice.again(same, command.request_id, invoice_id)
    invoice.require_posted(state, invoice_id, "converted")
    if state.ledger.touched:
        raise Settled(invoice_id=invoice_id)
    lines = _convertible(command.lines, state, invoice_id)
    day = invoice.effective(command.effective_date, state.header.legal_entity_id, rules)
    making = _Making(state, invoice_id, rules, CreditOrigin.CONVERSION, day)
    making.add_lines(lines, sign=-1)
    converted = invoice.NegativeLinesConverted(
        making.memo_id, _numbers(lines), -making.total, day, command.request_id
    )
    return Decision((converted,), elsewhere=making.elsewhere(None))


def _same_lines(command: Convert, heard: invoice.NegativeLinesConverted) -> bool:
    lines = not command.lines or sorted(command.lines) == sorted(heard.lines)
    return lines and command.effective_date in (None, heard.effective_date)


def _convertible(wanted: Sequence[int], state: Invoice, invoice_id: UUID) -> list[Line]:
    """The lines that are meant, in order; every one that is named can be converted, and there is one."""
    lines = _negative(state)
    if strange := sorted(set(wanted) - set(_numbers(lines))):
        raise NotConvertible(invoice_id=invoice_id, lines=listed(map(str, strange), LINES_TOLD_MAX))
    if not lines:
        raise NotConvertible(invoice_id=invoice_id, lines="at all")
    return [line for line in lines if line.added.number in wanted] if wanted else lines


def _negative(state: Invoice) -> list[Line]:
    """Lines that charge less than nothing, with their tax as without it, and are not converted yet."""
    converted = state.ledger.converted_lines
    return [
        line
        for line in state.lines
        if line.added.charge < 0 and line.charge_with_tax < 0 and line.added.number not in converted
    ]


def _numbers(lines: Iterable[Line]) -> tuple[int, ...]:
    return tuple(line.added.number for line in lines)


def following(decision: Decision, state: Invoice | None, invoice_id: UUID, rules: Rules) -> Decision:
    """The decision; where it posts an invoice and the settings say so, with its negative lines converted.

    As much of the credit as the invoice owes is applied at once; the rest stays on the memo.
    """
    posted = next((each for each in decision.events if isinstance(each, invoice.InvoicePosted)), None)
    if posted is None or not rules.reference.settings.negative_lines_converted:
        return decision
    after = invoice.fold(decision.events, state)
    assert after is not None
    lines = _negative(after)
    if not lines:
        return decision
    making = _Making(after, invoice_id, rules, CreditOrigin.CONVERSION, posted.posted_date)
    making.add_lines(lines, sign=-1)
    owed = after.totals.balance + making.total
    credit = making.applied(min(owed, making.total)) if owed > 0 else None
    converted = invoice.NegativeLinesConverted(
        making.memo_id, _numbers(lines), -making.total, posted.posted_date, automatic=True, applied=credit
    )
    return replace(
        decision,
        events=(*map(_longer, decision.events), converted),
        elsewhere=(*decision.elsewhere, *making.elsewhere(credit)),
    )


def _longer(event: invoice.Event) -> invoice.Event:
    """An event that opens an append says how many there are."""
    if isinstance(event, invoice.TaxPosted):
        return replace(event, following=event.following + 1)
    if isinstance(event, invoice.InvoiceDrafted | invoice.InvoiceRevised):
        return replace(event, size=event.size + 1)
    return event


class _Making:
    """A credit memo on its way."""

    def __init__(
        self,
        state: Invoice,
        invoice_id: UUID,
        rules: Rules,
        origin: CreditOrigin,
        day: date,
        reason_code: str = "",
    ) -> None:
        self.memo_id = identity.credit_memo(invoice_id, state.ledger.memos + 1)
        self.lines: list[CreditMemoLineAdded] = []
        self._day = day
        period = rules.reference.period_of(state.header.legal_entity_id, day)
        self._header = credit_memo.Header(
            invoice_id=invoice_id,
            origin=origin,
            account_id=state.header.account_id,
            currency=state.header.currency,
            legal_entity_id=state.header.legal_entity_id,
            invoice_number=state.number,
            accounting_period_id=period.id if period else "",
            reason_code=reason_code,
        )

    @property
    def total(self) -> Decimal:
        """With tax."""
        return sum((line.credit + credit_memo.tax_of(line) for line in self.lines), ZERO)

    def add_lines(self, lines: Iterable[Line], sign: int) -> None:
        """One for each line of the invoice, with its taxes."""
        for number, line in enumerate(lines, len(self.lines) + 1):
            self.lines.append(_mirrored(number, line, sign))

    def applied(self, amount: Decimal, request_id: str = "") -> CreditApplied:
        """The application of the new memo to its own invoice."""
        application_id = identity.credit_application(self.memo_id, 1)
        header = self._header
        return CreditApplied(
            application_id, self.memo_id, amount, self._day, header.origin, header.invoice_id, request_id
        )

    def elsewhere(self, credit: CreditApplied | None) -> tuple[Elsewhere, ...]:
        """The memo's own events; with what is applied at once, if anything is."""
        applied = [_of_memo(credit, self._header.invoice_id)] if credit else []
        size = 1 + len(self.lines) + len(applied)
        posted = CreditMemoPosted(self._header, self._day, size)
        return (Elsewhere(self.memo_id, (posted, *self.lines, *applied)),)


def _of_memo(credit: CreditApplied, invoice_id: UUID) -> CreditMemoApplied:
    return CreditMemoApplied(
        credit.application_id, invoice_id, credit.amount, credit.effective_date, credit.request_id
    )


def _mirrored(number: int, line: Line, sign: int) -> CreditMemoLineAdded:
    added = line.added
    rows = (
        line.rows
        if sign > 0
        else tuple(replace(row, amount=-row.amount, exempt_amount=-row.exempt_amount) for row in line.rows)
    )
    return CreditMemoLineAdded(
        number=number,
        name=added.name,
        credit=sign * added.charge,
        invoice_line=added.number,
        rows=rows,
        start_date=added.start_date,
        end_date=added.end_date,
        tax_treatment_id=added.tax_treatment_id,
        product_id=added.product_id,
        product_name=added.product_name,
    )


# Applying them


def apply(
    command: credit_memo.Apply,
    memo: CreditMemo | None,
    memo_id: UUID,
    rules: Rules,
    findings: Findings,
) -> credit_memo.Decision:
    """Takes credit off what an invoice of the same account, legal entity and currency owes."""
    findings = findings.copy()
    check_required(command.request_id, "request_id", findings)
    invoice.check_day(command.effective_date, "effective_date", findings)
    amount = None
    if command.amount is not None or command.currency:
        amount = invoice.check_amount(command.amount, command.currency, findings)
    if findings:
        raise Malformed(findings)
    memo = _found(memo, memo_id)
    if (heard := memo.heard(command.request_id)) is not None:
        return _again(_same_application(command, amount, heard), command.request_id, memo_id)
    state = _invoice(command.invoice_id, rules)
    invoice.require_posted(state, command.invoice_id, "credited")
    _require_one_of(memo, memo_id, state, command.invoice_id)
    if amount is not None:
        invoice.require_currency(command.currency, state, command.invoice_id)
    credit_memo.require_left(amount, memo, memo_id)
    invoice.require_owed(amount, state, command.invoice_id)
    day = invoice.effective(command.effective_date, state.header.legal_entity_id, rules)
    credit = CreditApplied(
        application_id=identity.credit_application(memo_id, len(memo.applications) + 1),
        credit_memo_id=memo_id,
        amount=min(memo.totals.balance, state.totals.balance) if amount is None else amount,
        effective_date=day,
        origin=memo.header.origin,
        of_invoice_id=memo.header.invoice_id,
        request_id=command.request_id,
    )
    applied = _of_memo(credit, command.invoice_id)
    return credit_memo.Decision((applied,), elsewhere=(Elsewhere(command.invoice_id, (credit,)),))


def _found(memo: CreditMemo | None, memo_id: UUID) -> CreditMemo:
    if memo is None:
        raise credit_memo.NotFound(key=memo_id)
    return memo


def _invoice(invoice_id: UUID, rules: Rules) -> Invoice:
    state = rules.invoices.get(invoice_id)
    if state is None:
        raise invoice.NotFound(key=invoice_id)
    return state


def _same_application(command: credit_memo.Apply, amount: Decimal | None, heard: credit_memo.Event) -> bool:
    return (
        isinstance(heard, CreditMemoApplied)
        and heard.invoice_id == command.invoice_id
        and amount in (None, heard.amount)
        and command.effective_date in (None, heard.effective_date)
    )


def _again(same: bool, request_id: str, memo_id: UUID) -> credit_memo.Decision:
    invoice.again(same, request_id, memo_id)
    return credit_memo.NOTHING


def _require_one_of(memo: CreditMemo, memo_id: UUID, state: Invoice, invoice_id: UUID) -> None:
    """Both are of one account, one legal entity and one currency."""
    pairs = {
        "account": (memo.header.account_id, state.header.account_id),
        "legal entity": (memo.header.legal_entity_id, state.header.legal_entity_id),
        "currency": (memo.header.currency, state.header.currency),
    }
    for kind, (credit, owed) in pairs.items():
        if credit != owed:
            raise credit_memo.CreditElsewhere(
                memo_id=memo_id, invoice_id=invoice_id, kind=kind, credit=credit, invoice=owed
            )


_STAYS = {CreditOrigin.VOID: "voided", CreditOrigin.WRITE_OFF: "written off"}


def unapply(
    command: credit_memo.Unapply,
    memo: CreditMemo | None,
    memo_id: UUID,
    rules: Rules,
    findings: Findings,
) -> credit_memo.Decision:
    """Takes an application back, whole: the invoice owes it again, and the memo has it again."""
    findings = findings.copy()
    check_text(command.request_id, "request_id", findings)
    invoice.check_day(command.effective_date, "effective_date", findings)
    if findings:
        raise Malformed(findings)
    memo = _found(memo, memo_id)
    application = memo.application(command.application_id)
    if application is None:
        raise credit_memo.ApplicationNotFound(memo_id=memo_id, application_id=command.application_id)
    if application.unapplied:
        return credit_memo.NOTHING
    if memo.heard(command.request_id):
        return _again(False, command.request_id, memo_id)
    if because := _STAYS.get(memo.header.origin):
        raise credit_memo.CreditStays(because=because)
    day = invoice.effective(command.effective_date, memo.header.legal_entity_id, rules)
    applied = application.applied
    said = (command.application_id, applied.amount, day, command.request_id)
    entailed = Elsewhere(applied.invoice_id, (invoice.CreditUnapplied(*said),))
    return credit_memo.Decision((credit_memo.CreditMemoUnapplied(*said),), elsewhere=(entailed,))


def concerned(memo: CreditMemo | None, application_id: UUID) -> frozenset[UUID]:
    """The invoice that an application is about."""
    application = memo.application(application_id) if memo else None
    return frozenset((application.applied.invoice_id,)) if application else frozenset()
