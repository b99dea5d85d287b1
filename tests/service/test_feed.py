"""The feed over the wire: in order, without gaps, whole invoices, from any token on, for any reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import grpc
import pytest

from daybook.client import explain
from daybook.v1 import audit_service_pb2 as pb
from daybook.v1 import event_pb2, invoice_pb2
from daybook.v1 import invoice_service_pb2 as service_pb
from service import subscription
from service.server import Server
from tests.postgres import Database

from .house import House, at_home, position, refused
from .messages import (
    a_line,
    a_posted_invoice,
    a_term,
    an_invoice,
    apply,
    cancel,
    ingest,
    revise,
    update,
)
from .test_debit_memos import billing, posted

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS_MAX = 30


def to_order(order_id: str) -> invoice_pb2.Reference:
    return invoice_pb2.Reference(kind=invoice_pb2.REFERENCE_KIND_ORDER, id=order_id)


@asynccontextmanager
async def subscribed(house: House, after: str = "", **said: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """The answers of a subscription, as they come."""
    from_now = said.pop("from_now", False)
    call = house.audit.SubscribeEvents(
        pb.SubscribeEventsRequest(after=after, from_now=from_now, filter=pb.EventFilter(**said)),
        timeout=SECONDS_MAX,
    )
    try:
        yield aiter(call)
    finally:
        call.cancel()


async def until_caught_up(house: House, after: str = "", **said: Any) -> Sequence[pb.SubscribeEventsResponse]:
    """All answers up to the end of the log."""
    answers = []
    async with subscribed(house, after, **said) as feed:
        async for answer in feed:
            answers.append(answer)
            if answer.caught_up:
                break
    return answers


def in_order(answers: Sequence[pb.SubscribeEventsResponse]) -> list[event_pb2.Event]:
    """The events as a reader works them off."""
    return [event for answer in answers for event in (*answer.earlier, *answer.events)]


async def everything(house: House) -> list[int]:
    kept = await house.log.feed(0, 1_000_000)
    return [each.position for each in kept]


def positions(events: Sequence[event_pb2.Event]) -> list[int]:
    return [position(event.position) for event in events]


async def test_from_the_beginning_comes_everything_in_order_and_then_what_happens(own_server: House) -> None:
    for number in range(60):
        await own_server.invoices.IngestInvoice(ingest(an_invoice(f"all-{number}")))
    answers = await until_caught_up(own_server)
    assert positions(in_order(answers)) == await everything(own_server)
    assert all(len(each.events) <= 100 for each in answers)
    assert [each.caught_up for each in answers].count(True) == 1
    async with subscribed(own_server, answers[-1].resume_token) as feed:
        written = await own_server.invoices.IngestInvoice(ingest(an_invoice("live")))
        heard: list[event_pb2.Event] = []
        while not heard or heard[-1].position != written.position:
            heard += (await anext(feed)).events
    assert [each.type for each in heard] == ["InvoiceDrafted", "AddressGroupAssigned", "LineAdded"]
    assert heard[0].invoice_drafted.content.unique_identifier == "live"


async def test_a_subscriber_may_begin_with_what_happens_from_now_on(server: House) -> None:
    await server.invoices.IngestInvoice(ingest(an_invoice("before now")))
    async with subscribed(server, from_now=True) as feed:
        first = await anext(feed)
        assert first.caught_up
        assert not first.events
        await server.invoices.IngestInvoice(ingest(an_invoice("after now")))
        answer = await anext(feed)
        assert answer.events[0].invoice_drafted.content.unique_identifier == "after now"


async def test_types_are_filtered(own_server: House) -> None:
    await own_server.invoices.IngestInvoice(ingest(an_invoice("typed")))
    await own_server.invoices.CancelInvoice(cancel("typed"))
    await own_server.reference.ApplyReferenceData(apply(a_term(days=99)))
    events = in_order(await until_caught_up(own_server, types=["InvoiceCanceled", "PaymentTermSet"]))
    assert [each.type for each in events] == [*["PaymentTermSet"] * 3, "InvoiceCanceled", "PaymentTermSet"]


async def test_an_account_hears_of_its_invoices_and_memos_whole_and_of_nothing_else(server: House) -> None:
    account: dict[str, Any] = {"account_ids": ["filtered"]}
    ours = [an_invoice(f"ours-{n}", account_id="filtered") for n in range(3)]
    for each in ours:
        await server.invoices.IngestInvoice(ingest(each))
        await server.invoices.IngestInvoice(ingest(an_invoice()))
    memo_id = await posted(server, "filtered memo", account_id="filtered")
    await server.invoices.IngestInvoice(billing("of filtered memo", memo_id))
    await server.invoices.CancelInvoice(cancel("ours-1"))
    events = in_order(await until_caught_up(server, **account))
    expected = [
        each
        for key in ("ours-0", "ours-1", "ours-2", "of filtered memo")
        for each in await server.history(key)
    ]
    memo = [each for each in events if each.stream_id == memo_id]
    assert [each.type for each in memo][-2:] == ["DebitMemoPosted", "DebitMemoBilled"]
    others = [position(each.position) for each in events if each.stream_id != memo_id]
    assert others == sorted(each.position for each in expected)


async def test_an_order_hears_of_an_invoice_by_its_reference_and_by_any_of_its_lines(server: House) -> None:
    by_line = a_line(reference=invoice_pb2.LineReference(order_id="F-1"))
    await server.invoices.IngestInvoice(ingest(an_invoice("by-reference", reference=to_order("F-1"))))
    await server.invoices.IngestInvoice(ingest(an_invoice("by-line", [a_line(), by_line, a_line()])))
    await server.invoices.IngestInvoice(ingest(an_invoice("of-another", reference=to_order("F-2"))))
    answers = await until_caught_up(server, order_ids=["F-1"])
    expected = [each.position for key in ("by-reference", "by-line") for each in await server.history(key)]
    assert positions(in_order(answers)) == expected
    assert not any(each.earlier for each in answers)
    both = in_order(await until_caught_up(server, order_ids=["F-1"], account_ids=["somebody else"]))
    assert both == []


async def late(house: House, key: str, order_id: str, lines: int) -> None:
    """An invoice that comes to belong to an order by its revision, and stays when it leaves it again."""
    await house.invoices.IngestInvoice(ingest(an_invoice(key, [a_line()] * lines)))
    change = service_pb.InvoiceChange(description="before")
    await house.invoices.UpdateInvoice(update(key, "description", change=change))
    await house.invoices.IngestInvoice(ingest(an_invoice(f"{key} aside")))
    by_line = a_line(reference=invoice_pb2.LineReference(order_id=order_id))
    await house.invoices.ReviseInvoice(revise(key, an_invoice(key, [a_line(), by_line])))
    await house.invoices.IngestInvoice(ingest(an_invoice(f"{key} beside")))
    await house.invoices.ReviseInvoice(revise(key, an_invoice(key)))


async def test_an_invoice_that_comes_to_belong_late_comes_with_its_history(server: House) -> None:
    await late(server, "late", "L-1", 3)
    answers = await until_caught_up(server, order_ids=["L-1"])
    history = await server.history("late")
    assert positions(in_order(answers)) == [each.position for each in history]
    [entering] = [each for each in answers if each.earlier]
    assert [each.version for each in entering.earlier] == [1, 2, 3, 4, 5, 6]
    events = [event for each in answers for event in each.events]
    assert events[0].type == "InvoiceRevised"
    assert positions(events) == sorted(positions(events))


async def test_a_posted_invoice_comes_to_belong_by_an_update_of_its_reference(server: House) -> None:
    await server.invoices.IngestInvoice(ingest(a_posted_invoice("updated", number="L-7")))
    change = service_pb.InvoiceChange(reference=to_order("L-2"))
    await server.invoices.UpdateInvoice(update("updated", "reference", change=change))
    events = in_order(await until_caught_up(server, order_ids=["L-2"]))
    assert [each.version for each in events] == [1, 2, 3, 4, 5, 6]
    assert events[-1].type == "InvoiceUpdated"


@pytest.mark.parametrize("types", [[], ["LineAdded", "InvoiceUpdated"]], ids=["all", "some types"])
async def test_from_every_token_on_comes_exactly_the_rest(
    server: House, types: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, order = f"tokens {types}", f"T-{len(types)}"
    await late(server, key, order, lines=25)
    monkeypatch.setattr(subscription, "PART_EVENTS_MAX", 7)
    said: dict[str, Any] = {"order_ids": [order], "types": types}
    answers = await until_caught_up(server, **said)
    whole = in_order(answers)
    assert {each.type for each in whole} <= {*types} or not types
    assert len([each for each in answers if each.earlier]) > 2
    for count, answer in enumerate(answers, 1):
        had = in_order(answers[:count])
        rest = in_order(await until_caught_up(server, answer.resume_token, **said))
        assert had + rest == whole


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
async def test_whatever_happens_the_choice_is_that_of_the_whole_log(
    server: House, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Random(seed)
    monkeypatch.setattr(subscription, "PART_EVENTS_MAX", chance.randrange(1, 9))
    orders = [f"R-{seed}-{n}" for n in range(4)]
    keys = [f"random-{seed}-{n}" for n in range(6)]
    for key in keys:
        await server.invoices.IngestInvoice(ingest(random_invoice(chance, key, orders)))
    for _ in range(20):
        key = chance.choice(keys)
        await server.invoices.ReviseInvoice(revise(key, random_invoice(chance, key, orders)))
    asked = chance.sample(orders, 2)
    events = in_order(await until_caught_up(server, order_ids=asked))
    histories = [await server.history(key) for key in keys]
    expected = [
        each.position
        for history in histories
        for each in history
        if any(order in str(kept.event) for order in asked for kept in history)
    ]
    assert 0 < len(expected) < sum(map(len, histories))
    assert sorted(positions(events)) == sorted(expected)
    versions: dict[str, int] = {}
    for each in events:
        assert each.version == versions.get(each.stream_id, 0) + 1
        versions[each.stream_id] = each.version


def random_invoice(chance: Random, key: str, orders: Sequence[str]) -> invoice_pb2.InvoiceContent:
    lines = [a_line() for _ in range(chance.randrange(1, 5))]
    if chance.random() < 0.3:
        lines[-1].reference.order_id = chance.choice(orders)
    reference = to_order(chance.choice(orders)) if chance.random() < 0.2 else None
    return an_invoice(key, lines, reference=reference)


async def test_one_who_hears_nothing_still_hears_how_far_the_log_has_come(server: House) -> None:
    async with subscribed(server, from_now=True, order_ids=["of nobody"]) as feed:
        began = await anext(feed)
        written = await server.invoices.IngestInvoice(ingest(an_invoice()))
        told = await anext(feed)
        while position(told.resume_token) < position(written.position):
            told = await anext(feed)
        assert not told.events
        assert position(told.resume_token) > position(began.resume_token)


async def test_a_token_of_another_log_and_one_of_nobody_are_refused(server: House) -> None:
    def asking(**said: Any) -> Any:
        return anext(aiter(server.audit.SubscribeEvents(pb.SubscribeEventsRequest(**said), timeout=10)))

    assert (await refused(asking(after="0123456789ab.1.7"))).reason == "LOG_RESTORED"
    for token in ("7", "x+1", f"{'0' * 12}.1.7+x", f"{'0' * 12}.1.7+{'9' * 40}"):
        said = await refused(asking(after=token))
        assert [(each.path, each.rule) for each in said.findings] == [("after", "POSITION")]
    said = await refused(asking(filter=pb.EventFilter(types=["InvoicePaid?"], order_ids=[""])))
    assert [(each.path, each.rule) for each in said.findings] == [
        ("filter.types[0]", "NO_SUCH_ENTRY"),
        ("filter.order_ids[0]", "REQUIRED"),
    ]
    written = await server.invoices.IngestInvoice(ingest())
    said = await refused(asking(after=written.position, from_now=True))
    assert [(each.path, each.rule) for each in said.findings] == [("after", "EITHER")]


async def test_one_who_does_not_read_holds_up_nobody_and_misses_nothing(own_server: House) -> None:
    call = own_server.audit.SubscribeEvents(pb.SubscribeEventsRequest(), timeout=120)
    slow = aiter(call)
    first = await anext(slow)
    text = "x" * 200
    for number in range(25):  # far more than any window between here and there holds
        lines = [a_line(description=text, name=text, product_name=text)] * 100
        await own_server.invoices.IngestInvoice(ingest(an_invoice(f"slow-{number}", lines)))
    quick = in_order(await until_caught_up(own_server))
    assert positions(quick) == await everything(own_server)
    heard = list(first.events)
    while len(heard) < len(quick):
        heard += (await anext(slow)).events
    assert heard == quick
    call.cancel()


async def test_when_the_server_goes_down_the_last_token_is_told(database: Database) -> None:
    async with at_home(database.app_dsn) as house:
        await house.reference.ApplyReferenceData(apply())
        async with subscribed(house, order_ids=["of nobody"]) as feed:
            assert (await anext(feed)).caught_up
            written = await house.invoices.IngestInvoice(ingest(an_invoice("last")))
            await asyncio.sleep(0.2)
            ending = asyncio.create_task(end(house.server))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async for _ in feed:
                    pass
            said = explain(caught.value)
            assert (said.code, said.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
            assert position(said.facts["resume_token"]) == position(written.position)
            await ending
    async with at_home(database.app_dsn) as house:
        token = said.facts["resume_token"]
        assert in_order(await until_caught_up(house, token)) == []
        rest = in_order(await until_caught_up(house, written.position))
        assert rest == []


async def end(server: Server) -> None:
    server.outermost.close(5.0)


async def test_more_subscribers_than_the_lane_holds_are_turned_away_and_calls_are_not(
    database: Database,
) -> None:
    async with at_home(database.app_dsn, streams_max=2) as house:
        await house.reference.ApplyReferenceData(apply())
        async with subscribed(house) as one, subscribed(house) as other:
            assert (await anext(one)).events == (await anext(other)).events
            async with subscribed(house) as third:
                said = await refused(anext(third))
            assert said.reason == "OVERLOADED"
            assert said.retry_after
            await house.invoices.IngestInvoice(ingest())
