"""Callers of every kind, without patience of their own: what each call was answered, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from daybook.client import Explanation, explain
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_query_service_pb2_grpc as query_grpc
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import invoice_service_pb2_grpc as service_grpc
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import reference_data_service_pb2_grpc as reference_grpc

from .killing import content, reference_data

CALL_SECONDS = 90.0  # more than any answer may take: the service's own bound is what is seen
PAUSE_SECONDS = 0.1
END_SECONDS_MAX = CALL_SECONDS + 10

WRITES = ("IngestInvoice", "ApplyReferenceData")
READS = ("ReviseInvoice", "GetInvoice", "ListInvoices", "ListOrderInvoices")


@dataclass(frozen=True, slots=True)
class Called:
    """One call: when it began, how long it took, and what went wrong, if anything did."""

    method: str
    began: float
    took: float
    fault: Explanation | None


@dataclass
class Observers:
    """One caller for each method, and one who looks at health; `acknowledged` are their invoices."""

    target: str
    calls: list[Called] = field(default_factory=list)
    health: list[tuple[float, bool]] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._count = self._applied = 0
        methods = (*WRITES, *READS, "GetReferenceData")
        self._threads = [threading.Thread(target=self._call, args=(method,)) for method in methods]
        self._threads.append(threading.Thread(target=self._look))

    def __enter__(self) -> Observers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(END_SECONDS_MAX)
            assert not thread.is_alive()

    def faults(self, since: float = 0.0) -> Sequence[Called]:
        return [call for call in self.calls if call.fault and call.began >= since]

    def of(self, method: str) -> Sequence[Called]:
        return [call for call in self.calls if call.method == method]

    def was_serving(self, since: float) -> Sequence[bool]:
        return [serving for at, serving in self.health if at >= since]

    @property
    def is_well(self) -> bool:
        """Every method has answered well, and health has said so, after the last trouble."""
        last = max((call.began + call.took for call in self.faults()), default=0.0)
        last = max([last, *(at for at, serving in self.health if not serving)])
        well = {call.method for call in self.calls if not call.fault and call.began >= last}
        return len(well) == len(self._threads) - 1 and self.was_serving(last)[-2:] == [True, True]

    def _call(self, method: str) -> None:
        with grpc.insecure_channel(self.target) as channel:
            ask = self._asking(method, channel)
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    ask()
                    fault = None
                except grpc.RpcError as error:
                    fault = explain(error)
                self.calls.append(Called(method, began, time.monotonic() - began, fault))
                self._stop.wait(PAUSE_SECONDS)

    def _asking(self, method: str, channel: grpc.Channel) -> Callable[[], Any]:
        invoices = service_grpc.InvoiceServiceStub(channel)
        queries = query_grpc.InvoiceQueryServiceStub(channel)
        reference = reference_grpc.ReferenceDataServiceStub(channel)
        known = service_pb.InvoiceKey(unique_identifier="observed-0")
        order = query_pb.ListOrderInvoicesRequest(order_id="order-1")
        requests: dict[str, Callable[[], Any]] = {
            "IngestInvoice": lambda: self._ingest(invoices),
            "ReviseInvoice": lambda: invoices.ReviseInvoice(self._revision(), timeout=CALL_SECONDS),
            "ApplyReferenceData": lambda: reference.ApplyReferenceData(
                self._application(), timeout=CALL_SECONDS
            ),
            "GetInvoice": lambda: queries.GetInvoice(
                query_pb.GetInvoiceRequest(key=known), timeout=CALL_SECONDS
            ),
            "ListInvoices": lambda: queries.ListInvoices(
                query_pb.ListInvoicesRequest(), timeout=CALL_SECONDS
            ),
            "ListOrderInvoices": lambda: queries.ListOrderInvoices(order, timeout=CALL_SECONDS),
            "GetReferenceData": lambda: reference.GetReferenceData(
                reference_pb.GetReferenceDataRequest(), timeout=CALL_SECONDS
            ),
        }
        return requests[method]

    def _ingest(self, stub: service_grpc.InvoiceServiceStub) -> None:
        key = f"observer-{self._count}"
        request = service_pb.IngestInvoiceRequest(invoice=content(key, 3))
        self.acknowledged[key] = stub.IngestInvoice(request, timeout=CALL_SECONDS).invoice_id
        self._count += 1

    def _revision(self) -> service_pb.ReviseInvoiceRequest:
        """One that changes nothing: it is decided on what is read from the log."""
        key = service_pb.InvoiceKey(unique_identifier="observed-0")
        return service_pb.ReviseInvoiceRequest(key=key, invoice=content("observed-0", 1))

    def _application(self) -> reference_pb.ApplyReferenceDataRequest:
        """One that changes something every time."""
        self._applied += 1
        term = reference_data().payment_terms[0]
        term.name = f"30 days ({self._applied})"
        return reference_pb.ApplyReferenceDataRequest(data=reference_pb.ReferenceData(payment_terms=[term]))

    def _look(self) -> None:
        with grpc.insecure_channel(self.target) as channel:
            stub = HealthStub(channel)
            while not self._stop.is_set():
                answer = stub.Check(HealthCheckRequest(), timeout=CALL_SECONDS)  # type: ignore[attr-defined]
                self.health.append((time.monotonic(), answer.status == HealthCheckResponse.SERVING))
                self._stop.wait(PAUSE_SECONDS)
