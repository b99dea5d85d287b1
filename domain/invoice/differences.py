"""What a sender says otherwise than the invoice has it, for a refusal to name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest

from ..money import ZERO
from .content import AddressContent, Content, LineContent, TaxContent
from .events import AddressGroupAssigned, Header, Status, TaxRow, TaxStatus
from .references import is_of_memo
from .state import Invoice, Line

DIFFERENCES_MAX = 25  # fields that a refusal names

_HEADER = (
    "account_id",
    "bill_to_contact_id",
    "invoice_date",
    "due_date",
    "payment_term_id",
    "legal_entity_id",
    "accounting_period_id",
    "invoice_number",
    "purchase_order_number",
    "owner_id",
    "billing_address",
    "shipping_address",
    "ship_from_address",
    "should_calculate_tax",
    "tax_status",
)
_HEADER_TEXTS = ("account_name", "bill_to_contact_name", "owner_name", "description")
_ADDRESS_TEXTS = ("street", "city", "postal_code", "latitude", "longitude")
_LINE = (
    "name",
    "start_date",
    "end_date",
    "quantity",
    "unit_price",
    "product_id",
    "product_name",
    "usage_product_id",
    "usage_based",
    "usage_overage_quantity",
    "unit_of_measure_id",
    "unit_of_measure_name",
)
_ADDRESSES = ("billing_address", "shipping_address", "ship_from_address")
_LINE_DEFAULTED = ("tax_treatment_id", "accounting_period_id")
_TAX = ("transaction_number", "amount", "rate", "name", "code", "effective_date", "document_number")
_REFERENCE = ("kind", "id", "system", "kind_name")
_LINE_REFERENCE = (*_REFERENCE, "order_id")
_SOURCE = ("system", "id")
_FROM_MEMO = frozenset(f"invoice.{name}" for name in (*_ADDRESSES, "account_name"))


def told_differences(content: Content, invoice: Invoice) -> str:
    """The first paths that differ, as a refusal tells them."""
    if paths := _listed(differences(content, invoice)):
        return paths
    by_default = _listed(_said_as_by_default(content)) or "what this one leaves to defaults"
    return f"{by_default} (one says it, the other leaves it to its default)"


def _listed(differing: Iterable[str]) -> str:
    paths = list(islice(differing, DIFFERENCES_MAX + 1))
    return ", ".join(paths[:DIFFERENCES_MAX]) + (", …" if len(paths) > DIFFERENCES_MAX else "")


def differences(content: Content, invoice: Invoice) -> Iterator[str]:
    """Paths of what differs. What was left to a default, then or now, is not told apart from the default."""
    if is_of_memo(content.reference) and not content.lines:
        yield from (path for path in _header(content, invoice) if path not in _FROM_MEMO)
        return
    yield from _header(content, invoice)
    yield from _addresses(content, invoice)
    if len(content.lines) != len(invoice.lines):
        yield "invoice.lines"
    for index, (said, stands) in enumerate(zip(content.lines, invoice.lines, strict=False)):
        for name in _line(said, stands, content, invoice.header):
            yield f"invoice.lines[{index}].{name}"


def _differing(names: Iterable[str], said: object, stands: object) -> Iterator[str]:
    return (name for name in names if getattr(said, name) != getattr(stands, name))


def _part(path: str, names: Iterable[str], said: object | None, stands: object | None) -> Iterator[str]:
    """What differs in a part; where only one has it, the part as such."""
    if said is None or stands is None:
        if said is not stands:
            yield path
    else:
        yield from (f"{path}.{name}" for name in _differing(names, said, stands))


def _header(content: Content, invoice: Invoice) -> Iterator[str]:
    header = invoice.header
    for name in _HEADER:
        stands = None if name in header.defaulted else getattr(header, name)
        if (getattr(content, name) or None) != (stands or None):
            yield f"invoice.{name}"
    if invoice.texts is not None:
        yield from _part("invoice", _HEADER_TEXTS, content, invoice.texts)
    if content.currency_code != ("" if "currency_code" in header.defaulted else header.currency):
        yield "invoice.currency_code"
    if dict(content.labels) != header.labels:
        yield "invoice.labels"
    status = _status(header)
    if content.status is not status:
        yield "invoice.status"
    elif content.posted_date != (invoice.posted_date if _said_posted_date(status, header) else None):
        yield "invoice.posted_date"
    yield from _part("invoice.reference", _REFERENCE, content.reference, header.reference)
    yield from _part("invoice.source", _SOURCE, content.source, header.source)


def _status(header: Header) -> Status | None:
    """As it was said when the invoice came in, whatever it has become since."""
    if "status" in header.defaulted:
        return None
    return Status.POSTED if header.tax_status is TaxStatus.POSTED else Status.DRAFT


def _said_posted_date(status: Status | None, header: Header) -> bool:
    return status is Status.POSTED and "posted_date" not in header.defaulted


def _addresses(content: Content, invoice: Invoice) -> Iterator[str]:
    if [group.key for group in content.address_groups] != list(invoice.addresses):
        yield "invoice.address_groups"
    for index, said in enumerate(content.address_groups):
        if stands := invoice.addresses.get(said.key):
            yield from (f"invoice.address_groups[{index}].{name}" for name in _address(said, stands))


def _address(said: AddressContent, stands: AddressGroupAssigned) -> Iterator[str]:
    yield from _differing(("state", "country"), said, stands)
    if stands.personal is not None:
        yield from _differing(_ADDRESS_TEXTS, said, stands.personal)


def _line(said: LineContent, stands: Line, content: Content, header: Header) -> Iterator[str]:
    added = stands.added
    yield from _differing(_LINE, said, added)
    if said.charge_amount != added.charge:
        yield "charge_amount"
    for name in _ADDRESSES:
        if (getattr(said, name) or getattr(content, name)) != getattr(added, name):
            yield name
    for name in _LINE_DEFAULTED:
        if getattr(said, name) not in ("", getattr(added, name)):
            yield name
    if said.legal_entity_id not in ("", header.legal_entity_id):
        yield "legal_entity_id"
    if added.personal is not None and said.description != added.personal.description:
        yield "description"
    yield from _part("reference", _LINE_REFERENCE, said.reference, added.reference)
    yield from _taxes(said, stands)


def _said_as_by_default(content: Content) -> Iterator[str]:
    """What lines say though they need not; whether the invoice's own lines said it is not remembered."""
    for index, line in enumerate(content.lines):
        path = f"invoice.lines[{index}]"
        yield from (f"{path}.{name}" for name in (*_LINE_DEFAULTED, "legal_entity_id") if getattr(line, name))
        for name in _ADDRESSES:
            if (said := getattr(line, name)) and said == getattr(content, name):
                yield f"{path}.{name}"
        for number, row in enumerate(line.taxes):
            if row.exempt_amount is not None and not row.exempt_amount:
                yield f"{path}.taxes[{number}].exempt_amount"


def _taxes(said: LineContent, stands: Line) -> Iterator[str]:
    if stands.estimate is not None:
        return  # what was brought has been replaced
    if len(said.taxes) != len(stands.rows):
        yield "taxes"
        return
    texts = stands.row_texts.descriptions if stands.row_texts else ()
    pairs = zip_longest(said.taxes, stands.rows, texts)
    for index, (tax, row, text) in enumerate(pairs):
        erased = stands.row_texts is None
        yield from (f"taxes[{index}].{name}" for name in _tax(tax, row, tax.description if erased else text))


def _tax(said: TaxContent, stands: TaxRow, description: str | None) -> Iterator[str]:
    yield from _differing(_TAX, said, stands)
    if (said.exempt_amount or ZERO) != stands.exempt_amount:
        yield "exempt_amount"
    if said.description != (description or ""):
        yield "description"
