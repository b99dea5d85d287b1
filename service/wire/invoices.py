"""An invoice as it stands, in the contract's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import cast
from uuid import UUID

from daybook.v1 import invoice_pb2 as pb
from domain import debit_memo, invoice, tax
from domain.findings import Findings, Rule

from .content import LINE_REFERENCE_KINDS, REFERENCE_KINDS, STATUSES, TAX_STATUSES
from .settlement import add_settlement
from .values import EnumTable, put_money, write_date, write_decimal, write_instant

Positioned = Callable[[int], str]  # a position as it is answered

SETTLEMENTS = EnumTable(pb.SettlementStatus, invoice.Settlement, "SETTLEMENT_STATUS")
ROW_BASES = EnumTable(pb.TaxRowBasis, tax.RowBasis, "TAX_ROW_BASIS")
VIEWS = frozenset(pb.InvoiceView.values())
LINES_SHOWN_MAX = 500  # of an invoice in the full view


def check_view(view: int, findings: Findings, path: str = "view") -> None:
    if view not in VIEWS:
        findings.add(path, Rule.ENUM, have="BASIC, FULL", value=view)


def write_status(status: invoice.Status) -> pb.InvoiceStatus.ValueType:
    return cast(pb.InvoiceStatus.ValueType, STATUSES.wire[status])


def write_tax_status(status: invoice.TaxStatus) -> pb.TaxStatus.ValueType:
    return cast(pb.TaxStatus.ValueType, TAX_STATUSES.wire[status])


def write_settlement(status: invoice.Settlement) -> pb.SettlementStatus.ValueType:
    return cast(pb.SettlementStatus.ValueType, SETTLEMENTS.wire[status])


def write_totals(totals: invoice.Totals, currency: str) -> pb.InvoiceTotals:
    message = pb.InvoiceTotals()
    put_money(message.total_charge, totals.charge, currency)
    put_money(message.total, totals.total, currency)
    put_money(message.total_tax, totals.tax, currency)
    put_money(message.total_with_tax, totals.total_with_tax, currency)
    put_money(message.total_converted_negative, totals.converted_negative, currency)
    put_money(message.net_payments_applied, totals.payments_applied, currency)
    put_money(message.net_credits_applied, totals.credits_applied, currency)
    put_money(message.balance, totals.balance, currency)
    return message


def write_reference(reference: invoice.Reference) -> pb.Reference:
    return pb.Reference(
        kind=cast(pb.ReferenceKind.ValueType, REFERENCE_KINDS.wire[reference.kind]),
        id=reference.id,
        system=reference.system,
        kind_name=reference.kind_name,
    )


def write_header(
    unique_identifier: str,
    status: invoice.Status,
    header: invoice.Header,
    texts: invoice.HeaderTexts | None,
    number: str,
    posted_date: date | None,
) -> pb.InvoiceContent:
    """The header's content; texts that were erased are empty."""
    texts = texts or invoice.HeaderTexts()
    content = pb.InvoiceContent(
        unique_identifier=unique_identifier,
        status=write_status(status),
        tax_status=write_tax_status(header.tax_status),
        should_calculate_tax=header.should_calculate_tax,
        account_id=header.account_id,
        account_name=texts.account_name,
        bill_to_contact_id=header.bill_to_contact_id,
        bill_to_contact_name=texts.bill_to_contact_name,
        invoice_date=write_date(header.invoice_date),
        due_date=write_date(header.due_date),
        posted_date=write_date(posted_date) if posted_date else None,
        payment_term_id=header.payment_term_id,
        currency_code=header.currency,
        legal_entity_id=header.legal_entity_id,
        accounting_period_id=header.accounting_period_id,
        invoice_number=number,
        description=texts.description,
        purchase_order_number=header.purchase_order_number,
        labels=header.labels,
        owner_id=header.owner_id,
        owner_name=texts.owner_name,
        billing_address=header.billing_address,
        shipping_address=header.shipping_address,
        ship_from_address=header.ship_from_address,
    )
    if header.reference:
        content.reference.CopyFrom(write_reference(header.reference))
    if header.source:
        content.source.CopyFrom(pb.Source(system=header.source.system, id=header.source.id))
    return content


def write_address(
    group: invoice.AddressGroupAssigned | debit_memo.DebitMemoAddressAssigned,
) -> pb.AddressGroup:
    place = group.personal or invoice.Place()
    return pb.AddressGroup(
        key=group.group,
        street=place.street,
        city=place.city,
        state=group.state,
        postal_code=place.postal_code,
        country=group.country,
        latitude=None if place.latitude is None else write_decimal(place.latitude),
        longitude=None if place.longitude is None else write_decimal(place.longitude),
    )


def write_line(line: invoice.Line, legal_entity_id: str, position: Positioned) -> pb.Line:
    added = line.added
    content = pb.LineContent(
        name=added.name,
        start_date=write_date(added.start_date),
        end_date=write_date(added.end_date),
        quantity=write_decimal(added.quantity),
        unit_price=write_decimal(added.unit_price),
        charge_amount=write_decimal(added.charge),
        billing_address=added.billing_address,
        shipping_address=added.shipping_address,
        ship_from_address=added.ship_from_address,
        tax_treatment_id=added.tax_treatment_id,
        legal_entity_id=legal_entity_id,
        accounting_period_id=added.accounting_period_id,
        product_id=added.product_id,
        product_name=added.product_name,
        usage_product_id=added.usage_product_id,
        usage_based=added.usage_based,
        unit_of_measure_id=added.unit_of_measure_id,
        unit_of_measure_name=added.unit_of_measure_name,
        description=added.personal.description if added.personal else "",
        taxes=write_rows(line.rows, line.row_texts),
    )
    if added.usage_overage_quantity is not None:
        content.usage_overage_quantity.CopyFrom(write_decimal(added.usage_overage_quantity))
    if added.reference:
        content.reference.CopyFrom(_write_line_reference(added.reference))
    return pb.Line(
        line_number=added.number,
        content=content,
        tax_status=write_tax_status(line.tax_status),
        taxable=added.taxable,
        tax_amount=write_decimal(line.tax),
        amount_with_tax=write_decimal(line.charge_with_tax),
        tax_explanations=_write_explanations(line.estimate, position) if line.estimate else (),
    )


def _write_line_reference(reference: invoice.LineReference) -> pb.LineReference:
    kind = LINE_REFERENCE_KINDS.wire[reference.kind] if reference.kind else 0
    return pb.LineReference(
        kind=cast(pb.LineReferenceKind.ValueType, kind),
        id=reference.id,
        order_id=reference.order_id,
        system=reference.system,
        kind_name=reference.kind_name,
    )


def write_rows(rows: Iterable[invoice.TaxRow], texts: invoice.TaxTexts | None) -> Iterable[pb.TaxRow]:
    descriptions = texts.descriptions if texts else ()
    for index, row in enumerate(rows):
        yield pb.TaxRow(
            transaction_number=row.transaction_number,
            amount=write_decimal(row.amount),
            rate=write_decimal(row.rate),
            name=row.name,
            code=row.code,
            effective_date=write_date(row.effective_date),
            document_number=row.document_number,
            exempt_amount=write_decimal(row.exempt_amount),
            description=descriptions[index] if index < len(descriptions) else "",
        )


def _write_explanations(estimate: invoice.LineEstimate, position: Positioned) -> Iterable[pb.TaxExplanation]:
    for row in estimate.rows:
        yield pb.TaxExplanation(
            engine_id=estimate.engine_id,
            engine_version=estimate.engine_version,
            rate_id=row.rate_id,
            rate_version=row.rate_version or 0,
            basis=cast(pb.TaxRowBasis.ValueType, ROW_BASES.wire[row.basis]),
            taxable_amount=write_decimal(row.taxable_amount),
            rounding=estimate.rounding,
            effective_date=write_date(estimate.effective_date),
            reference_data_position=position(estimate.reference_position),
            document_code=estimate.document_code,
            exempt_reason=row.exempt_reason,
            imposition_type=row.imposition_type,
            jurisdiction=_write_jurisdiction(row.jurisdiction) if row.jurisdiction else None,
        )


def _write_jurisdiction(jurisdiction: tax.Jurisdiction) -> pb.TaxJurisdiction:
    return pb.TaxJurisdiction(
        country=jurisdiction.country,
        level=jurisdiction.level,
        name=jurisdiction.name,
        region=jurisdiction.region,
        id=jurisdiction.id,
    )


def write_invoice(
    invoice_id: UUID,
    state: invoice.Invoice,
    position: Positioned,
    created: datetime | None,
    updated: datetime | None,
    *,
    full: bool,
) -> pb.Invoice:
    """An invoice from its state. Ages depend on the day, and are added by who knows it."""
    created_at = write_instant(created) if created else None
    message = pb.Invoice(
        invoice_id=str(invoice_id),
        version=state.version,
        status=write_status(state.status),
        tax_status=write_tax_status(state.tax_status),
        settlement_status=write_settlement(state.settlement),
        invoice_number=state.number,
        content=write_header(
            state.unique_identifier, state.status, state.header, state.texts, state.number, state.posted_date
        ),
        totals=write_totals(state.totals, state.header.currency),
        line_count=len(state.lines),
        defaulted=state.header.defaulted,
        create_time=created_at,
        update_time=created_at if updated == created else write_instant(updated) if updated else None,
        reference_data_position=position(state.reference_position),
    )
    if settled := state.full_settlement_date:
        message.full_settlement_date.CopyFrom(write_date(settled))
    if full:
        add_settlement(message, state.ledger, invoice_id, state.header.currency)
        message.content.address_groups.extend(map(write_address, state.addresses.values()))
        entity = state.header.legal_entity_id
        message.lines.extend(write_line(line, entity, position) for line in state.lines[:LINES_SHOWN_MAX])
    return message
