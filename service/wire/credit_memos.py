"""Credit memos between the wire and the domain."""

from __future__ import annotations

from datetime import datetime
from typing import cast
from uuid import UUID

from daybook.v1 import credit_memo_pb2 as pb
from daybook.v1 import credit_memo_service_pb2 as service_pb
from domain import credit_memo, invoice
from domain.findings import Findings, Malformed, Rule
from projections.credit_memos import CreditMemoFilter

from .filters import STATUSES_MAX
from .invoices import write_rows
from .settlement import ORIGINS, read_amount, write_applications, write_origin
from .values import read_date, read_uuid, within, write_date, write_decimal, write_instant, write_money

LINES_SHOWN_MAX = 500  # of a credit memo in full


# From the wire


def read_credit_memo_id(text: str, findings: Findings, path: str = "credit_memo_id") -> UUID:
    """The id; where it is none, the findings say so."""
    if not text:
        findings.add(path, Rule.REQUIRED)
        return UUID(int=0)
    return read_uuid(text, path, findings) or UUID(int=0)


def read_application(
    message: service_pb.ApplyCreditMemoRequest, invoice_id: UUID, findings: Findings
) -> credit_memo.Apply:
    amount, currency, day = None, "", None
    if message.HasField("amount"):
        amount, currency = read_amount(message.amount, findings)
    if message.HasField("effective_date"):
        day = read_date(message.effective_date, "effective_date", findings)
    return credit_memo.Apply(invoice_id, message.request_id, amount, currency, day)


def read_unapplication(
    message: service_pb.UnapplyCreditMemoRequest, findings: Findings
) -> credit_memo.Unapply:
    day = None
    if message.HasField("effective_date"):
        day = read_date(message.effective_date, "effective_date", findings)
    application_id = read_credit_memo_id(message.application_id, findings, "application_id")
    return credit_memo.Unapply(application_id, message.request_id, day)


def read_credit_memo_filter(message: service_pb.CreditMemoFilter) -> CreditMemoFilter:
    findings = Findings()
    origins = [
        ORIGINS.read(number, f"filter.origins[{index}]", findings)
        for index, number in enumerate(within(message.origins, STATUSES_MAX, "filter.origins", findings))
    ]
    invoice_id = None
    if message.invoice_id:
        invoice_id = read_uuid(message.invoice_id, "filter.invoice_id", findings)
    if findings:
        raise Malformed(findings)
    return CreditMemoFilter(
        account_id=message.account_id,
        invoice_id=invoice_id,
        origins=frozenset(cast(invoice.CreditOrigin, each) for each in origins if each),
        open=message.open,
        legal_entity_id=message.legal_entity_id,
        currency=message.currency_code,
    )


# To the wire


def write_credit_memo(
    memo_id: UUID,
    memo: credit_memo.CreditMemo,
    created: datetime | None,
    updated: datetime | None,
    *,
    line_count: int | None = None,
    full: bool = True,
) -> pb.CreditMemo:
    """A credit memo from its state; how many lines it has must be said where they are not at hand."""
    header, totals, currency = memo.header, memo.totals, memo.header.currency
    message = pb.CreditMemo(
        credit_memo_id=str(memo_id),
        version=memo.version,
        status=pb.CREDIT_MEMO_STATUS_POSTED,
        origin=write_origin(header.origin),
        invoice_id=str(header.invoice_id),
        invoice_number=header.invoice_number,
        account_id=header.account_id,
        currency_code=currency,
        legal_entity_id=header.legal_entity_id,
        accounting_period_id=header.accounting_period_id,
        posted_date=write_date(memo.posted_date),
        reason_code=header.reason_code,
        totals=pb.CreditMemoTotals(
            total=write_money(totals.credit, currency),
            total_tax=write_money(totals.tax, currency),
            total_with_tax=write_money(totals.total_with_tax, currency),
            net_applied=write_money(totals.applied, currency),
            balance=write_money(totals.balance, currency),
        ),
        line_count=len(memo.lines) if line_count is None else line_count,
        create_time=write_instant(created) if created else None,
        update_time=write_instant(updated) if updated else None,
    )
    if full:
        message.lines.extend(_write_line(line) for line in memo.lines[:LINES_SHOWN_MAX])
        message.applications.extend(write_applications(memo_id, memo))
    return message


def _write_line(line: credit_memo.CreditMemoLineAdded) -> pb.CreditMemoLine:
    return pb.CreditMemoLine(
        line_number=line.number,
        name=line.name,
        invoice_line_number=line.invoice_line,
        credit_amount=write_decimal(line.credit),
        taxes=write_rows(line.rows, None),
        tax_amount=write_decimal(credit_memo.tax_of(line)),
        start_date=write_date(line.start_date) if line.start_date else None,
        end_date=write_date(line.end_date) if line.end_date else None,
        tax_treatment_id=line.tax_treatment_id,
        product_id=line.product_id,
        product_name=line.product_name,
    )
