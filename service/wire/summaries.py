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
    write_line,
)
from .values import PATHS_MAX, within

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
    return said.status == invoice.Status.POSTED and bool(said.totals.balance)


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
    if not mask.paths:
        return
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
