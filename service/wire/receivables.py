"""What accounts owe, in the contract's words."""

from __future__ import annotations

from daybook.v1 import invoice_query_service_pb2 as pb
from projections.receivables import Receivable, ReceivablesFilter

from .values import write_date, write_money


def read_receivables_filter(message: pb.ReceivablesFilter) -> ReceivablesFilter:
    return ReceivablesFilter(
        message.account_id, message.currency_code, message.legal_entity_id, message.overdue
    )


def write_receivable(found: Receivable) -> pb.Receivable:
    currency, oldest = found.currency, found.oldest_due_date
    return pb.Receivable(
        account_id=found.account_id,
        currency_code=currency,
        open_invoices=found.open_invoices,
        balance=write_money(found.balance, currency),
        overdue_invoices=found.overdue_invoices,
        overdue=write_money(found.overdue, currency),
        oldest_due_date=write_date(oldest) if oldest else None,
        unapplied_credit=write_money(found.unapplied_credit, currency),
        net=write_money(found.net, currency),
    )
