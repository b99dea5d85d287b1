"""A tax engine to start from: `daybook.tax.v1.TaxEngineService` on a table of rates, a program by itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from daybook.tax.v1 import tax_engine_service_pb2 as pb
from daybook.tax.v1 import tax_engine_service_pb2_grpc as engine_grpc
from domain import tax
from domain.findings import Malformed
from domain.money import CURRENCIES
from domain.reference import RateTable

from .wire.tax_engine import read_request, write_answer

Context = grpc.aio.ServicerContext[Any, Any]

GRACE_SECONDS = 5.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024


class TaxEngine(engine_grpc.TaxEngineServiceServicer):
    """Answers from rates. Of an estimate it keeps nothing; what it filed it knows as long as it runs.

    An engine of your own keeps its documents for good.
    """

    def __init__(self, rates: RateTable) -> None:
        self._rates = rates
        self._filed: dict[str, pb.CalculateTaxResponse] = {}
        self._voided: set[str] = set()

    async def CalculateTax(
        self, request: pb.CalculateTaxRequest, context: Context
    ) -> pb.CalculateTaxResponse:
        if request.currency_code not in CURRENCIES:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "currency_code is no ISO 4217 code")
        try:
            asked = read_request(request)
        except Malformed as malformed:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(malformed))
        if not request.commit:
            return write_answer(asked, tax.estimate(asked, self._rates))
        if request.document_code in self._voided:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the document was voided")
        if request.document_code not in self._filed:
            answer = write_answer(asked, tax.estimate(asked, self._rates))
            self._filed[request.document_code] = answer
        return self._filed[request.document_code]

    async def VoidTax(self, request: pb.VoidTaxRequest, context: Context) -> pb.VoidTaxResponse:
        self._voided.add(request.document_code)
        return pb.VoidTaxResponse(document_code=request.document_code)


async def serve(rates: RateTable, listen: str, say: Callable[[str], None] = print) -> None:
    """Serves until SIGTERM or SIGINT."""
    server = grpc.aio.server(options=_options())
    engine_grpc.add_TaxEngineServiceServicer_to_server(TaxEngine(rates), server)
    port = server.add_insecure_port(listen)
    await server.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    say(f"daybook tax-engine serves {len(rates)} rates on {listen.rpartition(':')[0]}:{port}")
    await stop.wait()
    await server.stop(GRACE_SECONDS)


def _options() -> Sequence[tuple[str, int]]:
    return (("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.so_reuseport", 0))
