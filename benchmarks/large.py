"""Large invoices: what a line of 10,000 costs beside a line of 100, ingested, listed, replayed and posted.

As many lines of either: a hundred invoices of 100 lines, then one of 10,000. The CPU is that of the whole
service until its read models have caught up, less what it needs while nobody asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from daybook.client import connect
from daybook.v1 import audit_service_pb2 as audit_pb
from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1.audit_service_pb2_grpc import AuditServiceStub
from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceStub
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub

from .goals import TIMES, Goal
from .invoice import EVENTS, LINES, RATED, request
from .processes import Server, cpu_seconds
from .shapes import WrongAnswer

FEW, MANY = 100, 10_000
PAGE = 500
IDLE_SECONDS = 2.0
SECONDS_MAX = 120
Costs = dict[str, float]


def measured(server: Server, rounds: int) -> list[Goal]:
    """CPU of a line of the large ones, against that of the small ones."""
    with connect(server.target) as channel:
        invoices = Invoices(channel, server, _idle(server))
        invoices.costs(FEW, 1)
        took = [(invoices.costs(FEW, MANY // FEW), invoices.costs(MANY, 1)) for _ in range(rounds)]
    return [
        Goal(
            f"{MANY:,} lines {what}: server CPU a line, against {FEW} lines",
            False,
            1.2,
            [large[what] / small[what] for small, large in took],
            TIMES,
        )
        for what in took[0][0]
    ]


def _idle(server: Server) -> float:
    """CPU seconds a second while nobody asks."""
    before = cpu_seconds(server.pid)
    time.sleep(IDLE_SECONDS)
    return (cpu_seconds(server.pid) - before) / IDLE_SECONDS


@dataclass(slots=True)
class Invoices:
    """Some invoices, and one thing after the other done with them."""

    channel: grpc.Channel
    server: Server
    idle: float

    def costs(self, lines: int, count: int) -> Costs:
        """CPU seconds of the server, by what was done with so many invoices of so many lines."""
        message, keys = request(lines, RATED), list[service_pb.InvoiceKey]()

        def each(call: Callable[[service_pb.InvoiceKey, int], object]) -> Callable[[], object]:
            return lambda: [call(key, lines) for key in keys]

        return {
            "ingested": self._cost(lambda: keys.extend(self._ingested(message, count))),
            "listed": self._cost(each(self._list)),
            "listed event by event": self._cost(each(self._list_events)),
            "replayed": self._cost(each(self._replay)),
            "posted": self._cost(each(self._post)),
        }

    def _cost(self, work: Callable[[], object]) -> float:
        before, began = cpu_seconds(self.server.pid), time.monotonic()
        work()
        spent = cpu_seconds(self.server.pid) - before
        return max(spent - self.idle * (time.monotonic() - began), 0.001)

    def _ingested(
        self, message: service_pb.IngestInvoiceRequest, count: int
    ) -> Sequence[service_pb.InvoiceKey]:
        stub = InvoiceServiceStub(self.channel)
        answers = [stub.IngestInvoice(message, timeout=SECONDS_MAX) for _ in range(count)]
        keys = [service_pb.InvoiceKey(invoice_id=each.invoice_id) for each in answers]
        self._get(keys[-1], answers[-1].position)
        return keys

    def _get(self, key: service_pb.InvoiceKey, position: str) -> pb.Invoice:
        asked = query_pb.GetInvoiceRequest(key=key, min_position=position, view=pb.INVOICE_VIEW_BASIC)
        return InvoiceQueryServiceStub(self.channel).GetInvoice(asked, timeout=SECONDS_MAX).invoice

    def _list(self, key: service_pb.InvoiceKey, lines: int) -> None:
        stub, asked = InvoiceQueryServiceStub(self.channel), query_pb.ListInvoiceLinesRequest(key=key)
        asked.page_size, found = PAGE, 0
        while True:
            answer = stub.ListInvoiceLines(asked, timeout=SECONDS_MAX)
            found, asked.page_token = found + len(answer.lines), answer.next_page_token
            if not asked.page_token:
                return require(found, lines)

    def _list_events(self, key: service_pb.InvoiceKey, lines: int) -> None:
        stub, asked = AuditServiceStub(self.channel), audit_pb.ListInvoiceEventsRequest(key=key)
        asked.page_size, found = PAGE, 0
        while True:
            answer = stub.ListInvoiceEvents(asked, timeout=SECONDS_MAX)
            found, asked.page_token = found + len(answer.events), answer.next_page_token
            if not asked.page_token:
                return require(found, lines + EVENTS - LINES)

    def _replay(self, key: service_pb.InvoiceKey, lines: int) -> None:
        """Folded from its events, with the lines that fit on one page."""
        asked = audit_pb.GetInvoiceAsOfRequest(key=key, page_size=FEW)
        answer = AuditServiceStub(self.channel).GetInvoiceAsOf(asked, timeout=SECONDS_MAX)
        require(answer.invoice.line_count, lines)

    def _post(self, key: service_pb.InvoiceKey, lines: int) -> None:
        asked = service_pb.PostInvoiceRequest(key=key)
        answer = InvoiceServiceStub(self.channel).PostInvoice(asked, timeout=SECONDS_MAX)
        if answer.posting != service_pb.POSTING_OUTCOME_POSTED:
            raise WrongAnswer(str(answer.failure))
        require(self._get(key, answer.position).line_count, lines)


def require(found: int, wanted: int) -> None:
    if found != wanted:
        raise WrongAnswer(f"{found}, not {wanted}")
