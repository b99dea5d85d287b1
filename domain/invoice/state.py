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
    Status,
    TaxImported,
    TaxRow,
    TaxStatus,
    TaxTexts,
)

_NO_TEXTS = TaxTexts()


class Settlement(StrEnum):
    NOT_APPLICABLE = "NOT_APPLICABLE"
    NOT_SETTLED = "NOT_SETTLED"
    PARTIALLY_SETTLED = "PARTIALLY_SETTLED"
    SETTLED = "SETTLED"


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


@dataclass(slots=True)
class Line:
    """A line, its taxes and how far they are."""

    added: LineAdded
    tax_status: TaxStatus
    rows: tuple[TaxRow, ...] = ()
    row_texts: TaxTexts | None = _NO_TEXTS
    tax: Decimal = ZERO

    @property
    def charge_with_tax(self) -> Decimal:
        return self.added.charge + self.tax


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

    @property
    def totals(self) -> Totals:
        return Totals(charge=self.charge, tax=self.tax)

    @property
    def tax_status(self) -> TaxStatus:
        """The least of the lines'."""
        of_lines = {line.tax_status for line in self.lines}
        return next((status for status in TaxStatus if status in of_lines), self.header.tax_status)

    @property
    def settlement(self) -> Settlement:
        totals = self.totals
        if self.status is not Status.POSTED or not totals.total_with_tax:
            return Settlement.NOT_APPLICABLE
        if not totals.balance:
            return Settlement.SETTLED
        untouched = not (totals.converted_negative or totals.payments_applied or totals.credits_applied)
        return Settlement.NOT_SETTLED if untouched else Settlement.PARTIALLY_SETTLED

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
        case TaxImported():
            _take_taxes(invoice, event)
        case InvoicePosted(number=number, posted_date=posted_date):
            invoice.status = Status.POSTED
            invoice.number = number
            invoice.posted_date = posted_date
        case InvoiceRevised():
            _revise(invoice, event)
        case InvoiceUpdated():
            _update(invoice, event)
        case InvoiceCanceled():
            invoice.status = Status.CANCELED
        case InvoiceDrafted():
            raise AssertionError("an invoice is drafted once")
        case _:
            assert_never(event)
    if invoice.version == invoice.size:
        invoice.first_totals, invoice.first_currency = invoice.totals, invoice.header.currency
    return invoice


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
    )


def _take_taxes(invoice: Invoice, event: TaxImported) -> None:
    line = invoice.lines[event.line - 1]
    tax = sum((row.amount for row in event.rows), ZERO)
    invoice.tax += tax - line.tax
    line.rows, line.row_texts, line.tax = event.rows, event.personal, tax


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


def _remember(invoice: Invoice, request_id: str) -> None:
    if request_id:
        invoice.request_ids.add(request_id)


def fold(events: Iterable[Event], since: Invoice | None = None) -> Invoice | None:
    return decider.fold(evolve, events, since)
