"""The read model `invoices`: every invoice as its events have left it, to be found, listed and paged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

import msgspec

from domain import invoice
from store.log import Recorded

from .invoice_filter import EVERY, InvoiceFilter, condition
from .invoice_summary import (
    OPENINGS,
    TOPICS,
    Folded,
    Histories,
    InvoiceSummary,
    Late,
    by_invoice,
    continued,
    decode,
    encode,
    fold,
)
from .invoice_views import ALL_INVOICES, BY_ACCOUNT
from .opening import Line, Opened, opened_of
from .projection import Connection, Projection, Rows
from .reader import Answer, Page, Reader

LINES_PER_CHUNK = 100
LINES_SHOWN_MAX = 500
PAGE_SIZE_MAX = 500

# Texts that are not there are null, so that no index holds them.
CREATE = """
CREATE TABLE {table} (
    invoice_id uuid PRIMARY KEY,
    drafted_position bigint NOT NULL,
    position bigint NOT NULL,
    version bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    tax_status text COLLATE "C" NOT NULL,
    settlement text COLLATE "C" NOT NULL,
    unique_identifier text COLLATE "C",
    number text COLLATE "C",
    legal_entity_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    reference_kind text COLLATE "C",
    reference_id text COLLATE "C",
    source_system text COLLATE "C",
    source_id text COLLATE "C",
    purchase_order_number text COLLATE "C",
    invoice_date date NOT NULL,
    due_date date NOT NULL,
    posted_date date,
    currency text COLLATE "C" NOT NULL,
    total numeric NOT NULL,
    total_with_tax numeric NOT NULL,
    balance numeric NOT NULL,
    line_count integer NOT NULL,
    labels jsonb,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL,
    header bytea NOT NULL,
    addresses bytea NOT NULL
);
CREATE TABLE {table}_lines (
    invoice_id uuid NOT NULL,
    chunk integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (invoice_id, chunk)
);
"""
INDEX = """
CREATE UNIQUE INDEX ON {table} (drafted_position);
CREATE INDEX ON {table} (account_id, drafted_position);
CREATE INDEX ON {table} (status, drafted_position);
CREATE INDEX ON {table} (settlement, drafted_position);
CREATE INDEX ON {table} (legal_entity_id, drafted_position);
CREATE INDEX ON {table} (number, legal_entity_id) WHERE number IS NOT NULL;
CREATE INDEX ON {table} (reference_id, drafted_position) WHERE reference_id IS NOT NULL;
CREATE INDEX ON {table} (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX ON {table} (source_system, drafted_position) WHERE source_system IS NOT NULL;
CREATE INDEX ON {table} (purchase_order_number, drafted_position) WHERE purchase_order_number IS NOT NULL;
CREATE INDEX ON {table} (invoice_date);
CREATE INDEX ON {table} (due_date);
CREATE INDEX ON {table} (posted_date) WHERE posted_date IS NOT NULL;
CREATE INDEX ON {table} (due_date) WHERE status = 'POSTED' AND balance > 0;
CREATE INDEX ON {table} (currency, total_with_tax);
CREATE INDEX ON {table} USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;
"""

STORED = "SELECT invoice_id, header, addresses FROM {table} WHERE invoice_id = ANY(%s)"
REMOVE = "DELETE FROM {table} WHERE invoice_id = ANY(%s)"
REMOVE_LINES = "DELETE FROM {table}_lines WHERE invoice_id = ANY(%s)"
ROWS = Rows(
    {
        "invoice_id": "uuid",
        "drafted_position": "int8",
        "position": "int8",
        "version": "int8",
        "status": "text",
        "tax_status": "text",
        "settlement": "text",
        "unique_identifier": "text",
        "number": "text",
        "legal_entity_id": "text",
        "account_id": "text",
        "reference_kind": "text",
        "reference_id": "text",
        "source_system": "text",
        "source_id": "text",
        "purchase_order_number": "text",
        "invoice_date": "date",
        "due_date": "date",
        "posted_date": "date",
        "currency": "text",
        "total": "numeric",
        "total_with_tax": "numeric",
        "balance": "numeric",
        "line_count": "int4",
        "labels": "jsonb",
        "created": "timestamptz",
        "updated": "timestamptz",
        "header": "bytea",
        "addresses": "bytea",
    }
)
CHUNKS = Rows({"invoice_id": "uuid", "chunk": "int4", "body": "bytea"})

STORED_LINES = """
SELECT invoice_id, body FROM {table}_lines WHERE invoice_id = ANY(%s) ORDER BY invoice_id, chunk
"""

FIND = """
SELECT header, addresses, (
    SELECT array_agg(body ORDER BY chunk) FROM {table}_lines AS lines
    WHERE lines.invoice_id = %(invoice_id)s AND chunk < %(chunks)s
)
FROM {table} WHERE invoice_id = %(invoice_id)s
"""
LIST = """
SELECT drafted_position, header FROM {{table}}
WHERE {condition} AND drafted_position < %(before)s
ORDER BY drafted_position DESC LIMIT %(limit)s
"""
LINES = """
SELECT version, legal_entity_id, line_count, (
    SELECT array_agg(body ORDER BY chunk) FROM {table}_lines AS lines
    WHERE lines.invoice_id = %(invoice_id)s AND chunk BETWEEN %(first)s AND %(last)s
)
FROM {table} WHERE invoice_id = %(invoice_id)s
"""
NUMBERED = """
SELECT invoice_id, status = 'CANCELED' FROM {table}
WHERE legal_entity_id = %(legal_entity_id)s AND number = %(number)s
ORDER BY drafted_position
"""
CARRYING = "SELECT invoice_id, status, number FROM {table} WHERE invoice_id = ANY(%(invoice_ids)s)"
NEWEST = 2**63 - 1

_encode = msgspec.json.Encoder().encode
_addresses = msgspec.json.Decoder(list[invoice.AddressGroupAssigned]).decode
_lines = msgspec.json.Decoder(list[invoice.Line]).decode


@dataclass(frozen=True, slots=True)
class FoundInvoice:
    """An invoice with its address groups and the first of its lines."""

    summary: InvoiceSummary
    addresses: tuple[invoice.AddressGroupAssigned, ...]
    lines: tuple[invoice.Line, ...]


@dataclass(frozen=True, slots=True)
class LinesPage:
    """Lines of an invoice at a version; `next` is the number of the last, None where no more follow."""

    lines: tuple[invoice.Line, ...]
    next: int | None
    version: int
    legal_entity_id: str


# Questions


async def find(
    reader: Reader,
    invoice_id: UUID,
    *,
    lines: int = LINES_SHOWN_MAX,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[FoundInvoice | None]:
    """One invoice with at most so many of its lines, or None."""
    chunks = -(-lines // LINES_PER_CHUNK)
    answer = await reader.ask(
        INVOICES,
        FIND,
        {"invoice_id": invoice_id, "chunks": chunks},
        min_position=min_position,
        deadline=deadline,
    )
    for header, addresses, bodies in answer.found:
        found = FoundInvoice(decode(header), tuple(_addresses(addresses)), tuple(_of(bodies)[:lines]))
        return Answer(found, answer.position)
    return Answer(None, answer.position)


async def list_(
    reader: Reader,
    filter: InvoiceFilter = EVERY,  # noqa: A002
    *,
    before: int | None = None,
    size: int = 50,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[Page[InvoiceSummary]]:
    """A page of the invoices that meet the filter, newest first, by when they were first recorded.

    `before` is the `next` of the page before this one; it holds for every generation of the tables.
    """
    meets, parameters = condition(filter)
    answer = await reader.ask(
        INVOICES,
        LIST.format(condition=meets),
        {**parameters, "before": NEWEST if before is None else before, "limit": size + 1},
        min_position=min_position,
        deadline=deadline,
        prepare=False,
    )
    return Answer(page(answer.found, size), answer.position)


async def list_lines(
    reader: Reader,
    invoice_id: UUID,
    *,
    after: int = 0,
    size: int = 100,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[LinesPage | None]:
    """A page of the lines that follow line number `after`, or None where there is no such invoice."""
    first = after // LINES_PER_CHUNK
    asked = {
        "invoice_id": invoice_id,
        "first": first,
        "last": (after + size - 1) // LINES_PER_CHUNK,
    }
    answer = await reader.ask(INVOICES, LINES, asked, min_position=min_position, deadline=deadline)
    for version, legal_entity_id, line_count, bodies in answer.found:
        start = after - first * LINES_PER_CHUNK
        lines = tuple(_of(bodies)[start : start + size])
        more = after + size < line_count
        following = after + size if more else None
        return Answer(LinesPage(lines, following, version, legal_entity_id), answer.position)
    return Answer(None, answer.position)


async def numbered(
    reader: Reader,
    legal_entity_id: str,
    number: str,
    *,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[tuple[UUID, ...]]:
    """The invoices that carry a number; canceled ones, which have given it back, where there is no other."""
    if "\0" in legal_entity_id + number:
        return Answer((), await reader.wait_until(INVOICES, min_position, deadline))
    answer = await reader.ask(
        INVOICES,
        NUMBERED,
        {"legal_entity_id": legal_entity_id, "number": number},
        min_position=min_position,
        deadline=deadline,
    )
    carrying = tuple(invoice_id for invoice_id, canceled in answer.found if not canceled)
    return Answer(carrying or tuple(invoice_id for invoice_id, _ in answer.found), answer.position)


@dataclass(frozen=True, slots=True)
class Carrying:
    """Where an invoice stands, and the number that it carries."""

    status: invoice.Status
    number: str


async def carrying(
    reader: Reader, ids: Sequence[UUID], *, min_position: int = 0, deadline: float | None = None
) -> Mapping[UUID, Carrying]:
    """What these invoices carry; those that there are not are left out."""
    asked = {"invoice_ids": list(ids)}
    answer = await reader.ask(INVOICES, CARRYING, asked, min_position=min_position, deadline=deadline)
    return {row[0]: Carrying(invoice.Status(row[1]), row[2] or "") for row in answer.found}


def page(rows: Sequence[tuple[int, bytes]], size: int) -> Page[InvoiceSummary]:
    """A page from its rows and one more, which tells that another page follows."""
    shown = rows[:size]
    return Page(tuple(decode(header) for _, header in shown), shown[-1][0] if len(rows) > size else None)


def _of(bodies: Sequence[bytes] | None) -> list[invoice.Line]:
    return [line for body in bodies or () for line in _lines(body)]


# Rows


async def project(connection: Connection, table: str, batch: Sequence[Recorded]) -> None:
    """Every invoice of the batch, once, as the batch leaves it."""
    opened, histories = opened_of(by_invoice(batch))
    if opened:
        await _write_opened(connection, table, opened)
    if histories:
        await _go_on(connection, table, histories)


async def _write_opened(connection: Connection, table: str, opened: Sequence[Opened]) -> None:
    await ROWS.write(connection, table, map(_opened_row, opened))
    chunks = (chunk for each in opened for chunk in _chunks(each.id, each.lines))
    await CHUNKS.write(connection, f"{table}_lines", chunks)


async def _go_on(connection: Connection, table: str, histories: Histories) -> None:
    """Invoices that began before, and those that do not begin plainly."""
    summaries, addresses = await _stored(connection, table, continued(histories))
    folded = fold(histories, summaries)
    lines = {each.summary.id: each.state.lines for each in folded if each.rewritten}
    lines |= await _taxed_late(connection, table, folded)
    if summaries:
        await connection.execute(REMOVE.format(table=table).encode(), (list(summaries),))
        old = [invoice_id for invoice_id in lines if invoice_id in summaries]
        await connection.execute(REMOVE_LINES.format(table=table).encode(), (old,))
    await ROWS.write(connection, table, (_row(each, addresses) for each in folded))
    chunks = (chunk for invoice_id, those in lines.items() for chunk in _chunks(invoice_id, those))
    await CHUNKS.write(connection, f"{table}_lines", chunks)


async def _taxed_late(
    connection: Connection, table: str, folded: Sequence[Folded]
) -> dict[UUID, list[invoice.Line]]:
    """Lines that were written before, with the tax that has been worked out since."""
    late = {each.summary.id: each.late for each in folded if each.late and not each.rewritten}
    lines: dict[UUID, list[invoice.Line]] = {invoice_id: [] for invoice_id in late}
    if late:
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(STORED_LINES.format(table=table).encode(), (list(late),))
            for invoice_id, body in await cursor.fetchall():
                lines[invoice_id] += _lines(body)
    for invoice_id, events in late.items():
        for event in events:
            _tax(lines[invoice_id], event)
    return lines


def _tax(lines: Sequence[invoice.Line], event: Late) -> None:
    match event:
        case invoice.TaxEstimated() | invoice.TaxPosted():
            estimated = isinstance(event, invoice.TaxEstimated)
            status = invoice.TaxStatus.ESTIMATED if estimated else invoice.TaxStatus.POSTED
            for line in event.lines:
                invoice.tax_line(lines[line.number - 1], line, event, status)
        case invoice.TaxSkipped():
            for number in event.lines:
                lines[number - 1].tax_status = invoice.TaxStatus.ESTIMATED
        case invoice.InvoicePosted():
            for each in lines:
                each.tax_status = invoice.TaxStatus.POSTED
        case _:
            assert_never(event)


async def _stored(
    connection: Connection, table: str, invoice_ids: Sequence[UUID]
) -> tuple[dict[UUID, InvoiceSummary], dict[UUID, bytes]]:
    """Invoices as the batches before have left them."""
    if not invoice_ids:
        return {}, {}
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(STORED.format(table=table).encode(), (invoice_ids,))
        rows = await cursor.fetchall()
    return {key: decode(header) for key, header, _ in rows}, {key: addresses for key, _, addresses in rows}


def _row(folded: Folded, addresses: Mapping[UUID, bytes]) -> tuple[object, ...]:
    summary, header = folded.summary, folded.summary.header
    reference, source = header.reference, header.source
    return (
        summary.id,
        summary.drafted_position,
        summary.position,
        summary.version,
        summary.status.value,
        summary.tax_status.value,
        summary.settlement.value,
        summary.unique_identifier or None,
        summary.number or None,
        header.legal_entity_id,
        header.account_id,
        reference.kind.value if reference else None,
        reference.id if reference else None,
        source.system if source else None,
        (source.id or None) if source else None,
        header.purchase_order_number or None,
        header.invoice_date,
        header.due_date,
        summary.posted_date,
        header.currency,
        summary.totals.total,
        summary.totals.total_with_tax,
        summary.totals.balance,
        summary.line_count,
        header.labels or None,
        summary.created,
        summary.updated,
        encode(summary),
        _encode(list(folded.state.addresses.values())) if folded.rewritten else addresses[summary.id],
    )


def _opened_row(opened: Opened) -> tuple[object, ...]:
    summary, header = opened.summary, opened.header
    reference, source, totals = header.reference, header.source, summary.totals
    total_with_tax = totals.charge + totals.tax
    return (
        opened.id,
        summary.drafted_position,
        summary.position,
        summary.version,
        summary.status,
        summary.tax_status,
        summary.settlement,
        summary.unique_identifier or None,
        summary.number or None,
        header.legal_entity_id,
        header.account_id,
        reference.kind if reference else None,
        reference.id if reference else None,
        source.system if source else None,
        (source.id or None) if source else None,
        header.purchase_order_number or None,
        header.invoice_date,
        header.due_date,
        None,
        header.currency,
        totals.charge,
        total_with_tax,
        total_with_tax,
        summary.line_count,
        header.labels or None,
        summary.created,
        summary.updated,
        opened.stored_summary,
        opened.addresses,
    )


def _chunks(
    invoice_id: UUID, lines: Sequence[invoice.Line] | Sequence[Line]
) -> list[tuple[UUID, int, bytes]]:
    starts = range(0, len(lines), LINES_PER_CHUNK)
    return [
        (invoice_id, number, _encode(lines[start : start + LINES_PER_CHUNK]))
        for number, start in enumerate(starts)
    ]


INVOICES = Projection(
    name="invoices",
    code=1,
    topics=TOPICS,
    create=CREATE,
    index=INDEX,
    project=project,
    openings=OPENINGS,
    lazy=True,
    views=(ALL_INVOICES, BY_ACCOUNT),
)
