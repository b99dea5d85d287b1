"""Debit memos through the real wire: charged later, invoiced once, by whoever is first."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import pytest

from daybook.client import explain
from daybook.v1 import debit_memo_pb2 as pb
from daybook.v1 import debit_memo_service_pb2 as service_pb
from daybook.v1 import invoice_pb2
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_service_pb2 as invoice_service_pb
from daybook.v1.debit_memo_service_pb2_grpc import DebitMemoServiceStub
from domain import identity, invoice
from service.bootstrap import now
from service.snapshot import Snapshot
from service.transact import Book
from store import schema
from store.log import Meta, Who
from tests.postgres import Database

from .house import House, at_home, refused
from .messages import INVOICE_DATE, apply, day, number

if TYPE_CHECKING:
    from daybook.v1.debit_memo_service_pb2_grpc import DebitMemoServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLERS = 50
HQ = invoice_pb2.AddressGroup(
    key="hq", street="Hauptstr. 1", city="Berlin", state="BE", postal_code="10115", country="DE"
)


def memos(house: House) -> DebitMemoServiceAsyncStub:
    return DebitMemoServiceStub(house.channel)


def a_memo(key: str, **changes: Any) -> pb.DebitMemoContent:
    """100 that were charged too little."""
    content = pb.DebitMemoContent(
        unique_identifier=key,
        account_id="A-1",
        currency_code="EUR",
        order_id=f"order of {key}",
        address_groups=[HQ],
        billing_address="hq",
        shipping_address="hq",
        lines=[pb.DebitMemoLineContent(name="Charged too little", charge_amount=number("100.00"))],
    )
    for name, value in changes.items():
        content.ClearField(name)  # type: ignore[arg-type]
        if isinstance(value, list):
            getattr(content, name).extend(value)
        else:
            setattr(content, name, value)
    return content


def named(key: str) -> service_pb.DebitMemoKey:
    return service_pb.DebitMemoKey(unique_identifier=key)


async def posted(house: House, key: str, **changes: Any) -> str:
    """The id of a memo that is ready."""
    created = await memos(house).CreateDebitMemo(
        service_pb.CreateDebitMemoRequest(memo=a_memo(key, **changes))
    )
    await memos(house).PostDebitMemo(service_pb.PostDebitMemoRequest(key=named(key)))
    return created.debit_memo_id


def billing(key: str, memo: str, **changes: Any) -> invoice_service_pb.IngestInvoiceRequest:
    content = invoice_pb2.InvoiceContent(
        unique_identifier=key,
        bill_to_contact_id="C-1",
        invoice_date=day(INVOICE_DATE),
        reference=invoice_pb2.Reference(kind=invoice_pb2.REFERENCE_KIND_DEBIT_MEMO, id=memo),
        **changes,
    )
    return invoice_service_pb.IngestInvoiceRequest(invoice=content)


async def happened(house: House, memo_key: str) -> list[str]:
    history = await house.log.read(identity.debit_memo(memo_key))
    return [recorded.name for recorded in history.recorded]


async def test_a_memo_is_created_changed_posted_and_found(server: House) -> None:
    stub = memos(server)
    created = await stub.CreateDebitMemo(service_pb.CreateDebitMemoRequest(memo=a_memo("life")))
    again = await stub.CreateDebitMemo(service_pb.CreateDebitMemoRequest(memo=a_memo("life")))
    assert (created.replayed, again.replayed) == (False, True)
    assert again.position == created.position
    assert created.memo.status == pb.DEBIT_MEMO_STATUS_DRAFT
    assert created.memo.invoice_generation_status == pb.INVOICE_GENERATION_STATUS_NONE
    change = service_pb.UpdateDebitMemoRequest(
        key=named("life"), memo=a_memo("life", reason_code="late"), expected_version=3, request_id="r"
    )
    updated = await stub.UpdateDebitMemo(change)
    heard = await stub.UpdateDebitMemo(change)
    assert (updated.memo.content.reason_code, heard.replayed) == ("late", True)
    done = await stub.PostDebitMemo(service_pb.PostDebitMemoRequest(key=named("life")))
    assert done.memo.ready
    assert done.memo.invoice_generation_status == pb.INVOICE_GENERATION_STATUS_READY
    found = await stub.GetDebitMemo(
        service_pb.GetDebitMemoRequest(key=named("life"), min_position=done.position)
    )
    assert found.memo == done.memo
    assert found.memo.totals.total.units == 100
    assert found.memo.lines[0].line_id == f"{created.debit_memo_id}/1"


async def test_a_draft_is_canceled_and_a_posted_one_voided(server: House) -> None:
    stub = memos(server)
    await stub.CreateDebitMemo(service_pb.CreateDebitMemoRequest(memo=a_memo("given up")))
    canceled = await stub.CancelDebitMemo(service_pb.CancelDebitMemoRequest(key=named("given up")))
    assert canceled.memo.status == pb.DEBIT_MEMO_STATUS_CANCELED
    await posted(server, "taken back")
    voided = await stub.VoidDebitMemo(service_pb.VoidDebitMemoRequest(key=named("taken back")))
    assert voided.memo.status == pb.DEBIT_MEMO_STATUS_VOID
    again = await stub.VoidDebitMemo(service_pb.VoidDebitMemoRequest(key=named("taken back")))
    assert again.replayed


@pytest.mark.parametrize("method", ["PostDebitMemo", "CancelDebitMemo", "VoidDebitMemo", "GetDebitMemo"])
async def test_a_memo_that_there_is_not_is_named_as_the_caller_named_it(server: House, method: str) -> None:
    request = getattr(service_pb, f"{method}Request")(key=named("never heard of"))
    explanation = await refused(getattr(memos(server), method)(request))
    assert (explanation.code, explanation.reason) == (grpc.StatusCode.NOT_FOUND, "DEBIT_MEMO_NOT_FOUND")
    assert explanation.facts == {"key": "'never heard of'"}


async def test_a_dry_run_writes_nothing_and_tells_all_findings(server: House) -> None:
    stub = memos(server)
    wrong = service_pb.CreateDebitMemoRequest(
        memo=a_memo("dry", account_id="", currency_code="XYZ"), validate_only=True
    )
    answer = await stub.CreateDebitMemo(wrong)
    assert {each.path for each in answer.findings} == {"memo.account_id", "memo.currency_code"}
    right = await stub.CreateDebitMemo(
        service_pb.CreateDebitMemoRequest(memo=a_memo("dry"), validate_only=True)
    )
    assert right.memo.totals.total.units == 100
    assert await happened(server, "dry") == []


async def test_a_memo_becomes_an_invoice_and_both_tell_of_it(server: House) -> None:
    memo_id = await posted(server, "told")
    answer = await server.invoices.IngestInvoice(billing("of told", "told"))
    assert answer.status == invoice_pb2.INVOICE_STATUS_DRAFT
    assert answer.totals.total.units == 100
    found = await server.queries.GetInvoice(
        query_pb.GetInvoiceRequest(
            key=invoice_service_pb.InvoiceKey(unique_identifier="of told"), min_position=answer.position
        )
    )
    assert found.invoice.content.reference.id == memo_id
    assert found.invoice.lines[0].content.reference.id == f"{memo_id}/1"
    assert found.lineage.order_id == "order of told"
    assert found.lineage.debit_memo.debit_memo_id == memo_id
    assert found.lineage.debit_memo.invoice_id == answer.invoice_id
    listed = await server.queries.ListOrderInvoices(
        query_pb.ListOrderInvoicesRequest(order_id="order of told", min_position=answer.position)
    )
    assert [each.invoice_id for each in listed.invoices] == [answer.invoice_id]
    billed = await memos(server).ListDebitMemos(
        service_pb.ListDebitMemosRequest(
            filter=service_pb.DebitMemoFilter(invoice_id=answer.invoice_id), min_position=answer.position
        )
    )
    assert [each.debit_memo_id for each in billed.memos] == [memo_id]


async def test_the_memo_and_the_invoice_lie_side_by_side_in_the_log(server: House) -> None:
    await posted(server, "side by side")
    await server.invoices.IngestInvoice(billing("beside", "side by side"))
    memo = (await server.log.read(identity.debit_memo("side by side"))).recorded[-1]
    first = (await server.history("beside"))[0]
    assert memo.name == "DebitMemoBilled"
    assert (memo.position + 1, memo.recorded) == (first.position, first.recorded)


@pytest.mark.parametrize(
    ("memo", "changes", "reason"),
    [
        ("draft", {}, "DEBIT_MEMO_NOT_POSTED"),
        ("empty", {}, "DEBIT_MEMO_WITHOUT_LINES"),
        ("canceled", {}, "DEBIT_MEMO_NOT_POSTED"),
        ("void", {}, "DEBIT_MEMO_NOT_POSTED"),
        ("not for invoices", {}, "DEBIT_MEMO_NOT_INVOICEABLE"),
        ("by hand", {}, "DEBIT_MEMO_PROCESSED"),
        ("billed", {}, "DEBIT_MEMO_BILLED"),
        ("ready", {"account_id": "A-2"}, "MEMO_DIFFERS"),
        ("ready", {"currency_code": "USD"}, "MEMO_DIFFERS"),
        ("ready", {"status": invoice_pb2.INVOICE_STATUS_POSTED}, "MEMO_STAYS_DRAFT"),
        ("ready", {"lines": [invoice_pb2.LineContent(name="more")]}, "MEMO_BRINGS"),
        ("ready", {"address_groups": [HQ]}, "MEMO_BRINGS"),
        ("unknown", {}, "NO_SUCH_MEMO"),
    ],
)
async def test_each_refusal_has_its_reason_and_leaves_both_untouched(
    server: House, memo: str, changes: dict[str, Any], reason: str
) -> None:
    key = f"{memo} {reason} {sorted(changes)}"
    await prepare(server, memo, key)
    before = await happened(server, key)
    explanation = await refused(server.invoices.IngestInvoice(billing(f"of {key}", key, **changes)))
    assert reason in (explanation.reason, *(each.rule for each in explanation.findings))
    assert await server.happened(f"of {key}") == []
    assert await happened(server, key) == before


async def prepare(house: House, memo: str, key: str) -> None:
    stub = memos(house)
    match memo:
        case "draft" | "empty" | "canceled":
            content = a_memo(key, lines=[]) if memo == "empty" else a_memo(key)
            await stub.CreateDebitMemo(service_pb.CreateDebitMemoRequest(memo=content))
            if memo == "canceled":
                await stub.CancelDebitMemo(service_pb.CancelDebitMemoRequest(key=named(key)))
        case "unknown":
            pass
        case "not for invoices":
            await posted(house, key, invoiceable=False)
        case _:
            await posted(house, key)
    if memo == "void":
        await stub.VoidDebitMemo(service_pb.VoidDebitMemoRequest(key=named(key)))
    elif memo == "by hand":
        await stub.MarkDebitMemoProcessed(
            service_pb.MarkDebitMemoProcessedRequest(key=named(key), reason="typed into the old system")
        )
    elif memo == "billed":
        await house.invoices.IngestInvoice(billing(f"first of {key}", key))


async def test_a_canceled_draft_frees_its_memo_in_the_same_append_and_another_invoice_takes_it(
    server: House,
) -> None:
    await posted(server, "freed")
    await server.invoices.IngestInvoice(billing("first", "freed"))
    key = invoice_service_pb.InvoiceKey(unique_identifier="first")
    await server.invoices.CancelInvoice(invoice_service_pb.CancelInvoiceRequest(key=key))
    released = (await server.log.read(identity.debit_memo("freed"))).recorded[-1]
    canceled = (await server.history("first"))[-1]
    assert (released.name, canceled.name) == ("DebitMemoReleased", "InvoiceCanceled")
    assert released.recorded == canceled.recorded
    assert not (await server.invoices.IngestInvoice(billing("second", "freed"))).replayed
    revival = invoice_service_pb.ReviseInvoiceRequest(
        key=key, invoice=billing("first", "freed").invoice, request_id="r"
    )
    assert (await refused(server.invoices.ReviseInvoice(revival))).reason == "DEBIT_MEMO_BILLED"


async def test_a_memos_draft_is_revised_but_for_its_lines(server: House) -> None:
    await posted(server, "kept")
    await server.invoices.IngestInvoice(billing("revised", "kept"))
    key = invoice_service_pb.InvoiceKey(unique_identifier="revised")
    content = billing("revised", "kept", description="with thanks").invoice
    revised = await server.invoices.ReviseInvoice(
        invoice_service_pb.ReviseInvoiceRequest(key=key, invoice=content)
    )
    assert revised.invoice.content.description == "with thanks"
    assert revised.invoice.totals.total.units == 100
    content.lines.append(invoice_pb2.LineContent(name="more"))
    more = invoice_service_pb.ReviseInvoiceRequest(key=key, invoice=content)
    explanation = await refused(server.invoices.ReviseInvoice(more))
    assert [each.rule for each in explanation.findings] == ["MEMO_BRINGS"]
    assert (await happened(server, "kept"))[-1] == "DebitMemoBilled"


async def test_whoever_posts_the_invoice_settles_its_memo_in_the_same_append(
    own_server: House, database: Database
) -> None:
    await posted(own_server, "for good")
    answer = await own_server.invoices.IngestInvoice(billing("posted", "for good"))
    codec = schema.codec()
    snapshot = Snapshot(own_server.log, codec.decode, schema.REFERENCE_TOPICS)
    await snapshot.refresh()
    event = invoice.InvoicePosted("R-1", INVOICE_DATE)
    await Book(own_server.log, snapshot, now).transact(
        UUID(answer.invoice_id),
        lambda *_: invoice.Decision((event,)),
        Meta(Who("local", "poster")),
        asyncio.get_running_loop().time() + 10,
    )
    assert (await happened(own_server, "for good"))[-1] == "DebitMemoInvoicePosted"
    assert (await own_server.happened("posted"))[-1] == "InvoicePosted"
    void = service_pb.VoidDebitMemoRequest(key=named("for good"))
    assert (await refused(memos(own_server).VoidDebitMemo(void))).reason == "DEBIT_MEMO_BILLED"


async def test_memos_that_are_ready_come_first_page_by_page(own_server: House) -> None:
    for each in ("a", "b", "c", "d"):
        await posted(own_server, each)
    last = await own_server.invoices.IngestInvoice(billing("of d", "d"))
    seen: list[str] = []
    request = service_pb.ListDebitMemosRequest(page_size=1, min_position=last.position)
    while True:
        page = await memos(own_server).ListDebitMemos(request)
        seen += [each.content.unique_identifier for each in page.memos]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == ["c", "b", "a", "d"]
    ready = service_pb.ListDebitMemosRequest(filter=service_pb.DebitMemoFilter(ready=True))
    assert len((await memos(own_server).ListDebitMemos(ready)).memos) == 3


@pytest.mark.long
@pytest.mark.parametrize("same_key", [False, True], ids=["fifty keys", "one key"])
async def test_of_fifty_callers_at_several_services_one_bills_the_memo(
    own_server: House, database: Database, same_key: bool
) -> None:
    await posted(own_server, "one only")
    async with at_home(database.app_dsn) as second, at_home(database.app_dsn) as third:
        houses = (own_server, second, third)
        keys = ["the one" if same_key else f"caller {n}" for n in range(CALLERS)]
        calls = [
            houses[n % len(houses)].invoices.IngestInvoice(billing(key, "one only"))
            for n, key in enumerate(keys)
        ]
        outcomes = Counter([await outcome(call) for call in calls])
    expected = {"replayed": CALLERS - 1} if same_key else {"DEBIT_MEMO_BILLED": CALLERS - 1}
    assert outcomes == {"recorded": 1, **expected}
    assert (await happened(own_server, "one only")).count("DebitMemoBilled") == 1
    drafted = [key for key in set(keys) if await own_server.happened(key)]
    assert len(drafted) == 1


async def outcome(call: Any) -> str:
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return explain(error).reason
    return "replayed" if answer.replayed else "recorded"


async def test_canceling_and_billing_at_once_never_part_memo_and_invoice(own_server: House) -> None:
    """Whatever the order, the memo's last word and the invoices' agree."""
    await own_server.reference.ApplyReferenceData(apply())
    await posted(own_server, "contested")
    for turn in range(10):
        calls: list[Any] = [
            own_server.invoices.IngestInvoice(billing(f"turn {turn}-{n}", "contested")) for n in range(3)
        ]
        calls += [
            own_server.invoices.CancelInvoice(
                invoice_service_pb.CancelInvoiceRequest(
                    key=invoice_service_pb.InvoiceKey(unique_identifier=f"turn {before}-{n}")
                )
            )
            for before in range(turn + 1)
            for n in range(3)
        ]
        for call in calls:
            await settled(call)
    memo = (await own_server.log.read(identity.debit_memo("contested"))).recorded
    billed = [each.event.invoice_id for each in memo if each.name == "DebitMemoBilled"]
    released = [each.event.invoice_id for each in memo if each.name == "DebitMemoReleased"]
    standing = [key for key in billed if billed.count(key) > released.count(key)]
    alive = []
    for turn in range(10):
        for n in range(3):
            names = await own_server.happened(f"turn {turn}-{n}")
            if names and names[-1] != "InvoiceCanceled":
                alive.append(identity.invoice(f"turn {turn}-{n}"))
    assert alive == standing
    assert len(alive) <= 1
    assert len(billed) > 1


LOST_RACES = {"DEBIT_MEMO_BILLED", "INVOICE_NOT_FOUND", "CONTENDED"}


async def settled(call: Any) -> None:
    """Which of them won does not matter."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if explain(error).reason not in LOST_RACES:
            raise
