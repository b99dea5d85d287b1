"""What settles an invoice, and what happens to a credit memo, as it is published."""

from __future__ import annotations

from domain import credit_memo, invoice
from domain.money import plain

from .invoice_events import listed
from .publishing import Published

FOR = {
    invoice.CreditOrigin.VOID: "the invoice was voided",
    invoice.CreditOrigin.CONVERSION: "negative lines were converted",
    invoice.CreditOrigin.WRITE_OFF: "the invoice was written off",
}


def _paid(event: invoice.PaymentRecorded) -> str:
    called = f", “{event.reference}”" if event.reference else ""
    return f"Paid on {event.effective_date}: {plain(event.amount)}{called}"


def _converted(event: invoice.NegativeLinesConverted) -> str:
    applied = f", of which {plain(event.applied.amount)} was applied at once" if event.applied else ""
    return (
        f"Negative lines {listed(event.lines)} converted on {event.effective_date} to credit memo"
        f" {event.credit_memo_id} over {plain(-event.amount)}{applied}"
    )


def _made(event: credit_memo.CreditMemoPosted) -> str:
    header = event.header
    because = f", because of {header.reason_code}" if header.reason_code else ""
    return (
        f"Credit memo posted on {event.posted_date} for account {header.account_id}, in {header.currency}:"
        f" {FOR[header.origin]}, {header.invoice_number or header.invoice_id}{because}"
    )


SETTLEMENT_EVENTS: dict[type, Published] = {
    invoice.PaymentRecorded: Published(_paid, business_date=lambda e: e.effective_date),
    invoice.PaymentReversed: Published(
        lambda e: f"Payment {e.payment_id} taken back on {e.effective_date}: {plain(e.amount)}",
        business_date=lambda e: e.effective_date,
    ),
    invoice.CreditApplied: Published(
        lambda e: f"Credit memo {e.credit_memo_id} applied on {e.effective_date}: {plain(e.amount)}",
        business_date=lambda e: e.effective_date,
    ),
    invoice.CreditUnapplied: Published(
        lambda e: f"Credit taken back on {e.effective_date}: {plain(e.amount)} is owed again",
        business_date=lambda e: e.effective_date,
    ),
    invoice.NegativeLinesConverted: Published(_converted, business_date=lambda e: e.effective_date),
    invoice.InvoiceWrittenOff: Published(
        lambda e: (
            f"Written off on {e.credit.effective_date}, because of {e.reason_code}: {plain(e.credit.amount)},"
            f" by credit memo {e.credit.credit_memo_id}"
        ),
        business_date=lambda e: e.credit.effective_date,
    ),
    invoice.InvoiceVoided: Published(
        lambda e: f"Voided on {e.credit.effective_date} by credit memo {e.credit.credit_memo_id}",
        business_date=lambda e: e.credit.effective_date,
    ),
}
CREDIT_MEMO_EVENTS: dict[type, Published] = {
    credit_memo.CreditMemoPosted: Published(_made, business_date=lambda e: e.posted_date),
    credit_memo.CreditMemoLineAdded: Published(
        lambda e: f"Line {e.number}, “{e.name}”: {plain(e.credit)} credited"
    ),
    credit_memo.CreditMemoApplied: Published(
        lambda e: f"Applied to invoice {e.invoice_id} on {e.effective_date}: {plain(e.amount)}",
        business_date=lambda e: e.effective_date,
    ),
    credit_memo.CreditMemoUnapplied: Published(
        lambda e: f"Application taken back on {e.effective_date}: {plain(e.amount)} can be applied again",
        business_date=lambda e: e.effective_date,
    ),
}
