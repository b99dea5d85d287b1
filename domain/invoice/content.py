"""An invoice as its sender has it, and the fingerprint that tells a retry from another request.

None stands for what was not sent or could not be read; the rules say which of it is needed. Decimals have
been read by `money.decimal`, so that they are finite and bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ..canonical import Canonical
from ..quick import quick
from .events import LineReferenceKind, ReferenceKind, Status, TaxStatus


@quick
@dataclass(frozen=True, slots=True)
class ReferenceContent:
    kind: ReferenceKind | None = None
    id: str = ""
    system: str = ""
    kind_name: str = ""


@quick
@dataclass(frozen=True, slots=True)
class LineReferenceContent:
    kind: LineReferenceKind | None = None
    id: str = ""
    order_id: str = ""
    system: str = ""
    kind_name: str = ""


@dataclass(frozen=True, slots=True)
class SourceContent:
    system: str = ""
    id: str = ""


@quick
@dataclass(frozen=True, slots=True)
class AddressContent:
    key: str = ""
    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    latitude: Decimal | None = None
    longitude: Decimal | None = None


@quick
@dataclass(frozen=True, slots=True)
class TaxContent:
    transaction_number: str = ""
    amount: Decimal | None = None
    rate: Decimal | None = None
    name: str = ""
    code: str = ""
    effective_date: date | None = None
    document_number: str = ""
    exempt_amount: Decimal | None = None
    description: str = ""


@quick
@dataclass(frozen=True, slots=True)
class LineContent:
    name: str = ""
    start_date: date | None = None
    end_date: date | None = None
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    charge_amount: Decimal | None = None
    billing_address: str = ""
    shipping_address: str = ""
    ship_from_address: str = ""
    tax_treatment_id: str = ""
    legal_entity_id: str = ""
    accounting_period_id: str = ""
    product_id: str = ""
    product_name: str = ""
    usage_product_id: str = ""
    usage_based: bool = False
    usage_overage_quantity: Decimal | None = None
    unit_of_measure_id: str = ""
    unit_of_measure_name: str = ""
    description: str = ""
    reference: LineReferenceContent | None = None
    taxes: tuple[TaxContent, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class Content:
    unique_identifier: str = ""
    status: Status | None = None
    tax_status: TaxStatus | None = None
    should_calculate_tax: bool = False
    account_id: str = ""
    account_name: str = ""
    bill_to_contact_id: str = ""
    bill_to_contact_name: str = ""
    invoice_date: date | None = None
    due_date: date | None = None
    posted_date: date | None = None
    payment_term_id: str = ""
    currency_code: str = ""
    legal_entity_id: str = ""
    accounting_period_id: str = ""
    invoice_number: str = ""
    description: str = ""
    reference: ReferenceContent | None = None
    source: SourceContent | None = None
    purchase_order_number: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    owner_id: str = ""
    owner_name: str = ""
    address_groups: tuple[AddressContent, ...] = ()
    billing_address: str = ""
    shipping_address: str = ""
    ship_from_address: str = ""
    lines: tuple[LineContent, ...] = ()


def fingerprint(content: Content) -> str:
    """A digest of the content as asked: the JSON of what was set, decimals by value, names in order."""
    return CANONICAL.fingerprint(content)


CANONICAL = Canonical(
    ReferenceContent,
    LineReferenceContent,
    SourceContent,
    AddressContent,
    TaxContent,
    LineContent,
    Content,
)
