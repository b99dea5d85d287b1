"""How fast drafts are posted into one series, beside how fast they were ingested: one service, 64 callers.

For a service that runs, whose book may take the reference data of the benchmarks:
python -m benchmarks.posting HOST:PORT [INVOICES]
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import grpc

from daybook.client import connect_async
from daybook.v1 import invoice_service_pb2 as service
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub

from .goals import SHARE, Goal
from .invoice import RATED, apply_reference_data, request
from .shapes import WrongAnswer

CALLERS = 64
INVOICES = 1_000  # a round
ROUNDS = 4
SECONDS_MAX = 30


def measured(target: str, rounds: int, invoices: int) -> list[Goal]:
    """Of so many invoices a round; raises WrongAnswer where a number is given twice."""
    shares = asyncio.run(_shares(target, rounds, invoices))
    return [Goal("posted into one series, 64 callers: of the rate of ingestion", True, 0.60, shares, SHARE)]


async def _shares(target: str, rounds: int, invoices: int) -> list[float]:
    async with connect_async(target) as channel:
        stub, numbers, shares = InvoiceServiceStub(channel), list[str](), list[float]()

        async def ingest(key: str) -> None:
            asked = request(treatment=RATED)
            asked.invoice.unique_identifier = key
            await stub.IngestInvoice(asked, timeout=SECONDS_MAX)

        async def post(key: str) -> None:
            asked = service.PostInvoiceRequest(key=service.InvoiceKey(unique_identifier=key))
            answer = await stub.PostInvoice(asked, timeout=SECONDS_MAX)
            numbers.append(answer.invoice.invoice_number)

        for _ in range(rounds):
            keys = [str(uuid4()) for _ in range(invoices)]
            ingested, posted = await _rate(keys, ingest), await _rate(keys, post)
            print(f"ingested {ingested:,.0f}/s, posted {posted:,.0f}/s", file=sys.stderr)
            shares.append(posted / ingested)
    if len(set(numbers) - {""}) != rounds * invoices:
        raise WrongAnswer("not every invoice has a number of its own")
    return shares


async def _rate(keys: list[str], call: Callable[[str], Awaitable[object]]) -> float:
    """Calls a second, by so many callers with one call under way each."""
    left = iter(keys)

    async def caller() -> None:
        for key in left:
            await call(key)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return len(keys) / (time.perf_counter() - began)


def main(target: str, invoices: int) -> None:
    with grpc.insecure_channel(target) as channel:
        apply_reference_data(channel)
    for row in measured(target, ROUNDS, invoices):
        print(f"{row.what}: {row.value:.0%}, {row.verdict}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else INVOICES)
