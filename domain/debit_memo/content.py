"""A debit memo as its sender has it. None stands for what was not sent or could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ..canonical import Canonical
from ..invoice.content import AddressContent, TaxContent


@dataclass(frozen=True, slots=True)
class LineContent:
    name: str = ""
    charge_amount: Decimal | None = None
    start_date: date | None = None
    end_date: date | None = None
    billing_address: str = ""
    shipping_address: str = ""
    ship_from_address: str = ""
    tax_treatment_id: str = ""
    legal_entity_id: str = ""
    accounting_period_id: str = ""
    product_id: str = ""
    product_name: str = ""
    description: str = ""
    taxes: tuple[TaxContent, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    unique_identifier: str = ""
    account_id: str = ""
    account_name: str = ""
    currency_code: str = ""
    legal_entity_id: str = ""
    not_invoiceable: bool = False
    order_id: str = ""
    reason_code: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    address_groups: tuple[AddressContent, ...] = ()
    billing_address: str = ""
    shipping_address: str = ""
    ship_from_address: str = ""
    lines: tuple[LineContent, ...] = ()


CANONICAL = Canonical(AddressContent, TaxContent, LineContent, Content)


def fingerprint(content: Content) -> str:
    """A digest of the content as asked, made as that of an invoice."""
    return CANONICAL.fingerprint(content)
