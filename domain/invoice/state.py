"""An invoice as its events have left it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from .. import decider
from ..money import ZERO
from ..quick import quick
from ..tax import EstimatedLine, EstimatedRow
from .events import (
    AddressGroupAssigned,
    DescriptionTexts,
    Event,
    Header,
    HeaderTexts,
    InvoiceCanceled,
    InvoiceDrafted,
    InvoicePosted,
    InvoiceRevised,
    InvoiceUpdated,
    LineAdded,
    PostingFailed,
    PostingTaxRequested,
    Status,
    TaxDocument,
    TaxEngineCalled,
    TaxEstimated,
    TaxEstimationFailed,
    TaxEstimationRequested,
    TaxImported,
    TaxPosted,
    TaxRow,
    TaxSkipped,
    TaxStatus,
    TaxTexts,
    TaxVoided,
    TaxVoidFailed,
    TaxVoidRequested,
)
from .ledger import UNTOUCHED, Ledger
from .ledger import evolve as settled
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

_NO_TEXTS = TaxTexts()


class Settlement(StrEnum):
    NOT_APPLICABLE = "NOT_APPLICABLE"
    NOT_SETTLED = "NOT_SETTLED"
    PARTIALLY_SETTLED = "PARTIALLY_SETTLED"
    SETTLED = "SETTLED"


@quick
@dataclass(frozen=True, slots=True)
class Totals:
    """Amounts in the invoice's currency."""

    charge: Decimal = ZERO
    tax: Decimal = ZERO
    converted_negative: Decimal = ZERO
    payments_applied: Decimal = ZERO
    credits_applied: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Without tax. Every line of an ingested invoice is a charge."""
        return self.charge

    @property
    def total_with_tax(self) -> Decimal:
        return self.total + self.tax

    @property
    def balance(self) -> Decimal:
        """What is open. The converted amount is negative, so converting raises it."""
        return self.total_with_tax - self.converted_negative - self.payments_applied - self.credits_applied


@dataclass(frozen=True, slots=True)
class LineEstimate:
    """Where a line's rows come from: `rows` explains each of them."""

    engine_id: str
    engine_version: str
    document_code: str
    effective_date: date
    rounding: str
    reference_position: int
    rows: tuple[EstimatedRow, ...]


@dataclass(slots=True)
class Line:
    """A line, its taxes and how far they are."""

    added: LineAdded
    tax_status: TaxStatus
    rows: tuple[TaxRow, ...] = ()
    row_texts: TaxTexts | None = _NO_TEXTS
    tax: Decimal = ZERO
    estimate: LineEstimate | None = None

    @property
    def charge_with_tax(self) -> Decimal:
        return self.added.charge + self.tax


@dataclass(slots=True)
class Posting:
    """How far a posting is, and what of the invoice is filed at engines elsewhere."""

    documents: dict[str, TaxDocument] = field(default_factory=dict)  # by engine: filed, or perhaps filed
    day: date | None = None  # that the engines were told
    given_up: int = 0  # times
    failure: PostingFailed | None = None
    to_void: tuple[TaxDocument, ...] = ()
    void_failure: TaxVoidFailed | None = None


@dataclass(slots=True)
class Invoice:
    """The state of an invoice. Owned by its fold, which changes it in place."""

    unique_identifier: str
    first_fingerprint: str
    fingerprint: str  # of the newest content
    header: Header
    texts: HeaderTexts | None
    size: int  # of the first append
    reference_position: int
    version: int = 0
    status: Status = Status.DRAFT
    number: str = ""
    posted_date: date | None = None
    charge: Decimal = ZERO
    tax: Decimal = ZERO
    first_totals: Totals | None = None
    first_currency: str = ""
    addresses: dict[str, AddressGroupAssigned] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    request_ids: set[str] = field(default_factory=set)
    tax_asked: bool = False  # for, and not done
    first_tax_asked: bool = False  # with the first content, and not done
    tax_failure: TaxEstimationFailed | None = None
    lineless_tax_status: TaxStatus = TaxStatus.PENDING  # where the lines are not at hand
    ledger: Ledger = UNTOUCHED
    posting: Posting = field(default_factory=Posting)

    @property
    def totals(self) -> Totals:
        ledger = self.ledger
        return Totals(self.charge, self.tax, ledger.converted, ledger.paid, ledger.credited)

    @property
    def tax_status(self) -> TaxStatus:
        """The least of the lines'."""
        of_lines = {line.tax_status for line in self.lines}
        return next((status for status in TaxStatus if status in of_lines), self.lineless_tax_status)

    @property
    def settlement(self) -> Settlement:
        if self.status is not Status.POSTED:
            return Settlement.NOT_APPLICABLE
        totals = self.totals
        if not totals.total_with_tax and not totals.converted_negative:
            return Settlement.NOT_APPLICABLE
        if not totals.balance:
            return Settlement.SETTLED
        untouched = not (totals.payments_applied or totals.credits_applied)
        return Settlement.NOT_SETTLED if untouched else Settlement.PARTIALLY_SETTLED

    @property
    def full_settlement_date(self) -> date | None:
        """When what made the balance zero had all happened; None where it is not zero."""
        return self.ledger.last_date if self.settlement is Settlement.SETTLED else None

    @property
    def order_ids(self) -> set[str]:
        """The orders that the invoice is listed under: its reference, and those its lines name."""
        reference = self.header.reference
        orders = {reference.id} if reference and reference.kind == "ORDER" else set()
        return orders | {
            line.added.reference.order_id
            for line in self.lines
            if line.added.reference and line.added.reference.order_id
        }


def evolve(invoice: Invoice | None, event: Event) -> Invoice:
    if invoice is None:
        assert isinstance(event, InvoiceDrafted), f"an invoice begins with InvoiceDrafted, not {event}"
        return drafted(event)
    invoice.version += 1
    match event:
        case LineAdded():
            invoice.lines.append(Line(event, event.tax_status))
            invoice.charge += event.charge
        case AddressGroupAssigned(group=group):
            invoice.addresses[group] = event
        case (
            TaxImported()
            | TaxEstimationRequested()
            | TaxEngineCalled()
            | TaxEstimated()
            | TaxSkipped()
            | TaxEstimationFailed()
        ):
            _take_tax(invoice, event)
        case PostingTaxRequested() | PostingFailed() | TaxVoidRequested() | TaxVoided() | TaxVoidFailed():
            _take_posting(invoice.posting, event)
        case TaxPosted():
            _take_worked_out(invoice, event, TaxStatus.POSTED)
        case InvoicePosted() | InvoiceRevised() | InvoiceUpdated() | InvoiceCanceled():
            _take_turn(invoice, event)
        case (
            PaymentRecorded()
            | PaymentReversed()
            | CreditApplied()
            | CreditUnapplied()
            | NegativeLinesConverted()
            | InvoiceWrittenOff()
            | InvoiceVoided()
        ):
            _settle(invoice, event)
        case InvoiceDrafted():
            raise AssertionError("an invoice is drafted once")
        case _:
            assert_never(event)
    if invoice.version == invoice.size:
        invoice.first_totals, invoice.first_currency = invoice.totals, invoice.header.currency
    return invoice


Turn = InvoicePosted | InvoiceRevised | InvoiceUpdated | InvoiceCanceled


def _take_turn(invoice: Invoice, event: Turn) -> None:
    match event:
        case InvoicePosted():
            _post(invoice, event)
        case InvoiceRevised():
            _revise(invoice, event)
        case InvoiceUpdated():
            _update(invoice, event)
        case InvoiceCanceled():
            invoice.status = Status.CANCELED
        case _:
            assert_never(event)


def drafted(event: InvoiceDrafted) -> Invoice:
    return Invoice(
        unique_identifier=event.unique_identifier,
        first_fingerprint=event.fingerprint,
        fingerprint=event.fingerprint,
        header=event.header,
        texts=event.personal,
        size=event.size,
        reference_position=event.reference_position,
        version=1,
        number=event.header.invoice_number,
        tax_asked=event.header.should_calculate_tax,
        first_tax_asked=event.header.should_calculate_tax,
        lineless_tax_status=event.header.tax_status,
    )


TaxEvent = (
    TaxImported | TaxEstimationRequested | TaxEngineCalled | TaxEstimated | TaxSkipped | TaxEstimationFailed
)


def _take_tax(invoice: Invoice, event: TaxEvent) -> None:
    match event:
        case TaxImported():
            _take_taxes(invoice, event)
        case TaxEstimated():
            _take_worked_out(invoice, event, TaxStatus.ESTIMATED)
            _finish_estimation(invoice, event.following)
        case TaxSkipped():
            for number in event.lines if invoice.lines else ():
                invoice.lines[number - 1].tax_status = TaxStatus.ESTIMATED
            _finish_estimation(invoice, event.following)
        case TaxEstimationRequested():
            invoice.tax_asked = True
        case TaxEstimationFailed():
            invoice.tax_asked = True
            invoice.tax_failure = event
        case TaxEngineCalled():
            pass  # a fact about the engine
        case _:
            assert_never(event)


def _take_taxes(invoice: Invoice, event: TaxImported) -> None:
    line = invoice.lines[event.line - 1]
    tax = sum((row.amount for row in event.rows), ZERO)
    invoice.tax += tax - line.tax
    line.rows, line.row_texts, line.tax = event.rows, event.personal, tax


def _take_worked_out(invoice: Invoice, event: TaxEstimated | TaxPosted, status: TaxStatus) -> None:
    """Lines that are not at hand are left to who has them: `tax_line`."""
    if invoice.lines:
        for worked_out in event.lines:
            tax_line(invoice.lines[worked_out.number - 1], worked_out, event, status)
    invoice.tax = event.total_tax


def tax_line(
    line: Line, estimated: EstimatedLine, event: TaxEstimated | TaxPosted, status: TaxStatus
) -> None:
    line.rows = tuple(_row(row, number, estimated, event) for number, row in enumerate(estimated.rows, 1))
    line.row_texts = _NO_TEXTS
    line.tax = sum((row.amount for row in estimated.rows), ZERO)
    line.tax_status = status
    line.estimate = LineEstimate(
        event.engine_id,
        event.engine_version,
        event.document_code,
        event.effective_date,
        event.rounding,
        event.reference_position,
        estimated.rows,
    )


def _row(row: EstimatedRow, number: int, line: EstimatedLine, event: TaxEstimated | TaxPosted) -> TaxRow:
    return TaxRow(
        transaction_number=row.transaction_number or f"{event.document_code}:{line.number}:{number}",
        amount=row.amount,
        rate=row.rate,
        name=row.name,
        code=line.tax_code,
        effective_date=event.effective_date,
        document_number=event.document_code,
        exempt_amount=row.exempt_amount or ZERO.quantize(row.amount),
    )


def _finish_estimation(invoice: Invoice, following: int) -> None:
    """With its last event an estimation is whole: every line has its tax, or needs none."""
    if following:
        return
    invoice.tax_asked = False
    invoice.tax_failure = None
    invoice.lineless_tax_status = TaxStatus.ESTIMATED
    if invoice.first_tax_asked:
        invoice.first_totals, invoice.first_currency = invoice.totals, invoice.header.currency
        invoice.first_tax_asked = False


def _post(invoice: Invoice, event: InvoicePosted) -> None:
    """What is posted is final, its taxes included."""
    invoice.status = Status.POSTED
    invoice.number = event.number
    invoice.posted_date = event.posted_date
    for line in invoice.lines:
        line.tax_status = TaxStatus.POSTED
    invoice.lineless_tax_status = TaxStatus.POSTED
    invoice.tax_asked = invoice.first_tax_asked = False
    invoice.tax_failure = invoice.posting.failure = None


PostingEvent = PostingTaxRequested | PostingFailed | TaxVoidRequested | TaxVoided | TaxVoidFailed


def _take_posting(posting: Posting, event: PostingEvent) -> None:
    match event:
        case PostingTaxRequested(documents=documents, day=day):
            posting.documents |= {each.engine_id: each for each in documents}
            posting.day, posting.failure = posting.day or day, None
        case PostingFailed():
            posting.failure = event
        case TaxVoidRequested(documents=documents):
            for each in documents:
                posting.documents.pop(each.engine_id, None)
            posting.to_void += documents
            posting.day, posting.failure = None, None
            posting.given_up += 1
        case TaxVoided(documents=documents):
            posting.to_void = tuple(each for each in posting.to_void if each not in documents)
            posting.void_failure = None
        case TaxVoidFailed():
            posting.void_failure = event
        case _:
            assert_never(event)


def _revise(invoice: Invoice, event: InvoiceRevised) -> None:
    invoice.status = Status.DRAFT
    invoice.fingerprint = event.fingerprint
    invoice.header = event.header
    invoice.texts = event.personal
    invoice.reference_position = event.reference_position
    invoice.number = event.header.invoice_number
    invoice.charge = invoice.tax = ZERO
    invoice.addresses = {}
    invoice.lines = []
    invoice.tax_asked = event.header.should_calculate_tax
    invoice.first_tax_asked = False
    invoice.tax_failure = invoice.posting.failure = None
    invoice.lineless_tax_status = event.header.tax_status
    _remember(invoice, event.request_id)


def _update(invoice: Invoice, event: InvoiceUpdated) -> None:
    header = invoice.header
    if "labels" in event.changed:
        header = replace(header, labels=event.labels)
    if "reference" in event.changed:
        header = replace(header, reference=event.reference)
    invoice.header = header
    if "description" in event.changed:
        invoice.texts = _described(invoice.texts, event.personal)
    _remember(invoice, event.request_id)


def _described(texts: HeaderTexts | None, new: DescriptionTexts | None) -> HeaderTexts | None:
    if new is None:
        return None  # erased with the rest
    return replace(texts or HeaderTexts(), description=new.description)


def _settle(invoice: Invoice, event: SettlementEvent) -> None:
    invoice.ledger = settled(invoice.ledger, event)
    if isinstance(event, InvoiceVoided):
        invoice.status = Status.VOIDED


def _remember(invoice: Invoice, request_id: str) -> None:
    if request_id:
        invoice.request_ids.add(request_id)


def fold(events: Iterable[Event], since: Invoice | None = None) -> Invoice | None:
    return decider.fold(evolve, events, since)
