"""The service as a verb sees it: a channel for as long as it runs, and requests that name their author."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

import grpc
from google.protobuf.message import Message

from daybook.client import connect
from daybook.v1.audit_service_pb2_grpc import AuditServiceStub
from daybook.v1.credit_memo_service_pb2_grpc import CreditMemoServiceStub
from daybook.v1.debit_memo_service_pb2_grpc import DebitMemoServiceStub
from daybook.v1.edition_service_pb2_grpc import EditionServiceStub
from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceStub
from daybook.v1.invoice_service_pb2 import IngestInvoiceRequest, InvoiceKey, InvoiceNumber
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from daybook.v1.projection_service_pb2_grpc import ProjectionServiceStub
from daybook.v1.reference_data_service_pb2_grpc import ReferenceDataServiceStub
from daybook.v1.sequence_service_pb2_grpc import SequenceServiceStub
from daybook.v1.unfinished_work_service_pb2_grpc import UnfinishedWorkServiceStub

from .faults import Misspoken
from .files import read_one
from .forms import Problem, message
from .options import Author, Named, Service
from .trees import Tree, Unreadable, Written

M = TypeVar("M", bound=Message)


class Remote:
    """The services behind one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.audit = AuditServiceStub(channel)
        self.editions = EditionServiceStub(channel)
        self.invoices = InvoiceServiceStub(channel)
        self.credits = CreditMemoServiceStub(channel)
        self.memos = DebitMemoServiceStub(channel)
        self.queries = InvoiceQueryServiceStub(channel)
        self.projections = ProjectionServiceStub(channel)
        self.reference = ReferenceDataServiceStub(channel)
        self.sequences = SequenceServiceStub(channel)
        self.unfinished = UnfinishedWorkServiceStub(channel)


@contextmanager
def remote(service: Service) -> Iterator[Remote]:
    with connect(service.server, service.tls()) as channel:
        yield Remote(
            grpc.intercept_channel(channel, OfEdition(service.edition)) if service.edition else channel
        )


class OfEdition(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc,unused-ignore]
    """Asks the read models of an edition in place of the live ones."""

    def __init__(self, name: str) -> None:
        self._named = ("daybook-edition", name)

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(details._replace(metadata=[*(details.metadata or ()), self._named]), request)


def key_of(named: Named) -> InvoiceKey:
    """What the caller called the invoice by."""
    named.check()
    if named.number:
        return InvoiceKey(number=InvoiceNumber(legal_entity_id=named.legal_entity, number=named.number))
    if named.key:
        return InvoiceKey(unique_identifier=named.key)
    try:
        return InvoiceKey(invoice_id=str(UUID(named.invoice)))
    except ValueError:
        return InvoiceKey(unique_identifier=named.invoice)


WRAPPED = "invoice"
ASIDE = frozenset(("errors", "place"))  # what `ingest --refused` writes beside an invoice


def ingestion(tree: Tree) -> tuple[IngestInvoiceRequest, list[Problem]]:
    """A request from an invoice as it stands, or from a request whose `invoice` it is."""
    if isinstance(tree, dict) and WRAPPED in tree:
        said = {name: part for name, part in tree.items() if name not in ASIDE}
        return message(IngestInvoiceRequest, said)
    return message(IngestInvoiceRequest, {WRAPPED: tree})


def authored(request: M, author: Author) -> M:
    """The request with what the caller says of it; what a file says of it stands where nothing was said."""
    for name in ("reason", "correlation_id"):
        if said := getattr(author, name):
            setattr(request, name, said)
    return request


def written_in(name: str) -> Written:
    """The only thing in a file or in standard input."""
    written = read_one(name, stdin())
    if written.trouble:
        raise Unreadable(f"{written.place}: {written.trouble}")
    return written


def stdin() -> BinaryIO:
    return sys.stdin.buffer


def understood(said: tuple[M, list[Problem]], place: str) -> M:
    """The message, if everything could be said in it."""
    if said[1]:
        raise Misspoken(place, said[1])
    return said[0]
