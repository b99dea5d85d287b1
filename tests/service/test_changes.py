"""What may be done to an invoice that is in the book, and what is answered where it may not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import pytest

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_service_pb2 as service_pb
from domain import identity

from .house import House, position, refused
from .messages import (
    a_line,
    a_posted_invoice,
    an_invoice,
    apply,
    by_id,
    by_key,
    by_number,
    cancel,
    get,
    ingest,
    revise,
    update,
)

if TYPE_CHECKING:
    from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceAsyncStub
    from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
Change = service_pb.InvoiceChange


async def a_draft(server: House, key: str) -> service_pb.IngestInvoiceResponse:
    return await server.invoices.IngestInvoice(ingest(an_invoice(key)))


async def a_posted(server: House, key: str) -> service_pb.IngestInvoiceResponse:
    return await server.invoices.IngestInvoice(ingest(a_posted_invoice(key, number=f"of {key}")))


# Revise


async def test_a_revision_replaces_the_content_of_a_draft_on_its_own_history(server: House) -> None:
    first = await a_draft(server, "revised")
    content = an_invoice("revised", [a_line("10.00"), a_line("5.00")], account_id="other")
    answer = await server.invoices.ReviseInvoice(revise("revised", content, reason="typed wrong"))
    history = await server.history("revised")
    assert [each.name for each in history][3:] == [
        "InvoiceRevised",
        "AddressGroupAssigned",
        "LineAdded",
        "LineAdded",
    ]
    assert {each.meta.reason for each in history[3:]} == {"typed wrong"}
    assert position(answer.position) == history[-1].position > position(first.position)
    assert (answer.invoice.version, answer.invoice.content.account_id) == (7, "other")
    assert answer.invoice.totals.total.units == 15
    assert not answer.replayed


async def test_a_revised_invoice_is_read_as_the_revision_answered_it(
    server: House, queries: InvoiceQueryServiceAsyncStub
) -> None:
    await a_draft(server, "revised and read")
    request = revise("revised and read", an_invoice("revised and read"), view=pb.INVOICE_VIEW_FULL)
    request.invoice.lines[0].name = "Advice"
    answer = await server.invoices.ReviseInvoice(request)
    read = await queries.GetInvoice(get(by_key("revised and read"), min_position=answer.position))
    assert read.invoice == answer.invoice
    assert [line.content.name for line in read.invoice.lines] == ["Advice"]


async def test_a_canceled_invoice_comes_back_to_life_by_a_revision(server: House) -> None:
    await a_draft(server, "lazarus")
    await server.invoices.CancelInvoice(cancel("lazarus"))
    answer = await server.invoices.ReviseInvoice(revise("lazarus", an_invoice("")))
    assert answer.invoice.status == pb.INVOICE_STATUS_DRAFT
    assert answer.invoice.content.unique_identifier == "lazarus"


async def test_a_posted_invoice_cannot_be_revised(server: House) -> None:
    await a_posted(server, "final")
    error = await refused(server.invoices.ReviseInvoice(revise("final", an_invoice("final"))))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NOT_DRAFT")
    assert [each.rule for each in error.findings] == ["NOT_DRAFT"]
    assert len(await server.history("final")) == 5


async def test_a_revision_that_breaks_rules_gets_every_finding_and_writes_nothing(server: House) -> None:
    await a_draft(server, "kept")
    content = an_invoice("another key", [a_line(name="")], status=pb.INVOICE_STATUS_POSTED)
    error = await refused(server.invoices.ReviseInvoice(revise("kept", content)))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "BROKEN_RULES")
    assert {(each.path, each.rule) for each in error.findings} == {
        ("invoice.unique_identifier", "UNIQUE_IDENTIFIER_DIFFERS"),
        ("invoice.status", "STAYS_DRAFT"),
        ("invoice.lines[0].name", "REQUIRED"),
    }
    assert len(await server.history("kept")) == 3


async def test_a_revision_to_the_same_content_changes_nothing(server: House) -> None:
    first = await a_draft(server, "same")
    answer = await server.invoices.ReviseInvoice(revise("same", an_invoice("same")))
    assert answer.replayed
    assert answer.position == first.position
    assert len(await server.history("same")) == 3


async def test_a_revision_for_an_older_version_is_turned_away(server: House) -> None:
    await a_draft(server, "versioned")
    request = revise("versioned", an_invoice("versioned", account_id="b"), expected_version=2)
    error = await refused(server.invoices.ReviseInvoice(request))
    assert (error.code, error.reason) == (Code.ABORTED, "VERSION_MOVED")
    assert (error.facts["version"], error.facts["expected"]) == ("3", "2")
    request.expected_version = 3
    assert (await server.invoices.ReviseInvoice(request)).invoice.version == 6


async def test_a_revision_heard_twice_under_its_request_id_is_done_once(server: House) -> None:
    await a_draft(server, "heard")
    request = revise("heard", an_invoice("heard", account_id="b"), request_id="r-1", expected_version=3)
    first = await server.invoices.ReviseInvoice(request)
    again = await server.invoices.ReviseInvoice(request)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.position == first.position
    assert again.invoice == first.invoice
    assert len(await server.history("heard")) == 6


async def test_a_dry_run_of_a_revision_writes_nothing(server: House) -> None:
    await a_draft(server, "dry")
    request = revise("dry", an_invoice("dry", [a_line("1.00")]), validate_only=True)
    answer = await server.invoices.ReviseInvoice(request)
    assert (answer.position, answer.invoice.totals.total.units) == ("", 1)
    assert len(answer.invoice.lines) == 1
    same = await server.invoices.ReviseInvoice(revise("dry", an_invoice("dry"), validate_only=True))
    assert (same.position, same.replayed) == ("", True)
    request.invoice.lines[0].name = ""
    faulty = await server.invoices.ReviseInvoice(request)
    assert [(each.path, each.rule) for each in faulty.findings] == [("invoice.lines[0].name", "REQUIRED")]
    assert faulty.finding_count == 1
    assert not faulty.HasField("invoice")
    assert len(await server.history("dry")) == 3


async def test_two_revisions_at_once_both_happen_one_after_the_other(server: House) -> None:
    await a_draft(server, "both")
    contents = [an_invoice("both", account_id=f"account {n}") for n in range(2)]
    answers = await asyncio.gather(
        *(server.invoices.ReviseInvoice(revise("both", each)) for each in contents)
    )
    assert sorted(answer.invoice.version for answer in answers) == [6, 9]


async def test_of_two_revisions_of_one_version_only_one_happens(server: House) -> None:
    await a_draft(server, "one of two")
    contents = [an_invoice("one of two", account_id=f"account {n}") for n in range(2)]
    calls = (
        server.invoices.ReviseInvoice(revise("one of two", each, expected_version=3)) for each in contents
    )
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [each.code() for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert refusals == [Code.ABORTED]
    assert len(await server.history("one of two")) == 6


# Update


async def test_description_and_labels_change_at_any_time_and_nothing_else_with_them(server: House) -> None:
    for key in ("a draft", "a posted one", "a canceled one"):
        await (a_posted if key == "a posted one" else a_draft)(server, key)
        if key == "a canceled one":
            await server.invoices.CancelInvoice(cancel(key))
        change = Change(description="for the\nfile", labels={"team": "north"})
        answer = await server.invoices.UpdateInvoice(update(key, "description", "labels", change=change))
        assert answer.invoice.content.description == "for the\nfile"
        assert dict(answer.invoice.content.labels) == {"team": "north"}
        assert (await server.happened(key))[-1] == "InvoiceUpdated"
        assert position(answer.position) == (await server.history(key))[-1].position


async def test_an_update_changes_only_what_its_mask_names(server: House) -> None:
    content = an_invoice("masked", description="as it was", labels={"a": "1"})
    await server.invoices.IngestInvoice(ingest(content))
    change = Change(description="ignored", labels={"b": "2"})
    answer = await server.invoices.UpdateInvoice(update("masked", "labels", change=change))
    assert answer.invoice.content.description == "as it was"
    assert dict(answer.invoice.content.labels) == {"b": "2"}
    emptied = await server.invoices.UpdateInvoice(update("masked", "description", "labels", change=Change()))
    assert (emptied.invoice.content.description, dict(emptied.invoice.content.labels)) == ("", {})


async def test_an_update_to_what_stands_already_changes_nothing(server: House) -> None:
    first = await a_draft(server, "unmoved")
    answer = await server.invoices.UpdateInvoice(update("unmoved", "description", change=Change()))
    assert answer.replayed
    assert answer.position == first.position
    assert len(await server.history("unmoved")) == 3


async def test_an_update_heard_twice_under_its_request_id_is_done_once(server: House) -> None:
    await a_draft(server, "updated once")
    request = update("updated once", "description", change=Change(description="a"), request_id="u-1")
    first = await server.invoices.UpdateInvoice(request)
    await server.invoices.UpdateInvoice(update("updated once", "description", change=Change(description="b")))
    again = await server.invoices.UpdateInvoice(request)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.invoice.content.description == "b"
    assert len(await server.history("updated once")) == 5


async def test_the_reference_changes_once_the_invoice_is_posted(
    server: House, queries: InvoiceQueryServiceAsyncStub
) -> None:
    order = pb.Reference(kind=pb.REFERENCE_KIND_ORDER, id=f"order-{uuid4()}")
    await a_draft(server, "not yet")
    error = await refused(
        server.invoices.UpdateInvoice(update("not yet", "reference", change=Change(reference=order)))
    )
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "REFERENCE_OF_DRAFT")
    posted = await a_posted(server, "now")
    answer = await server.invoices.UpdateInvoice(update("now", "reference", change=Change(reference=order)))
    assert answer.invoice.content.reference == order
    request = query_pb.ListOrderInvoicesRequest(order_id=order.id, min_position=answer.position)
    listed = await queries.ListOrderInvoices(request)
    assert [each.invoice_id for each in listed.invoices] == [posted.invoice_id]


async def test_a_reference_to_a_memo_that_is_not_in_the_book_is_a_finding(server: House) -> None:
    await a_posted(server, "memo")
    memo = pb.Reference(kind=pb.REFERENCE_KIND_DEBIT_MEMO, id="M-1")
    error = await refused(
        server.invoices.UpdateInvoice(update("memo", "reference", change=Change(reference=memo)))
    )
    assert [(each.path, each.rule) for each in error.findings] == [("change.reference.id", "NO_SUCH_MEMO")]


@pytest.mark.parametrize(
    ("paths", "change", "found"),
    [
        ((), Change(description="x"), ("update_mask", "REQUIRED")),
        (("account_id",), Change(), ("update_mask", "MASK")),
        (("description", "lines"), Change(), ("update_mask", "MASK")),
        (("description",), Change(description="x" * 256), ("change.description", "TOO_LONG")),
        (("description",), Change(description="\x00"), ("change.description", "CHARACTERS")),
        (("labels",), Change(labels={str(n): "" for n in range(65)}), ("change.labels", "TOO_MANY")),
        (("labels",), Change(labels={"x" * 64: ""}), (f"change.labels['{'x' * 64}']", "TOO_LONG")),
        (("reference",), Change(reference=pb.Reference(id="1")), ("change.reference.kind", "REQUIRED")),
    ],
)
async def test_an_update_that_breaks_rules_is_refused(
    server: House, paths: tuple[str, ...], change: Change, found: tuple[str, str]
) -> None:
    key = f"faulty {uuid4()}"
    await a_posted(server, key)
    error = await refused(server.invoices.UpdateInvoice(update(key, *paths, change=change)))
    assert error.code is Code.INVALID_ARGUMENT
    assert [(each.path, each.rule) for each in error.findings] == [found]
    assert len(await server.history(key)) == 5


async def test_what_is_wrong_beside_the_change_is_told_with_the_rest(server: House) -> None:
    await a_posted(server, "all at once")
    change = Change(description="\x00")
    request = update("all at once", "description", change=change, reason="y" * 256, request_id="z" * 256)
    error = await refused(server.invoices.UpdateInvoice(request))
    assert [each.path for each in error.findings] == ["reason", "request_id", "change.description"]
    content = an_invoice("never recorded", account_id="")
    error = await refused(server.invoices.IngestInvoice(ingest(content, correlation_id="y" * 256)))
    assert [each.path for each in error.findings] == ["correlation_id", "invoice.account_id"]


async def test_an_update_for_an_older_version_is_turned_away(server: House) -> None:
    await a_draft(server, "updated")
    request = update("updated", "description", change=Change(description="a"), expected_version=1)
    error = await refused(server.invoices.UpdateInvoice(request))
    assert (error.code, error.reason) == (Code.ABORTED, "VERSION_MOVED")


# Cancel


async def test_a_draft_is_given_up_once(server: House) -> None:
    await a_draft(server, "given up")
    first = await server.invoices.CancelInvoice(cancel("given up", reason="ordered twice"))
    again = await server.invoices.CancelInvoice(cancel("given up"))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.position == first.position
    assert first.invoice == again.invoice
    assert first.invoice.status == pb.INVOICE_STATUS_CANCELED
    assert await server.happened("given up") == [
        "InvoiceDrafted",
        "AddressGroupAssigned",
        "LineAdded",
        "InvoiceCanceled",
    ]


async def test_a_posted_invoice_cannot_be_canceled(server: House) -> None:
    await a_posted(server, "owed")
    error = await refused(server.invoices.CancelInvoice(cancel("owed")))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NOT_DRAFT")
    assert "posted" in error.message


# Which invoice


async def test_an_invoice_is_named_by_id_by_key_or_by_number(server: House) -> None:
    for name, key in (
        ("by id", by_id(str(identity.invoice("by id")))),
        ("by key", by_key("by key")),
        ("by number", by_number("of by number")),
    ):
        await server.invoices.IngestInvoice(ingest(an_invoice(name, invoice_number=f"of {name}")))
        answer = await server.invoices.CancelInvoice(cancel(key))
        assert answer.invoice.content.unique_identifier == name


@pytest.mark.parametrize("method", ["ReviseInvoice", "UpdateInvoice", "CancelInvoice"])
@pytest.mark.parametrize(
    ("key", "said"),
    [
        (by_key("nobody"), "'nobody'"),
        (by_id("00000000-0000-4000-8000-000000000000"), "00000000-0000-4000-8000-000000000000"),
        (by_number("nobody's"), "nobody's"),
    ],
    ids=["key", "id", "number"],
)
async def test_an_invoice_that_there_is_not_is_not_found(
    invoices: InvoiceServiceAsyncStub, method: str, key: service_pb.InvoiceKey, said: str
) -> None:
    error = await refused(change(invoices, method, key))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "INVOICE_NOT_FOUND")
    assert said in error.message


@pytest.mark.parametrize("method", ["ReviseInvoice", "UpdateInvoice", "CancelInvoice"])
@pytest.mark.parametrize(
    ("key", "found"),
    [
        (service_pb.InvoiceKey(), ("key", "REQUIRED")),
        (by_key(""), ("key.unique_identifier", "REQUIRED")),
        (by_id("{6f1f7a0e-6d0c-5b0a-8f0e-2b7d3c1a9e55}"), ("key.invoice_id", "UUID_TEXT")),
        (by_id("9" * 1000), ("key.invoice_id", "UUID_TEXT")),
        (by_number("1", legal_entity_id=""), ("key.number.legal_entity_id", "REQUIRED")),
        (by_number(""), ("key.number.number", "REQUIRED")),
    ],
    ids=["none", "empty", "braces", "long", "no legal entity", "no number"],
)
async def test_a_name_that_cannot_be_one_is_a_finding(
    invoices: InvoiceServiceAsyncStub, method: str, key: service_pb.InvoiceKey, found: tuple[str, str]
) -> None:
    error = await refused(change(invoices, method, key))
    assert error.code is Code.INVALID_ARGUMENT
    assert [(each.path, each.rule) for each in error.findings] == [found]


def change(invoices: InvoiceServiceAsyncStub, method: str, key: service_pb.InvoiceKey) -> object:
    if method == "ReviseInvoice":
        return invoices.ReviseInvoice(revise(key, an_invoice("")))
    if method == "UpdateInvoice":
        return invoices.UpdateInvoice(update(key, "description", change=Change(description="x")))
    return invoices.CancelInvoice(cancel(key))


async def test_a_number_that_several_invoices_carry_names_none_of_them(own_server: House) -> None:
    data = apply().data
    data.settings.duplicate_numbers_allowed = True
    await own_server.reference.ApplyReferenceData(apply(data))
    ids = []
    for key in ("one", "two"):
        answer = await own_server.invoices.IngestInvoice(ingest(an_invoice(key, invoice_number="twin")))
        ids.append(answer.invoice_id)
    error = await refused(own_server.invoices.CancelInvoice(cancel(by_number("twin"))))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NUMBER_AMBIGUOUS")
    assert error.facts["invoice_ids"] == ", ".join(sorted(ids))
