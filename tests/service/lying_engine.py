"""A tax engine that lies, as a process of its own: `lying_engine.py HOST:PORT LIE`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.type.decimal_pb2 import Decimal

from daybook.tax.v1 import tax_engine_service_pb2 as pb
from daybook.tax.v1 import tax_engine_service_pb2_grpc as engine_grpc


class Liar(engine_grpc.TaxEngineServiceServicer):
    def __init__(self, lie: str) -> None:
        self._lie = lie

    def CalculateTax(self, request: pb.CalculateTaxRequest, context: Any) -> pb.CalculateTaxResponse:
        lines = [pb.TaxedLine(line_number=line.line_number, taxes=[self._tax()]) for line in request.lines]
        if self._lie == "no-lines":
            lines = []
        elif self._lie == "line-twice":
            lines *= 2
        elif self._lie == "other-line":
            lines[0].line_number = 99
        return pb.CalculateTaxResponse(
            document_code="other" if self._lie == "other-code" else request.document_code,
            currency_code="USD" if self._lie == "other-currency" else request.currency_code,
            engine_version="liar/1",
            lines=lines,
        )

    def VoidTax(self, request: pb.VoidTaxRequest, context: Any) -> pb.VoidTaxResponse:
        return pb.VoidTaxResponse(document_code="other")

    def _tax(self) -> pb.Tax:
        amount = {"too-fine": "1.005", "not-a-number": "NaN"}.get(self._lie, "1.00")
        return pb.Tax(
            amount=Decimal(value=amount),
            rate=Decimal(value="1"),
            taxable_amount=Decimal(value="100"),
            imposition=pb.Imposition(name="Lie"),
        )


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    engine_grpc.add_TaxEngineServiceServicer_to_server(Liar(sys.argv[2]), server)
    server.add_insecure_port(sys.argv[1])
    server.start()
    print("the liar serves", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
