"""Many postings in one call: each by the same rules as alone, and one that fails costs only itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc.error_details_pb2 import ErrorInfo

from daybook.client import explain_failure
from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from tests.postgres import Database

from .house import House, position, refused
from .messages import (
    a_line,
    a_policy,
    a_posted_invoice,
    an_invoice,
    apply,
    by_id,
    by_number,
    cancel,
    get,
    ingest,
    post,
    postable,
)
from .test_filing import a_desk, a_house, code
from .test_posting import numbers
from .test_taxes import near

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
POSTED, FAILED = service_pb.POSTING_OUTCOME_POSTED, service_pb.POSTING_OUTCOME_FAILED


@pytest_asyncio.fixture(loop_scope="module")
async def own(empty_server: House) -> House:
    """A book of this test's own that can post, and numbers invoices INV-0001 and so on."""
    await empty_server.reference.ApplyReferenceData(apply(postable(a_policy())))
    return empty_server


async def drafts(house: House, *keys: str, **said: Any) -> Sequence[str]:
    """Their ids."""
    sent = [ingest(an_invoice(key, **said)) for key in keys]
    answer = await house.invoices.BatchIngestInvoices(service_pb.BatchIngestInvoicesRequest(requests=sent))
    return [each.response.invoice_id for each in answer.results]


async def posted(
    house: House, *requests: service_pb.PostInvoiceRequest
) -> service_pb.BatchPostInvoicesResponse:
    return await house.invoices.BatchPostInvoices(service_pb.BatchPostInvoicesRequest(requests=requests))


def reason(result: service_pb.PostingResult) -> str:
    """Why there is no answer; empty where there is one."""
    info = ErrorInfo()
    return next((info.reason for each in result.failure.status.details if each.Unpack(info)), "")


def given(answer: service_pb.BatchPostInvoicesResponse) -> list[str]:
    return [each.response.invoice.invoice_number for each in answer.results]


async def test_a_whole_batch_takes_the_numbers_of_a_series_in_its_order(own: House) -> None:
    keys = [f"m{n}" for n in range(1000)]
    await drafts(own, *keys)
    answer = await posted(own, *(post(key, reason=f"run {key}") for key in keys))
    assert [each.key.unique_identifier for each in answer.results] == keys
    assert {each.response.posting for each in answer.results} == {POSTED}
    assert given(answer) == await numbers(own) == [f"INV-{n:04}" for n in range(1, 1001)]
    for key, result in list(zip(keys, answer.results, strict=True))[::100]:
        history = await own.history(key)
        assert [each.name for each in history][-2:] == ["TaxPosted", "InvoicePosted"]
        assert history[-1].meta.reason == f"run {key}"
        assert position(result.response.position) == history[-1].position
    assert answer.position == answer.results[-1].response.position
    read = await own.queries.GetInvoice(get(by_number("INV-1000"), min_position=answer.position))
    assert read.invoice.invoice_id == answer.results[-1].response.invoice.invoice_id


async def test_each_is_answered_as_it_would_be_alone(own: House) -> None:
    await drafts(own, "alone")
    whole = post("alone", view=pb.INVOICE_VIEW_FULL)
    [first] = (await posted(own, whole)).results
    assert {line.tax_status for line in first.response.invoice.lines} == {pb.TAX_STATUS_POSTED}
    alone = await own.invoices.PostInvoice(whole)
    [again] = (await posted(own, whole)).results
    assert again.response == alone
    assert alone.replayed
    first.response.replayed = True
    assert first.response == alone


async def test_one_that_cannot_be_posted_costs_only_itself_and_takes_no_number(own: House) -> None:
    treatment = reference_pb.TaxTreatment(id="no-engine", name="No engine", taxable=True)
    await own.reference.ApplyReferenceData(apply(reference_pb.ReferenceData(tax_treatments=[treatment])))
    await drafts(own, "one", "canceled", "two", "three")
    await own.invoices.CancelInvoice(cancel("canceled"))
    without = an_invoice("without", [a_line(tax_treatment_id="no-engine")])
    await own.invoices.IngestInvoice(ingest(without))
    answer = await posted(
        own,
        post("one"),
        post("canceled"),
        post("nobody"),
        service_pb.PostInvoiceRequest(),
        post("two"),
        post("without"),
        post(by_number("X-1")),
        post("three", view=7, reason="x" * 256),
        post("three"),
    )
    assert [reason(each) for each in answer.results] == [
        *("", "NOT_DRAFT", "INVOICE_NOT_FOUND", "BROKEN_RULES", ""),
        *("", "INVOICE_NOT_FOUND", "BROKEN_RULES", ""),
    ]
    for n, key in ((1, "canceled"), (2, "nobody")):
        alone = await refused(own.invoices.PostInvoice(post(key)))
        told = explain_failure(answer.results[n].failure)
        assert (told.code, told.reason, told.message) == (alone.code, alone.reason, alone.message)
    assert [each.path for each in answer.results[3].failure.findings] == ["key"]
    assert [each.path for each in answer.results[7].failure.findings] == ["reason", "view"]
    failed = answer.results[5].response
    assert (failed.posting, failed.failure.code) == (FAILED, "NO_ENGINE")
    assert failed.invoice.status == pb.INVOICE_STATUS_DRAFT
    numbered = ["INV-0001", "INV-0002", "INV-0003"]
    assert [number for number in given(answer) if number] == await numbers(own) == numbered
    newest = max(position(each.response.position) for each in answer.results if not reason(each))
    assert position(answer.position) == newest


async def test_where_all_are_refused_nothing_is_written_and_there_is_no_position(own: House) -> None:
    settings = reference_pb.Settings(number_required_at_posting=True)
    second = a_policy("second", pattern="SEC-{SequenceValue}")
    data = reference_pb.ReferenceData(sequence_policies=[second], settings=settings)
    await own.reference.ApplyReferenceData(apply(data))
    await drafts(own, "a", "b")
    before = await own.head()
    answer = await posted(own, post("a"), post("b"), post("nobody"))
    expected = ["NUMBER_REQUIRED", "NUMBER_REQUIRED", "INVOICE_NOT_FOUND"]
    assert [reason(each) for each in answer.results] == expected
    assert answer.position == ""
    assert await own.head() == before


async def test_an_invoice_that_stands_there_twice_by_whatever_name_is_posted_once(own: House) -> None:
    twice, _ = await drafts(own, "twice", "between")
    answer = await posted(own, post("twice"), post("between"), post(by_id(twice)))
    assert [each.response.replayed for each in answer.results] == [False, False, True]
    assert given(answer) == ["INV-0001", "INV-0002", "INV-0001"]
    assert answer.results[2].response.position == answer.results[0].response.position
    before = await own.head()
    again = await posted(own, post("between"), post(by_number("INV-0001")))
    assert [each.response.replayed for each in again.results] == [True, True]
    assert await own.head() == before


async def test_numbers_that_were_brought_are_passed_over(own: House) -> None:
    for number in ("INV-0002", "INV-0003", "INV-0007"):
        await own.invoices.IngestInvoice(ingest(a_posted_invoice(f"brought {number}", number=number)))
    keys = [f"mine {n}" for n in range(30)]
    await drafts(own, *keys)
    answer = await posted(own, *map(post, keys))
    left = [n for n in range(1, 34) if n not in (2, 3, 7)]
    assert sorted(given(answer)) == [f"INV-{n:04}" for n in left]
    assert await numbers(own) == [f"INV-{n:04}" for n in range(1, 34)]


async def test_batches_at_once_with_the_same_invoices_post_each_once(own: House) -> None:
    keys = [f"raced {n}" for n in range(40)]
    await drafts(own, *keys)
    calls = [posted(own, *map(post, [*keys[shift:], *keys[:shift]])) for shift in range(0, 40, 10)]
    answers = await asyncio.gather(*calls)
    results = [result for answer in answers for result in answer.results]
    assert {reason(each) for each in results} == {""}
    assert sum(not each.response.replayed for each in results) == 40
    said = {(each.key.unique_identifier, each.response.invoice.invoice_number) for each in results}
    assert len(said) == 40
    assert await numbers(own) == [f"INV-{n:04}" for n in range(1, 41)]


async def test_no_posting_and_too_many_are_no_batch(own: House) -> None:
    before = await own.head()
    for requests, rule in (([], "REQUIRED"), ([post("a")] * 1001, "TOO_MANY")):
        error = await refused(posted(own, *requests))
        [finding] = error.findings
        assert (error.code, finding.path, finding.rule) == (Code.INVALID_ARGUMENT, "requests", rule)
    assert await own.head() == before


async def test_an_engine_elsewhere_files_each_once_and_where_it_is_silent_only_its_own_stay_drafts(
    database: Database, tmp_path: Path
) -> None:
    async with a_desk(tmp_path) as desk, a_house(database, desk, "far 1", "far 2", "far 3") as house:
        await drafts(house, "near", lines=[near()])
        answer = await posted(house, post("far 1"), post("near"), post("far 2"), post("far 1"))
        assert [each.response.posting for each in answer.results] == [POSTED] * 4
        assert [each.response.replayed for each in answer.results] == [False, False, False, True]
        assert sorted(desk.filed) == sorted(f"filed {code(key)}" for key in ("far 1", "far 2"))
        desk.silent(True)
        await drafts(house, "near 2", lines=[near()])
        answer = await posted(house, post("far 3"), post("near 2"))
        assert [each.response.posting for each in answer.results] == [FAILED, POSTED]
        assert answer.results[0].response.failure.code == "TIMEOUT"
