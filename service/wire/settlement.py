"""What settles an invoice, between the wire and the domain."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import cast
from uuid import UUID

from google.type.money_pb2 import Money

from daybook.v1 import invoice_pb2
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import settlement_pb2 as pb
from domain import credit_memo, crediting, invoice
from domain.findings import Findings

from .values import EnumTable, read_date, read_money, read_uuid, within, write_date, write_money

ORIGINS = EnumTable(pb.CreditOrigin, invoice.CreditOrigin, "CREDIT_ORIGIN")

Dated = service_pb.ConvertNegativeLinesRequest | service_pb.WriteOffInvoiceRequest


# From the wire


def read_payment(message: service_pb.RecordPaymentRequest, findings: Findings) -> invoice.RecordPayment:
    amount, currency = read_amount(message.amount, findings) if message.HasField("amount") else (None, "")
    return invoice.RecordPayment(
        amount=amount,
        currency=currency,
        request_id=message.request_id,
        effective_date=_effective_date(message, findings),
        reference=message.reference,
    )


def read_reversal(message: service_pb.ReversePaymentRequest, findings: Findings) -> invoice.ReversePayment:
    amount, currency = read_amount(message.amount, findings) if message.HasField("amount") else (None, "")
    return invoice.ReversePayment(
        payment_id=read_uuid(message.payment_id, "payment_id", findings) or UUID(int=0),
        request_id=message.request_id,
        amount=amount,
        currency=currency,
        effective_date=_effective_date(message, findings),
    )


def read_conversion(
    message: service_pb.ConvertNegativeLinesRequest, findings: Findings, lines_max: int
) -> crediting.Convert:
    return crediting.Convert(
        lines=tuple(within(message.line_numbers, lines_max, "line_numbers", findings)),
        effective_date=_effective_date(message, findings),
        request_id=message.request_id,
    )


def read_write_off(message: service_pb.WriteOffInvoiceRequest, findings: Findings) -> crediting.WriteOff:
    return crediting.WriteOff(message.reason_code, message.request_id, _effective_date(message, findings))


def _effective_date(
    message: Dated | service_pb.RecordPaymentRequest | service_pb.ReversePaymentRequest, findings: Findings
) -> date | None:
    if not message.HasField("effective_date"):
        return None
    return read_date(message.effective_date, "effective_date", findings)


def read_amount(message: Money, findings: Findings) -> tuple[Decimal | None, str]:
    return read_money(message, "amount", findings), message.currency_code


# To the wire


def write_origin(origin: invoice.CreditOrigin) -> pb.CreditOrigin.ValueType:
    return cast(pb.CreditOrigin.ValueType, ORIGINS.wire[origin])


def write_ledger(ledger: invoice.Ledger, invoice_id: UUID, currency: str) -> pb.Settlement:
    written_off = ledger.written_off
    return pb.Settlement(
        payments=(_write_payment(each, currency) for each in ledger.payments),
        credits=(_write_credit(each, invoice_id, currency) for each in ledger.credits),
        conversions=(_write_conversion(each, currency) for each in ledger.conversions),
        write_off=_write_write_off(written_off, currency) if written_off else None,
    )


def add_settlement(
    message: invoice_pb2.Invoice, ledger: invoice.Ledger | None, invoice_id: UUID, currency: str
) -> None:
    """What was settled of an invoice, where anything was."""
    if ledger is not None and ledger is not invoice.UNTOUCHED:
        message.settlement.CopyFrom(write_ledger(ledger, invoice_id, currency))


def _write_payment(payment: invoice.Payment, currency: str) -> pb.Payment:
    recorded = payment.recorded
    return pb.Payment(
        payment_id=str(recorded.payment_id),
        amount=write_money(recorded.amount, currency),
        effective_date=write_date(recorded.effective_date),
        reference=recorded.reference,
        reversals=(
            pb.PaymentReversal(
                amount=write_money(each.amount, currency), effective_date=write_date(each.effective_date)
            )
            for each in payment.reversals
        ),
        left=write_money(payment.left, currency),
    )


def _write_credit(credit: invoice.Credit, invoice_id: UUID, currency: str) -> pb.CreditApplication:
    applied, unapplied = credit.applied, credit.unapplied
    return pb.CreditApplication(
        application_id=str(applied.application_id),
        credit_memo_id=str(applied.credit_memo_id),
        invoice_id=str(invoice_id),
        amount=write_money(applied.amount, currency),
        effective_date=write_date(applied.effective_date),
        unapplied_date=write_date(unapplied.effective_date) if unapplied else None,
        origin=write_origin(applied.origin),
        origin_invoice_id=str(applied.of_invoice_id),
    )


def write_applications(memo_id: UUID, memo: credit_memo.CreditMemo) -> Iterable[pb.CreditApplication]:
    """The applications of a credit memo, in its own words."""
    header = memo.header
    for each in memo.applications:
        applied, unapplied = each.applied, each.unapplied
        yield pb.CreditApplication(
            application_id=str(applied.application_id),
            credit_memo_id=str(memo_id),
            invoice_id=str(applied.invoice_id),
            amount=write_money(applied.amount, header.currency),
            effective_date=write_date(applied.effective_date),
            unapplied_date=write_date(unapplied.effective_date) if unapplied else None,
            origin=write_origin(header.origin),
            origin_invoice_id=str(header.invoice_id),
        )


def _write_conversion(event: invoice.NegativeLinesConverted, currency: str) -> pb.Conversion:
    return pb.Conversion(
        credit_memo_id=str(event.credit_memo_id),
        line_numbers=event.lines,
        amount=write_money(event.amount, currency),
        effective_date=write_date(event.effective_date),
        automatic=event.automatic,
    )


def _write_write_off(event: invoice.InvoiceWrittenOff, currency: str) -> pb.WriteOff:
    return pb.WriteOff(
        reason_code=event.reason_code,
        credit_memo_id=str(event.credit.credit_memo_id),
        amount=write_money(event.credit.amount, currency),
        effective_date=write_date(event.credit.effective_date),
    )
