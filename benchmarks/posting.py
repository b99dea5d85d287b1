"""How fast drafts are posted into one series, beside how fast they were ingested: one service, 64 callers.

Start `daybook serve`, apply samples/reference.yaml, then: python -m benchmarks.posting HOST:PORT [INVOICES]
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal

from daybook.client import connect_async
from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub

CALLERS = 64
INVOICES = 4_000
ROUNDS = 4
DAY = Date(year=2026, month=11, day=2)


def draft(key: str) -> pb.InvoiceContent:
    line = {
        "name": "Support",
        "start_date": DAY,
        "end_date": DAY,
        "quantity": Decimal(value="1"),
        "unit_price": Decimal(value="250.00"),
        "charge_amount": Decimal(value="250.00"),
    }
    place = {
        "street": "Hauptstr. 1",
        "city": "Berlin",
        "state": "BE",
        "postal_code": "10115",
        "country": "DE",
    }
    return pb.InvoiceContent(
        unique_identifier=key,
        account_id="A",
        bill_to_contact_id="B",
        invoice_date=DAY,
        currency_code="EUR",
        legal_entity_id="nl-de",
        address_groups=[pb.AddressGroup(key="hq", **place)],
        billing_address="hq",
        shipping_address="hq",
        lines=[pb.LineContent(**line) for _ in range(5)],
    )


async def rate(keys: list[str], call: Callable[[str], Awaitable[object]]) -> float:
    """Calls a second, by so many callers with one call under way each."""
    left = iter(keys)

    async def caller() -> None:
        for key in left:
            await call(key)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return len(keys) / (time.perf_counter() - began)


async def main(target: str, invoices: int) -> None:
    async with connect_async(target) as channel:
        stub = InvoiceServiceStub(channel)
        numbers: list[str] = []

        async def ingest(key: str) -> None:
            await stub.IngestInvoice(service.IngestInvoiceRequest(invoice=draft(key)), timeout=30)

        async def post(key: str) -> None:
            asked = service.PostInvoiceRequest(key=service.InvoiceKey(unique_identifier=key))
            answer = await stub.PostInvoice(asked, timeout=30)
            numbers.append(answer.invoice.invoice_number)

        for _ in range(ROUNDS):
            keys = [str(uuid4()) for _ in range(invoices // ROUNDS)]
            ingested, posted = await rate(keys, ingest), await rate(keys, post)
            print(f"ingested {ingested:,.0f}/s, posted {posted:,.0f}/s: {posted / ingested:.0%}")
        assert len(set(numbers)) == invoices, "each number once"


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else INVOICES))
