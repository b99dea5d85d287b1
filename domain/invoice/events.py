"""What happens to an invoice."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from ..quick import quick
from ..tax import EstimatedLine
from .settlement_events import (
    SETTLEMENT_EVENTS,
    CreditApplied,
    CreditUnapplied,
    InvoiceVoided,
    InvoiceWrittenOff,
    NegativeLinesConverted,
    PaymentRecorded,
    PaymentReversed,
)


class Status(StrEnum):
    DRAFT = "DRAFT"
    POSTED = "POSTED"
    CANCELED = "CANCELED"
    VOIDED = "VOIDED"


class TaxStatus(StrEnum):
    PENDING = "PENDING"
    ESTIMATED = "ESTIMATED"
    POSTED = "POSTED"


class ReferenceKind(StrEnum):
    ORDER = "ORDER"
    DEBIT_MEMO = "DEBIT_MEMO"
    CREDIT_MEMO = "CREDIT_MEMO"
    OPPORTUNITY = "OPPORTUNITY"
    ORDER_SUMMARY = "ORDER_SUMMARY"
    QUOTE = "QUOTE"
    OTHER = "OTHER"


class LineReferenceKind(StrEnum):
    ORDER_ITEM = "ORDER_ITEM"
    ORDER_ITEM_ADJUSTMENT = "ORDER_ITEM_ADJUSTMENT"
    ORDER_ITEM_DETAIL = "ORDER_ITEM_DETAIL"
    ORDER_ITEM_SUMMARY = "ORDER_ITEM_SUMMARY"
    QUOTE_LINE_ITEM = "QUOTE_LINE_ITEM"
    QUOTE_LINE_DETAIL = "QUOTE_LINE_DETAIL"
    DEBIT_MEMO_LINE = "DEBIT_MEMO_LINE"
    OTHER = "OTHER"


@quick
@dataclass(frozen=True, slots=True)
class Reference:
    """What an invoice was made from."""

    kind: ReferenceKind
    id: str
    system: str = ""
    kind_name: str = ""


@quick
@dataclass(frozen=True, slots=True)
class LineReference:
    """What a line was made from, and its order."""

    kind: LineReferenceKind | None = None
    id: str = ""
    order_id: str = ""
    system: str = ""
    kind_name: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The system that an invoice was imported from."""

    system: str
    id: str = ""


# Personal data. Kept apart from the log, which holds only a commitment to it; None in an event means: erased.


@quick
@dataclass(frozen=True, slots=True)
class HeaderTexts:
    account_name: str = ""
    bill_to_contact_name: str = ""
    owner_name: str = ""
    description: str = ""


@quick
@dataclass(frozen=True, slots=True)
class Place:
    street: str = ""
    city: str = ""
    postal_code: str = ""
    latitude: Decimal | None = None
    longitude: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LineTexts:
    description: str = ""


@dataclass(frozen=True, slots=True)
class TaxTexts:
    """Descriptions of tax rows, in their order; empty where none has one."""

    descriptions: tuple[str, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class Header:
    """An invoice without its lines and addresses: as sent, with defaults filled in."""

    account_id: str
    bill_to_contact_id: str
    invoice_date: date
    due_date: date
    currency: str
    legal_entity_id: str
    tax_status: TaxStatus
    payment_term_id: str = ""
    accounting_period_id: str = ""
    invoice_number: str = ""
    reference: Reference | None = None
    source: Source | None = None
    purchase_order_number: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    owner_id: str = ""
    billing_address: str = ""
    shipping_address: str = ""
    ship_from_address: str = ""
    should_calculate_tax: bool = False
    defaulted: tuple[str, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class InvoiceDrafted:
    """Stands first in every invoice."""

    unique_identifier: str
    header: Header
    fingerprint: str
    today: date  # where the legal entity is
    reference_position: int  # of the reference data that it was decided with
    size: int  # events of this append in the invoice's stream, this one included
    personal: HeaderTexts | None = HeaderTexts()


@quick
@dataclass(frozen=True, slots=True)
class AddressGroupAssigned:
    group: str
    state: str
    country: str
    personal: Place | None = Place()


@quick
@dataclass(frozen=True, slots=True)
class LineAdded:
    number: int
    name: str
    start_date: date
    end_date: date
    quantity: Decimal
    unit_price: Decimal
    charge: Decimal  # without tax, verbatim
    billing_address: str
    shipping_address: str
    tax_treatment_id: str
    taxable: bool
    tax_status: TaxStatus
    ship_from_address: str = ""
    accounting_period_id: str = ""
    product_id: str = ""
    product_name: str = ""
    usage_product_id: str = ""
    usage_based: bool = False
    usage_overage_quantity: Decimal | None = None
    unit_of_measure_id: str = ""
    unit_of_measure_name: str = ""
    reference: LineReference | None = None
    personal: LineTexts | None = LineTexts()


@quick
@dataclass(frozen=True, slots=True)
class TaxRow:
    """One tax on one line. Amounts are in the invoice's currency; the rate is as it was brought."""

    transaction_number: str
    amount: Decimal
    rate: Decimal
    name: str
    code: str
    effective_date: date
    document_number: str
    exempt_amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class TaxImported:
    """The sender brought the taxes of a line."""

    line: int
    rows: tuple[TaxRow, ...]
    personal: TaxTexts | None = TaxTexts()


@dataclass(frozen=True, slots=True)
class TaxEstimationRequested:
    """Somebody wants the tax worked out, and does not wait for it."""


@dataclass(frozen=True, slots=True)
class TaxEngineCalled:
    """An engine elsewhere was called once. The bodies are not kept, but what they were can be proven."""

    engine_id: str
    document_code: str
    purpose: str
    attempt: int
    micros: int  # that it took
    result: str
    request_digest: str
    status: str = ""  # of the transport
    answer_digest: str = ""


@dataclass(frozen=True, slots=True)
class TaxEstimated:
    """What an engine made of its lines, all of them; it takes the place of the taxes that they had.

    Amounts are in the invoice's currency. Engines that answered together are recorded together.
    """

    engine_id: str
    engine_version: str
    document_code: str
    effective_date: date  # whose rules hold
    reference_position: int
    total_tax: Decimal  # of the invoice, with this
    following: int  # events of the same estimation that come after this one
    lines: tuple[EstimatedLine, ...]
    rounding: str = ""  # how each row was rounded, where it was this book that did


@dataclass(frozen=True, slots=True)
class TaxDocument:
    """What an invoice is called at an engine that files it."""

    engine_id: str
    document_code: str


@dataclass(frozen=True, slots=True)
class PostingTaxRequested:
    """Engines elsewhere are about to be asked to file these documents: whether they did is not known yet."""

    documents: tuple[TaxDocument, ...]
    day: date  # of the transaction, as the engines are told
    reference_position: int


@dataclass(frozen=True, slots=True)
class TaxPosted:
    """What an engine made of its lines for good; it takes the place of the taxes that they had.

    The posting follows in the same append: `following` counts the events of the invoice up to it.
    """

    engine_id: str
    engine_version: str
    document_code: str
    effective_date: date
    reference_position: int
    total_tax: Decimal  # of the invoice, with this
    following: int
    lines: tuple[EstimatedLine, ...]
    rounding: str = ""


@dataclass(frozen=True, slots=True)
class PostingFailed:
    """The invoice could not be posted, because its tax could not be worked out; it stays a draft."""

    engine_id: str
    code: str
    because: str
    reference_position: int


@dataclass(frozen=True, slots=True)
class TaxVoidRequested:
    """These documents are not to count: the invoice will not be posted as it was, or was voided."""

    documents: tuple[TaxDocument, ...]
    because: str


@dataclass(frozen=True, slots=True)
class TaxVoided:
    """The engines have voided these documents, which are all that were to be voided."""

    documents: tuple[TaxDocument, ...]


@dataclass(frozen=True, slots=True)
class TaxVoidFailed:
    """An engine has not voided its document yet."""

    engine_id: str
    code: str
    because: str


@dataclass(frozen=True, slots=True)
class TaxSkipped:
    """These lines are not taxable: there is nothing to work out, and what was brought stays."""

    lines: tuple[int, ...] = ()
    following: int = 0


@dataclass(frozen=True, slots=True)
class TaxEstimationFailed:
    """The tax could not be worked out; everything stays as it was."""

    engine_id: str
    code: str
    because: str
    effective_date: date
    reference_position: int


@dataclass(frozen=True, slots=True)
class InvoicePosted:
    """The invoice is final. An import brings its own number and date.

    A number out of a series names the sequence policy and the period.
    """

    number: str
    posted_date: date
    imported: bool = False
    policy_id: str = ""
    period: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceRevised:
    """The content is replaced: the address groups, lines and taxes that follow are all there are."""

    header: Header
    fingerprint: str
    today: date
    reference_position: int
    size: int
    request_id: str = ""
    personal: HeaderTexts | None = HeaderTexts()


@dataclass(frozen=True, slots=True)
class DescriptionTexts:
    description: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceUpdated:
    """What may change at any time has changed: `changed` names the fields that are meant."""

    changed: tuple[str, ...]
    labels: dict[str, str] = field(default_factory=dict)
    reference: Reference | None = None
    request_id: str = ""
    personal: DescriptionTexts | None = DescriptionTexts()


@dataclass(frozen=True, slots=True)
class InvoiceCanceled:
    """The draft was given up."""


Event = (
    InvoiceDrafted
    | AddressGroupAssigned
    | LineAdded
    | TaxImported
    | TaxEstimationRequested
    | TaxEngineCalled
    | TaxEstimated
    | TaxSkipped
    | TaxEstimationFailed
    | PostingTaxRequested
    | TaxPosted
    | PostingFailed
    | TaxVoidRequested
    | TaxVoided
    | TaxVoidFailed
    | InvoicePosted
    | InvoiceRevised
    | InvoiceUpdated
    | InvoiceCanceled
    | PaymentRecorded
    | PaymentReversed
    | CreditApplied
    | CreditUnapplied
    | NegativeLinesConverted
    | InvoiceWrittenOff
    | InvoiceVoided
)
EVENTS: tuple[type, ...] = (
    InvoiceDrafted,
    AddressGroupAssigned,
    LineAdded,
    TaxImported,
    TaxEstimationRequested,
    TaxEngineCalled,
    TaxEstimated,
    TaxSkipped,
    TaxEstimationFailed,
    PostingTaxRequested,
    TaxPosted,
    PostingFailed,
    TaxVoidRequested,
    TaxVoided,
    TaxVoidFailed,
    InvoicePosted,
    InvoiceRevised,
    InvoiceUpdated,
    InvoiceCanceled,
    *SETTLEMENT_EVENTS,
)
