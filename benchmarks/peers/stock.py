"""A peer: the eventsourcing library as its documentation shows it, an application that saves an aggregate."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import grpc
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import JSONTranscoder, Transcoding
from psycopg.conninfo import conninfo_to_dict

from daybook.v1 import invoice_service_pb2 as service_pb
from domain import invoice

from .rules import decided
from .serving import OPTIONS, Request, answer, arguments, generic

THREADS = 16


class Invoice(Aggregate):
    @event("Drafted")
    def __init__(self, header: dict[str, Any]) -> None:
        self.header = header
        self.addresses: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.taxes: list[dict[str, Any]] = []

    @event("AddressGroupAssigned")
    def assign_address_group(self, address: dict[str, Any]) -> None:
        self.addresses.append(address)

    @event("LineAdded")
    def add_line(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    @event("TaxImported")
    def import_tax(self, tax: dict[str, Any]) -> None:
        self.taxes.append(tax)


class DateAsIso(Transcoding):
    type = date
    name = "date_iso"

    def encode(self, obj: date) -> str:
        return obj.isoformat()

    def decode(self, data: str) -> date:
        return date.fromisoformat(data)


class Invoices(Application[UUID]):
    """Saves one aggregate per invoice: its events in one transaction of its own."""

    def register_transcodings(self, transcoder: JSONTranscoder) -> None:
        super().register_transcodings(transcoder)
        transcoder.register(DateAsIso())

    def ingest(self, events: tuple[invoice.Event, ...]) -> object:
        drafted, *body = events
        aggregate = Invoice(plain(drafted))
        for each in body:
            match each:
                case invoice.AddressGroupAssigned():
                    aggregate.assign_address_group(plain(each))
                case invoice.LineAdded():
                    aggregate.add_line(plain(each))
                case invoice.TaxImported():
                    aggregate.import_tax(plain(each))
                case _:
                    raise AssertionError(f"not of a draft: {each}")
        self.save(aggregate)
        return aggregate.id


@dataclass(slots=True)
class Ingesting:
    application: Invoices

    def ingest(self, request: Request, _: Any) -> service_pb.IngestInvoiceResponse:
        return answer(self.application.ingest(decided(request.invoice, uuid4())))


def plain(value: Any) -> Any:
    """As dictionaries and lists, without what holds nothing: what the library's transcoder takes."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return str(value)
    names = getattr(value, "__dataclass_fields__", None)
    if names is None:
        return value
    return {each.name: plain(got) for each in fields(value) if (got := getattr(value, each.name))}


def environment(dsn: str) -> dict[str, str]:
    parts = conninfo_to_dict(dsn)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts.get("port", "5432")),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": "",
        "POSTGRES_POOL_SIZE": str(THREADS),
    }


def main(listen: str, dsn: str) -> None:
    application = Invoices({**os.environ, **environment(dsn)})
    server = grpc.server(ThreadPoolExecutor(THREADS), options=OPTIONS)
    handler = generic(Ingesting(application).ingest, service_pb.IngestInvoiceResponse.SerializeToString)
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(listen)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*arguments())
