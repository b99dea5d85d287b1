"""The first append of a draft, taken from the log into rows without making its events.

Most of a log is this. Only what the columns need is decoded; the rest stays the JSON that it is, and is put
together anew. Whatever is not as plain (tax worked out at once, an import that is posted, payloads of another
version) is left to the fold of events: what an invoice is taken by depends on its first append alone, so that
rows are the same however the log was cut into batches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType

from domain import invoice
from store.codec import DATA, DATA_BYTES, data_of, is_committed
from store.log import Recorded
from store.schema import REGISTRY

from .feed import Fed
from .projection import Poison

TODAY = {name: b'{"v":%d,' % entry.version for name, entry in REGISTRY.items()}
DRAFTED, ADDRESS, LINE, TAX = "InvoiceDrafted", "AddressGroupAssigned", "LineAdded", "TaxImported"
PLAIN = {name: TODAY[name] for name in (ADDRESS, LINE, TAX)}
NEVER = b"no state begins so"
NOTHING = Decimal(0)
NO_TEXTS = Raw(b"{}")
NO_ORDERS: frozenset[str] = frozenset()
LEAST_FIRST = tuple(status.value for status in invoice.TaxStatus)

# What is read of the stored forms


class Named(msgspec.Struct, gc=False):
    kind: str
    id: str


class System(msgspec.Struct, gc=False):
    system: str
    id: str = ""


class Header(msgspec.Struct, gc=False):
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
    accounting_period_id: str = ""
    labels: dict[str, str] = {}


class DraftedData(msgspec.Struct, gc=False):
    unique_identifier: str
    header: Raw
    size: int
    reference_position: int


class DraftedMeta(msgspec.Struct, gc=False):
    recorded: datetime


class Drafted(msgspec.Struct, gc=False):
    meta: DraftedMeta
    data: DraftedData


class OfOrder(msgspec.Struct, gc=False):
    order_id: str = ""


class LineData(msgspec.Struct, gc=False):
    charge: Decimal
    tax_status: str
    shipping_address: str
    accounting_period_id: str = ""
    reference: OfOrder | None = None


class TaxedData(msgspec.Struct, gc=False):
    line: int
    rows: Raw
    personal: Raw | UnsetType = UNSET


class Amount(msgspec.Struct, gc=False):
    amount: Decimal


class Sized(msgspec.Struct, gc=False):
    size: int


class Opening(msgspec.Struct, gc=False):
    data: Sized


# What is put together


class Totals(msgspec.Struct, gc=False):
    charge: Decimal
    tax: Decimal


class Summary(msgspec.Struct, gc=False):
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


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """As invoice.Line is stored."""

    added: Raw
    tax_status: str
    rows: Raw | UnsetType = UNSET
    row_texts: Raw | UnsetType = UNSET
    tax: Decimal = NOTHING


class Taxed(msgspec.Struct, gc=False):
    """The tax of a line."""

    amount: Decimal
    rows: Raw
    texts: Raw | UnsetType


class Opened(msgspec.Struct, gc=False):
    """An invoice after its first append; `later` is what happened to it since."""

    id: UUID
    header: Header
    summary: Summary
    stored_summary: bytes
    line_orders: frozenset[str]
    body: Sequence[Recorded]
    lines: Sequence[LineData]
    taxed: Mapping[int, Taxed]
    later: Sequence[Recorded]


_sized = msgspec.json.Decoder(Opening).decode
_drafted = msgspec.json.Decoder(Drafted).decode
_header = msgspec.json.Decoder(Header).decode
_line = msgspec.json.Decoder(LineData).decode
_taxed = msgspec.json.Decoder(TaxedData).decode
_amounts = msgspec.json.Decoder(list[Amount]).decode
encode = msgspec.json.Encoder().encode


def append_size(recorded: Recorded) -> int:
    """How many events the append has that begins with this one, learned without the rest of it."""
    if recorded.state.startswith(TODAY.get(recorded.name, NEVER)):
        with contextlib.suppress(msgspec.MsgspecError):
            return _sized(recorded.state).data.size
    return int(recorded.event.size)  # which is refused where it cannot be read


def opening(history: Sequence[Recorded]) -> Opened | None:
    """What the first append makes of an invoice; None where it is to be folded event by event."""
    first = history[0]
    if first.version != 1 or first.name != DRAFTED or not first.state.startswith(TODAY[DRAFTED]):
        return None
    try:
        drafted = _drafted(first.state)
        size = drafted.data.size
        if len(history) < size or history[size - 1].version != size:
            return None
        return _opened(first, history[1:size], history[size:], drafted)
    except (msgspec.MsgspecError, LookupError) as error:
        raise Poison(first.position, first.name, f"{type(error).__name__}: {error}") from error


def shared(history: Sequence[Recorded]) -> Opened | None:
    """The same; what one read model has found, the next one need not look for again."""
    first = history[0]
    if not isinstance(first, Fed):
        return opening(history)
    extent = (len(history), history[-1].version)
    if first.begun is None or first.begun[:2] != extent:
        first.begun = (*extent, opening(history))
    return cast("Opened | None", first.begun[2])


def opened_of(histories: Sequence[Sequence[Recorded]]) -> tuple[list[Opened], list[Sequence[Recorded]]]:
    """The invoices that begin plainly, and those that do not: which are to be folded event by event."""
    opened, others = list[Opened](), list[Sequence[Recorded]]()
    for history in histories:
        if (begun := shared(history)) is None:
            others.append(history)
        else:
            opened.append(begun)
    return opened, others


def addresses_of(opened: Opened) -> bytes:
    """Its address groups, as they are stored."""
    found = [data_of(each.state, each.personal) for each in opened.body if each.name == ADDRESS]
    return b"[" + b",".join(found) + b"]"


def lines_of(opened: Opened) -> list[Line]:
    added = [data_of(each.state, each.personal) for each in opened.body if each.name == LINE]
    lines = [Line(Raw(data), line.tax_status) for data, line in zip(added, opened.lines, strict=True)]
    for number, taxed in opened.taxed.items():
        line = lines[number - 1]
        line.rows, line.row_texts, line.tax = taxed.rows, taxed.texts, taxed.amount
    return lines


def _opened(
    first: Recorded, body: Sequence[Recorded], later: Sequence[Recorded], drafted: Drafted
) -> Opened | None:
    lines, orders, taxed = list[LineData](), set[str](), dict[int, Taxed]()
    charge = tax = NOTHING
    for event in body:
        name, state = event.name, event.state
        if not state.startswith(PLAIN.get(name, NEVER)):
            return None
        if name == LINE:
            line = _line(state[state.index(DATA) + DATA_BYTES : -1])
            charge += line.charge
            lines.append(line)
            if line.reference is not None and line.reference.order_id:
                orders.add(line.reference.order_id)
        elif name == TAX:
            tax += _tax(event, len(lines), taxed)
    if not lines or not (charge + tax).is_finite():
        return None
    statuses = {each.tax_status for each in lines}
    status = next(each for each in LEAST_FIRST if each in statuses)
    header = _header(drafted.data.header)
    summary = _summary(first, body[-1], drafted, header, Totals(charge, tax), status, len(lines))
    stored, by_lines = encode(summary), frozenset(orders) if orders else NO_ORDERS
    return Opened(first.stream, header, summary, stored, by_lines, body, lines, taxed, later)


def _tax(event: Recorded, lines: int, taxed: dict[int, Taxed]) -> Decimal:
    """By how much the tax of a line changes: it takes the place of what it had."""
    data = _taxed(data_of(event.state, event.personal))
    if not 1 <= data.line <= lines:
        raise LookupError(f"there is no line {data.line}")
    amount = sum((each.amount for each in _amounts(data.rows)), NOTHING)
    before = taxed.get(data.line)
    taxed[data.line] = Taxed(amount, data.rows, data.personal)
    return amount - before.amount if before else amount


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
