"""Debit memos between the wire and the domain."""

from __future__ import annotations

from datetime import datetime
from typing import cast
from uuid import UUID

from daybook.v1 import debit_memo_pb2 as pb
from daybook.v1 import debit_memo_service_pb2 as service_pb
from domain import debit_memo, identity, invoice
from domain.findings import Findings, Malformed, shown
from projections.debit_memos import MemoFilter

from ..keys import MemoKey, missing
from .content import read_address, read_tax
from .filters import STATUSES_MAX
from .invoices import write_address, write_rows
from .values import (
    EnumTable,
    read_date,
    read_decimal,
    read_labels,
    read_uuid,
    within,
    write_date,
    write_decimal,
    write_instant,
    write_money,
)

STATUSES = EnumTable(pb.DebitMemoStatus, debit_memo.Status, "DEBIT_MEMO_STATUS")
GENERATIONS = EnumTable(pb.InvoiceGenerationStatus, debit_memo.Generation, "INVOICE_GENERATION_STATUS")


# From the wire


def read_memo_key(message: service_pb.DebitMemoKey, path: str = "key") -> MemoKey:
    findings = Findings()
    match message.WhichOneof("key"):
        case "debit_memo_id":
            memo_id = read_uuid(message.debit_memo_id, f"{path}.debit_memo_id", findings)
            if memo_id is None:
                raise Malformed(findings)
            return MemoKey(memo_id, str(memo_id))
        case "unique_identifier" if message.unique_identifier:
            called = message.unique_identifier
            return MemoKey(identity.debit_memo(called), shown(called))
        case _:
            raise missing(path)


def read_memo(
    message: pb.DebitMemoContent, findings: Findings, lines_max: int, path: str = "memo"
) -> debit_memo.Content:
    """Reads no more than may be: what is too much is counted and left alone."""
    groups = within(message.address_groups, invoice.ADDRESS_GROUPS_MAX, f"{path}.address_groups", findings)
    lines = within(message.lines, lines_max, f"{path}.lines", findings)
    return debit_memo.Content(
        unique_identifier=message.unique_identifier,
        account_id=message.account_id,
        account_name=message.account_name,
        currency_code=message.currency_code,
        legal_entity_id=message.legal_entity_id,
        not_invoiceable=message.HasField("invoiceable") and not message.invoiceable,
        order_id=message.order_id,
        reason_code=message.reason_code,
        description=message.description,
        labels=read_labels(message.labels, f"{path}.labels", findings),
        address_groups=tuple(
            read_address(group, index, path, findings) for index, group in enumerate(groups)
        ),
        billing_address=message.billing_address,
        shipping_address=message.shipping_address,
        ship_from_address=message.ship_from_address,
        lines=tuple(_line(line, f"{path}.lines[{index}]", findings) for index, line in enumerate(lines)),
    )


def _line(message: pb.DebitMemoLineContent, path: str, findings: Findings) -> debit_memo.LineContent:
    taxes = within(message.taxes, invoice.TAX_ROWS_PER_LINE_MAX, f"{path}.taxes", findings)
    charge = start = end = None
    if message.HasField("charge_amount"):
        charge = read_decimal(message.charge_amount, f"{path}.charge_amount", findings)
    if message.HasField("start_date"):
        start = read_date(message.start_date, f"{path}.start_date", findings)
    if message.HasField("end_date"):
        end = read_date(message.end_date, f"{path}.end_date", findings)
    return debit_memo.LineContent(
        name=message.name,
        charge_amount=charge,
        start_date=start,
        end_date=end,
        billing_address=message.billing_address,
        shipping_address=message.shipping_address,
        ship_from_address=message.ship_from_address,
        tax_treatment_id=message.tax_treatment_id,
        legal_entity_id=message.legal_entity_id,
        accounting_period_id=message.accounting_period_id,
        product_id=message.product_id,
        product_name=message.product_name,
        description=message.description,
        taxes=tuple(read_tax(row, f"{path}.taxes[{number}]", findings) for number, row in enumerate(taxes)),
    )


def read_memo_filter(message: service_pb.DebitMemoFilter) -> MemoFilter:
    findings = Findings()
    statuses = [
        STATUSES.read(number, f"filter.statuses[{index}]", findings)
        for index, number in enumerate(within(message.statuses, STATUSES_MAX, "filter.statuses", findings))
    ]
    path = "filter.invoice_generation_statuses"
    generations = [
        GENERATIONS.read(number, f"{path}[{index}]", findings)
        for index, number in enumerate(
            within(message.invoice_generation_statuses, STATUSES_MAX, path, findings)
        )
    ]
    invoice_id = None
    if message.invoice_id:
        invoice_id = read_uuid(message.invoice_id, "filter.invoice_id", findings)
    if findings:
        raise Malformed(findings)
    return MemoFilter(
        account_id=message.account_id,
        statuses=frozenset(cast(debit_memo.Status, each) for each in statuses if each),
        generations=frozenset(cast(debit_memo.Generation, each) for each in generations if each),
        ready=message.ready,
        order_id=message.order_id,
        invoice_id=invoice_id,
        legal_entity_id=message.legal_entity_id,
        currency=message.currency_code,
    )


# To the wire


def write_memo(
    memo_id: UUID,
    memo: debit_memo.DebitMemo,
    reference_position: str,
    created: datetime | None,
    updated: datetime | None,
    *,
    full: bool = True,
) -> pb.DebitMemo:
    """A memo from its state; texts that were erased are empty."""
    message = pb.DebitMemo(
        debit_memo_id=str(memo_id),
        version=memo.version,
        status=cast(pb.DebitMemoStatus.ValueType, STATUSES.wire[memo.status]),
        invoice_generation_status=cast(
            pb.InvoiceGenerationStatus.ValueType, GENERATIONS.wire[memo.generation]
        ),
        ready=memo.ready,
        manually_processed=memo.processed,
        processed_reason=memo.processed_texts.reason if memo.processed_texts else "",
        invoice_id=str(memo.invoice_id) if memo.invoice_id else "",
        posted_date=write_date(memo.posted_date) if memo.posted_date else None,
        content=write_memo_header(memo.unique_identifier, memo.header, memo.texts),
        totals=write_totals(memo.totals, memo.header.currency),
        defaulted=memo.header.defaulted,
        create_time=write_instant(created) if created else None,
        update_time=write_instant(updated) if updated else None,
        reference_data_position=reference_position,
    )
    if full:
        message.content.address_groups.extend(map(write_address, memo.addresses.values()))
        entity = memo.header.legal_entity_id
        message.lines.extend(write_memo_line(memo_id, line, entity) for line in memo.lines)
    return message


def write_totals(totals: debit_memo.Totals, currency: str) -> pb.DebitMemoTotals:
    return pb.DebitMemoTotals(
        total_charge=write_money(totals.charge, currency),
        total_tax=write_money(totals.tax, currency),
        total=write_money(totals.total, currency),
        total_with_tax=write_money(totals.total_with_tax, currency),
    )


def write_memo_header(
    unique_identifier: str, header: debit_memo.Header, texts: debit_memo.Texts | None
) -> pb.DebitMemoContent:
    """The header's content; texts that were erased are empty."""
    texts = texts or debit_memo.Texts()
    return pb.DebitMemoContent(
        unique_identifier=unique_identifier,
        account_id=header.account_id,
        account_name=texts.account_name,
        currency_code=header.currency,
        legal_entity_id=header.legal_entity_id,
        invoiceable=header.invoiceable,
        order_id=header.order_id,
        reason_code=header.reason_code,
        description=texts.description,
        labels=header.labels,
        billing_address=header.billing_address,
        shipping_address=header.shipping_address,
        ship_from_address=header.ship_from_address,
    )


def write_memo_line(memo_id: UUID, line: debit_memo.Line, legal_entity_id: str) -> pb.DebitMemoLine:
    added = line.added
    return pb.DebitMemoLine(
        line_number=added.number,
        line_id=debit_memo.line_id(memo_id, added.number),
        content=pb.DebitMemoLineContent(
            name=added.name,
            charge_amount=write_decimal(added.charge),
            start_date=write_date(added.start_date),
            end_date=write_date(added.end_date),
            billing_address=added.billing_address,
            shipping_address=added.shipping_address,
            ship_from_address=added.ship_from_address,
            tax_treatment_id=added.tax_treatment_id,
            legal_entity_id=legal_entity_id,
            accounting_period_id=added.accounting_period_id,
            product_id=added.product_id,
            product_name=added.product_name,
            description=added.personal.description if added.personal else "",
            taxes=write_rows(line.rows, line.row_texts),
        ),
        tax_amount=write_decimal(line.tax),
    )
