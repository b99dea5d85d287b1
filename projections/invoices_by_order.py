"""The read model `invoices-by-order`: the invoices of an order, whatever their status, newest first.

An invoice belongs to the orders that its reference or one of its lines names, and is listed once under each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from domain import invoice

from .change import Change, Found, GoOn, Said, of_streams, projecting
from .histories import Histories
from .invoice_summary import (
    OPENINGS,
    TOPICS,
    Folded,
    InvoiceSummary,
    decode,
    encode,
    fold,
    resumed,
)
from .invoices import NEWEST, in_words, page
from .opening import Opened, opened_of
from .projection import Block, Projection, Rows, View
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

STORED = "SELECT invoice_id, line_orders, header FROM {table}_headers WHERE invoice_id = ANY($1::uuid[])"
REMOVE_HEADERS = "DELETE FROM {table}_headers WHERE invoice_id = ANY($1::uuid[])"
REMOVE = """
DELETE FROM {table} AS listed USING unnest($1::text[], $2::int8[]) AS gone (order_id, drafted_position)
WHERE listed.order_id = gone.order_id AND listed.drafted_position = gone.drafted_position
"""
HEADERS = Rows({"invoice_id": "uuid", "line_orders": "bytea", "header": "bytea"}, "_headers")
PLACES = Rows({"order_id": "text", "drafted_position": "int8", "invoice_id": "uuid"})
LIST = """
SELECT listed.drafted_position, headers.header
FROM {table} AS listed JOIN {table}_headers AS headers USING (invoice_id)
WHERE listed.order_id = %(order_id)s AND listed.drafted_position < %(before)s
ORDER BY listed.drafted_position DESC LIMIT %(limit)s
"""

NONE: frozenset[str] = frozenset()

_orders = lru_cache(maxsize=1024)(msgspec.json.Encoder(order="sorted").encode)
_line_orders = msgspec.json.Decoder(frozenset[str]).decode


# Questions


async def list_(reader: Reader, order_id: str, **asked: Any) -> Answer[Page[InvoiceSummary]]:
    """What `list_stored` finds, in the domain's words."""
    return in_words(await list_stored(reader, order_id, **asked))


async def list_stored(
    reader: Reader,
    order_id: str,
    *,
    before: int | None = None,
    size: int = 50,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[Page[bytes]]:
    """A page of the summaries, as they are stored, of the invoices of an order.

    Newest first, by when they were first recorded.

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


@dataclass(frozen=True, slots=True)
class Listed:
    """An invoice and its orders; those that its lines name stay while its header changes."""

    summary: InvoiceSummary
    by_header: frozenset[str]
    by_lines: frozenset[str]

    @property
    def places(self) -> list[tuple[str, int, UUID]]:
        summary = self.summary
        return [(order, summary.drafted_position, summary.id) for order in self.by_header | self.by_lines]


def begin(histories: Histories) -> Sequence[Block]:
    """Invoices from their first event on."""
    opened, others = opened_of(histories)
    plain = [each for each in opened if not each.later]
    stored = {each.id: _read(decode(each.stored_summary), each.line_orders) for each in opened if each.later}
    listed = _folded([*others, *(each.later for each in opened if each.later)], stored)
    return *_of_opened(plain), *_of_listed(listed)


def _of_opened(opened: Sequence[Opened]) -> Sequence[Block]:
    headers = [(each.id, _orders(each.line_orders), each.stored_summary) for each in opened]
    places = [
        (order_id, each.summary.drafted_position, each.id)
        for each in opened
        for order_id in each.line_orders | _referred(each)
    ]
    return HEADERS.block(headers), PLACES.block(places)


def _of_listed(listed: Sequence[Listed]) -> Sequence[Block]:
    headers = [(each.summary.id, _orders(each.by_lines), encode(each.summary)) for each in listed]
    return HEADERS.block(headers), PLACES.block([place for each in listed for place in each.places])


def _referred(opened: Opened) -> frozenset[str]:
    reference = opened.header.reference
    ordered = reference is not None and reference.kind == invoice.ReferenceKind.ORDER.value
    return frozenset((reference.id,)) if reference is not None and ordered else NONE


def _change(histories: Histories, found: Sequence[Found]) -> Change:
    """Invoices that began before."""
    stored = {key: _read(decode(header), _line_orders(orders)) for key, orders, header in found[0]}
    listed = _folded(histories, stored)
    orders, positions = _columns([place for each in stored.values() for place in each.places])
    removed = (
        Said(REMOVE_HEADERS, [("uuid", list(stored))]),
        Said(REMOVE, [("text", orders), ("int8", positions)]),
    )
    return Change(removed, _of_listed(listed))


def _folded(histories: Histories, stored: Mapping[UUID, Listed]) -> list[Listed]:
    folded = fold(histories, {invoice_id: each.summary for invoice_id, each in stored.items()})
    return [_listed(each, stored) for each in folded]


def _read(summary: InvoiceSummary, by_lines: frozenset[str]) -> Listed:
    return Listed(summary, _by_header(resumed(summary)), by_lines)


def _listed(folded: Folded, stored: Mapping[UUID, Listed]) -> Listed:
    summary, state = folded.summary, folded.state
    by_lines = _by_lines(state) if folded.rewritten else stored[summary.id].by_lines
    return Listed(summary, _by_header(state), by_lines)


def _by_header(state: invoice.Invoice) -> frozenset[str]:
    return frozenset(replace(state, lines=[]).order_ids) if state.header.reference else NONE


def _by_lines(state: invoice.Invoice) -> frozenset[str]:
    if state.header.reference:
        state = replace(state, header=replace(state.header, reference=None))
    return frozenset(state.order_ids)


def _columns(places: Sequence[tuple[str, int, UUID]]) -> tuple[list[str], list[int]]:
    return [order for order, _, _ in places], [position for _, position, _ in places]


GO_ON = GoOn(of_streams(STORED), _change)
INVOICES_BY_ORDER = Projection(
    name="invoices_by_order",
    code=1,
    topics=TOPICS,
    create=CREATE,
    index=INDEX,
    project=projecting(begin, GO_ON),
    openings=OPENINGS,
    lazy=True,
    begin=begin,
    go_on=GO_ON,
    views=(
        View(
            name="invoices_by_order",
            about="Which invoices belong to which order: a row for each pair.",
            columns={
                "order_id": ("order_id", "An order that the invoice, or one of its lines, names."),
                "invoice_id": ("invoice_id", "The invoice."),
                "drafted_position": ("drafted_position", "Where in the log it began: the higher, the newer."),
            },
        ),
    ),
)
