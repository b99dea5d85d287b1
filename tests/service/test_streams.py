"""A stream of invoices: answered as they are recorded, gone on with after a cut, ended in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import pytest

from daybook.client import connect_async, explain
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from domain import identity
from tests.postgres import Database
from tests.store.proxy import Proxy

from .contract import STRANGE, clean
from .house import House, at_home, position, turn_held
from .messages import a_line, a_posted_invoice, an_invoice, apply, ingest
from .test_batches import bad, batch, reason
from .test_taxes import taxes

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode


def streamed(request: service_pb.IngestInvoiceRequest) -> service_pb.StreamIngestInvoicesRequest:
    return service_pb.StreamIngestInvoicesRequest(request=request)


async def everything(stream: Any) -> dict[int, service_pb.IngestionResult]:
    """What became of each invoice, by its place in the stream."""
    found: dict[int, service_pb.IngestionResult] = {}
    async for answer in stream:
        assert answer.results
        for each in answer.results:
            assert each.index not in found, "answered twice"
            found[each.index] = each.result
    return found


async def send(
    house: House, *requests: service_pb.IngestInvoiceRequest
) -> dict[int, service_pb.IngestionResult]:
    return await everything(house.invoices.StreamIngestInvoices(map(streamed, requests)))


async def until_cut(stream: Any) -> tuple[dict[int, service_pb.IngestionResult], grpc.aio.AioRpcError]:
    """What was answered before the stream ended with an error, and the error."""
    found: dict[int, service_pb.IngestionResult] = {}
    try:
        async for answer in stream:
            found |= {each.index: each.result for each in answer.results}
    except grpc.aio.AioRpcError as error:
        return found, error
    raise AssertionError("it ended without an error")


class Open:
    """A stream that stays open until `end` is set."""

    def __init__(self, requests: Iterable[service_pb.IngestInvoiceRequest]) -> None:
        self.end = asyncio.Event()
        self.taken = 0
        self._requests = requests

    async def __aiter__(self) -> AsyncIterator[service_pb.StreamIngestInvoicesRequest]:
        for each in self._requests:
            yield streamed(each)
            self.taken += 1
        await self.end.wait()


async def test_each_of_a_stream_is_answered_as_alone(server: House) -> None:
    sent = [ingest(an_invoice(f"s{n}", [a_line()] * (1 + n % 3))) for n in range(600)]
    answers = await send(server, *sent)
    assert sorted(answers) == list(range(600))
    for n in range(0, 600, 7):
        result = answers[n]
        assert result.unique_identifier == f"s{n}"
        history = await server.history(f"s{n}")
        assert len(history) == 3 + n % 3
        assert position(result.response.position) == history[-1].position
        alone = await server.invoices.IngestInvoice(sent[n])
        assert alone.replayed
        alone.replayed = False
        alone.ClearField("invoice")
        assert alone == result.response


async def next_of(stream: Any) -> dict[int, service_pb.IngestionResult]:
    return {each.index: each.result for each in (await stream.read()).results}


async def test_an_answer_comes_while_the_stream_stays_open(server: House) -> None:
    sending = Open([ingest(an_invoice("while open"))])
    stream = server.invoices.StreamIngestInvoices(aiter(sending))
    answers = await next_of(stream)
    assert answers[0].response.invoice_id == str(identity.invoice("while open"))
    sending.end.set()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is Code.OK


async def test_a_bad_one_costs_only_itself_and_every_one_has_a_key(server: House) -> None:
    keyless = ingest(an_invoice("", currency_code="eur"))
    answers = await send(server, ingest(an_invoice("sg")), bad("sb"), keyless, ingest(an_invoice("sg2")))
    assert [reason(answers[n]) for n in range(4)] == ["", "BROKEN_RULES", "BROKEN_RULES", ""]
    assert [(each.path, each.rule) for each in answers[2].failure.findings] == [
        ("invoice.unique_identifier", "REQUIRED"),
        ("invoice.currency_code", "CURRENCY"),
    ]


async def test_one_can_be_tried_only_in_the_midst_of_a_stream(server: House) -> None:
    tried = ingest(an_invoice("tried only"), validate_only=True)
    answers = await send(server, tried, ingest(an_invoice("not only")))
    assert (answers[0].response.position, bool(answers[1].response.position)) == ("", True)
    assert await server.happened("tried only") == []


async def test_the_same_key_and_the_same_number_again_in_a_stream_are_known(server: House) -> None:
    same = ingest(an_invoice("same"))
    other = ingest(an_invoice("same", account_id="b"))
    answers = await send(server, same, same, other, *(ingest(a_posted_invoice(f"p{n}", "R-9")) for n in "12"))
    assert [answers[n].response.replayed for n in (0, 1)] == [False, True]
    assert answers[1].response.position == answers[0].response.position
    assert [reason(answers[n]) for n in (2, 3, 4)] == ["INGESTED_DIFFERENTLY", "", "NUMBER_TAKEN"]


@pytest.mark.parametrize(
    ("raw", "why"), [(b"\xff\xff", "UNREADABLE_MESSAGE"), (STRANGE, "UNKNOWN_FIELD")], ids=str
)
async def test_what_came_before_a_message_that_cannot_be_read_is_answered(
    server: House, raw: bytes, why: str
) -> None:
    good = [streamed(ingest(an_invoice(f"before {why} {n}"))).SerializeToString() for n in range(20)]
    call: Any = server.channel.stream_stream(
        "/daybook.v1.InvoiceService/StreamIngestInvoices",
        response_deserializer=service_pb.StreamIngestInvoicesResponse.FromString,
    )
    answers, error = await until_cut(call(iter([*good, raw])))
    assert (error.code(), clean(error)[0]) == (Code.INVALID_ARGUMENT, why)
    assert sorted(answers) == list(range(20))
    assert all(each.response.position for each in answers.values())


async def test_a_stream_that_was_cut_is_gone_on_with(own_server: House) -> None:
    sent = [ingest(an_invoice(f"cut {n}")) for n in range(300)]
    sending = Open(sent)
    stream = own_server.invoices.StreamIngestInvoices(aiter(sending))
    answered = await next_of(stream)
    stream.cancel()
    left = [n for n in range(300) if n not in answered]
    again = await send(own_server, *(sent[n] for n in left))
    assert {reason(each) for each in again.values()} == {""}
    for n, request in enumerate(sent):
        first = answered[n] if n in answered else again[left.index(n)]
        assert len(await own_server.history(f"cut {n}")) == 3
        replay = await own_server.invoices.IngestInvoice(request)
        assert (replay.replayed, replay.position) == (True, first.response.position)


async def test_what_was_taken_is_answered_before_the_server_goes_down_and_the_rest_goes_elsewhere(
    database: Database,
) -> None:
    async with at_home(database.app_dsn) as house:
        await house.reference.ApplyReferenceData(apply())
        sent = [ingest(an_invoice(f"drained {n}")) for n in range(100)]
        async with turn_held(database.app_dsn):
            stream = house.invoices.StreamIngestInvoices(aiter(Open(sent)))
            reading = asyncio.ensure_future(until_cut(stream))
            sending = house.server.outermost.streams
            for _ in range(500):
                if sending.running:
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            stop = asyncio.create_task(house.server.stop())
            await asyncio.sleep(0.5)
        answers, error = await reading
        await stop
        assert (error.code(), explain(error).reason) == (Code.UNAVAILABLE, "SHUTTING_DOWN")
        assert sorted(answers) == list(range(100))
        for n in range(100):
            assert (
                position(answers[n].response.position) == (await house.history(f"drained {n}"))[-1].position
            )


async def test_when_the_store_is_away_a_stream_ends_and_is_gone_on_with_when_it_is_back(
    database: Database,
) -> None:
    async with Proxy(database.app_dsn) as proxy, at_home(proxy.dsn) as house:
        await house.reference.ApplyReferenceData(apply())
        sent = [ingest(an_invoice(f"away {n}")) for n in range(10)]
        assert (await send(house, *sent[:5]))[0].response.position
        proxy.refusing = True
        proxy.cut()
        answers, error = await until_cut(house.invoices.StreamIngestInvoices(aiter(Open(sent))))
        assert (error.code(), explain(error).reason) == (Code.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert explain(error).retry_after is not None
        assert {reason(each) for each in answers.values()} == {"STORE_UNAVAILABLE"}
        proxy.refusing = False
        again = await send(house, *sent)
        assert [again[n].response.replayed for n in range(10)] == [True] * 5 + [False] * 5


async def test_an_engine_elsewhere_holds_up_nobody_else(own_server: House) -> None:
    await own_server.reference.ApplyReferenceData(apply(taxes()))
    far = an_invoice("far", [a_line(tax_treatment_id="far")], should_calculate_tax=True)
    near = an_invoice("near", [a_line(tax_treatment_id="near")], should_calculate_tax=True)
    order: list[int] = []
    found: dict[int, int] = {}
    stream = own_server.invoices.StreamIngestInvoices(
        streamed(ingest(each)) for each in (far, near, an_invoice("none"))
    )
    async for answer in stream:
        order += [each.index for each in answer.results]
        found |= {each.index: each.result.response.tax for each in answer.results}
    assert order[-1] == 0
    assert found == {
        0: service_pb.TAX_OUTCOME_FAILED,
        1: service_pb.TAX_OUTCOME_ESTIMATED,
        2: service_pb.TAX_OUTCOME_NOT_REQUESTED,
    }


async def test_streams_batches_and_single_calls_at_once_record_each_key_once(own_server: House) -> None:
    sent = [ingest(an_invoice(f"everybody {n}")) for n in range(60)]
    async with connect_async(own_server.target) as channel:
        elsewhere = InvoiceServiceStub(channel)
        calls: list[Any] = [own_server.invoices.IngestInvoice(each) for each in sent]
        calls += [elsewhere.BatchIngestInvoices(batch(*sent, atomic=atomic)) for atomic in (True, False)]
        calls += [send(own_server, *reversed(sent)), send(own_server, *sent)]
        *single, one, two, three, four = await asyncio.gather(*calls)
    responses = [*single, *(each.response for answer in (one, two) for each in answer.results)]
    responses += [each.response for answer in (three, four) for each in answer.values()]
    assert len(responses) == 300
    assert sum(not each.replayed for each in responses) == 60
    assert len({(each.invoice_id, each.position) for each in responses}) == 60
