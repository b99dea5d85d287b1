"""`python -m benchmarks.stages`: what one ingest costs in CPU time, stage by stage; no wire, no database.

The one benchmark that looks inside: it takes the service's own parts and times each over fresh input, call by
call, and tells the tenth percentile, since whatever else runs on the machine only ever adds. The whole is the
best round's CPU time, collecting garbage included. The log lines go to standard error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

import grpc
import uvloop

from daybook.v1 import invoice_service_pb2 as service_pb
from domain import billing, identity, invoice, reference
from domain.findings import Findings
from domain.invoice import Ingest, Rules
from service.calls import Callers, deadline
from service.estimator import Estimator
from service.ingestion import Ingestion, Replies
from service.interceptors.outermost import OURS, Outermost, decoded
from service.logs import CallLines, set_up
from service.snapshot import Snapshot
from service.tax_remote import Engines
from service.transact import Asked, Book, Outcome
from service.wire.content import read_content
from store import batch, schema
from store.log import Append, History, Meta, Who, Write
from store.memory import MemoryLog, now
from store.statements import inserts

from .invoice import METHOD, request
from .peers.rules import RULES_OF

ROUNDS = 7
INVOICES = 256  # a round
CALLERS = 64
META = Meta(Who("local", "daybook"), "billing-run-2026-11")
Stage = Callable[[], object]


class Context:
    """As much of a call's context as an ingest asks for."""

    def time_remaining(self) -> float | None:
        return None

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        return (("user-agent", "h2load nghttp2/1.52.0"),)

    def peer(self) -> str:
        return "ipv4:127.0.0.1:52814"


@dataclass(slots=True)
class Work:
    """Fresh input for every stage: what the stage before it makes."""

    raw: bytes
    rules: Rules
    codec: Any
    context: Any

    def messages(self) -> list[Any]:
        return [service_pb.IngestInvoiceRequest.FromString(self.raw) for _ in range(INVOICES)]

    def contents(self) -> list[invoice.Content]:
        return [read_content(each.invoice, Findings(), 20_000) for each in self.messages()]

    def decisions(self) -> list[invoice.Decision]:
        return [self.decide(each, uuid4()) for each in self.contents()]

    def decide(self, content: invoice.Content, invoice_id: UUID) -> invoice.Decision:
        decision = billing.ingest(Ingest(content), None, invoice_id, self.rules, Findings())
        return billing.following(decision, None, invoice_id, self.rules.memos)

    def requests(self) -> list[batch.Request]:
        return [self.request(each) for each in self.decisions()]

    def request(self, decision: invoice.Decision) -> batch.Request:
        writes = [Write(identity.REFERENCE_HEAD, 1, ()), Write(uuid4(), 0, decision.events)]
        return batch.request(Append(writes, META), batch.prepare(self.codec, writes))

    def settle(self, requests: Sequence[batch.Request]) -> batch.Settlement:
        heads = {each: batch.BEGINNING for request in requests for each in request.streams}
        heads[identity.REFERENCE_HEAD] = batch.Head(1, "")
        return batch.settle(requests, heads, datetime.now(UTC), partial(batch.prepare, self.codec))


def stages(work: Work, ingestion: Ingestion) -> Iterable[tuple[str, float]]:
    """Microseconds of an invoice in each."""
    parse = service_pb.IngestInvoiceRequest.FromString
    yield "parse", per(lambda: [work.raw] * INVOICES, lambda raw: decoded(raw, parse))
    yield "read", per(work.messages, lambda each: read_content(each.invoice, Findings(), 20_000))
    yield "check", per(work.contents, lambda each: invoice.check(each, work.rules, Findings()))
    yield "fingerprint", per(work.contents, invoice.fingerprint)
    yield "decide, both included", per(work.contents, lambda each: work.decide(each, EXAMPLE))
    yield "encode", per(work.decisions, work.request)
    yield "settle", per(lambda: batches(work.requests()), work.settle) / CALLERS
    rows = lambda: [work.settle(each).rows for each in batches(work.requests())]  # noqa: E731
    yield "rows as parameters", per(rows, lambda each: list(inserts(each))) / CALLERS
    yield "fold", per(work.decisions, lambda each: invoice.fold(each.events, None))
    yield "reply", per(lambda: outcomes(work), partial(reply, ingestion, parse(work.raw)))
    lines = CallLines("info", OURS)
    yield "log line", per(lambda: [0.01] * INVOICES, partial(lines.say, METHOD, work.context.peer()))


EXAMPLE = uuid4()
ASKED = Asked(EXAMPLE, lambda *_: invoice.NOTHING, META)


def outcomes(work: Work) -> list[Outcome[Any]]:
    states = [invoice.fold(each.events, None) for each in work.decisions()]
    return [Outcome(each, History(EXAMPLE, ()), datetime.now(UTC), 8) for each in states]


def reply(ingestion: Ingestion, request: Any, outcome: Outcome[Any]) -> bytes:
    return ingestion._answer(request, ASKED, outcome).SerializeToString()


def batches(requests: Sequence[batch.Request]) -> list[Sequence[batch.Request]]:
    return [requests[start : start + CALLERS] for start in range(0, len(requests), CALLERS)]


def per(fresh: Callable[[], Sequence[Any]], stage: Callable[[Any], object]) -> float:
    """Microseconds of one, but for the worst nine in ten."""
    took: list[int] = []
    for _ in range(ROUNDS):
        for each in fresh():
            began = time.perf_counter_ns()
            stage(each)
            took.append(time.perf_counter_ns() - began)
    return quantiles(took, n=10, method="inclusive")[0] / 1000


async def whole(ingestion: Ingestion, context: Any, raw: bytes) -> float:
    """Microseconds of an invoice through all of it, callers side by side, into a log in memory."""
    method = await intercepted(ingestion)
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        await asyncio.gather(*(caller(method, raw, context) for _ in range(CALLERS)))
        best = min(best, (time.thread_time() - began) / INVOICES)
    return best * 1e6


async def caller(method: Callable[[bytes, Any], Awaitable[Any]], raw: bytes, context: Any) -> None:
    for _ in range(INVOICES // CALLERS):
        await asyncio.create_task(method(raw, context))  # type: ignore[arg-type]


async def intercepted(ingestion: Ingestion) -> Any:
    callers = Callers("daybook")

    async def ingest(request: Any, context: Any) -> Any:
        return await ingestion.one(request, callers.caller(context), deadline(context))

    inner = grpc.unary_unary_rpc_method_handler(
        ingest,
        request_deserializer=service_pb.IngestInvoiceRequest.FromString,
        response_serializer=service_pb.IngestInvoiceResponse.SerializeToString,
    )

    async def continuation(_: Any) -> Any:
        return inner

    class Details:
        method = METHOD
        invocation_metadata = ()

    handler: Any = await Outermost().intercept_service(continuation, Details)  # type: ignore[arg-type]
    return handler.unary_unary


async def measured() -> list[tuple[str, float]]:
    """Every stage, and the whole."""
    raw = request().SerializeToString()
    codec = schema.codec()
    log = MemoryLog(codec)
    head = Write(identity.REFERENCE_HEAD, 0, [reference.ReferenceDataApplied(5, 0, 0)])
    await log.append([head], META)
    snapshot = Snapshot(log, codec.decode, schema.REFERENCE_TOPICS)
    snapshot.current = RULES_OF
    book = Book(log, snapshot, now)
    ingestion = Ingestion(book, Estimator(book, Engines()), Replies(log.identity, book.today))
    context: Any = Context()
    told = list(stages(Work(raw, Rules(RULES_OF, now()), codec, context), ingestion))
    told.append(("whole, log in memory", await whole(ingestion, context, raw)))
    await log.close()
    return told


def main() -> None:
    set_up("info")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name, micros in runner.run(measured()):
            print(f"{name:24}{micros:8.1f} µs")


if __name__ == "__main__":
    main()
