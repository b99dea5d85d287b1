"""Asks for many invoices in one call: whatever waits when a call begins goes with it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import grpc

from daybook.client import Explanation, explain, explain_failure
from daybook.v1.invoice_service_pb2 import (
    BatchIngestInvoicesRequest,
    IngestInvoiceRequest,
    IngestInvoiceResponse,
)

from .options import Author

if TYPE_CHECKING:
    from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

CALLS_MAX = 4  # at a time
BATCH_MAX = 64  # invoices
BYTES_MAX = 4 * 1024 * 1024  # of a call, unless one invoice alone has more


class Declined(Exception):
    """One invoice was not ingested."""

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation
        super().__init__(explanation.message)


class Waiting(NamedTuple):
    request: IngestInvoiceRequest
    size: int
    answer: asyncio.Future[IngestInvoiceResponse]


@dataclass(slots=True)
class Together:
    """Single questions and their answers, sent together."""

    invoices: InvoiceServiceAsyncStub
    author: Author
    timeout: float
    waiting: deque[Waiting] = field(default_factory=deque)
    calls: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, request: IngestInvoiceRequest) -> IngestInvoiceResponse:
        """The answer; raises Declined. Nobody knows of the others."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[IngestInvoiceResponse] = loop.create_future()
        self.waiting.append(Waiting(request, request.ByteSize(), answer))
        loop.call_soon(self.begin)
        return await answer

    def begin(self) -> None:
        while self.waiting and len(self.calls) < CALLS_MAX:
            call = asyncio.create_task(self.call(self.next()))
            self.calls.add(call)
            call.add_done_callback(self.ended)

    def ended(self, call: asyncio.Task[None]) -> None:
        self.calls.discard(call)
        self.begin()

    def next(self) -> list[Waiting]:
        """What goes into one call: as many as fit of those that are all tried only, or all not."""
        group = [self.waiting.popleft()]
        size = group[0].size
        while self.waiting and len(group) < BATCH_MAX:
            one = self.waiting[0]
            size += one.size
            if size > BYTES_MAX or one.request.validate_only != group[0].request.validate_only:
                break
            group.append(self.waiting.popleft())
        return group

    async def call(self, group: list[Waiting]) -> None:
        group = [each for each in group if not each.answer.done()]
        if not group:
            return
        try:
            answer = await self.invoices.BatchIngestInvoices(
                batch(group), timeout=self.timeout, metadata=self.author.metadata()
            )
        except grpc.RpcError as error:
            explanation = explain(error)
            if len(group) > 1 and refuses_the_whole(explanation):
                for each in group:  # whichever it is that is to blame
                    await self.call([each])
                return
            for each in group:
                settle(each, Declined(explanation))
            return
        for each, result in zip(group, answer.results, strict=True):
            failed = result.HasField("failure")
            settle(each, Declined(explain_failure(result.failure)) if failed else result.response)


def batch(group: list[Waiting]) -> BatchIngestInvoicesRequest:
    request = BatchIngestInvoicesRequest(
        requests=(each.request for each in group), validate_only=group[0].request.validate_only
    )
    for each in request.requests:
        each.validate_only = False
    return request


def refuses_the_whole(explanation: Explanation) -> bool:
    """What is larger or newer than the service takes costs only itself, once it is sent alone."""
    if explanation.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return explanation.retry_after is None
    return explanation.code is grpc.StatusCode.INVALID_ARGUMENT


def settle(waiting: Waiting, end: IngestInvoiceResponse | Declined) -> None:
    if waiting.answer.done():
        return
    if isinstance(end, Declined):
        waiting.answer.set_exception(end)
    else:
        waiting.answer.set_result(end)
