"""The first append of a draft, taken from the log into rows without making its events.

Most of a log is this. Only what the columns need is decoded; the rest stays the JSON that it is, and is put
together anew. Whatever is not as plain (tax worked out at once, an import that is posted, payloads of another
version) is left to the fold of events: what an invoice is taken by depends on its first append alone, so that
rows are the same however the log was cut into batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType

from domain import invoice
from store.codec import data_of, is_committed
from store.log import Recorded
from store.schema import REGISTRY

from .projection import Poison

TODAY = {name: b'{"v":%d,' % entry.version for name, entry in REGISTRY.items()}
PLAIN = frozenset(("AddressGroupAssigned", "LineAdded", "TaxImported"))
LINE, TAX = "LineAdded", "TaxImported"
NOTHING = Decimal(0)
NO_TEXTS = Raw(b"{}")
LEAST_FIRST = tuple(status.value for status in invoice.TaxStatus)

# What is read of the stored forms


class Named(msgspec.Struct):
    kind: str
    id: str


class System(msgspec.Struct):
    system: str
    id: str = ""


class Header(msgspec.Struct):
    account_id: str
    invoice_date: date
    due_date: date
    currency: str
    legal_entity_id: str
    tax_status: str
    invoice_number: str = ""
    reference: Named | None = None
    source: System | None = None
    purchase_order_number: str = ""
    labels: dict[str, str] = {}


class DraftedData(msgspec.Struct):
    unique_identifier: str
    header: Raw
    size: int
    reference_position: int


class DraftedMeta(msgspec.Struct):
    recorded: datetime


class Drafted(msgspec.Struct):
    meta: DraftedMeta
    data: DraftedData


class OfOrder(msgspec.Struct):
    order_id: str = ""


class LineData(msgspec.Struct):
    number: int
    charge: Decimal
    tax_status: str
    reference: OfOrder | None = None


class LineState(msgspec.Struct):
    data: LineData


class TaxedData(msgspec.Struct):
    line: int
    rows: Raw
    personal: Raw | UnsetType = UNSET


class Amount(msgspec.Struct):
    amount: Decimal


# What is put together


class Totals(msgspec.Struct):
    charge: Decimal
    tax: Decimal


class Summary(msgspec.Struct):
    """As InvoiceSummary is stored."""

    id: UUID
    unique_identifier: str
    version: int
    status: str
    tax_status: str
    settlement: str
    number: str
    posted_date: None
    header: Raw
    texts: Raw
    totals: Totals
    line_count: int
    reference_position: int
    created: datetime
    updated: datetime
    drafted_position: int
    position: int


class Line(msgspec.Struct, omit_defaults=True):
    """As invoice.Line is stored."""

    added: Raw
    tax_status: str
    rows: Raw | UnsetType = UNSET
    row_texts: Raw | UnsetType = UNSET
    tax: Decimal = NOTHING


@dataclass(slots=True)
class Opened:
    """An invoice after its first append, as the tables of read models have it."""

    id: UUID
    size: int
    header: Header
    summary: Summary
    stored_summary: bytes
    addresses: bytes
    lines: list[Line]
    line_orders: frozenset[str]


_drafted = msgspec.json.Decoder(Drafted).decode
_header = msgspec.json.Decoder(Header).decode
_line = msgspec.json.Decoder(LineState).decode
_taxed = msgspec.json.Decoder(TaxedData).decode
_amounts = msgspec.json.Decoder(list[Amount]).decode
encode = msgspec.json.Encoder().encode


def opening(history: Sequence[Recorded]) -> Opened | None:
    """What the first append makes of an invoice; None where it is to be folded event by event."""
    first = history[0]
    if first.version != 1 or first.name != "InvoiceDrafted" or not first.state.startswith(TODAY[first.name]):
        return None
    try:
        drafted = _drafted(first.state)
        body = history[1 : drafted.data.size]
        if len(body) + 1 != drafted.data.size or not all(map(_is_plain, body, range(2, len(body) + 2))):
            return None
        return _opened(first, body, drafted)
    except (msgspec.MsgspecError, LookupError) as error:
        raise Poison(first.position, first.name, f"{type(error).__name__}: {error}") from error


def opened_of(histories: Sequence[Sequence[Recorded]]) -> tuple[list[Opened], list[Sequence[Recorded]]]:
    """The invoices of a batch that begin plainly, and what else there is to be folded, of these as well."""
    opened, others = list[Opened](), list[Sequence[Recorded]]()
    for history in histories:
        if (begun := opening(history)) is None:
            others.append(history)
            continue
        opened.append(begun)
        if len(history) > begun.size:
            others.append(history[begun.size :])
    return opened, others


def _is_plain(event: Recorded, version: int) -> bool:
    return event.version == version and event.name in PLAIN and event.state.startswith(TODAY[event.name])


def _opened(first: Recorded, body: Sequence[Recorded], drafted: Drafted) -> Opened | None:
    header = _header(drafted.data.header)
    addresses, lines = list[bytes](), list[Line]()
    orders, statuses = set[str](), set[str]()
    charge = tax = NOTHING
    for event in body:
        if event.name == LINE:
            data = _line(event.state).data
            charge += data.charge
            statuses.add(data.tax_status)
            if data.reference is not None and data.reference.order_id:
                orders.add(data.reference.order_id)
            lines.append(Line(Raw(data_of(event.state, event.personal)), data.tax_status))
        elif event.name == TAX:
            tax += _tax(event, lines)
        else:
            addresses.append(data_of(event.state, event.personal))
    if not lines or not (charge + tax).is_finite():
        return None
    status = next(each for each in LEAST_FIRST if each in statuses)
    summary = _summary(first, body[-1], drafted, header, Totals(charge, tax), status, len(lines))
    stored = encode(summary)
    grouped = b"[" + b",".join(addresses) + b"]"
    return Opened(first.stream, len(body) + 1, header, summary, stored, grouped, lines, frozenset(orders))


def _tax(event: Recorded, lines: Sequence[Line]) -> Decimal:
    """The tax of a line, which takes the place of what it had."""
    data = _taxed(data_of(event.state, event.personal))
    line = lines[data.line - 1]
    tax = sum((each.amount for each in _amounts(data.rows)), NOTHING)
    more, line.tax = tax - line.tax, tax
    line.rows, line.row_texts = data.rows, data.personal
    return more


def _summary(
    first: Recorded,
    last: Recorded,
    drafted: Drafted,
    header: Header,
    totals: Totals,
    tax_status: str,
    line_count: int,
) -> Summary:
    data = drafted.data
    return Summary(
        id=first.stream,
        unique_identifier=data.unique_identifier,
        version=last.version,
        status=invoice.Status.DRAFT.value,
        tax_status=tax_status,
        settlement=invoice.Settlement.NOT_APPLICABLE.value,
        number=header.invoice_number,
        posted_date=None,
        header=data.header,
        texts=_texts(first),
        totals=totals,
        line_count=line_count,
        reference_position=data.reference_position,
        created=drafted.meta.recorded,
        updated=drafted.meta.recorded,
        drafted_position=first.position,
        position=last.position,
    )


def _texts(first: Recorded) -> Raw:
    """The names and the description; null where they were erased."""
    if not is_committed(first.state):
        return NO_TEXTS
    return Raw(first.personal or b"null")
