"""The filter of a list, from the wire."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import cast

from daybook.v1 import invoice_query_service_pb2 as pb
from domain import invoice
from domain.findings import Findings, Malformed
from projections.invoice_filter import InvoiceFilter, Today

from .content import REFERENCE_KINDS, STATUSES
from .invoices import SETTLEMENTS
from .values import read_date, read_decimal, read_labels, within

STATUSES_MAX = 100


def read_filter(message: pb.InvoiceFilter, today: Today) -> InvoiceFilter:
    findings = Findings()
    statuses = (
        STATUSES.read(number, f"filter.statuses[{index}]", findings)
        for index, number in enumerate(within(message.statuses, STATUSES_MAX, "filter.statuses", findings))
    )
    settlements = (
        SETTLEMENTS.read(number, f"filter.settlement_statuses[{index}]", findings)
        for index, number in enumerate(
            within(message.settlement_statuses, STATUSES_MAX, "filter.settlement_statuses", findings)
        )
    )
    kind = REFERENCE_KINDS.read(message.reference_kind, "filter.reference_kind", findings)
    found = InvoiceFilter(
        account_id=message.account_id,
        statuses=frozenset(cast(invoice.Status, each) for each in statuses if each),
        settlements=frozenset(cast(invoice.Settlement, each) for each in settlements if each),
        overdue=today if message.overdue else None,
        invoice_date_from=_date(message, "invoice_date_from", findings),
        invoice_date_to=_date(message, "invoice_date_to", findings),
        due_date_from=_date(message, "due_date_from", findings),
        due_date_to=_date(message, "due_date_to", findings),
        posted_date_from=_date(message, "posted_date_from", findings),
        posted_date_to=_date(message, "posted_date_to", findings),
        reference_kind=cast(invoice.ReferenceKind | None, kind),
        reference_id=message.reference_id,
        total_with_tax_min=_decimal(message, "total_with_tax_min", findings),
        total_with_tax_max=_decimal(message, "total_with_tax_max", findings),
        currency=message.currency_code,
        source_system=message.source_system,
        source_id=message.source_id,
        labels=read_labels(message.labels, "filter.labels", findings),
        purchase_order_number=message.purchase_order_number,
        legal_entity_id=message.legal_entity_id,
        number=message.invoice_number,
    )
    if findings:
        raise Malformed(findings)
    return found


def _date(message: pb.InvoiceFilter, name: str, findings: Findings) -> date | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    return read_date(getattr(message, name), f"filter.{name}", findings)


def _decimal(message: pb.InvoiceFilter, name: str, findings: Findings) -> Decimal | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    return read_decimal(getattr(message, name), f"filter.{name}", findings)
