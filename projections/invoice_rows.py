"""The rows of the read model `invoices`: of an invoice that was folded, and of one after its first append."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from domain import invoice

from .invoice_summary import Folded, encode
from .opening import Line, Opened, addresses_of
from .projection import Block, Rows

LINES_PER_CHUNK = 100

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
CHUNKS = Rows({"invoice_id": "uuid", "chunk": "int4", "body": "bytea"}, "_lines")

Lines = Sequence[invoice.Line] | Sequence[Line]

encode_lines = msgspec.json.Encoder().encode


def row(folded: Folded, addresses: Mapping[UUID, bytes]) -> tuple[object, ...]:
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
        encode_lines(list(folded.state.addresses.values())) if folded.rewritten else addresses[summary.id],
    )


def opened_row(opened: Opened) -> tuple[object, ...]:
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
        addresses_of(opened),
    )


def of_lines(lines: Mapping[UUID, Lines]) -> Block:
    return CHUNKS.block(
        [
            (invoice_id, start // LINES_PER_CHUNK, encode_lines(those[start : start + LINES_PER_CHUNK]))
            for invoice_id, those in lines.items()
            for start in range(0, len(those), LINES_PER_CHUNK)
        ]
    )
