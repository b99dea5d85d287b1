"""What is acknowledged is in the book, whole, once and for ever; what is refused is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.message import Message

from daybook.v1 import invoice_pb2 as pb
from domain import identity, invoice
from domain.numbering import NumberClaimed
from service.config import local_user
from store.log import Meta, Who
from tests.postgres import Database

from .house import House, at_home, position, refused, stream
from .messages import (
    a_line,
    a_posted_invoice,
    a_tax,
    a_term,
    an_address,
    an_invoice,
    apply,
    by_key,
    cancel,
    get,
    ingest,
    number,
    revise,
)

if TYPE_CHECKING:
    from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceAsyncStub
    from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode


async def test_what_is_acknowledged_is_in_the_log_whole_and_in_order(server: House) -> None:
    content = an_invoice(
        "whole",
        [a_line("100.00", taxes=[a_tax("19.00")]), a_line("50.00")],
        tax_status=pb.TAX_STATUS_ESTIMATED,
        address_groups=[an_address(), an_address("depot")],
    )
    answer = await server.invoices.IngestInvoice(ingest(content))
    history = await server.history("whole")
    assert [each.name for each in history] == [
        "InvoiceDrafted",
        "AddressGroupAssigned",
        "AddressGroupAssigned",
        "LineAdded",
        "LineAdded",
        "TaxImported",
    ]
    assert [each.version for each in history] == [1, 2, 3, 4, 5, 6]
    assert answer.invoice_id == str(identity.invoice("whole"))
    assert position(answer.position) == history[-1].position
    drafted = history[0].event
    assert isinstance(drafted, invoice.InvoiceDrafted)
    assert drafted.unique_identifier == "whole"
    assert drafted.reference_position == position(answer.invoice.reference_data_position) > 0


async def test_every_event_says_who_called_why_and_what_it_belongs_to(server: House) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    said = (("daybook-actor", "ada@shop"), ("traceparent", trace))
    request = ingest(an_invoice("claimed"), reason="quarter's end", correlation_id="batch-7")
    await server.invoices.IngestInvoice(request, metadata=said)
    expected = Meta(Who("claimed", "ada@shop"), correlation="batch-7", reason="quarter's end", trace=trace)
    assert {each.meta for each in await server.history("claimed")} == {expected}


async def test_a_caller_who_names_nobody_is_answered_for_by_who_runs_the_server(server: House) -> None:
    await server.invoices.IngestInvoice(ingest(an_invoice("local")))
    assert {each.meta for each in await server.history("local")} == {Meta(Who("local", local_user()))}


async def test_a_reason_may_be_written_in_any_language(server: House) -> None:
    await server.invoices.IngestInvoice(
        ingest(an_invoice("langue"), reason="四半期末\u3000締め\u00a0👩\u200d💻")
    )
    assert (await server.history("langue"))[0].meta.reason == "四半期末\u3000締め\u00a0👩\u200d💻"


@pytest.mark.parametrize("field", ["reason", "correlation_id"])
async def test_a_reason_that_is_too_long_or_of_two_lines_is_refused(server: House, field: str) -> None:
    for text, rule in (("x" * 256, "TOO_LONG"), ("two\nlines", "CHARACTERS")):
        error = await refused(server.invoices.IngestInvoice(ingest(an_invoice("never"), **{field: text})))
        assert [(each.path, each.rule) for each in error.findings] == [(field, rule)]
    assert await server.happened("never") == []


async def test_the_answer_says_where_the_invoice_stands_and_what_it_comes_to(server: House) -> None:
    lines = [a_line("100.10", taxes=[a_tax("19.02")]), a_line("-0.11", taxes=[a_tax("-0.02")])]
    content = an_invoice(lines=lines, tax_status=pb.TAX_STATUS_ESTIMATED)
    answer = await server.invoices.IngestInvoice(ingest(content))
    assert answer.status == pb.INVOICE_STATUS_DRAFT
    assert not answer.replayed
    totals = {
        field.name: (money.currency_code, money.units, money.nanos)
        for field, money in answer.totals.ListFields()
    }
    assert totals == {
        "total_charge": ("EUR", 99, 990_000_000),
        "total": ("EUR", 99, 990_000_000),
        "total_tax": ("EUR", 19, 0),
        "total_with_tax": ("EUR", 118, 990_000_000),
        "total_converted_negative": ("EUR", 0, 0),
        "net_payments_applied": ("EUR", 0, 0),
        "net_credits_applied": ("EUR", 0, 0),
        "balance": ("EUR", 118, 990_000_000),
    }


async def test_a_posted_import_stands_posted_with_its_number(server: House) -> None:
    answer = await server.invoices.IngestInvoice(ingest(a_posted_invoice("posted", "P-1")))
    assert answer.status == pb.INVOICE_STATUS_POSTED
    assert answer.invoice.invoice_number == "P-1"
    assert (await server.happened("posted"))[-1] == "InvoicePosted"
    [claimed] = (await server.log.read(identity.number("de", "P-1"))).events
    assert claimed == NumberClaimed("de", "P-1", identity.invoice("posted"))


async def test_an_import_that_is_owed_is_answered_with_its_ages_as_it_is_read(
    server: House, queries: InvoiceQueryServiceAsyncStub
) -> None:
    content = a_posted_invoice("long overdue", "P-2")
    content.due_date.CopyFrom(content.invoice_date)
    content.posted_date.CopyFrom(content.invoice_date)
    answer = await server.invoices.IngestInvoice(ingest(content))
    read = await queries.GetInvoice(get(by_key("long overdue"), min_position=answer.position))
    assert answer.invoice.days_open == read.invoice.days_open > 0
    assert answer.invoice.days_overdue == read.invoice.days_overdue > 0


async def test_a_view_decides_how_much_of_the_invoice_is_answered(invoices: InvoiceServiceAsyncStub) -> None:
    basic = await invoices.IngestInvoice(ingest())
    full = await invoices.IngestInvoice(ingest(view=pb.INVOICE_VIEW_FULL))
    assert (len(basic.invoice.lines), len(basic.invoice.content.address_groups)) == (0, 0)
    assert (len(full.invoice.lines), len(full.invoice.content.address_groups)) == (1, 1)
    assert basic.invoice.line_count == full.invoice.line_count == 1


async def test_a_view_that_there_is_not_is_refused(invoices: InvoiceServiceAsyncStub) -> None:
    request = ingest()
    request.MergeFromString(bytes([3 << 3, 99]))  # view = 99, as a newer caller would say it
    error = await refused(invoices.IngestInvoice(request))
    assert [(each.path, each.rule) for each in error.findings] == [("view", "ENUM")]


async def test_an_invoice_without_a_key_is_recorded_each_time(server: House) -> None:
    content = an_invoice("")
    first = await server.invoices.IngestInvoice(ingest(content))
    second = await server.invoices.IngestInvoice(ingest(content))
    assert first.invoice_id != second.invoice_id
    assert [len((await server.log.read(stream(each.invoice_id))).recorded) for each in (first, second)] == [
        3,
        3,
    ]


async def test_an_ingested_invoice_is_read_back_as_it_was_answered(
    invoices: InvoiceServiceAsyncStub, queries: InvoiceQueryServiceAsyncStub
) -> None:
    written = await invoices.IngestInvoice(ingest(an_invoice("there and back"), view=pb.INVOICE_VIEW_FULL))
    read = await queries.GetInvoice(get(by_key("there and back"), min_position=written.position))
    assert read.invoice == written.invoice


# Idempotency


async def test_the_same_request_again_is_answered_as_the_first_time_and_appends_nothing(
    own_server: House,
) -> None:
    request = ingest(an_invoice("twice"))
    first = await own_server.invoices.IngestInvoice(request)
    head = await own_server.head()
    again = await own_server.invoices.IngestInvoice(request)
    assert (first.replayed, again.replayed) == (False, True)
    first.replayed = True
    assert again == first
    assert await own_server.head() == head


async def test_a_replay_tells_the_first_position_and_totals_and_the_present_status(server: House) -> None:
    request = ingest(an_invoice("moved on", [a_line("10.00")]))
    first = await server.invoices.IngestInvoice(request)
    more = an_invoice("moved on", [a_line("70.00"), a_line("7.00")])
    await server.invoices.ReviseInvoice(revise("moved on", more))
    await server.invoices.CancelInvoice(cancel("moved on"))
    for content in (request.invoice, more):
        again = await server.invoices.IngestInvoice(ingest(content))
        assert again.replayed
        assert (again.invoice_id, again.position, again.totals) == (
            first.invoice_id,
            first.position,
            first.totals,
        )
        assert again.status == pb.INVOICE_STATUS_CANCELED
        assert again.invoice.totals.total.units == 77


async def test_who_calls_and_why_does_not_make_another_request(server: House) -> None:
    content = an_invoice("by another")
    await server.invoices.IngestInvoice(ingest(content, reason="first"), metadata=(("daybook-actor", "ada"),))
    again = await server.invoices.IngestInvoice(
        ingest(content, reason="second", correlation_id="c", view=pb.INVOICE_VIEW_FULL),
        metadata=(("daybook-actor", "bob"),),
    )
    assert again.replayed
    assert {each.meta.who.id for each in await server.history("by another")} == {"ada"}


async def test_other_content_under_the_same_key_is_refused_and_names_what_differs(server: House) -> None:
    await server.invoices.IngestInvoice(ingest(an_invoice("differs", account_id="one")))
    other = an_invoice("differs", [a_line("250.00", name="Advice")], account_id="two")
    error = await refused(server.invoices.IngestInvoice(ingest(other)))
    assert (error.code, error.reason) == (Code.ALREADY_EXISTS, "INGESTED_DIFFERENTLY")
    assert error.facts["invoice_id"] == str(identity.invoice("differs"))
    assert error.facts["fields"] == "invoice.account_id, invoice.lines[0].name"
    assert "invoice.account_id" in error.message
    assert len(await server.history("differs")) == 3


@pytest.mark.parametrize("callers", [20, 100])
async def test_many_callers_with_one_key_at_once_make_one_invoice(own_server: House, callers: int) -> None:
    head = await own_server.head()
    request = ingest(an_invoice("at once"))
    answers = await asyncio.gather(*(own_server.invoices.IngestInvoice(request) for _ in range(callers)))
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * (callers - 1)
    assert len({(answer.invoice_id, answer.position) for answer in answers}) == 1
    assert len(await own_server.history("at once")) == 3
    assert await own_server.head() == head + 3


async def test_of_many_callers_with_one_key_and_different_content_one_wins(server: House) -> None:
    requests = [ingest(an_invoice("contested", account_id=f"account {n}")) for n in range(20)]
    answers = await asyncio.gather(
        *(server.invoices.IngestInvoice(each) for each in requests), return_exceptions=True
    )
    won = [answer for answer in answers if isinstance(answer, Message)]
    lost = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert (len(won), len(lost)) == (1, 19)
    assert {each.code() for each in lost} == {Code.ALREADY_EXISTS}
    assert len(await server.history("contested")) == 3


async def test_a_refused_attempt_leaves_the_key_free(own_server: House) -> None:
    head = await own_server.head()
    error = await refused(own_server.invoices.IngestInvoice(ingest(an_invoice("free", currency_code="XXX"))))
    assert [each.rule for each in error.findings] == ["CURRENCY"]
    assert await own_server.head() == head
    answer = await own_server.invoices.IngestInvoice(ingest(an_invoice("free")))
    assert not answer.replayed


async def test_a_replay_is_answered_even_when_the_payment_term_is_no_longer_active(own_server: House) -> None:
    request = ingest(an_invoice("term gone", payment_term_id="net-60"))
    first = await own_server.invoices.IngestInvoice(request)
    retired = await own_server.reference.ApplyReferenceData(apply(a_term("net-60", status=3)))
    assert retired.version == 2
    again = await own_server.invoices.IngestInvoice(request)
    assert again.replayed
    assert again.position == first.position
    request.invoice.unique_identifier = "a new one"
    error = await refused(own_server.invoices.IngestInvoice(request))
    assert [(each.path, each.rule) for each in error.findings] == [("invoice.payment_term_id", "NOT_ACTIVE")]


# Numbers


async def test_a_number_that_another_invoice_carries_is_refused(server: House) -> None:
    holder = await server.invoices.IngestInvoice(ingest(a_posted_invoice(number="N-1")))
    error = await refused(server.invoices.IngestInvoice(ingest(a_posted_invoice("late", "N-1"))))
    assert (error.code, error.reason) == (Code.ALREADY_EXISTS, "NUMBER_TAKEN")
    assert error.facts == {"number": "N-1", "legal_entity_id": "de", "invoice_id": holder.invoice_id}
    assert await server.happened("late") == []


async def test_another_legal_entity_may_use_the_same_number(server: House) -> None:
    for entity in ("de", "us"):
        answer = await server.invoices.IngestInvoice(
            ingest(a_posted_invoice(number="N-2", legal_entity_id=entity))
        )
        assert answer.status == pb.INVOICE_STATUS_POSTED


async def test_of_twenty_callers_racing_for_one_number_one_gets_it(server: House) -> None:
    keys = [f"racer {n}" for n in range(20)]
    calls = (server.invoices.IngestInvoice(ingest(a_posted_invoice(key, "N-3"))) for key in keys)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, Message)]
    lost = [answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert (len(won), lost) == (1, [Code.ALREADY_EXISTS] * 19)
    assert sum([bool(await server.happened(key)) for key in keys]) == 1
    assert len((await server.log.read(identity.number("de", "N-3"))).recorded) == 1


async def test_a_canceled_draft_frees_its_number(server: House) -> None:
    await server.invoices.IngestInvoice(ingest(an_invoice("holder", invoice_number="N-4")))
    await server.invoices.CancelInvoice(cancel("holder"))
    answer = await server.invoices.IngestInvoice(ingest(a_posted_invoice(number="N-4")))
    assert answer.invoice.invoice_number == "N-4"


async def test_a_draft_that_is_revised_to_another_number_frees_its_own(server: House) -> None:
    await server.invoices.IngestInvoice(ingest(an_invoice("renumbered", invoice_number="N-5")))
    other = an_invoice("renumbered", invoice_number="N-6")
    await server.invoices.ReviseInvoice(revise("renumbered", other))
    await server.invoices.IngestInvoice(ingest(a_posted_invoice(number="N-5")))
    error = await refused(server.invoices.IngestInvoice(ingest(a_posted_invoice(number="N-6"))))
    assert error.reason == "NUMBER_TAKEN"


async def test_where_the_settings_allow_it_two_imports_carry_one_number(own_server: House) -> None:
    data = apply().data
    data.settings.duplicate_numbers_allowed = True
    await own_server.invoices.IngestInvoice(ingest(a_posted_invoice("one", "N-7")))
    await own_server.reference.ApplyReferenceData(apply(data))
    await own_server.invoices.IngestInvoice(ingest(a_posted_invoice("two", "N-7")))
    assert [len(await own_server.history(key)) for key in ("one", "two")] == [5, 5]


# Dry runs


async def test_a_dry_run_answers_the_invoice_in_full_and_writes_nothing(own_server: House) -> None:
    head = await own_server.head()
    request = ingest(a_posted_invoice("dry", "D-1"), validate_only=True)
    answer = await own_server.invoices.IngestInvoice(request)
    assert answer.position == ""
    assert answer.invoice.content.payment_term_id == "net-30"
    assert answer.invoice.content.due_date.month == 12
    assert set(answer.invoice.defaulted) >= {"due_date", "payment_term_id", "legal_entity_id"}
    assert [line.amount_with_tax.value for line in answer.invoice.lines] == ["297.50"]
    assert answer.totals.total_with_tax.units == 297
    assert await own_server.head() == head
    request.validate_only = False
    written = await own_server.invoices.IngestInvoice(request)
    assert not written.replayed
    assert (written.invoice_id, written.totals) == (answer.invoice_id, answer.totals)


async def test_a_dry_run_answers_every_finding_up_to_a_thousand_and_counts_them_all(
    own_server: House,
) -> None:
    head = await own_server.head()
    lines = [a_line(name="", charge_amount=number("1.001")) for _ in range(600)]
    answer = await own_server.invoices.IngestInvoice(ingest(an_invoice("bad", lines), validate_only=True))
    assert answer.finding_count == 1200
    assert len(answer.findings) == 1000
    first, second = answer.findings[:2]
    assert (first.path, first.rule) == ("invoice.lines[0].name", "REQUIRED")
    assert (second.path, second.rule) == ("invoice.lines[0].charge_amount", "FINER_THAN_CURRENCY")
    assert first.description == "required, and not set"
    assert answer.invoice_id == ""
    assert not answer.HasField("invoice")
    assert await own_server.head() == head


async def test_a_dry_run_of_what_is_recorded_says_so(invoices: InvoiceServiceAsyncStub) -> None:
    request = ingest(an_invoice("known"))
    first = await invoices.IngestInvoice(request)
    request.validate_only = True
    answer = await invoices.IngestInvoice(request)
    assert answer.replayed
    assert (answer.invoice_id, answer.totals) == (first.invoice_id, first.totals)
    request.invoice.account_id = "other"
    assert (await refused(invoices.IngestInvoice(request))).reason == "INGESTED_DIFFERENTLY"


async def test_a_dry_run_finds_a_number_that_is_taken(invoices: InvoiceServiceAsyncStub) -> None:
    await invoices.IngestInvoice(ingest(a_posted_invoice(number="D-2")))
    late = ingest(a_posted_invoice(number="D-2"), validate_only=True)
    assert (await refused(invoices.IngestInvoice(late))).reason == "NUMBER_TAKEN"


async def test_without_a_dry_run_the_first_findings_are_the_error_and_the_rest_are_counted(
    invoices: InvoiceServiceAsyncStub,
) -> None:
    error = await refused(invoices.IngestInvoice(ingest(an_invoice(lines=[a_line(name="")] * 60))))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "BROKEN_RULES")
    assert len(error.findings) == 25
    assert error.facts["findings"] == "60"
    assert error.findings[3].path == "invoice.lines[3].name"
    assert "59 more" in error.message


# Sizes


@pytest.mark.parametrize("lines", [500, pytest.param(10_000, id="10000")])
async def test_an_invoice_of_many_lines_is_recorded_and_read_whole(
    invoices: InvoiceServiceAsyncStub, queries: InvoiceQueryServiceAsyncStub, lines: int
) -> None:
    content = an_invoice(f"{lines} lines", [a_line("1.01", name=f"Line {n}") for n in range(lines)])
    written = await invoices.IngestInvoice(ingest(content, view=pb.INVOICE_VIEW_FULL))
    assert (written.totals.total.units, written.totals.total.nanos) == divmod(lines * 101 * 10**7, 10**9)
    assert written.invoice.line_count == lines
    assert len(written.invoice.lines) == 500
    read = await queries.GetInvoice(get(by_key(f"{lines} lines"), min_position=written.position))
    assert read.invoice == written.invoice
    assert (await invoices.IngestInvoice(ingest(content))).replayed


async def test_one_line_more_than_is_allowed_is_refused_and_says_what_is_allowed(database: Database) -> None:
    async with at_home(database.app_dsn, lines_max=3) as house:
        await house.reference.ApplyReferenceData(apply())
        await house.invoices.IngestInvoice(ingest(an_invoice(lines=[a_line()] * 3)))
        error = await refused(house.invoices.IngestInvoice(ingest(an_invoice(lines=[a_line()] * 4))))
    [finding] = error.findings
    assert (finding.path, finding.rule) == ("invoice.lines", "TOO_MANY")
    assert "3" in finding.description
