"""The read model `invoices-by-order`: the invoices of an order, whatever their status, newest first.

An invoice belongs to the orders that its reference or one of its lines names, and is listed once under each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec

from domain import invoice
from store.log import Recorded

from .invoice_summary import TOPICS, Folded, InvoiceSummary, continued, decode, encode, fold, resumed, span
from .invoices import NEWEST, page
from .projection import Connection, Projection, columns
from .reader import Answer, Page, Reader

# Every invoice has a header here, as an update may bring it under an order at any time.
CREATE = """
CREATE TABLE {table} (
    order_id text COLLATE "C" NOT NULL,
    drafted_position bigint NOT NULL,
    invoice_id uuid NOT NULL,
    PRIMARY KEY (order_id, drafted_position)
);
CREATE TABLE {table}_headers (
    invoice_id uuid PRIMARY KEY,
    line_orders bytea NOT NULL,
    header bytea NOT NULL
);
"""
INDEX = ""

STORED = "SELECT invoice_id, line_orders, header FROM {table}_headers WHERE invoice_id = ANY(%s)"
WRITE_HEADERS = """
INSERT INTO {table}_headers (invoice_id, line_orders, header)
SELECT * FROM unnest(%s::uuid[], %s::bytea[], %s::bytea[])
ON CONFLICT (invoice_id) DO UPDATE SET line_orders = EXCLUDED.line_orders, header = EXCLUDED.header
"""
REMOVE = """
DELETE FROM {table} AS listed USING unnest(%s::text[], %s::bigint[]) AS gone (order_id, drafted_position)
WHERE listed.order_id = gone.order_id AND listed.drafted_position = gone.drafted_position
"""
WRITE = """
INSERT INTO {table} (order_id, drafted_position, invoice_id)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::uuid[])
"""
LIST = """
SELECT listed.drafted_position, headers.header
FROM {table} AS listed JOIN {table}_headers AS headers USING (invoice_id)
WHERE listed.order_id = %(order_id)s AND listed.drafted_position < %(before)s
ORDER BY listed.drafted_position DESC LIMIT %(limit)s
"""

_encode = msgspec.json.Encoder(order="sorted").encode
_line_orders = msgspec.json.Decoder(frozenset[str]).decode


@dataclass(frozen=True, slots=True)
class Listed:
    """Under which orders an invoice is listed; those that its lines name stay while its header changes."""

    by_header: frozenset[str]
    by_lines: frozenset[str]

    @property
    def orders(self) -> frozenset[str]:
        return self.by_header | self.by_lines


NOWHERE = Listed(frozenset(), frozenset())


# Questions


async def list_(
    reader: Reader,
    order_id: str,
    *,
    before: int | None = None,
    size: int = 50,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[Page[InvoiceSummary]]:
    """A page of the invoices of an order, newest first, by when they were first recorded.

    `before` is the `next` of the page before this one; it holds for every generation of the tables.
    """
    if "\0" in order_id:
        return Answer(Page((), None), await reader.wait_until(INVOICES_BY_ORDER, min_position, deadline))
    answer = await reader.ask(
        INVOICES_BY_ORDER,
        LIST,
        {"order_id": order_id, "before": NEWEST if before is None else before, "limit": size + 1},
        min_position=min_position,
        deadline=deadline,
    )
    return Answer(page(answer.found, size), answer.position)


# Rows


async def project(connection: Connection, table: str, batch: Sequence[Recorded]) -> None:
    """Every invoice of the batch, once, as the batch leaves it."""
    before, listed_before = await _stored(connection, table, continued(batch))
    folded = fold(batch, before)
    listed = {each.summary.id: _listed(each, listed_before.get(each.summary.id, NOWHERE)) for each in folded}
    headers = [
        (each.summary.id, _encode(listed[each.summary.id].by_lines), encode(each.summary)) for each in folded
    ]
    await connection.execute(WRITE_HEADERS.format(table=table).encode(), columns(headers))
    gone: list[tuple[str, int]] = []
    new: list[tuple[str, int, UUID]] = []
    for each in folded:
        was, orders = listed_before.get(each.summary.id, NOWHERE).orders, listed[each.summary.id].orders
        gone += [(order, each.summary.drafted_position) for order in was - orders]
        new += [(order, each.summary.drafted_position, each.summary.id) for order in orders - was]
    if gone:
        await connection.execute(REMOVE.format(table=table).encode(), columns(gone))
    if new:
        await connection.execute(WRITE.format(table=table).encode(), columns(new))


async def _stored(
    connection: Connection, table: str, invoice_ids: set[UUID]
) -> tuple[dict[UUID, InvoiceSummary], dict[UUID, Listed]]:
    summaries: dict[UUID, InvoiceSummary] = {}
    listed: dict[UUID, Listed] = {}
    if invoice_ids:
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(STORED.format(table=table).encode(), (list(invoice_ids),))
            for invoice_id, line_orders, header in await cursor.fetchall():
                summary = summaries[invoice_id] = decode(header)
                listed[invoice_id] = Listed(_by_header(resumed(summary)), _line_orders(line_orders))
    return summaries, listed


def _listed(folded: Folded, before: Listed) -> Listed:
    by_lines = _by_lines(folded.state) if folded.rewritten else before.by_lines
    return Listed(_by_header(folded.state), by_lines)


def _by_header(state: invoice.Invoice) -> frozenset[str]:
    return frozenset(replace(state, lines=[]).order_ids)


def _by_lines(state: invoice.Invoice) -> frozenset[str]:
    return frozenset(replace(state, header=replace(state.header, reference=None)).order_ids)


INVOICES_BY_ORDER = Projection(
    name="invoices_by_order", code=1, topics=TOPICS, create=CREATE, index=INDEX, span=span, project=project
)
