"""What a caller says of an invoice: from message to domain value, with a finding for what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import cast

from daybook.v1 import invoice_pb2 as pb
from domain import invoice, money
from domain.findings import Findings

from .values import EnumTable, read_date, read_decimal, read_labels, within

STATUSES = EnumTable(pb.InvoiceStatus, invoice.Status, "INVOICE_STATUS")
TAX_STATUSES = EnumTable(pb.TaxStatus, invoice.TaxStatus, "TAX_STATUS")
REFERENCE_KINDS = EnumTable(pb.ReferenceKind, invoice.ReferenceKind, "REFERENCE_KIND")
LINE_REFERENCE_KINDS = EnumTable(pb.LineReferenceKind, invoice.LineReferenceKind, "LINE_REFERENCE_KIND")


def read_content(
    message: pb.InvoiceContent, findings: Findings, lines_max: int, path: str = "invoice"
) -> invoice.Content:
    """Reads no more than may be: what is too much is counted and left alone."""
    groups = within(message.address_groups, invoice.ADDRESS_GROUPS_MAX, f"{path}.address_groups", findings)
    lines = within(message.lines, lines_max, f"{path}.lines", findings)
    return invoice.Content(
        unique_identifier=message.unique_identifier,
        status=cast(invoice.Status | None, STATUSES.read(message.status, f"{path}.status", findings)),
        tax_status=cast(
            invoice.TaxStatus | None,
            TAX_STATUSES.read(message.tax_status, f"{path}.tax_status", findings),
        ),
        should_calculate_tax=message.should_calculate_tax,
        account_id=message.account_id,
        account_name=message.account_name,
        bill_to_contact_id=message.bill_to_contact_id,
        bill_to_contact_name=message.bill_to_contact_name,
        invoice_date=_date(message, "invoice_date", path, findings),
        due_date=_date(message, "due_date", path, findings),
        posted_date=_date(message, "posted_date", path, findings),
        payment_term_id=message.payment_term_id,
        currency_code=message.currency_code,
        legal_entity_id=message.legal_entity_id,
        accounting_period_id=message.accounting_period_id,
        invoice_number=message.invoice_number,
        description=message.description,
        reference=read_reference(message.reference, f"{path}.reference", findings)
        if message.HasField("reference")
        else None,
        source=invoice.SourceContent(message.source.system, message.source.id)
        if message.HasField("source")
        else None,
        purchase_order_number=message.purchase_order_number,
        labels=read_labels(message.labels, f"{path}.labels", findings),
        owner_id=message.owner_id,
        owner_name=message.owner_name,
        address_groups=tuple(
            [read_address(group, index, path, findings) for index, group in enumerate(groups)]
        ),
        billing_address=message.billing_address,
        shipping_address=message.shipping_address,
        ship_from_address=message.ship_from_address,
        lines=tuple([_line(line, index, path, findings) for index, line in enumerate(lines)]),
    )


def _date(
    message: pb.InvoiceContent | pb.LineContent | pb.TaxRow, name: str, path: str, findings: Findings
) -> date | None:
    said = getattr(message, name)
    if not said.year and not message.HasField(name):  # type: ignore[arg-type]
        return None
    try:
        return date(said.year, said.month, said.day)
    except ValueError:
        return read_date(said, f"{path}.{name}", findings)


def _decimal(
    message: pb.LineContent | pb.TaxRow | pb.AddressGroup,
    name: str,
    path: str,
    findings: Findings,
    decimals: int = money.DECIMALS_MAX,
) -> Decimal | None:
    said = getattr(message, name)
    if not said.value and not message.HasField(name):  # type: ignore[arg-type]
        return None
    try:
        return money.decimal(said.value, decimals)
    except money.NotDecimal:
        return read_decimal(said, f"{path}.{name}", findings, decimals)


def read_reference(message: pb.Reference, path: str, findings: Findings) -> invoice.ReferenceContent:
    kind = REFERENCE_KINDS.read(message.kind, f"{path}.kind", findings)
    return invoice.ReferenceContent(
        cast(invoice.ReferenceKind | None, kind), message.id, message.system, message.kind_name
    )


def read_address(
    message: pb.AddressGroup, index: int, path: str, findings: Findings
) -> invoice.AddressContent:
    path = f"{path}.address_groups[{index}]"
    decimals = money.COORDINATE_DECIMALS_MAX
    return invoice.AddressContent(
        message.key,
        message.street,
        message.city,
        message.state,
        message.postal_code,
        message.country,
        _decimal(message, "latitude", path, findings, decimals),
        _decimal(message, "longitude", path, findings, decimals),
    )


def _line(message: pb.LineContent, index: int, path: str, findings: Findings) -> invoice.LineContent:
    path = f"{path}.lines[{index}]"
    return invoice.LineContent(
        name=message.name,
        start_date=_date(message, "start_date", path, findings),
        end_date=_date(message, "end_date", path, findings),
        quantity=_decimal(message, "quantity", path, findings),
        unit_price=_decimal(message, "unit_price", path, findings),
        charge_amount=_decimal(message, "charge_amount", path, findings),
        billing_address=message.billing_address,
        shipping_address=message.shipping_address,
        ship_from_address=message.ship_from_address,
        tax_treatment_id=message.tax_treatment_id,
        legal_entity_id=message.legal_entity_id,
        accounting_period_id=message.accounting_period_id,
        product_id=message.product_id,
        product_name=message.product_name,
        usage_product_id=message.usage_product_id,
        usage_based=message.usage_based,
        usage_overage_quantity=_decimal(message, "usage_overage_quantity", path, findings),
        unit_of_measure_id=message.unit_of_measure_id,
        unit_of_measure_name=message.unit_of_measure_name,
        description=message.description,
        reference=_line_reference(message.reference, path, findings)
        if message.HasField("reference")
        else None,
        taxes=_taxes(message.taxes, f"{path}.taxes", findings) if message.taxes else (),
    )


def _taxes(rows: Sequence[pb.TaxRow], path: str, findings: Findings) -> tuple[invoice.TaxContent, ...]:
    rows = within(rows, invoice.TAX_ROWS_PER_LINE_MAX, path, findings)
    return tuple(read_tax(row, f"{path}[{number}]", findings) for number, row in enumerate(rows))


def _line_reference(message: pb.LineReference, path: str, findings: Findings) -> invoice.LineReferenceContent:
    kind = LINE_REFERENCE_KINDS.read(message.kind, f"{path}.reference.kind", findings)
    return invoice.LineReferenceContent(
        cast(invoice.LineReferenceKind | None, kind),
        message.id,
        message.order_id,
        message.system,
        message.kind_name,
    )


def read_tax(message: pb.TaxRow, path: str, findings: Findings) -> invoice.TaxContent:
    return invoice.TaxContent(
        message.transaction_number,
        _decimal(message, "amount", path, findings),
        _decimal(message, "rate", path, findings),
        message.name,
        message.code,
        _date(message, "effective_date", path, findings),
        message.document_number,
        _decimal(message, "exempt_amount", path, findings),
        message.description,
    )
