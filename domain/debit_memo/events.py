"""What happens to a debit memo."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from ..invoice.events import LineTexts, Place, TaxRow, TaxTexts

_NO_PLACE, _NO_TEXT, _NO_TEXTS = Place(), LineTexts(), TaxTexts()


class Status(StrEnum):
    DRAFT = "DRAFT"
    POSTED = "POSTED"
    CANCELED = "CANCELED"
    VOID = "VOID"


class Generation(StrEnum):
    """How far the invoice of a memo is."""

    NONE = "NONE"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    READY = "READY"
    DRAFT_INVOICE_GENERATED = "DRAFT_INVOICE_GENERATED"
    POSTED_INVOICE_GENERATED = "POSTED_INVOICE_GENERATED"


# Personal data. Kept apart from the log, which holds only a commitment to it; None in an event means: erased.


@dataclass(frozen=True, slots=True)
class Texts:
    account_name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class ProcessedTexts:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """A memo without its lines and addresses: as sent, with defaults filled in."""

    account_id: str
    currency: str
    legal_entity_id: str
    invoiceable: bool
    order_id: str = ""
    reason_code: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    billing_address: str = ""
    shipping_address: str = ""
    ship_from_address: str = ""
    defaulted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DebitMemoDrafted:
    """Stands first in every memo."""

    unique_identifier: str
    header: Header
    fingerprint: str
    today: date  # where the legal entity is
    reference_position: int  # of the reference data that it was decided with
    size: int  # events of this append in the memo's stream, this one included
    request_id: str = ""
    personal: Texts | None = Texts()


@dataclass(frozen=True, slots=True)
class DebitMemoAddressAssigned:
    group: str
    state: str
    country: str
    personal: Place | None = _NO_PLACE


@dataclass(frozen=True, slots=True)
class DebitMemoLineAdded:
    number: int
    name: str
    charge: Decimal  # without tax, verbatim
    start_date: date
    end_date: date
    billing_address: str
    shipping_address: str
    tax_treatment_id: str
    ship_from_address: str = ""
    accounting_period_id: str = ""
    product_id: str = ""
    product_name: str = ""
    personal: LineTexts | None = _NO_TEXT


@dataclass(frozen=True, slots=True)
class DebitMemoTaxImported:
    """The sender brought the taxes of a line."""

    line: int
    rows: tuple[TaxRow, ...]
    personal: TaxTexts | None = _NO_TEXTS


@dataclass(frozen=True, slots=True)
class DebitMemoUpdated:
    """The content is replaced: the addresses, lines and taxes that follow are all there are."""

    header: Header
    fingerprint: str
    today: date
    reference_position: int
    size: int
    request_id: str = ""
    personal: Texts | None = Texts()


@dataclass(frozen=True, slots=True)
class DebitMemoPosted:
    """The charge is final; unless the memo is not to be invoiced, it is ready for that from now on."""

    posted_date: date


@dataclass(frozen=True, slots=True)
class DebitMemoCanceled:
    """The draft was given up."""


@dataclass(frozen=True, slots=True)
class DebitMemoVoided:
    """The charge was taken back before anything was invoiced."""


@dataclass(frozen=True, slots=True)
class DebitMemoProcessed:
    """Somebody invoiced it by hand: no invoice is made of it here."""

    personal: ProcessedTexts | None = ProcessedTexts()


@dataclass(frozen=True, slots=True)
class DebitMemoBilled:
    """A draft invoice was made of it."""

    invoice_id: UUID


@dataclass(frozen=True, slots=True)
class DebitMemoReleased:
    """That draft was canceled: the memo is ready again."""

    invoice_id: UUID


@dataclass(frozen=True, slots=True)
class DebitMemoInvoicePosted:
    """Its invoice was posted, for good: voiding the invoice leaves the memo as it is."""

    invoice_id: UUID


Event = (
    DebitMemoDrafted
    | DebitMemoAddressAssigned
    | DebitMemoLineAdded
    | DebitMemoTaxImported
    | DebitMemoUpdated
    | DebitMemoPosted
    | DebitMemoCanceled
    | DebitMemoVoided
    | DebitMemoProcessed
    | DebitMemoBilled
    | DebitMemoReleased
    | DebitMemoInvoicePosted
)
EVENTS: tuple[type, ...] = (
    DebitMemoDrafted,
    DebitMemoAddressAssigned,
    DebitMemoLineAdded,
    DebitMemoTaxImported,
    DebitMemoUpdated,
    DebitMemoPosted,
    DebitMemoCanceled,
    DebitMemoVoided,
    DebitMemoProcessed,
    DebitMemoBilled,
    DebitMemoReleased,
    DebitMemoInvoicePosted,
)
