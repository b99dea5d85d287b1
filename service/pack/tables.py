"""Tables of an audit pack: what invoices are and what happened, for people with a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any
from uuid import UUID

from domain import invoice
from domain.money import plain
from store.log import Recorded

BYTE_ORDER_MARK = "\ufeff"  # a spreadsheet then knows that it is UTF-8
FORMULA = ("=", "+", "-", "@", "\t", "\r")

INVOICES = (
    "invoice_id unique_identifier number status settlement account_id account_name legal_entity_id"
    " invoice_date due_date posted_date currency total tax total_with_tax balance tax_status reference_kind"
    " reference_id lines version"
)
LINES = (
    "invoice_id number line name start_date end_date quantity unit_price charge tax charge_with_tax currency"
    " tax_treatment_id order_id description"
)
TAXES = (
    "invoice_id number line name code rate amount exempt_amount currency effective_date transaction_number"
)
EVENTS = "position recorded event what who_kind who reason correlation stream version business_date digest"
HEADS = {
    "tables/invoices.csv": INVOICES.split(),
    "tables/lines.csv": LINES.split(),
    "tables/taxes.csv": TAXES.split(),
    "tables/events.csv": EVENTS.split(),
}

Row = Sequence[Any]


def invoice_row(invoice_id: UUID, state: invoice.Invoice) -> Row:
    header, totals, texts = state.header, state.totals, state.texts or invoice.HeaderTexts()
    reference = header.reference
    return (
        invoice_id,
        state.unique_identifier,
        state.number,
        state.status,
        state.settlement,
        header.account_id,
        texts.account_name,
        header.legal_entity_id,
        header.invoice_date,
        header.due_date,
        state.posted_date,
        header.currency,
        *map(plain, (totals.total, totals.tax, totals.total_with_tax, totals.balance)),
        state.tax_status,
        reference.kind if reference else "",
        reference.id if reference else "",
        len(state.lines),
        state.version,
    )


def line_rows(invoice_id: UUID, state: invoice.Invoice) -> Iterator[Row]:
    for line in state.lines:
        added = line.added
        yield (
            invoice_id,
            state.number,
            added.number,
            added.name,
            added.start_date,
            added.end_date,
            *map(plain, (added.quantity, added.unit_price, added.charge, line.tax, line.charge_with_tax)),
            state.header.currency,
            added.tax_treatment_id,
            added.reference.order_id if added.reference else "",
            (added.personal or invoice.LineTexts()).description,
        )


def tax_rows(invoice_id: UUID, state: invoice.Invoice) -> Iterator[Row]:
    for line in state.lines:
        for row in line.rows:
            yield (
                invoice_id,
                state.number,
                line.added.number,
                row.name,
                row.code,
                plain(row.rate),
                plain(row.amount),
                plain(row.exempt_amount),
                state.header.currency,
                row.effective_date,
                row.transaction_number,
            )


def event_row(recorded: Recorded, sentence: str, business_date: object) -> Row:
    who, meta = recorded.meta.who, recorded.meta
    return (
        recorded.position,
        recorded.recorded.isoformat(),
        recorded.name,
        sentence,
        who.kind,
        who.id,
        meta.reason,
        meta.correlation,
        recorded.stream,
        recorded.version,
        business_date,
        recorded.digest,
    )


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Comma-separated values; a text that a spreadsheet would take for a formula gets an apostrophe."""
    line = StringIO()
    writer = csv.writer(line, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()
