"""`daybook show`, `list` and `order`: questions to the read models, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query
from daybook.v1.invoice_service_pb2 import InvoiceKey

from .explaining import print_explanations
from .forms import message
from .in_full import print_invoice
from .invoice_verbs import Conditions
from .options import Named, Service, Shape, Stop
from .printing import print_invoices
from .remote import Remote, key_of, remote, understood
from .trees import Plain, Tree

PAGE_MAX = 500


def show(service: Service, shape: Shape, named: Named, min_position: str, *, explain: bool = False) -> None:
    shape.check()
    key = key_of(named)
    with remote(service) as there:
        request = query.GetInvoiceRequest(key=key, min_position=min_position, view=pb.INVOICE_VIEW_FULL)
        answer = there.queries.GetInvoice(request, timeout=service.timeout)
        invoice = answer.invoice
        if len(invoice.lines) < invoice.line_count:
            del invoice.lines[:]
            invoice.lines.extend(all_lines(there, service, key, min_position))
    print_invoice(invoice, shape, answer.lineage if answer.HasField("lineage") else None)
    if explain and not (shape.as_json or shape.as_csv):
        print_explanations(invoice)


def all_lines(there: Remote, service: Service, key: InvoiceKey, min_position: str) -> Iterator[pb.Line]:
    request = query.ListInvoiceLinesRequest(key=key, page_size=PAGE_MAX, min_position=min_position)
    while True:
        answer = there.queries.ListInvoiceLines(request, timeout=service.timeout)
        yield from answer.lines
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def order(service: Service, shape: Shape, order_id: str, limit: int | None, min_position: str) -> None:
    shape.check()
    request = query.ListOrderInvoicesRequest(order_id=order_id, min_position=min_position)
    with remote(service) as there:
        print_invoices(
            pages(lambda: there.queries.ListOrderInvoices(request, timeout=service.timeout), request, limit),
            shape,
            f"order {order_id}",
        )


def list_(
    service: Service, shape: Shape, conditions: Conditions, limit: int | None, min_position: str
) -> None:
    shape.check()
    request = query.ListInvoicesRequest(filter=filter_of(conditions), min_position=min_position)
    with remote(service) as there:
        print_invoices(
            pages(lambda: there.queries.ListInvoices(request, timeout=service.timeout), request, limit),
            shape,
        )


class Page(Protocol):
    @property
    def invoices(self) -> Sequence[pb.Invoice]: ...
    @property
    def next_page_token(self) -> str: ...


def pages(
    ask: Callable[[], Page],
    request: query.ListInvoicesRequest | query.ListOrderInvoicesRequest,
    limit: int | None,
) -> Iterator[Sequence[pb.Invoice]]:
    """Page after page until the limit or the end."""
    left = limit
    while True:
        request.page_size = PAGE_MAX if left is None else min(left, PAGE_MAX)
        page = ask()
        yield page.invoices
        if left is not None:
            left -= len(page.invoices)
        if not page.next_page_token or left == 0:
            return
        request.page_token = page.next_page_token


NAMED_OTHERWISE = {
    "account_id": "account",
    "invoice_date_from": "date_from",
    "invoice_date_to": "date_to",
    "due_date_from": "due_from",
    "due_date_to": "due_to",
    "posted_date_from": "posted_from",
    "posted_date_to": "posted_to",
    "reference_kind": "reference_kind",
    "reference_id": "reference_id",
    "total_with_tax_min": "total_min",
    "total_with_tax_max": "total_max",
    "currency_code": "currency",
    "source_system": "source_system",
    "source_id": "source_id",
    "purchase_order_number": "purchase_order",
    "legal_entity_id": "legal_entity",
    "invoice_number": "number",
}


def filter_of(conditions: Conditions) -> query.InvoiceFilter:
    """The contract's filter; read as if it stood in a file, so that dates and names are written alike."""
    said: dict[str, Tree] = {
        name: Plain(getattr(conditions, option)) or None for name, option in NAMED_OTHERWISE.items()
    }
    said["statuses"] = list[Tree](conditions.status)
    said["settlement_statuses"] = list[Tree](conditions.settlement)
    said["overdue"] = conditions.overdue
    said["labels"] = labels_of(conditions.label)
    return understood(message(query.InvoiceFilter, said, "filter"), "these conditions")


def labels_of(pairs: Sequence[str]) -> dict[str, Tree]:
    labels: dict[str, Tree] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Stop(f"--label {pair}: write KEY=VALUE")
        labels[key] = value
    return labels
