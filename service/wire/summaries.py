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
from .values import PATHS_MAX, within, write_date, write_instant


def write_summary(summary: InvoiceSummary, reference_position: str, today: date) -> pb.Invoice:
    """The basic view, with ages as of today where the legal entity is."""
    settled = summary.full_settlement_date
    return pb.Invoice(
        full_settlement_date=write_date(settled) if settled else None,
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


Said = InvoiceSummary | invoice.Invoice


def days_open(said: Said, today: date) -> int:
    """Days since it was posted, until it was settled, or until today."""
    until = _until(said, today)
    return max(0, (until - said.posted_date).days) if until and said.posted_date else 0


def days_overdue(said: Said, today: date) -> int:
    """Days past its due date, until it was settled, or until today; none where it is a credit."""
    until = _until(said, today)
    return max(0, (until - said.header.due_date).days) if until and said.totals.balance >= 0 else 0


def _until(said: Said, today: date) -> date | None:
    """Until when something was, or is, open; None where nothing ever was."""
    settled = said.full_settlement_date
    return today if settled is None and _is_open(said) else settled


def _is_open(said: Said) -> bool:
    return said.status is invoice.Status.POSTED and bool(said.totals.balance)


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
