"""An invoice as the read models have it, in the contract's words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from google.protobuf.field_mask_pb2 import FieldMask

from daybook.v1 import invoice_pb2 as pb
from domain import invoice
from domain.findings import Findings, Malformed, Rule, listed, shown
from projections.invoice_summary import InvoiceSummary

from .invoices import (
    Positioned,
    write_address,
    write_header,
    write_line,
    write_settlement,
    write_status,
    write_tax_status,
    write_totals,
)
from .values import PATHS_MAX, within, write_instant


def write_summary(summary: InvoiceSummary, reference_position: str, today: date) -> pb.Invoice:
    """The basic view, with ages as of today where the legal entity is."""
    return pb.Invoice(
        invoice_id=str(summary.id),
        version=summary.version,
        status=write_status(summary.status),
        tax_status=write_tax_status(summary.tax_status),
        settlement_status=write_settlement(summary.settlement),
        invoice_number=summary.number,
        content=write_header(
            summary.unique_identifier,
            summary.status,
            summary.header,
            summary.texts,
            summary.number,
            summary.posted_date,
        ),
        totals=write_totals(summary.totals, summary.header.currency),
        line_count=summary.line_count,
        defaulted=summary.header.defaulted,
        create_time=write_instant(summary.created),
        update_time=write_instant(summary.updated),
        reference_data_position=reference_position,
        days_open=days_open(summary, today),
        days_overdue=days_overdue(summary, today),
    )


def days_open(said: InvoiceSummary | invoice.Invoice, today: date) -> int:
    is_open = said.status is invoice.Status.POSTED and bool(said.totals.balance)
    if not is_open or said.posted_date is None:
        return 0
    return max(0, (today - said.posted_date).days)


def days_overdue(said: InvoiceSummary | invoice.Invoice, today: date) -> int:
    is_open = said.status is invoice.Status.POSTED and said.totals.balance > 0
    return max(0, (today - said.header.due_date).days) if is_open else 0


def add_content(
    message: pb.Invoice,
    addresses: Iterable[invoice.AddressGroupAssigned],
    lines: Iterable[invoice.Line],
    legal_entity_id: str,
    position: Positioned,
) -> None:
    """What the full view has besides."""
    message.content.address_groups.extend(map(write_address, addresses))
    message.lines.extend(write_line(line, legal_entity_id, position) for line in lines)


_FIELDS = tuple(field.name for field in pb.Invoice.DESCRIPTOR.fields)


def check_mask(mask: FieldMask, path: str = "read_mask") -> None:
    """Every path of the mask names a field of an invoice."""
    findings = Findings()
    for each in within(mask.paths, PATHS_MAX, path, findings):
        if not FieldMask(paths=[each]).IsValidForDescriptor(pb.Invoice.DESCRIPTOR):
            findings.add(f"{path}[{shown(each)}]", Rule.MASK, field=shown(each), have=listed(_FIELDS, 20))
    if findings:
        raise Malformed(findings)


def masked(message: pb.Invoice, mask: FieldMask) -> pb.Invoice:
    """Only what the mask names; all where it is empty."""
    if not mask.paths:
        return message
    kept = pb.Invoice()
    mask.MergeMessage(message, kept)
    return kept
