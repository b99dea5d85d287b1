"""What happens to a debit memo, as it is published."""

from __future__ import annotations

from uuid import UUID

from daybook.v1 import debit_memo_event_pb2 as pb
from domain import debit_memo

from .debit_memos import write_memo_header, write_memo_line
from .invoice_events import NO_ENTITY, addressed, lined, named, said, taxed, write_group, write_taxes
from .invoices import Positioned
from .publishing import Published
from .values import write_date

NO_MEMO = UUID(int=0)


def _write_content(
    event: debit_memo.DebitMemoDrafted | debit_memo.DebitMemoUpdated,
    detail: pb.DebitMemoDrafted | pb.DebitMemoUpdated,
    position: Positioned,
) -> None:
    key = getattr(event, "unique_identifier", "")
    detail.content.CopyFrom(write_memo_header(key, event.header, event.personal))
    detail.defaulted.extend(event.header.defaulted)
    detail.fingerprint = event.fingerprint
    detail.today.CopyFrom(write_date(event.today))
    detail.reference_data_position = position(event.reference_position)
    detail.event_count = event.size
    detail.request_id = event.request_id


def _write_line(
    event: debit_memo.DebitMemoLineAdded, detail: pb.DebitMemoLineAdded, position: Positioned
) -> None:
    detail.line_number = event.number
    detail.content.CopyFrom(write_memo_line(NO_MEMO, debit_memo.Line(event), NO_ENTITY).content)


def _charged(event: debit_memo.DebitMemoDrafted | debit_memo.DebitMemoUpdated) -> str:
    header, texts = event.header, event.personal or debit_memo.Texts()
    order = f", for order {header.order_id}" if header.order_id else ""
    because = f", because of {header.reason_code}" if header.reason_code else ""
    account = named(texts.account_name, header.account_id)
    return f"for account {account}, in {header.currency}{order}{because}"


def _processed(event: debit_memo.DebitMemoProcessed) -> str:
    because = said(event.personal.reason) if event.personal else ""
    return f"Marked as processed: it was invoiced elsewhere{because}"


DEBIT_MEMO_EVENTS: dict[type, Published] = {
    debit_memo.DebitMemoDrafted: Published(
        lambda e: f"Debit memo drafted {_charged(e)}", _write_content, lambda e: e.today
    ),
    debit_memo.DebitMemoAddressAssigned: Published(addressed, write_group),
    debit_memo.DebitMemoLineAdded: Published(lined, _write_line),
    debit_memo.DebitMemoTaxImported: Published(taxed, write_taxes),
    debit_memo.DebitMemoUpdated: Published(
        lambda e: f"Debit memo changed: content replaced {_charged(e)}", _write_content, lambda e: e.today
    ),
    debit_memo.DebitMemoPosted: Published(
        lambda e: f"Debit memo posted on {e.posted_date}: the charge is final",
        business_date=lambda e: e.posted_date,
    ),
    debit_memo.DebitMemoCanceled: Published(lambda _: "Debit memo canceled: the draft was given up"),
    debit_memo.DebitMemoVoided: Published(lambda _: "Debit memo voided: the charge was taken back"),
    debit_memo.DebitMemoProcessed: Published(_processed),
    debit_memo.DebitMemoBilled: Published(lambda e: f"Draft invoice {e.invoice_id} was made of it"),
    debit_memo.DebitMemoReleased: Published(
        lambda e: f"Draft invoice {e.invoice_id} was canceled: the memo can be invoiced again"
    ),
    debit_memo.DebitMemoInvoicePosted: Published(
        lambda e: f"Its invoice {e.invoice_id} was posted: the memo is done"
    ),
}
