"""Many invoices in one call: each by the same rules as alone, or all of them in one piece."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from daybook.client import explain_failure
from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from domain import identity
from store.log import Meta, Who
from tests.postgres import Database

from .house import House, position, refused, turn_held
from .messages import a_line, a_posted_invoice, an_invoice, apply, cancel, ingest, revise
from .test_debit_memos import billing, happened, posted
from .test_taxes import taxes

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
ALL_OR_EACH = pytest.mark.parametrize("atomic", [False, True], ids=["each", "all"])


def batch(*requests: service_pb.IngestInvoiceRequest, **said: Any) -> service_pb.BatchIngestInvoicesRequest:
    return service_pb.BatchIngestInvoicesRequest(requests=requests, **said)


async def results(house: House, *args: Any, **said: Any) -> list[service_pb.IngestionResult]:
    return list((await house.invoices.BatchIngestInvoices(batch(*args, **said))).results)


def reason(result: service_pb.IngestionResult) -> str:
    """Why an invoice was not ingested; empty where it was."""
    info = ErrorInfo()
    return next((info.reason for each in result.failure.status.details if each.Unpack(info)), "")


def bad(key: str, **changes: Any) -> service_pb.IngestInvoiceRequest:
    return ingest(an_invoice(key, currency_code="eur", account_id="", **changes))


@ALL_OR_EACH
async def test_many_are_recorded_and_answered_in_their_order_as_each_alone(
    own_server: House, atomic: bool
) -> None:
    sent = [ingest(an_invoice(f"b{n}", [a_line()] * (1 + n % 3)), reason=f"r{n}") for n in range(70)]
    answers = await results(own_server, *sent, atomic=atomic)
    assert [each.unique_identifier for each in answers] == [f"b{n}" for n in range(70)]
    for n, (request, result) in enumerate(zip(sent, answers, strict=True)):
        history = await own_server.history(f"b{n}")
        assert [each.name for each in history].count("LineAdded") == 1 + n % 3
        assert {each.meta.reason for each in history} == {f"r{n}"}
        assert position(result.response.position) == history[-1].position
        alone = await own_server.invoices.IngestInvoice(request)
        assert alone.replayed
        alone.replayed = False
        alone.ClearField("invoice")
        assert alone == result.response


@ALL_OR_EACH
async def test_a_batch_heard_again_gives_the_first_answers_and_writes_nothing(
    own_server: House, atomic: bool
) -> None:
    sent = [ingest(an_invoice(f"again {n}")) for n in range(20)]
    first = await results(own_server, *sent[:12], atomic=atomic)
    head = await own_server.head()
    second = await results(own_server, *sent[:12], atomic=atomic)
    assert await own_server.head() == head
    assert all(each.response.replayed for each in second)
    for each in second:
        each.response.replayed = False
    assert second == first
    mixed = await results(own_server, *sent, atomic=atomic)
    assert [each.response.replayed for each in mixed] == [True] * 12 + [False] * 8
    assert [each.response.position for each in mixed[:12]] == [each.response.position for each in first]


async def test_of_a_batch_that_is_not_atomic_a_bad_one_costs_only_itself(own_server: House) -> None:
    answers = await results(
        own_server, ingest(an_invoice("good 1")), bad("bad"), service_pb.IngestInvoiceRequest(), bad("bad")
    )
    assert [reason(each) for each in answers] == ["", "BROKEN_RULES", "BROKEN_RULES", "BROKEN_RULES"]
    alone = await refused(own_server.invoices.IngestInvoice(bad("bad")))
    told = answers[1].failure
    explained = explain_failure(told)
    assert (explained.reason, explained.findings) == (alone.reason, alone.findings)
    assert explained.facts["findings"] == "2"
    assert (told.status.code, told.status.message) == (alone.code.value[0], alone.message)
    assert [(each.path, each.rule, each.description) for each in told.findings] == [
        (each.path, each.rule, each.description) for each in alone.findings
    ]
    assert told.finding_count == len(alone.findings) == 2
    assert len(await own_server.history("good 1")) == 3
    assert await own_server.happened("bad") == []


async def test_of_an_atomic_batch_with_a_bad_one_nothing_is_recorded_and_all_that_is_wrong_is_told(
    own_server: House,
) -> None:
    await own_server.invoices.IngestInvoice(ingest(an_invoice("taken")))
    head = await own_server.head()
    other = ingest(an_invoice("taken", account_id="another"))
    answers = await results(own_server, ingest(an_invoice("fine")), bad("bad"), other, atomic=True)
    assert [reason(each) for each in answers] == ["BATCH_REFUSED", "BROKEN_RULES", "INGESTED_DIFFERENTLY"]
    assert answers[0].failure.status.code == Code.FAILED_PRECONDITION.value[0]
    unread = await results(own_server, other, service_pb.IngestInvoiceRequest(), atomic=True)
    assert [reason(each) for each in unread] == ["INGESTED_DIFFERENTLY", "BROKEN_RULES"]
    assert await own_server.head() == head


@ALL_OR_EACH
async def test_a_key_that_is_sent_twice_is_recorded_once_and_the_second_is_a_replay(
    own_server: House, atomic: bool
) -> None:
    request = ingest(an_invoice("twice"))
    first, between, second = await results(
        own_server, request, ingest(an_invoice("between")), request, atomic=atomic
    )
    assert (first.response.replayed, second.response.replayed) == (False, True)
    assert second.response.position == first.response.position != between.response.position
    second.response.replayed = False
    assert second == first
    assert len(await own_server.history("twice")) == 3


@ALL_OR_EACH
async def test_a_key_that_is_sent_twice_with_other_content_stands_for_the_first(
    own_server: House, atomic: bool
) -> None:
    other = ingest(an_invoice("twice", account_id="another"))
    answers = await results(own_server, ingest(an_invoice("twice")), other, atomic=atomic)
    assert [reason(each) for each in answers] == ["BATCH_REFUSED" if atomic else "", "INGESTED_DIFFERENTLY"]
    assert len(await own_server.history("twice")) == (0 if atomic else 3)


async def test_of_a_key_that_is_sent_twice_the_first_good_one_counts(own_server: House) -> None:
    answers = await results(own_server, bad("twice"), ingest(an_invoice("twice")))
    assert [reason(each) for each in answers] == ["BROKEN_RULES", ""]


@ALL_OR_EACH
async def test_two_of_a_batch_cannot_carry_one_number(own_server: House, atomic: bool) -> None:
    sent = [ingest(a_posted_invoice(f"n{n}", number="R-7")) for n in range(2)]
    answers = await results(own_server, *sent, atomic=atomic)
    assert [reason(each) for each in answers] == ["BATCH_REFUSED" if atomic else "", "NUMBER_TAKEN"]
    held = await own_server.log.read(identity.number("de", "R-7"))
    assert len(held.recorded) == (0 if atomic else 1)


@ALL_OR_EACH
async def test_a_memo_is_billed_by_one_of_a_batch(own_server: House, atomic: bool) -> None:
    await posted(own_server, "m")
    await posted(own_server, "n")
    sent = [billing("of m", "m"), billing("of m too", "m"), billing("of n", "n")]
    answers = await results(own_server, *sent, atomic=atomic)
    refusal = reason(answers[1])
    assert refusal.startswith("DEBIT_MEMO_")
    assert [reason(each) for each in answers] == (
        ["BATCH_REFUSED", refusal, "BATCH_REFUSED"] if atomic else ["", refusal, ""]
    )
    assert (await happened(own_server, "m"))[-1] == ("DebitMemoPosted" if atomic else "DebitMemoBilled")
    assert (await happened(own_server, "n"))[-1] == ("DebitMemoPosted" if atomic else "DebitMemoBilled")


async def test_memos_and_their_invoices_come_in_one_piece(own_server: House) -> None:
    for memo in ("m", "n"):
        await posted(own_server, memo)
    answers = await results(own_server, billing("of m", "m"), billing("of n", "n"), atomic=True)
    assert [reason(each) for each in answers] == ["", ""]
    written = [*await own_server.history("of m"), *await own_server.history("of n")]
    written += [(await own_server.log.read(identity.debit_memo(memo))).recorded[-1] for memo in ("m", "n")]
    positions = sorted(each.position for each in written)
    assert positions == list(range(positions[0], positions[0] + len(positions)))
    assert len({each.recorded for each in written}) == 1


@ALL_OR_EACH
async def test_a_batch_can_be_tried_without_being_recorded(own_server: House, atomic: bool) -> None:
    head = await own_server.head()
    sent = [ingest(an_invoice("dry")), bad("bad")]
    answers = await results(own_server, *sent, atomic=atomic, validate_only=True)
    assert [reason(each) for each in answers] == ["BATCH_REFUSED" if atomic else "", "BROKEN_RULES"]
    sent[0].view = pb.INVOICE_VIEW_FULL
    good = await results(own_server, sent[0], sent[0], atomic=atomic, validate_only=True)
    assert [each.response.replayed for each in good] == [False, atomic]
    assert [each.response.position for each in good] == ["", ""]
    assert [len(each.response.invoice.lines) for each in good] == [1, 1]
    assert await own_server.head() == head


async def test_whether_it_is_tried_only_is_said_for_the_whole_batch(own_server: House) -> None:
    [result] = await results(own_server, ingest(an_invoice("dry"), validate_only=True))
    assert [(each.path, each.rule) for each in result.failure.findings] == [("validate_only", "SET_FOR_ALL")]
    assert await own_server.happened("dry") == []


async def test_no_invoices_and_too_many_are_no_batch(server: House) -> None:
    for count, rule in ((0, "REQUIRED"), (1001, "TOO_MANY")):
        explanation = await refused(
            server.invoices.BatchIngestInvoices(batch(*[service_pb.IngestInvoiceRequest()] * count))
        )
        assert explanation.code is Code.INVALID_ARGUMENT
        assert [(each.path, each.rule) for each in explanation.findings] == [("requests", rule)]


async def test_findings_are_told_up_to_a_thousand_of_one_and_ten_thousand_of_all(server: House) -> None:
    lines = [pb.LineContent()] * 400
    sent = [bad(f"very bad {n}", lines=lines) for n in range(12)]
    answers = await results(server, *sent)
    told = [len(each.failure.findings) for each in answers]
    assert told == [1000] * 10 + [0] * 2
    assert all(each.failure.finding_count > 1000 for each in answers)
    assert all(each.failure.status.message for each in answers)


async def test_who_says_it_and_why_accompanies_each_of_an_atomic_batch(own_server: House) -> None:
    sent = [ingest(an_invoice(f"told {n}"), reason=f"r{n}", correlation_id=f"c{n}") for n in range(3)]
    await own_server.invoices.BatchIngestInvoices(
        batch(*sent, atomic=True), metadata=(("daybook-actor", "ada"),)
    )
    for n in range(3):
        expected = Meta(Who("claimed", "ada"), correlation=f"c{n}", reason=f"r{n}")
        assert {each.meta for each in await own_server.history(f"told {n}")} == {expected}


async def test_a_reason_that_is_too_long_costs_only_its_own_invoice(own_server: House) -> None:
    sent = [ingest(an_invoice("wordy"), reason="x" * 256), ingest(an_invoice("curt"), reason="x")]
    answers = await results(own_server, *sent)
    assert [reason(each) for each in answers] == ["BROKEN_RULES", ""]
    assert [each.path for each in answers[0].failure.findings] == ["reason"]


@ALL_OR_EACH
async def test_rate_tables_are_worked_out_in_the_same_append_and_engines_elsewhere_are_asked_after_it(
    own_server: House, atomic: bool
) -> None:
    await own_server.reference.ApplyReferenceData(apply(taxes()))
    near, far = (
        an_invoice(name, [a_line(tax_treatment_id=name)], should_calculate_tax=True)
        for name in ("near", "far")
    )
    answers = await results(own_server, ingest(near), ingest(far), ingest(an_invoice("none")), atomic=atomic)
    assert [each.response.tax for each in answers] == [
        service_pb.TAX_OUTCOME_ESTIMATED,
        service_pb.TAX_OUTCOME_FAILED,
        service_pb.TAX_OUTCOME_NOT_REQUESTED,
    ]
    assert answers[1].response.tax_failure.engine_id == "far"
    near_events = await own_server.history("near")
    assert position(answers[0].response.position) == near_events[-1].position
    assert len({each.recorded for each in near_events}) == 1
    again = await results(own_server, ingest(near), atomic=atomic)
    assert again[0].response.totals == answers[0].response.totals


@ALL_OR_EACH
async def test_a_canceled_or_revised_invoice_is_still_known_by_what_it_was_ingested_with(
    own_server: House, atomic: bool
) -> None:
    sent = [ingest(an_invoice(name)) for name in ("canceled", "revised")]
    first = await results(own_server, *sent, atomic=atomic)
    await own_server.invoices.CancelInvoice(cancel("canceled"))
    await own_server.invoices.ReviseInvoice(revise("revised", an_invoice("revised", account_id="b")))
    again = await results(own_server, *sent, atomic=atomic)
    assert [each.response.status for each in again] == [pb.INVOICE_STATUS_CANCELED, pb.INVOICE_STATUS_DRAFT]
    assert [each.response.position for each in again] == [each.response.position for each in first]
    assert [each.response.totals for each in again] == [each.response.totals for each in first]


async def test_batches_at_once_with_the_same_keys_record_each_once(own_server: House) -> None:
    sent = [ingest(an_invoice(f"raced {n}")) for n in range(30)]
    calls = [results(own_server, *sent[shift:], *sent[:shift], atomic=shift % 2 == 1) for shift in range(8)]
    answers = [result for answer in await asyncio.gather(*calls) for result in answer]
    assert {reason(each) for each in answers} == {""}
    assert sum(not each.response.replayed for each in answers) == 30
    assert len({(each.unique_identifier, each.response.position) for each in answers}) == 30
    for n in range(30):
        assert len(await own_server.history(f"raced {n}")) == 3


async def test_a_batch_on_an_empty_book_is_told_what_to_load(empty_server: House) -> None:
    for atomic in (False, True):
        answers = await results(empty_server, ingest(), ingest(), atomic=atomic)
        assert {reason(each) for each in answers} == {"NO_REFERENCE_DATA"}
    await empty_server.reference.ApplyReferenceData(apply())
    assert {reason(each) for each in await results(empty_server, ingest(), ingest())} == {""}


@ALL_OR_EACH
async def test_a_deadline_that_passes_while_the_log_is_held_leaves_the_keys_free(
    own_server: House, database: Database, atomic: bool
) -> None:
    request = batch(*(ingest(an_invoice(f"impatient {n}")) for n in range(5)), atomic=atomic)
    async with turn_held(database.app_dsn):
        call = own_server.invoices.BatchIngestInvoices(request, timeout=0.4)
        said: Any = (await asyncio.gather(call, return_exceptions=True))[0]
        if isinstance(said, grpc.aio.AioRpcError):
            assert said.code() is Code.DEADLINE_EXCEEDED
        else:
            codes = {each.failure.status.code for each in said.results}
            assert codes == {Code.DEADLINE_EXCEEDED.value[0]}
    answer = await own_server.invoices.BatchIngestInvoices(request)
    assert all(each.HasField("response") for each in answer.results)
    for n in range(5):
        assert len(await own_server.history(f"impatient {n}")) == 3
