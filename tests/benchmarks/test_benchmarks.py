"""The benchmarks compare like with like, and their verdicts follow from what was measured."""

import asyncio
from uuid import UUID

import pytest

from benchmarks import invoice as measured
from benchmarks import shapes, soak, stages
from benchmarks.goals import Goal, told
from benchmarks.peers import rules, stock
from benchmarks.processes import Size
from daybook.v1 import invoice_service_pb2 as service_pb
from domain import invoice
from domain.findings import Findings
from service.wire.content import read_content

MESSAGE = measured.request().invoice
DECIDED = rules.decided(MESSAGE, UUID(int=1))


def test_peers_check_the_content_that_the_service_checks() -> None:
    assert rules.content(MESSAGE) == read_content(MESSAGE, Findings(), lines_max=measured.LINES)


def test_the_measured_invoice_comes_to_as_many_events_as_the_benchmarks_count() -> None:
    assert len(DECIDED) == measured.EVENTS
    assert sum(isinstance(each, invoice.LineAdded) for each in DECIDED) == measured.LINES


def test_a_frame_says_its_length() -> None:
    request = measured.request()
    assert measured.framed(request) == b"\0\0\0\x07\x00" + request.SerializeToString()


def test_the_stock_peer_stores_all_of_the_invoice() -> None:
    application = stock.Invoices({"PERSISTENCE_MODULE": "eventsourcing.popo"})
    invoice_id = application.ingest(DECIDED)
    assert isinstance(invoice_id, UUID)
    found: stock.Invoice = application.repository.get(invoice_id)
    assert (len(found.addresses), len(found.lines), len(found.taxes)) == (1, measured.LINES, 1)
    assert found.header["personal"]["account_name"] == MESSAGE.account_name


@pytest.mark.parametrize(
    ("at_least", "measured_each", "verdict"),
    [
        (True, [0.5, 0.7, 0.6], "reached"),
        (True, [0.3, 0.1, 0.9], "falls short by 50%"),
        (False, [0.1, 0.6, 0.7], "reached"),
        (False, [0.9, 0.1, 1.5], "falls short by 50%"),
    ],
)
def test_a_verdict_is_about_the_median(at_least: bool, measured_each: list[float], verdict: str) -> None:
    assert Goal("", at_least, 0.6, measured_each).verdict == verdict


def test_every_stage_of_an_ingest_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "ROUNDS", 1)
    monkeypatch.setattr(stages, "INVOICES", 2 * stages.CALLERS)
    told = dict(asyncio.run(stages.measured()))
    assert {"parse", "read", "check", "encode", "settle", "reply", "whole, log in memory"} <= told.keys()
    assert all(micros > 0 for micros in told.values())


def test_every_invoice_of_a_stream_has_a_key_of_its_own() -> None:
    keys = {each.request.invoice.unique_identifier for each in measured.streamed(50)}
    assert len(keys) == 50
    assert "" not in keys


def test_an_echo_is_as_large_as_the_answer_that_it_is_the_ceiling_of() -> None:
    for size in (900, 2_500, 9_000):
        assert abs(measured.as_large_as(size).ByteSize() - size) < 8


def test_a_batch_counts_all_its_invoices() -> None:
    batch = shapes.batch()
    message = service_pb.BatchIngestInvoicesRequest.FromString(batch.frame[5:])
    assert len(message.requests) == batch.invoices == shapes.BATCHED


def test_an_answer_that_is_always_the_same_is_required_to_the_byte() -> None:
    echo = shapes.echo(900)
    right = 3 * (5 + len(echo.answer or b""))
    echo.require_right(3, right)
    for wrong in (right - 1, right + 1):
        with pytest.raises(shapes.WrongAnswer):
            echo.require_right(3, wrong)


def test_a_stream_whose_invoice_was_refused_is_no_right_answer() -> None:
    def answers(*results: service_pb.IngestionResult) -> bytes:
        streamed = [service_pb.StreamedResult(result=each) for each in results]
        return b"".join(
            measured.framed(service_pb.StreamIngestInvoicesResponse(results=[each])) for each in streamed
        )

    def response(invoice_id: str) -> service_pb.IngestionResult:
        return service_pb.IngestionResult(response=service_pb.IngestInvoiceResponse(invoice_id=invoice_id))

    assert shapes.recorded(answers(response("a"), response("b"))) == 2
    assert shapes.recorded(answers(response("a"), response("a"))) == 1, "one invoice, told twice"
    with pytest.raises(shapes.WrongAnswer):
        shapes.recorded(
            answers(response("a"), service_pb.IngestionResult(failure=service_pb.InvoiceFailure()))
        )


def test_what_nothing_was_wished_for_has_no_verdict() -> None:
    row = told("the log, an invoice", [3_000.0], "{:,.0f} bytes")
    assert (row.verdict, row.value) == ("", 3_000.0)


def test_a_soak_is_judged_by_its_last_third_against_what_had_settled() -> None:
    def looks(growing: float) -> list[soak.Look]:
        """A minute apart, for an hour; whatever the first minutes take on is left alone."""
        sizes = [100 + growing * max(0, minute - 10) - 50 * (minute < 5) for minute in range(61)]
        return [soak.Look(minute, {"worker": Size(size, 40)}, 0) for minute, size in enumerate(sizes)]

    flat, growing = (soak.goals(looks(each), 60.0) for each in (0.0, 1.0))
    assert [each.verdict for each in flat[:2]] == ["reached", "reached"]
    assert [each.reached for each in growing[:2]] == [False, True]
