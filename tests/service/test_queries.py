"""Questions about invoices, asked over the wire: by every name, by every condition, page by page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_service_pb2 as service_pb
from service.bootstrap import now

from .house import House, refused
from .messages import (
    a_line,
    a_posted_invoice,
    a_tax,
    an_invoice,
    apply,
    by_id,
    by_key,
    by_number,
    cancel,
    day,
    get,
    ingest,
    number,
    revise,
)

if TYPE_CHECKING:
    from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
Filter = query_pb.InvoiceFilter


def order(order_id: str, **said: Any) -> query_pb.ListOrderInvoicesRequest:
    return query_pb.ListOrderInvoicesRequest(order_id=order_id, **said)


def listed(these: Filter, **said: Any) -> query_pb.ListInvoicesRequest:
    return query_pb.ListInvoicesRequest(filter=these, **said)


def lines(key: str, **said: Any) -> query_pb.ListInvoiceLinesRequest:
    return query_pb.ListInvoiceLinesRequest(key=by_key(key), **said)


# One invoice


async def test_an_invoice_is_found_by_id_by_key_and_by_number(server: House) -> None:
    written = await server.invoices.IngestInvoice(ingest(an_invoice("found", invoice_number="F-1")))
    for key in (by_id(written.invoice_id), by_key("found"), by_number("F-1")):
        answer = await server.queries.GetInvoice(get(key, min_position=written.position))
        assert answer.invoice.content.unique_identifier == "found"
        assert answer.position >= written.position


@pytest.mark.parametrize(
    "key", [by_key("nobody"), by_id("00000000-0000-4000-8000-000000000000"), by_number("nobody's")]
)
async def test_an_invoice_that_there_is_not_is_not_found(
    queries: InvoiceQueryServiceAsyncStub, key: service_pb.InvoiceKey
) -> None:
    error = await refused(queries.GetInvoice(get(key)))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "INVOICE_NOT_FOUND")
    missing = query_pb.ListInvoiceLinesRequest(key=key)
    assert (await refused(queries.ListInvoiceLines(missing))).reason == "INVOICE_NOT_FOUND"


async def test_a_view_and_a_mask_decide_how_much_is_answered(server: House) -> None:
    written = await server.invoices.IngestInvoice(ingest(an_invoice("masked")))
    seen = {"min_position": written.position}
    full = (await server.queries.GetInvoice(get(by_key("masked"), **seen))).invoice
    basic = await server.queries.GetInvoice(get(by_key("masked"), view=pb.INVOICE_VIEW_BASIC, **seen))
    assert (len(full.lines), len(basic.invoice.lines), len(basic.invoice.content.address_groups)) == (1, 0, 0)
    mask = FieldMask(paths=["status", "totals.balance", "content.account_id"])
    some = await server.queries.GetInvoice(get(by_key("masked"), read_mask=mask, **seen))
    assert some.invoice == pb.Invoice(
        status=full.status,
        totals=pb.InvoiceTotals(balance=full.totals.balance),
        content=pb.InvoiceContent(account_id="acc-1"),
    )


@pytest.mark.parametrize("path", ["colour", "totals.colour", "", "lines.content.name.x"])
async def test_a_mask_that_names_no_field_is_refused(
    queries: InvoiceQueryServiceAsyncStub, path: str
) -> None:
    error = await refused(queries.GetInvoice(get(by_key("any"), read_mask=FieldMask(paths=[path]))))
    assert [each.rule for each in error.findings] == ["MASK"]


async def test_a_posted_invoice_that_is_past_due_says_for_how_long(server: House) -> None:
    today = now().date()
    content = a_posted_invoice(
        "late", "F-2", due_date=day(today - timedelta(days=10)), posted_date=day(today)
    )
    written = await server.invoices.IngestInvoice(ingest(content))
    answer = await server.queries.GetInvoice(get(by_key("late"), min_position=written.position))
    assert answer.invoice.days_overdue in (10, 11)  # where the legal entity is it may be tomorrow
    found = await server.queries.ListInvoices(
        listed(Filter(overdue=True, invoice_number="F-2"), min_position=written.position)
    )
    assert [each.content.unique_identifier for each in found.invoices] == ["late"]


# Positions


async def test_a_read_model_that_does_not_come_so_far_in_time_says_so(server: House) -> None:
    written = await server.invoices.IngestInvoice(ingest(an_invoice("ahead")))
    log, _, place = written.position.rpartition(".")
    far = f"{log}.{int(place) + 1000}"
    calls: list[Callable[[], Any]] = [
        lambda: server.queries.GetInvoice(get(by_key("ahead"), min_position=far), timeout=0.5),
        lambda: server.queries.ListInvoices(listed(Filter(), min_position=far), timeout=0.5),
        lambda: server.queries.ListOrderInvoices(order("any", min_position=far), timeout=0.5),
        lambda: server.queries.ListInvoiceLines(lines("ahead", min_position=far), timeout=0.5),
    ]
    for call in calls:
        assert await told_in_time(call) == "NOT_CAUGHT_UP"


async def told_in_time(call: Callable[[], Any]) -> str:
    """Why the read model did not answer; on a busy machine the clocks of call and caller may be faster."""
    for _ in range(10):
        error = await refused(call())
        assert error.code is Code.DEADLINE_EXCEEDED
        if error.reason not in ("", "DEADLINE"):
            return error.reason
    raise AssertionError("ten times the time was over first")


async def test_a_position_of_another_log_is_refused_instead_of_misread(
    queries: InvoiceQueryServiceAsyncStub, server: House
) -> None:
    written = await server.invoices.IngestInvoice(ingest(an_invoice("here")))
    log, epoch, place = written.position.split(".")
    for token in (f"{'0' * 12}.{epoch}.{place}", f"{log}.{int(epoch) + 1}.{place}"):
        error = await refused(queries.GetInvoice(get(by_key("here"), min_position=token)))
        assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "LOG_RESTORED")
    for token in ("17", f"{log}.{epoch}.-1", f"{log}.{epoch}.{'9' * 30}", "x" * 10_000):
        error = await refused(queries.GetInvoice(get(by_key("here"), min_position=token)))
        assert [(each.path, each.rule) for each in error.findings] == [("min_position", "POSITION")]


# Lists


async def filled(house: House, order_id: str, count: int) -> tuple[list[str], str]:
    """So many invoices of an order, newest first, and the position of the last."""
    reference = pb.Reference(kind=pb.REFERENCE_KIND_ORDER, id=order_id)
    answers = [
        await house.invoices.IngestInvoice(ingest(an_invoice(reference=reference))) for _ in range(count)
    ]
    return [answer.invoice_id for answer in reversed(answers)], answers[-1].position


async def test_the_pages_of_an_orders_invoices_hold_each_once_newest_first(server: House) -> None:
    order_id = f"order {uuid4()}"
    expected, seen = await filled(server, order_id, 7)
    found: list[str] = []
    token = ""
    for size in (3, 3, 1):
        page = await server.queries.ListOrderInvoices(
            order(order_id, page_size=3, page_token=token, min_position=seen)
        )
        assert len(page.invoices) == size
        found += [each.invoice_id for each in page.invoices]
        token = page.next_page_token
        await filled(server, order_id, 1)  # what comes meanwhile comes before the first page
    assert (found, token) == (expected, "")


async def test_an_order_lists_invoices_whose_lines_name_it_whatever_their_status(server: House) -> None:
    order_id = f"order {uuid4()}"
    named = pb.LineReference(order_id=order_id)
    by_line = an_invoice(lines=[a_line(), a_line(reference=named), a_line(reference=named)])
    first = await server.invoices.IngestInvoice(ingest(by_line))
    await server.invoices.CancelInvoice(cancel(by_id(first.invoice_id)))
    posted = a_posted_invoice(number=f"of {order_id}", lines=[a_line(reference=named, taxes=[a_tax()])])
    second = await server.invoices.IngestInvoice(ingest(posted))
    answer = await server.queries.ListOrderInvoices(order(order_id, min_position=second.position))
    assert [(each.invoice_id, each.status) for each in answer.invoices] == [
        (second.invoice_id, pb.INVOICE_STATUS_POSTED),
        (first.invoice_id, pb.INVOICE_STATUS_CANCELED),
    ]
    assert not (await server.queries.ListOrderInvoices(order("nobody's order"))).invoices


async def test_a_page_token_belongs_to_its_question(server: House) -> None:
    order_id = f"order {uuid4()}"
    _, seen = await filled(server, order_id, 3)
    page = await server.queries.ListOrderInvoices(order(order_id, page_size=1, min_position=seen))
    token = page.next_page_token
    for call in (
        server.queries.ListOrderInvoices(order("another", page_token=token)),
        server.queries.ListInvoices(listed(Filter(), page_token=token)),
        server.queries.ListOrderInvoices(order(order_id, page_token=token[:-1])),
        server.queries.ListOrderInvoices(order(order_id, page_token="x" * 100)),
    ):
        error = await refused(call)
        assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "PAGE_TOKEN")
    smaller = await server.queries.ListOrderInvoices(order(order_id, page_size=2, page_token=token))
    assert len(smaller.invoices) == 2


async def test_a_page_token_of_another_book_is_refused(server: House) -> None:
    _, seen = await filled(server, "shared order", 2)
    page = await server.queries.ListOrderInvoices(order("shared order", page_size=1, min_position=seen))
    token = bytearray(base64.urlsafe_b64decode(page.next_page_token))
    token[8:14] = bytes(6)  # the log, after the digest of the question
    foreign = base64.urlsafe_b64encode(token).decode()
    error = await refused(server.queries.ListOrderInvoices(order("shared order", page_token=foreign)))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "LOG_RESTORED")


@pytest.mark.parametrize("size", [-1, 501, 2**31 - 1])
async def test_a_page_of_no_size_or_too_much_is_refused(
    queries: InvoiceQueryServiceAsyncStub, size: int
) -> None:
    for call in (
        queries.ListInvoices(listed(Filter(), page_size=size)),
        queries.ListOrderInvoices(order("any", page_size=size)),
        queries.ListInvoiceLines(lines("any", page_size=size)),
    ):
        error = await refused(call)
        assert [(each.path, each.rule) for each in error.findings] == [("page_size", "OUT_OF_RANGE")]


async def test_an_order_must_be_named(queries: InvoiceQueryServiceAsyncStub) -> None:
    error = await refused(queries.ListOrderInvoices(order("")))
    assert [(each.path, each.rule) for each in error.findings] == [("order_id", "REQUIRED")]


# Conditions

OF_ALL = f"purchase {uuid4()}"
RICH = a_posted_invoice(
    "rich",
    "C-1",
    account_id="acc-rich",
    purchase_order_number=OF_ALL,
    invoice_date=day(date(2026, 3, 10)),
    due_date=day(date(2026, 4, 10)),
    posted_date=day(date(2026, 3, 12)),
    reference=pb.Reference(kind=pb.REFERENCE_KIND_QUOTE, id="Q-1"),
    source=pb.Source(system="legacy", id="77"),
    labels={"team": "north", "batch": "7"},
    legal_entity_id="us",
    currency_code="USD",
    lines=[a_line("100.00", taxes=[a_tax("20.00")])],
)
POOR = an_invoice("poor", [a_line("5.00")], purchase_order_number=OF_ALL, invoice_date=day(date(2026, 6, 1)))
CONDITIONS: dict[str, tuple[Filter, Filter]] = {
    "account": (Filter(account_id="acc-rich"), Filter(account_id="acc-1")),
    "status": (
        Filter(statuses=[pb.INVOICE_STATUS_POSTED, pb.INVOICE_STATUS_VOIDED]),
        Filter(statuses=[pb.INVOICE_STATUS_DRAFT]),
    ),
    "settlement": (
        Filter(settlement_statuses=[pb.SETTLEMENT_STATUS_NOT_SETTLED]),
        Filter(settlement_statuses=[pb.SETTLEMENT_STATUS_NOT_APPLICABLE]),
    ),
    "invoice date": (
        Filter(invoice_date_from=day(date(2026, 3, 10)), invoice_date_to=day(date(2026, 3, 10))),
        Filter(invoice_date_from=day(date(2026, 3, 11))),
    ),
    "due date": (
        Filter(due_date_to=day(date(2026, 4, 10))),
        Filter(due_date_from=day(date(2026, 4, 11)), due_date_to=day(date(2026, 7, 1))),
    ),
    "total": (
        Filter(total_with_tax_min=number("120"), total_with_tax_max=number("120.00")),
        Filter(total_with_tax_max=number("119.99")),
    ),
    "currency": (Filter(currency_code="USD"), Filter(currency_code="EUR")),
    "legal entity": (Filter(legal_entity_id="us"), Filter(legal_entity_id="de")),
}
OF_THE_RICH = {
    "posted date": Filter(posted_date_from=day(date(2026, 3, 12)), posted_date_to=day(date(2026, 3, 12))),
    "reference": Filter(reference_kind=pb.REFERENCE_KIND_QUOTE, reference_id="Q-1"),
    "source": Filter(source_system="legacy", source_id="77"),
    "labels": Filter(labels={"team": "north", "batch": "7"}),
    "number": Filter(invoice_number="C-1"),
    "overdue": Filter(overdue=True),
}


async def keys(house: House, these: Filter) -> list[str]:
    """The keys of what meets the conditions, among the invoices of this test."""
    newest = ""
    for content in (RICH, POOR):
        newest = (await house.invoices.IngestInvoice(ingest(content))).position
    asked = Filter(purchase_order_number=OF_ALL)
    asked.MergeFrom(these)
    found = await house.queries.ListInvoices(listed(asked, min_position=newest))
    return [each.content.unique_identifier for each in found.invoices]


@pytest.mark.parametrize("condition", CONDITIONS)
async def test_a_condition_tells_two_invoices_apart(server: House, condition: str) -> None:
    of_rich, of_poor = CONDITIONS[condition]
    assert await keys(server, of_rich) == ["rich"]
    assert await keys(server, of_poor) == ["poor"]


@pytest.mark.parametrize("condition", OF_THE_RICH)
async def test_a_condition_finds_the_one_that_meets_it(server: House, condition: str) -> None:
    assert await keys(server, OF_THE_RICH[condition]) == ["rich"]


async def test_all_conditions_must_be_met_and_none_means_every_invoice(server: House) -> None:
    assert await keys(server, Filter()) == ["poor", "rich"]
    assert await keys(server, Filter(account_id="acc-rich", currency_code="EUR")) == []
    assert await keys(server, Filter(labels={"team": "north", "batch": "8"})) == []


async def test_every_condition_of_the_contract_is_tried() -> None:
    tried = [*OF_THE_RICH.values(), *(each for pair in CONDITIONS.values() for each in pair)]
    names = {field.name for each in tried for field, _ in each.ListFields()}
    assert names | {"purchase_order_number"} == {field.name for field in Filter.DESCRIPTOR.fields}


async def test_conditions_that_make_no_sense_are_findings(queries: InvoiceQueryServiceAsyncStub) -> None:
    bad = Filter(total_with_tax_min=number("a lot"))
    bad.due_date_from.month = 13
    bad.MergeFromString(bytes([2 << 3, 99, 11 << 3, 99]))  # a status and a kind of reference that are not
    error = await refused(queries.ListInvoices(listed(bad)))
    assert {(each.path, each.rule) for each in error.findings} == {
        ("filter.statuses[0]", "ENUM"),
        ("filter.due_date_from", "DATE"),
        ("filter.reference_kind", "ENUM"),
        ("filter.total_with_tax_min", "DECIMAL"),
    }


# Lines


async def test_lines_come_in_order_page_by_page(server: House) -> None:
    content = an_invoice("lined", [a_line(name=f"Line {n}") for n in range(1, 8)])
    written = await server.invoices.IngestInvoice(ingest(content))
    numbers: list[int] = []
    token = ""
    for _ in range(3):
        page = await server.queries.ListInvoiceLines(
            lines("lined", page_size=3, page_token=token, min_position=written.position)
        )
        numbers += [line.line_number for line in page.lines]
        token = page.next_page_token
    assert (numbers, token) == ([1, 2, 3, 4, 5, 6, 7], "")


async def test_lines_of_an_invoice_that_was_revised_meanwhile_begin_again(server: House) -> None:
    await server.invoices.IngestInvoice(ingest(an_invoice("moving", [a_line()] * 3)))
    written = await server.invoices.ReviseInvoice(revise("moving", an_invoice("moving", [a_line()] * 4)))
    page = await server.queries.ListInvoiceLines(lines("moving", page_size=2, min_position=written.position))
    written = await server.invoices.ReviseInvoice(revise("moving", an_invoice("moving", [a_line()] * 5)))
    error = await refused(
        server.queries.ListInvoiceLines(
            lines("moving", page_token=page.next_page_token, min_position=written.position)
        )
    )
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "LINES_CHANGED")


async def test_a_number_that_several_invoices_carry_names_none_of_them(own_server: House) -> None:
    data = apply().data
    data.settings.duplicate_numbers_allowed = True
    await own_server.reference.ApplyReferenceData(apply(data))
    twins = [
        await own_server.invoices.IngestInvoice(ingest(an_invoice(invoice_number="twin"))) for _ in range(2)
    ]
    key = by_number("twin")
    error = await refused(own_server.queries.GetInvoice(get(key, min_position=twins[-1].position)))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NUMBER_AMBIGUOUS")
    assert error.facts["invoice_ids"] == ", ".join(sorted(twin.invoice_id for twin in twins))
