"""`daybook post`: drafts become final."""

from __future__ import annotations

from daybook.v1 import invoice_service_pb2 as service_pb

from . import faults
from .changing import said
from .options import Author, Named, Service, Shape
from .printing import console
from .remote import authored, key_of, remote


def post(service: Service, author: Author, shape: Shape, named: Named) -> int:
    shape.check()
    request = authored(service_pb.PostInvoiceRequest(key=key_of(named)), author)
    with remote(service) as there:
        answer = there.invoices.PostInvoice(request, timeout=service.timeout, metadata=author.metadata())
    said(answer.invoice, shape, told(answer))
    if answer.posting != service_pb.POSTING_OUTCOME_FAILED:
        return 0
    failure = answer.failure
    why = " ".join(part for part in (failure.code, failure.engine_id) if part)
    console(stderr=True).print(f"not posted: {why}: {failure.description}")
    return faults.REFUSED


def told(answer: service_pb.PostInvoiceResponse) -> str:
    if answer.replayed:
        return "was posted already"
    if answer.posting == service_pb.POSTING_OUTCOME_PENDING:
        return "not posted yet: a tax engine has not answered; it goes on in the background"
    if answer.posting == service_pb.POSTING_OUTCOME_FAILED:
        return "still a draft"
    number = answer.invoice.invoice_number
    return f"posted as {number}" if number else "posted, without a number"
