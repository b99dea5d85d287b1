"""The read model `invoices`: every invoice as its events have left it, to be found, listed and paged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, assert_never, get_args
from uuid import UUID

import msgspec

from domain import invoice
from store.schema import REGISTRY

from .change import Change, Found, GoOn, Said, projecting
from .histories import Histories, continued
from .invoice_filter import EVERY, InvoiceFilter, condition
from .invoice_rows import LINES_PER_CHUNK, ROWS, Lines, encode_lines, of_lines, opened_row, row
from .invoice_summary import (
    OPENINGS,
    TOPICS,
    Folded,
    InvoiceSummary,
    Late,
    decode,
    fold,
)
from .invoice_views import ALL_INVOICES, BY_ACCOUNT
from .opening import addresses_of, lines_of, opened_of
from .projection import Block, Projection
from .reader import Answer, Page, Reader
from .stored import StoredInvoice

CHUNKS_SHOWN_MAX = 5
LINES_SHOWN_MAX = CHUNKS_SHOWN_MAX * LINES_PER_CHUNK
PAGE_SIZE_MAX = 500

# Texts that are not there are null, so that no index holds them. Lines are kept as they are: to compress them
# costs more than all else that is done to write them.
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
) WITH (toast_tuple_target = 8160);
ALTER TABLE {table}_lines ALTER body SET STORAGE EXTERNAL;
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

STORED = "SELECT invoice_id, header, addresses FROM {table} WHERE invoice_id = ANY($1::uuid[])"
REMOVE = "DELETE FROM {table} WHERE invoice_id = ANY($1::uuid[])"
REMOVE_LINES = "DELETE FROM {table}_lines WHERE invoice_id = ANY($1::uuid[])"
STORED_LINES = """
SELECT invoice_id, body FROM {table}_lines WHERE invoice_id = ANY($1::uuid[]) ORDER BY invoice_id, chunk
"""

FIND = """
SELECT header, addresses, chunk, body
FROM {table} AS found LEFT JOIN {table}_lines AS lines
    ON lines.invoice_id = %(invoice_id)s AND lines.chunk < %(chunks)s
WHERE found.invoice_id = %(invoice_id)s
"""
FIND_SUMMARY = "SELECT header FROM {table} WHERE invoice_id = %(invoice_id)s"
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
NO_LIST = b"[]"

_addresses = msgspec.json.Decoder(list[invoice.AddressGroupAssigned]).decode
LATE = frozenset(name for name, entry in REGISTRY.items() if entry.type in get_args(Late))
_lines = msgspec.json.Decoder(list[invoice.Line]).decode
_chunk = itemgetter(2)


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
    answer = await look_up(
        reader, invoice_id, chunks=-(-lines // LINES_PER_CHUNK), min_position=min_position, deadline=deadline
    )
    if (stored := answer.found) is None:
        return Answer(None, answer.position)
    found = FoundInvoice(
        stored.summary, tuple(_addresses(stored.addresses)), tuple(_of(stored.lines)[:lines])
    )
    return Answer(found, answer.position)


async def look_up(
    reader: Reader,
    invoice_id: UUID,
    *,
    chunks: int = CHUNKS_SHOWN_MAX,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[StoredInvoice | None]:
    """One invoice as it is stored, with at most so many chunks of its lines; addresses come with lines."""
    asked: dict[str, object] = {"invoice_id": invoice_id}
    if chunks:
        asked["chunks"] = chunks
    answer = await reader.ask(
        INVOICES, FIND if chunks else FIND_SUMMARY, asked, min_position=min_position, deadline=deadline
    )
    rows = answer.found
    if not rows:
        return Answer(None, answer.position)
    if not chunks:
        return Answer(StoredInvoice(rows[0][0], NO_LIST, ()), answer.position)
    header, addresses, _, _ = rows[0]
    bodies = [row[3] for row in sorted(rows, key=_chunk) if row[3] is not None]
    return Answer(StoredInvoice(header, addresses, bodies), answer.position)


async def list_(reader: Reader, filter: InvoiceFilter = EVERY, **asked: Any) -> Answer[Page[InvoiceSummary]]:  # noqa: A002
    """What `list_stored` finds, in the domain's words."""
    return in_words(await list_stored(reader, filter, **asked))


async def list_stored(
    reader: Reader,
    filter: InvoiceFilter = EVERY,  # noqa: A002
    *,
    before: int | None = None,
    size: int = 50,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[Page[bytes]]:
    """A page of the summaries, as they are stored, of the invoices that meet the filter.

    Newest first, by when they were first recorded.

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


def page(rows: Sequence[tuple[int, bytes]], size: int) -> Page[bytes]:
    """A page from its rows and one more, which tells that another page follows."""
    shown = rows[:size]
    return Page(tuple(header for _, header in shown), shown[-1][0] if len(rows) > size else None)


def in_words(stored: Answer[Page[bytes]]) -> Answer[Page[InvoiceSummary]]:
    page = stored.found
    return Answer(Page(tuple(map(decode, page.items)), page.next), stored.position)


def _of(bodies: Sequence[bytes] | None) -> list[invoice.Line]:
    return [line for body in bodies or () for line in _lines(body)]


# Rows


def begin(histories: Histories) -> Sequence[Block]:
    """Invoices from their first event on."""
    opened, others = opened_of(histories)
    rows = [opened_row(each) for each in opened if not each.later]
    lines: dict[UUID, Lines] = {each.id: lines_of(each) for each in opened}
    if len(rows) < len(histories):
        later = {each.id: each for each in opened if each.later}
        summaries = {each.id: decode(each.stored_summary) for each in later.values()}
        addresses = {each.id: addresses_of(each) for each in later.values()}
        folded = fold([*others, *(each.later for each in later.values())], summaries)
        rows += [row(each, addresses) for each in folded]
        lines |= _changed(folded, lambda invoice_id: _lines(encode_lines(lines_of(later[invoice_id]))))
    return ROWS.block(rows), of_lines(lines)


def _wanted(histories: Histories) -> Sequence[Said]:
    """Lines are looked up only where they may change."""
    late = [each for each in histories if not LATE.isdisjoint([event.name for event in each])]
    stored = Said(STORED, [("uuid", continued(histories))])
    return (stored, Said(STORED_LINES, [("uuid", continued(late))])) if late else (stored,)


def _change(histories: Histories, found: Sequence[Found]) -> Change:
    """Invoices that began before."""
    stored, *stored_lines = found
    summaries = {key: decode(header) for key, header, _ in stored}
    addresses = {key: addresses for key, _, addresses in stored}
    before = defaultdict[UUID, list[invoice.Line]](list)
    for invoice_id, body in chain.from_iterable(stored_lines):
        before[invoice_id] += _lines(body)
    folded = fold(histories, summaries)
    lines = _changed(folded, before.__getitem__)
    removed = Said(REMOVE, [("uuid", list(summaries))]), Said(REMOVE_LINES, [("uuid", list(lines))])
    rows = [row(each, addresses) for each in folded]
    return Change(removed, (ROWS.block(rows), of_lines(lines)))


def _taxed_late(folded: Folded) -> bool:
    return bool(folded.late) and not folded.rewritten


def _changed(folded: Sequence[Folded], before: Callable[[UUID], list[invoice.Line]]) -> dict[UUID, Lines]:
    """Lines that are not as they were before: written anew, or with tax that was worked out since."""
    lines: dict[UUID, Lines] = {each.summary.id: each.state.lines for each in folded if each.rewritten}
    for each in filter(_taxed_late, folded):
        late = lines[each.summary.id] = before(each.summary.id)
        for event in each.late:
            _tax(late, event)
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


GO_ON = GoOn(_wanted, _change)
INVOICES = Projection(
    name="invoices",
    code=1,
    topics=TOPICS,
    create=CREATE,
    index=INDEX,
    project=projecting(begin, GO_ON),
    openings=OPENINGS,
    lazy=True,
    begin=begin,
    go_on=GO_ON,
    views=(ALL_INVOICES, BY_ACCOUNT),
)
