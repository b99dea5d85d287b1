"""How long after its acknowledgement an invoice is found in the read models, asked while others call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import cast

import grpc

from daybook.client import connect
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_query_service_pb2_grpc as query_grpc
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import invoice_service_pb2_grpc as service_grpc

from .invoice import LINES, request

PAUSE_SECONDS = 0.1
PAUSE_OFTEN = 0.01
BEHIND_SECONDS_MAX = 60.0


class NotFoundWhole(Exception):
    """An acknowledged invoice is not answered as it was sent."""


class Watch:
    """Ingests an invoice every now and then, and asks for it. At its end the read models have caught up."""

    def __init__(self, target: str, *, on: bool, often: bool = False) -> None:
        self.behind: list[float] = []
        self.ingested = 0
        self._target = target
        self._on = on
        self._pause = PAUSE_OFTEN if often else PAUSE_SECONDS
        self._over = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        if self._on:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._on:
            self._over.set()
            self._thread.join()
            if self._fault:
                raise self._fault

    def _watch(self) -> None:
        try:
            with connect(self._target) as channel:
                while not self._over.wait(self._pause):
                    self._look(channel)
                self._look(channel)
        except (grpc.RpcError, NotFoundWhole) as fault:
            self._fault = fault

    def _look(self, channel: grpc.Channel) -> None:
        answer = ingesting(channel)(request(), timeout=BEHIND_SECONDS_MAX)
        self.ingested += 1
        acknowledged = time.monotonic()
        wanted = query_pb.GetInvoiceRequest(
            key=service_pb.InvoiceKey(invoice_id=answer.invoice_id), min_position=answer.position
        )
        found = _get(channel)(wanted, timeout=BEHIND_SECONDS_MAX).invoice
        self.behind.append(time.monotonic() - acknowledged)
        if (found.line_count, found.totals) != (LINES, answer.totals):
            raise NotFoundWhole(str(found))


def ingesting(channel: grpc.Channel) -> Callable[..., service_pb.IngestInvoiceResponse]:
    stub = service_grpc.InvoiceServiceStub(channel)
    return cast(Callable[..., service_pb.IngestInvoiceResponse], stub.IngestInvoice)


def _get(channel: grpc.Channel) -> Callable[..., query_pb.GetInvoiceResponse]:
    stub = query_grpc.InvoiceQueryServiceStub(channel)
    return cast(Callable[..., query_pb.GetInvoiceResponse], stub.GetInvoice)
