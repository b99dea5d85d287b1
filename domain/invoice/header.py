"""The rules of an invoice's header: status and tax, dates, the entries of reference data that it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter

from ..dates import check_date, check_required_date, is_taken
from ..findings import Findings, Rule, shown
from ..money import CURRENCIES, Currency
from ..quick import quick
from ..reference import (
    AccountingPeriod,
    EntryStatus,
    Kind,
    LegalEntity,
    PaymentTerm,
    PeriodStatus,
    ReferenceData,
    TaxTreatment,
    words,
)
from ..terms import due_date
from ..texts import check_free_text, check_labels, check_required, check_texts
from .content import Content
from .events import Status, TaxStatus

_TEXTS = (
    "unique_identifier",
    "account_id",
    "account_name",
    "bill_to_contact_id",
    "bill_to_contact_name",
    "payment_term_id",
    "currency_code",
    "legal_entity_id",
    "accounting_period_id",
    "invoice_number",
    "purchase_order_number",
    "owner_id",
    "owner_name",
    "billing_address",
    "shipping_address",
    "ship_from_address",
)
_texts = attrgetter(*_TEXTS)


@quick
@dataclass(frozen=True, slots=True)
class Frame:
    """What the header settles, for itself and for its lines."""

    posted: bool
    tax_status: TaxStatus
    statuses_read: bool  # where they could not be read, nobody knows which lines bring taxes
    legal_entity_id: str
    today: date
    term: PaymentTerm | None
    due: date | None
    period: AccountingPeriod | None
    currency: Currency | None

    def defaulted(self, content: Content) -> Iterable[str]:
        """The header fields that were not sent and have a value all the same."""
        if content.status is None:
            yield "status"
        if content.tax_status is None:
            yield "tax_status"
        if content.due_date is None:
            yield "due_date"
        if self.term and not content.payment_term_id:
            yield "payment_term_id"
        if not content.legal_entity_id:
            yield "legal_entity_id"
        if self.period and not content.accounting_period_id:
            yield "accounting_period_id"
        if self.posted and content.posted_date is None:
            yield "posted_date"


def check_header(content: Content, reference: ReferenceData, now: datetime, findings: Findings) -> Frame:
    check_texts(_TEXTS, _texts(content), "invoice", findings)
    check_free_text(content.description, "invoice.description", findings)
    check_labels(content.labels, "invoice.labels", findings)
    _check_required(content, findings)
    statuses_read = "invoice.status" not in findings and "invoice.tax_status" not in findings
    posted = statuses_read and _check_status(content, findings)
    legal_entity_id = _legal_entity(content, reference, findings)
    today = reference.today(legal_entity_id, now)
    term = _payment_term(content, reference, findings)
    return Frame(
        posted=posted,
        tax_status=content.tax_status or TaxStatus.PENDING,
        statuses_read=statuses_read,
        legal_entity_id=legal_entity_id,
        today=today,
        term=term,
        due=_due_date(content, term, today, findings),
        period=_period(content, legal_entity_id, posted, reference, findings),
        currency=_currency(content, findings),
    )


def _check_required(content: Content, findings: Findings) -> None:
    check_required(content.account_id, "invoice.account_id", findings)
    check_required(content.bill_to_contact_id, "invoice.bill_to_contact_id", findings)
    check_required_date(content.invoice_date, "invoice.invoice_date", findings)
    if content.unique_identifier:
        check_required(content.unique_identifier, "invoice.unique_identifier", findings)
    if content.invoice_number:
        check_required(content.invoice_number, "invoice.invoice_number", findings)
    if content.due_date:
        check_date(content.due_date, "invoice.due_date", findings)


def _check_status(content: Content, findings: Findings) -> bool:
    """The matrix of status, tax status and calculation; answers whether the invoice is posted."""
    match content.status:
        case None | Status.DRAFT:
            _check_draft(content, findings)
            return False
        case Status.POSTED:
            _check_posted(content, findings)
            return True
        case Status.CANCELED | Status.VOIDED:
            findings.add("invoice.status", Rule.DRAFT_OR_POSTED, value=content.status.lower())
            return False


def _check_draft(content: Content, findings: Findings) -> None:
    if content.tax_status is TaxStatus.POSTED:
        findings.add("invoice.tax_status", Rule.TAX_POSTED_ON_DRAFT)
    if content.posted_date is not None:
        findings.add("invoice.posted_date", Rule.POSTED_DATE_ON_DRAFT)


def _check_posted(content: Content, findings: Findings) -> None:
    tax_status = content.tax_status or TaxStatus.PENDING
    if tax_status is not TaxStatus.POSTED:
        findings.add("invoice.tax_status", Rule.TAX_NOT_POSTED, value=tax_status.lower())
    if content.should_calculate_tax:
        findings.add("invoice.should_calculate_tax", Rule.CALCULATE_ON_POSTED)
    if content.posted_date is not None:
        check_date(content.posted_date, "invoice.posted_date", findings)


def check_number(content: Content, reference: ReferenceData, findings: Findings) -> None:
    """A posted import is never given a number: it brings one, unless the settings say otherwise."""
    required = content.status is Status.POSTED and reference.settings.number_required_on_posted_import
    if required and not content.invoice_number:
        findings.add("invoice.invoice_number", Rule.NUMBER_MISSING)


def _legal_entity(content: Content, reference: ReferenceData, findings: Findings) -> str:
    """The invoice's, else the first that a line names, else the default."""
    said, path = content.legal_entity_id, "invoice.legal_entity_id"
    if not said:
        named = ((index, line.legal_entity_id) for index, line in enumerate(content.lines))
        index, said = next(((index, name) for index, name in named if name), (-1, ""))
        path = f"invoice.lines[{index}].legal_entity_id" if said else path
    if not said:
        if not reference.settings.default_legal_entity_id:
            findings.add(path, Rule.NO_DEFAULT, kind=words(Kind.LEGAL_ENTITY))
        return reference.settings.default_legal_entity_id
    check_active(Kind.LEGAL_ENTITY, said, path, reference, findings)
    return said


def check_active(kind: Kind, entry_id: str, path: str, reference: ReferenceData, findings: Findings) -> None:
    """An entry that is named is known and active."""
    match reference.of(kind).get(entry_id):
        case PaymentTerm(status=status) | LegalEntity(status=status) | TaxTreatment(status=status):
            if status is not EntryStatus.ACTIVE:
                facts = {"kind": words(kind), "value": shown(entry_id), "status": status.lower()}
                findings.add(path, Rule.NOT_ACTIVE, **facts)
        case _:
            unknown_entry(kind, entry_id, path, reference, findings)


def unknown_entry(kind: Kind, entry_id: str, path: str, reference: ReferenceData, findings: Findings) -> None:
    have = reference.have[kind]
    findings.add(path, Rule.NO_SUCH_ENTRY, kind=words(kind), value=shown(entry_id), have=have)


def _payment_term(content: Content, reference: ReferenceData, findings: Findings) -> PaymentTerm | None:
    said = content.payment_term_id
    if not said:
        return reference.payment_terms.get(reference.settings.default_payment_term_id)
    check_active(Kind.PAYMENT_TERM, said, "invoice.payment_term_id", reference, findings)
    return reference.payment_terms.get(said)


def _due_date(content: Content, term: PaymentTerm | None, today: date, findings: Findings) -> date | None:
    """As sent; else by the term. Without any term it must be sent, and lie in the future."""
    if "invoice.due_date" in findings or "invoice.payment_term_id" in findings:
        return content.due_date
    if term is None:
        if content.due_date is None:
            findings.add("invoice.due_date", Rule.NO_DUE_DATE)
        elif content.due_date <= today:
            findings.add("invoice.due_date", Rule.DUE_DATE_NOT_FUTURE, today=today, value=content.due_date)
    elif content.due_date is None and content.invoice_date and is_taken(content.invoice_date):
        return due_date(term.type, term.days, content.invoice_date)
    return content.due_date


def _period(
    content: Content, legal_entity_id: str, posted: bool, reference: ReferenceData, findings: Findings
) -> AccountingPeriod | None:
    """As sent; else the open one of the legal entity that holds the invoice date, if there is any."""
    if content.accounting_period_id:
        path = "invoice.accounting_period_id"
        return check_period(content.accounting_period_id, legal_entity_id, path, reference, findings)
    if content.invoice_date is None:
        return None
    period = reference.period_of(legal_entity_id, content.invoice_date)
    if period is None or _is_open(period, reference):
        return period
    if posted:
        findings.add("invoice.accounting_period_id", Rule.PERIOD_CLOSED, value=shown(period.id))
    return None


def _is_open(period: AccountingPeriod, reference: ReferenceData) -> bool:
    return period.status is PeriodStatus.OPEN or reference.settings.closed_periods_allowed


def check_period(
    period_id: str, legal_entity_id: str, path: str, reference: ReferenceData, findings: Findings
) -> AccountingPeriod | None:
    """A period that is named is known, of this legal entity, and open, or the settings allow closed ones."""
    period = reference.accounting_periods.get(period_id)
    if period is None:
        unknown_entry(Kind.ACCOUNTING_PERIOD, period_id, path, reference, findings)
    elif period.legal_entity_id != legal_entity_id:
        facts = {"owner": shown(period.legal_entity_id), "expected": shown(legal_entity_id)}
        findings.add(path, Rule.WRONG_LEGAL_ENTITY, value=shown(period_id), **facts)
    elif not _is_open(period, reference):
        findings.add(path, Rule.PERIOD_CLOSED, value=shown(period_id))
    return period


def _currency(content: Content, findings: Findings) -> Currency | None:
    if not content.currency_code:
        findings.add("invoice.currency_code", Rule.REQUIRED)
        return None
    currency = CURRENCIES.get(content.currency_code)
    if currency is None:
        findings.add("invoice.currency_code", Rule.CURRENCY, value=shown(content.currency_code))
    return currency
