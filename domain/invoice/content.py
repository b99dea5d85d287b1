"""An invoice as its sender has it, and the fingerprint that tells a retry from another request.

None stands for what was not sent or could not be read; the rules say which of it is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from ..money import normal
from .events import LineReferenceKind, ReferenceKind, Status, TaxStatus

FINGERPRINT_VERSION = "f1"


@dataclass(frozen=True, slots=True)
class ReferenceContent:
    kind: ReferenceKind | None = None
    id: str = ""
    system: str = ""
    kind_name: str = ""


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
    """Says the content as asked: only what was set, decimals by value, lists in order, labels by key."""
    said: list[str] = []
    _say(content, said)
    digest = hashlib.sha256("".join(said).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{FINGERPRINT_VERSION}:{digest}"


_SAID: dict[type, tuple[tuple[str, ...], attrgetter[tuple[object, ...]]]] = {}
for _each in (
    ReferenceContent,
    LineReferenceContent,
    SourceContent,
    AddressContent,
    TaxContent,
    LineContent,
    Content,
):
    _names = tuple(each.name for each in fields(_each))
    _SAID[_each] = (_names, attrgetter(*_names))


def _say(value: object, said: list[str]) -> None:
    """Appends each set field as name, type, length and text: no two contents say the same."""
    names, get = _SAID[type(value)]
    for name, item in zip(names, get(value), strict=True):
        if item is None or item is False or item == "" or item == () or item == {}:
            continue
        if type(item) is str:
            said.append(f"{name}:s{len(item)}:{item};")
        elif type(item) is Decimal:
            said.append(f"{name}:d:{normal(item)};")
        elif type(item) is date:
            said.append(f"{name}:t:{item.isoformat()};")
        elif type(item) is tuple:
            said.append(f"{name}:l{len(item)}:[")
            for part in item:
                _say(part, said)
                said.append(",")
            said.append("];")
        elif item is True:
            said.append(f"{name}:b;")
        elif isinstance(item, StrEnum):
            said.append(f"{name}:e:{item.value};")
        elif isinstance(item, Mapping):
            pairs = "".join(f"{len(key)}:{key}={len(item[key])}:{item[key]}," for key in sorted(item))
            said.append(f"{name}:m:{{{pairs}}};")
        else:
            said.append(f"{name}:(")
            _say(item, said)
            said.append(");")
