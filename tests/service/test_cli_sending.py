"""Sending under difficulties: asked again with the same key, never too many at once, and stopped in time."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from typer.testing import CliRunner, Result

from daybook.v1 import invoice_pb2 as pb
from daybook.v1.invoice_service_pb2 import (
    BatchIngestInvoicesRequest,
    BatchIngestInvoicesResponse,
    IngestInvoiceRequest,
    IngestInvoiceResponse,
    IngestionResult,
    InvoiceFailure,
)
from service.cli import app, sending, together

KEYLESS = {"account_id": "A", "lines": [{"name": "Sensor"}]}
OVERLOADED = grpc.StatusCode.RESOURCE_EXHAUSTED
LATE = grpc.StatusCode.DEADLINE_EXCEEDED
AWAY = grpc.StatusCode.UNAVAILABLE
SOON = RetryInfo(retry_delay=Duration(nanos=50_000_000))


@dataclass
class Scripted:
    """A service that fails as it is told, for each key, before it answers."""

    faults: list[tuple[grpc.StatusCode, tuple[Message, ...]]] = field(default_factory=list)
    seconds: float = 0.0
    whole: bool = False  # the call fails, and not only the invoice
    sizes: list[int] = field(default_factory=list)
    heard: list[IngestInvoiceRequest] = field(default_factory=list)
    actors: list[str] = field(default_factory=list)
    at_once: int = 0
    at_once_most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(
        self, batch: BatchIngestInvoicesRequest, context: grpc.ServicerContext
    ) -> BatchIngestInvoicesResponse:
        with self.lock:
            self.sizes.append(len(batch.requests))
            self.actors.extend(str(v) for k, v in context.invocation_metadata() if k == "daybook-actor")
            self.at_once += len(batch.requests)
            self.at_once_most = max(self.at_once_most, self.at_once)
        time.sleep(self.seconds)
        with self.lock:
            self.at_once -= len(batch.requests)
            results = [self.result(batch, request) for request in batch.requests]
        if self.whole and results[0].HasField("failure"):
            fail(context, results[0].failure.status)
        return BatchIngestInvoicesResponse(results=results)

    def result(self, batch: BatchIngestInvoicesRequest, request: IngestInvoiceRequest) -> IngestionResult:
        heard = IngestInvoiceRequest()
        heard.CopyFrom(request)
        heard.validate_only = batch.validate_only
        self.heard.append(heard)
        times = Counter(self.keys())[request.invoice.unique_identifier]
        if times <= len(self.faults):
            return IngestionResult(failure=InvoiceFailure(status=status_of(*self.faults[times - 1])))
        answer = IngestInvoiceResponse(invoice_id="i", status=pb.INVOICE_STATUS_DRAFT, position="1")
        return IngestionResult(response=answer)

    def keys(self) -> list[str]:
        return [each.invoice.unique_identifier for each in self.heard]


def status_of(code: grpc.StatusCode, details: tuple[Message, ...]) -> Status:
    status = Status(code=code.value[0], message="as told")
    for detail in details:
        status.details.add().Pack(detail)
    return status


def fail(context: grpc.ServicerContext, status: Status) -> None:
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    [code] = [each for each in grpc.StatusCode if each.value[0] == status.code]
    context.abort(code, "as told")


@pytest.mark.parametrize("whole", [False, True], ids=["one", "the call"])
@pytest.mark.parametrize(
    "fault",
    [
        (OVERLOADED, (ErrorInfo(reason="OVERLOADED"), SOON)),
        (LATE, (ErrorInfo(reason="OUTCOME_UNKNOWN"),)),
        (LATE, ()),
        (AWAY, (ErrorInfo(reason="STORE_UNAVAILABLE"), SOON)),
        (grpc.StatusCode.ABORTED, (ErrorInfo(reason="CONTENDED"), SOON)),
    ],
    ids=lambda fault: fault[0].name,
)
def test_what_may_help_is_asked_again_with_the_same_key(
    fault: tuple[grpc.StatusCode, tuple[Message, ...]], whole: bool
) -> None:
    scripted = Scripted([fault, fault], whole=whole)
    assert "1 recorded" in ingest(scripted, KEYLESS).stdout
    assert len(set(scripted.keys())) == 1
    assert scripted.keys()[0].startswith("file:")
    assert len(scripted.heard) >= 3


def test_it_waits_as_long_as_it_is_told() -> None:
    later = RetryInfo(retry_delay=Duration(seconds=1))
    began = time.monotonic()
    ingest(Scripted([(OVERLOADED, (later,))]), KEYLESS)
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("whole", [False, True], ids=["one", "the call"])
@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, OVERLOADED, grpc.StatusCode.INTERNAL])
def test_what_will_not_help_is_asked_once_and_refused(code: grpc.StatusCode, whole: bool) -> None:
    scripted = Scripted([(code, (ErrorInfo(reason="NO"),))] * 9, whole=whole)
    said = ingest(scripted, KEYLESS, status=1)
    assert "NO: as told" in said.stdout
    assert len(scripted.heard) == 1


def test_a_service_that_stays_away_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "ATTEMPTS_MAX", 2)
    monkeypatch.setattr(sending, "WAIT_FIRST", 0.01)
    scripted = Scripted([(AWAY, ())] * 99)
    said = ingest(scripted, [dict(KEYLESS, account_id=str(n)) for n in range(300)], "--window", "4", status=3)
    assert "stopped at stdin:1[0]: UNAVAILABLE" in said.stderr
    assert "run it again" in said.stderr
    assert len(set(scripted.keys())) < 20


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED])
def test_who_is_not_let_in_is_told_once(code: grpc.StatusCode) -> None:
    said = ingest(Scripted([(code, ())] * 99), [KEYLESS, KEYLESS, KEYLESS], "--window", "1", status=3)
    assert said.stderr.count(code.name) == 1


def test_many_are_sent_together_and_one_that_is_too_large_costs_only_itself() -> None:
    scripted = Scripted(seconds=0.05)
    ingest(scripted, [dict(KEYLESS, account_id=str(n)) for n in range(500)])
    assert max(scripted.sizes) == together.BATCH_MAX
    with served(scripted) as target:
        large = [dict(KEYLESS, account_id=str(n), description="x" * (5_000_000 * (n == 3))) for n in range(9)]
        said = run(target, "ingest", "-", status=1, typed=json.dumps(large))
    assert "8 recorded" in said.stdout
    assert said.stdout.count("RESOURCE_EXHAUSTED") == 1


@pytest.mark.parametrize("window", [1, 5])
def test_no_more_are_in_flight_than_allowed(window: int) -> None:
    scripted = Scripted(seconds=0.02)
    ingest(scripted, [dict(KEYLESS, account_id=str(n)) for n in range(30)], "--window", str(window))
    assert 1 <= scripted.at_once_most <= window
    assert len(scripted.heard) == 30


def test_what_cannot_be_said_is_not_recorded_and_everything_wrong_is_told_at_once() -> None:
    scripted = Scripted()
    said = ingest(scripted, {"acount_id": "A", "invoice_date": "2.11.2026"}, status=1)
    assert "invoice.acount_id: unknown field" in said.stdout
    assert "invoice.invoice_date: a date such as" in said.stdout
    assert all(request.validate_only for request in scripted.heard)


def test_who_and_why_go_with_every_invoice() -> None:
    scripted = Scripted()
    ingest(scripted, KEYLESS, "--as", "Jürgen Groß", "--reason", "trial", "--correlation-id", "c-1")
    assert scripted.actors == ["J%C3%BCrgen Gro%C3%9F"]
    assert [(each.reason, each.correlation_id) for each in scripted.heard] == [("trial", "c-1")]


def test_what_a_request_in_a_file_says_of_itself_stands() -> None:
    scripted = Scripted()
    ingest(
        scripted, {"invoice": KEYLESS, "reason": "from the file", "correlation_id": "c"}, "--reason", "mine"
    )
    assert [(each.reason, each.correlation_id) for each in scripted.heard] == [("mine", "c")]


def test_what_was_refused_keeps_its_words_and_its_numbers(tmp_path: Path) -> None:
    refused = tmp_path / "refused.jsonl"
    file = tmp_path / "in.yaml"
    file.write_text("- invoice: {account_id: 0012, lines: [{quantity: 1.50}]}\n  reason: why\n- 7\n")
    scripted = Scripted([(grpc.StatusCode.INVALID_ARGUMENT, ())] * 9)
    with served(scripted) as target:
        run(target, "ingest", str(file), "--refused", str(refused), status=1)
    one, other = map(json.loads, refused.read_text().splitlines())
    assert one["invoice"] == {"account_id": "0012", "lines": [{"quantity": "1.50"}]}
    assert (one["reason"], one["place"]) == ("why", f"{file}:1")
    assert one["errors"] == [{"path": "", "rule": "INVALID_ARGUMENT", "description": "as told"}]
    assert other["invoice"] == "7"


def test_a_line_that_cannot_be_read_is_refused_and_the_others_are_sent() -> None:
    scripted = Scripted()
    with served(scripted) as target:
        typed = '{"account_id": "A"}\n{"account_id": \n{"account_id": "B"}\n'
        said = run(target, "ingest", "-", "--format", "jsonl", "--csv", status=1, typed=typed)
    assert [line.split(",")[:2] for line in said.stdout.splitlines()[1:]] == [
        ["stdin:1", "recorded"],
        ["stdin:2", "refused"],
        ["stdin:3", "recorded"],
    ]


def test_nothing_is_nothing() -> None:
    assert "nothing to ingest" in ingest(Scripted(), []).stdout


@contextmanager
def served(scripted: Scripted) -> Iterator[str]:
    behavior: Callable[[BatchIngestInvoicesRequest, grpc.ServicerContext], BatchIngestInvoicesResponse]
    behavior = scripted.answer
    method = grpc.unary_unary_rpc_method_handler(
        behavior, BatchIngestInvoicesRequest.FromString, BatchIngestInvoicesResponse.SerializeToString
    )
    running = grpc.server(ThreadPoolExecutor(16))
    running.add_registered_method_handlers("daybook.v1.InvoiceService", {"BatchIngestInvoices": method})
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        running.stop(None).wait()


def ingest(scripted: Scripted, what: object, *options: str, status: int = 0) -> Result:
    with served(scripted) as target:
        return run(target, "ingest", "-", *options, status=status, typed=json.dumps(what))


def run(target: str, *arguments: str, status: int = 0, typed: str = "") -> Result:
    result = CliRunner().invoke(app, list(arguments), input=typed, env={"DAYBOOK_SERVER": target})
    assert result.exit_code == status, result.output
    return result
