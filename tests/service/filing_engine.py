"""A tax engine that files: `filing_engine.py HOST:PORT FOLDER`. While `silent` lies there it never answers.

What it files and voids it writes down in the file `filed` of the folder, a line each.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import grpc
from google.type.decimal_pb2 import Decimal

from daybook.tax.v1 import tax_engine_service_pb2 as pb
from daybook.tax.v1 import tax_engine_service_pb2_grpc as engine_grpc

SILENCE_SECONDS = 30


class Filing(engine_grpc.TaxEngineServiceServicer):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._filed: dict[str, pb.CalculateTaxResponse] = {}
        self._voided: set[str] = set()

    def CalculateTax(self, request: pb.CalculateTaxRequest, context: Any) -> pb.CalculateTaxResponse:
        code = request.document_code
        with self._lock:
            if code in self._voided:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "voided")
            if request.commit and code not in self._filed:
                self._filed[code] = self._answer(request, 1 + len(self._filed))
                self._write(f"filed {code}")
            answer = self._filed.get(code) or self._answer(request, 99)
        if request.commit and (self._folder / "silent").exists():
            time.sleep(SILENCE_SECONDS)
        return answer

    def VoidTax(self, request: pb.VoidTaxRequest, context: Any) -> pb.VoidTaxResponse:
        with self._lock:
            if request.document_code not in self._voided:
                self._voided.add(request.document_code)
                self._write(f"voided {request.document_code}")
        return pb.VoidTaxResponse(document_code=request.document_code)

    def _answer(self, request: pb.CalculateTaxRequest, amount: int) -> pb.CalculateTaxResponse:
        """Another amount for each document, so that it shows which one was used."""
        tax = pb.Tax(
            amount=Decimal(value=str(amount)),
            rate=Decimal(value="1"),
            taxable_amount=Decimal(value="100"),
            imposition=pb.Imposition(name="Filed"),
        )
        return pb.CalculateTaxResponse(
            document_code=request.document_code,
            currency_code=request.currency_code,
            engine_version="filing/1",
            lines=[pb.TaxedLine(line_number=line.line_number, taxes=[tax]) for line in request.lines],
        )

    def _write(self, line: str) -> None:
        with (self._folder / "filed").open("a") as file:
            file.write(f"{line}\n")


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(32))
    engine_grpc.add_TaxEngineServiceServicer_to_server(Filing(Path(sys.argv[2])), server)
    server.add_insecure_port(sys.argv[1])
    server.start()
    print("the filing engine serves", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
