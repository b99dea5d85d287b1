"""Posting through the whole house: taxes, numbers, memos, and what is answered where it cannot be."""

from __future__ import annotations

import asyncio
from datetime import date

import grpc
import pytest
import pytest_asyncio

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from domain import identity, sequence

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
    day,
    get,
    ingest,
    post,
    postable,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
POSTED = service_pb.POSTING_OUTCOME_POSTED
FAILED = service_pb.POSTING_OUTCOME_FAILED


@pytest_asyncio.fixture(loop_scope="module")
async def own(empty_server: House) -> House:
    """A book of this test's own that can post, and numbers invoices INV-0001 and so on."""
    await empty_server.reference.ApplyReferenceData(apply(postable(a_policy())))
    return empty_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def book(server: House) -> House:
    """The book of this module, which can post; its numbers are whatever the tests before have left."""
    await server.reference.ApplyReferenceData(apply(postable(a_policy())))
    return server


async def drafts(house: House, *keys: str) -> None:
    for key in keys:
        await house.invoices.IngestInvoice(ingest(an_invoice(key)))


async def posted(house: House, key: str) -> pb.Invoice:
    await drafts(house, key)
    answer = await house.invoices.PostInvoice(post(key))
    assert answer.posting == POSTED
    return answer.invoice


async def numbers(house: House, policy_id: str = "invoices", period: str = "") -> list[str]:
    """What the series holds, in its order."""
    history = await house.log.read(identity.series(policy_id, period))
    return [event.number for event in history.events if isinstance(event, sequence.NumberAssigned)]


async def test_a_posted_draft_has_its_taxes_its_date_and_its_number(book: House) -> None:
    await drafts(book, "whole")
    answer = await book.invoices.PostInvoice(post("whole", view=pb.INVOICE_VIEW_FULL, reason="month's end"))
    invoice = answer.invoice
    assert (answer.posting, answer.replayed) == (POSTED, False)
    assert invoice.status == pb.INVOICE_STATUS_POSTED
    assert invoice.invoice_number.startswith("INV-")
    assert invoice.settlement_status == pb.SETTLEMENT_STATUS_NOT_SETTLED
    assert {line.tax_status for line in invoice.lines} == {pb.TAX_STATUS_POSTED}
    assert (invoice.totals.total_tax.units, invoice.totals.total_tax.nanos) == (47, 500_000_000)
    history = await book.history("whole")
    assert [each.name for each in history][-2:] == ["TaxPosted", "InvoicePosted"]
    assert history[-1].meta.reason == "month's end"
    assert position(answer.position) == history[-1].position


async def test_a_posted_invoice_is_read_as_its_posting_answered_it(book: House) -> None:
    lines = [a_line(), a_line("10.00", tax_treatment_id="exempt")]
    await book.invoices.IngestInvoice(ingest(an_invoice("read", lines)))
    answer = await book.invoices.PostInvoice(post("read", view=pb.INVOICE_VIEW_FULL))
    by_its_number = by_number(answer.invoice.invoice_number)
    read = await book.queries.GetInvoice(get(by_its_number, min_position=answer.position))
    assert read.invoice == answer.invoice


async def test_posting_again_changes_nothing(book: House) -> None:
    first = await posted(book, "again")
    before = await book.head()
    again = await book.invoices.PostInvoice(post(by_id(first.invoice_id)))
    assert (again.posting, again.replayed) == (POSTED, True)
    assert again.invoice == first
    assert await book.head() == before


async def test_many_who_post_one_draft_post_it_once(own: House) -> None:
    await drafts(own, "wanted by many")
    calls = [own.invoices.PostInvoice(post("wanted by many")) for _ in range(20)]
    answers = await asyncio.gather(*calls)
    assert {answer.invoice.invoice_number for answer in answers} == {"INV-0001"}
    assert sum(not answer.replayed for answer in answers) == 1
    assert await numbers(own) == ["INV-0001"]


async def test_postings_that_come_together_take_consecutive_numbers(own: House) -> None:
    keys = [f"together {n}" for n in range(60)]
    await asyncio.gather(*(own.invoices.IngestInvoice(ingest(an_invoice(key))) for key in keys))
    answers = await asyncio.gather(*(own.invoices.PostInvoice(post(key)) for key in keys))
    given = {answer.invoice.invoice_number for answer in answers}
    assert given == {f"INV-{n:04}" for n in range(1, 61)}
    assert await numbers(own) == sorted(given)


async def test_a_posting_that_is_refused_takes_no_number(own: House) -> None:
    await drafts(own, "one", "two", "canceled")
    await own.invoices.PostInvoice(post("one"))
    await own.invoices.CancelInvoice(cancel("canceled"))
    before = await own.head()
    error = await refused(own.invoices.PostInvoice(post("canceled")))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NOT_DRAFT")
    error = await refused(own.invoices.PostInvoice(post("nobody")))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "INVOICE_NOT_FOUND")
    assert "nobody" in error.message
    assert await own.head() == before
    await own.invoices.PostInvoice(post("two"))
    assert await numbers(own) == ["INV-0001", "INV-0002"]


async def test_nothing_is_posted_into_a_closed_period(own: House) -> None:
    await drafts(own, "late")
    closed = reference_pb.ReferenceData(
        accounting_periods=[
            reference_pb.AccountingPeriod(
                id="de-2026",
                legal_entity_id="de",
                name="2026",
                start_date=day(date(2026, 1, 1)),
                end_date=day(date(2026, 12, 31)),
                status=reference_pb.PERIOD_STATUS_CLOSED,
            )
        ]
    )
    await own.reference.ApplyReferenceData(apply(closed))
    before = await own.head()
    error = await refused(own.invoices.PostInvoice(post("late")))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "PERIOD_IS_CLOSED")
    assert await own.head() == before
    allowed = reference_pb.ReferenceData(settings=reference_pb.Settings(closed_periods_allowed=True))
    await own.reference.ApplyReferenceData(apply(allowed))
    assert (await own.invoices.PostInvoice(post("late"))).posting == POSTED


async def test_where_a_number_is_required_and_there_is_none_the_draft_stays(own: House) -> None:
    settings = reference_pb.Settings(number_required_at_posting=True)
    second = a_policy("second", pattern="SEC-{SequenceValue}")
    data = reference_pb.ReferenceData(sequence_policies=[second], settings=settings)
    await own.reference.ApplyReferenceData(apply(data))
    await drafts(own, "unnumbered")
    error = await refused(own.invoices.PostInvoice(post("unnumbered")))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NUMBER_REQUIRED")
    assert error.facts["policies"] == "invoices, second"
    data.sequence_policies[0].status = reference_pb.ENTRY_STATUS_INACTIVE
    await own.reference.ApplyReferenceData(apply(data))
    assert (await own.invoices.PostInvoice(post("unnumbered"))).invoice.invoice_number == "INV-0001"


async def test_a_series_that_has_given_its_last_number_refuses(own: House) -> None:
    data = reference_pb.ReferenceData(sequence_policies=[a_policy(maximum=1)])
    await own.reference.ApplyReferenceData(apply(data))
    await drafts(own, "first", "second")
    answers = await asyncio.gather(
        *(own.invoices.PostInvoice(post(key)) for key in ("first", "second")), return_exceptions=True
    )
    [error] = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert error.code() is Code.FAILED_PRECONDITION
    assert await numbers(own) == ["INV-0001"]
    data.sequence_policies[0].maximum = 2
    await own.reference.ApplyReferenceData(apply(data))
    for key in ("first", "second"):
        await own.invoices.PostInvoice(post(key))
    assert await numbers(own) == ["INV-0001", "INV-0002"]


async def test_numbers_that_were_brought_are_passed_over_and_nobody_is_stuck(own: House) -> None:
    for number in ("INV-0002", "INV-0003", "INV-0005"):
        await own.invoices.IngestInvoice(ingest(a_posted_invoice(f"brought {number}", number=number)))
    keys = [f"mine {n}" for n in range(4)]
    await drafts(own, *keys)
    answers = await asyncio.gather(*(own.invoices.PostInvoice(post(key)) for key in keys))
    given = sorted(answer.invoice.invoice_number for answer in answers)
    assert given == ["INV-0001", "INV-0004", "INV-0006", "INV-0007"]
    assert await numbers(own) == [f"INV-{n:04}" for n in range(1, 8)]


async def test_a_draft_that_brought_a_number_keeps_it_and_takes_none(own: House) -> None:
    await own.invoices.IngestInvoice(ingest(an_invoice("brought", invoice_number="MINE-1")))
    answer = await own.invoices.PostInvoice(post("brought"))
    assert answer.invoice.invoice_number == "MINE-1"
    assert await numbers(own) == []


async def test_what_makes_the_numbers_of_a_series_is_frozen_once_it_has_begun(own: House) -> None:
    changed = reference_pb.ReferenceData(
        sequence_policies=[a_policy(pattern="NEW-{SequenceValue}", increment=2)]
    )
    await own.reference.ApplyReferenceData(apply(changed))
    assert (await posted(own, "begins the series")).invoice_number == "NEW-0001"
    changed.sequence_policies[0].pattern = "OTHER-{SequenceValue}"
    error = await refused(own.reference.ApplyReferenceData(apply(changed)))
    [finding] = error.findings
    assert (finding.path, finding.rule) == ("data.sequence_policies[0].pattern", "SERIES_BEGUN")
    dry = apply(changed, validate_only=True)
    assert (await refused(own.reference.ApplyReferenceData(dry))).reason == "BROKEN_RULES"
    assert (await posted(own, "goes on")).invoice_number == "NEW-0003"


async def test_an_invoice_without_an_engine_stays_a_draft_and_says_why(book: House) -> None:
    treatment = reference_pb.TaxTreatment(id="no-engine", name="No engine", taxable=True)
    await book.reference.ApplyReferenceData(apply(reference_pb.ReferenceData(tax_treatments=[treatment])))
    lines = [a_line(tax_treatment_id="no-engine")]
    await book.invoices.IngestInvoice(ingest(an_invoice("without an engine", lines)))
    answer = await book.invoices.PostInvoice(post("without an engine"))
    assert (answer.posting, answer.failure.code) == (FAILED, "NO_ENGINE")
    assert answer.invoice.status == pb.INVOICE_STATUS_DRAFT
    assert (await book.happened("without an engine"))[-1] == "PostingFailed"


@pytest.mark.parametrize("lines", [500, pytest.param(10_000, marks=pytest.mark.long)])
async def test_whatever_can_be_ingested_can_be_posted(book: House, lines: int) -> None:
    content = an_invoice(f"of {lines} lines", [a_line("1.00")] * lines)
    await book.invoices.IngestInvoice(ingest(content))
    answer = await book.invoices.PostInvoice(post(f"of {lines} lines"))
    assert answer.posting == POSTED
    assert answer.invoice.totals.total_tax.units == lines * 19 // 100
