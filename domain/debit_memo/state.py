"""A debit memo as its events have left it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import assert_never
from uuid import UUID

from .. import decider
from ..invoice.events import TaxRow, TaxTexts
from ..money import ZERO
from .events import (
    DebitMemoAddressAssigned,
    DebitMemoBilled,
    DebitMemoCanceled,
    DebitMemoDrafted,
    DebitMemoInvoicePosted,
    DebitMemoLineAdded,
    DebitMemoPosted,
    DebitMemoProcessed,
    DebitMemoReleased,
    DebitMemoTaxImported,
    DebitMemoUpdated,
    DebitMemoVoided,
    Event,
    Generation,
    Header,
    ProcessedTexts,
    Status,
    Texts,
)

_NO_TEXTS = TaxTexts()


def line_id(memo_id: UUID, number: int) -> str:
    """How a line of a memo is called elsewhere."""
    return f"{memo_id}/{number}"


@dataclass(frozen=True, slots=True)
class Totals:
    """Amounts in the memo's currency."""

    charge: Decimal = ZERO
    tax: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Without tax."""
        return self.charge

    @property
    def total_with_tax(self) -> Decimal:
        return self.charge + self.tax


@dataclass(slots=True)
class Line:
    """A line and its taxes."""

    added: DebitMemoLineAdded
    rows: tuple[TaxRow, ...] = ()
    row_texts: TaxTexts | None = _NO_TEXTS

    @property
    def tax(self) -> Decimal:
        return sum((row.amount for row in self.rows), ZERO)


@dataclass(slots=True)
class DebitMemo:
    """The state of a memo. Owned by its fold, which changes it in place."""

    unique_identifier: str
    first_fingerprint: str
    fingerprint: str  # of the newest content
    header: Header
    texts: Texts | None
    size: int  # of the first append
    reference_position: int
    version: int = 0
    status: Status = Status.DRAFT
    posted_date: date | None = None
    processed: bool = False
    processed_texts: ProcessedTexts | None = None
    invoice_id: UUID | None = None  # of the invoice that billed it
    invoice_posted: bool = False
    first_totals: Totals | None = None
    first_currency: str = ""
    addresses: dict[str, DebitMemoAddressAssigned] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    request_ids: set[str] = field(default_factory=set)

    @property
    def totals(self) -> Totals:
        charge = sum((line.added.charge for line in self.lines), ZERO)
        return Totals(charge, sum((line.tax for line in self.lines), ZERO))

    @property
    def generation(self) -> Generation:
        if not self.header.invoiceable:
            return Generation.NOT_APPLICABLE
        if self.status is not Status.POSTED:
            return Generation.NONE
        if self.invoice_id is None:
            return Generation.READY
        posted = self.invoice_posted
        return Generation.POSTED_INVOICE_GENERATED if posted else Generation.DRAFT_INVOICE_GENERATED

    @property
    def ready(self) -> bool:
        """Whether an invoice can be made of it now."""
        return self.generation is Generation.READY and not self.processed


def evolve(memo: DebitMemo | None, event: Event) -> DebitMemo:
    if memo is None:
        assert isinstance(event, DebitMemoDrafted), f"a memo begins with DebitMemoDrafted, not {event}"
        return _drafted(event)
    memo.version += 1
    match event:
        case DebitMemoLineAdded():
            memo.lines.append(Line(event))
        case DebitMemoAddressAssigned(group=group):
            memo.addresses[group] = event
        case DebitMemoTaxImported():
            line = memo.lines[event.line - 1]
            line.rows, line.row_texts = event.rows, event.personal
        case DebitMemoUpdated():
            _update(memo, event)
        case DebitMemoDrafted():
            raise AssertionError("a memo is drafted once")
        case _:
            _move(memo, event)
    if memo.version == memo.size:
        _remember_first(memo)
    return memo


Move = (
    DebitMemoPosted
    | DebitMemoCanceled
    | DebitMemoVoided
    | DebitMemoProcessed
    | DebitMemoBilled
    | DebitMemoReleased
    | DebitMemoInvoicePosted
)


def _move(memo: DebitMemo, event: Move) -> None:
    match event:
        case DebitMemoPosted(posted_date=posted_date):
            memo.status, memo.posted_date = Status.POSTED, posted_date
        case DebitMemoCanceled():
            memo.status = Status.CANCELED
        case DebitMemoVoided():
            memo.status = Status.VOID
        case DebitMemoProcessed(personal=personal):
            memo.processed, memo.processed_texts = True, personal
        case DebitMemoBilled(invoice_id=invoice_id):
            memo.invoice_id = invoice_id
        case DebitMemoReleased():
            memo.invoice_id = None
        case DebitMemoInvoicePosted():
            memo.invoice_posted = True
        case _:
            assert_never(event)


def _drafted(event: DebitMemoDrafted) -> DebitMemo:
    memo = DebitMemo(
        unique_identifier=event.unique_identifier,
        first_fingerprint=event.fingerprint,
        fingerprint=event.fingerprint,
        header=event.header,
        texts=event.personal,
        size=event.size,
        reference_position=event.reference_position,
        version=1,
    )
    _remember(memo, event.request_id)
    if event.size == 1:
        _remember_first(memo)
    return memo


def _update(memo: DebitMemo, event: DebitMemoUpdated) -> None:
    memo.fingerprint = event.fingerprint
    memo.header = event.header
    memo.texts = event.personal
    memo.reference_position = event.reference_position
    memo.addresses = {}
    memo.lines = []
    _remember(memo, event.request_id)


def _remember(memo: DebitMemo, request_id: str) -> None:
    if request_id:
        memo.request_ids.add(request_id)


def _remember_first(memo: DebitMemo) -> None:
    memo.first_totals, memo.first_currency = memo.totals, memo.header.currency


def fold(events: Iterable[Event], since: DebitMemo | None = None) -> DebitMemo | None:
    return decider.fold(evolve, events, since)
