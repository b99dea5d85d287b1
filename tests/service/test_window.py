"""The window of a stream: bounded, patient, and emptied whatever happens; on a log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from daybook.v1 import invoice_service_pb2 as service_pb
from domain import reference
from domain.findings import Findings
from service.bootstrap import estimating, now
from service.calls import Caller
from service.errors import ShuttingDown
from service.ingestion import Ingestion, Replies, Window, window
from service.reference_data import writes
from service.snapshot import Snapshot
from service.transact import Book
from service.wire.reference_data import read_apply
from store import schema
from store.group_commit import Limits
from store.log import Meta, Unavailable, Who
from store.memory import MemoryLog

from .messages import a_line, an_invoice, apply, ingest
from .test_batches import reason

SOMEBODY = Caller(Who("local", "somebody"), "", "")


@dataclass(frozen=True, slots=True)
class Shop:
    """An ingestion into a log in memory; whoever holds `log.turn` keeps it from writing."""

    log: MemoryLog
    ingestion: Ingestion

    def open(self, seconds: float = 30) -> Window:
        loop = asyncio.get_running_loop()
        return Window(self.ingestion, SOMEBODY, lambda: loop.time() + seconds)


@asynccontextmanager
async def a_shop(limits: Limits | None = None) -> AsyncIterator[Shop]:
    codec = schema.codec()
    log = MemoryLog(codec, limits=limits)
    snapshot = Snapshot(log, codec.decode, schema.REFERENCE_TOPICS)
    plan = reference.plan(read_apply(apply(), Findings()), await snapshot.refresh(), Findings())
    await log.append(writes(plan, snapshot.current), Meta(Who("local", "somebody")))
    await snapshot.refresh()
    book = Book(log, snapshot, now)
    async with estimating(book) as estimator:
        yield Shop(log, Ingestion(book, estimator, Replies(log.identity, book.today)))


def streamed(key: str, lines: int) -> service_pb.StreamIngestInvoicesRequest:
    return service_pb.StreamIngestInvoicesRequest(request=ingest(an_invoice(key, [a_line()] * lines)))


class Sender:
    """Sends invoices one by one and counts those that were taken."""

    def __init__(self, name: str, count: int, lines: int = 1, end: Exception | None = None) -> None:
        self.taken = 0
        self._name, self._count, self._lines, self._end = name, count, lines, end

    async def __aiter__(self) -> AsyncIterator[service_pb.StreamIngestInvoicesRequest]:
        for n in range(self._count):
            self.taken += 1
            yield streamed(f"{self._name} {n}", self._lines)
        if self._end:
            raise self._end


async def all_of(
    opened: Window, sender: Sender, found: dict[int, service_pb.IngestionResult] | None = None
) -> dict[int, service_pb.IngestionResult]:
    found = {} if found is None else found
    async for results in opened.run(aiter(sender)):
        found.update((each.index, each.result) for each in results)
    return found


async def until_it_stops(sender: Sender) -> int:
    """How many are taken before no more are."""
    before = -1
    while before != sender.taken:
        before = sender.taken
        await asyncio.sleep(0.3)
    return before


async def test_no_more_are_taken_than_a_window_holds() -> None:
    async with a_shop() as shop:
        sender = Sender("w", 700)
        async with shop.log.turn:
            answers = asyncio.ensure_future(all_of(shop.open(), sender))
            assert await until_it_stops(sender) == window.INVOICES_MAX
        assert sorted(await answers) == list(range(700))


async def test_no_more_are_taken_than_a_window_holds_bytes_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "BYTES_MAX", 100_000)
    async with a_shop() as shop:
        sender = Sender("b", 30, lines=200)
        async with shop.log.turn:
            answers = asyncio.ensure_future(all_of(shop.open(), sender))
            assert await until_it_stops(sender) == 100_000 // streamed("b 0", 200).ByteSize() + 1
        assert sorted(await answers) == list(range(30))


async def test_where_too_much_waits_to_be_written_a_stream_waits_too() -> None:
    async with a_shop(Limits(queued=1)) as shop:
        async with shop.log.turn:
            others = [asyncio.ensure_future(all_of(shop.open(), Sender(f"o{n}", 1))) for n in range(5)]
            answers = asyncio.ensure_future(all_of(shop.open(), Sender("patient", 100)))
            await asyncio.sleep(0.5)
            assert not answers.done()
        found = [await answers, *[await each for each in others]]
        assert {reason(each) for answer in found for each in answer.values()} == {""}


async def test_one_that_waits_for_too_long_is_told_that_too_much_waits() -> None:
    async with a_shop(Limits(queued=1)) as shop, shop.log.turn:
        others = [asyncio.ensure_future(all_of(shop.open(), Sender(f"o{n}", 1))) for n in range(2)]
        await asyncio.sleep(0.2)
        found = await all_of(shop.open(seconds=0.5), Sender("impatient", 3))
        assert {reason(each) for each in found.values()} == {"OVERLOADED"}
        assert {each.failure.status.code for each in found.values()} == {8}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.mark.parametrize("end", [ShuttingDown(), Unavailable("gone"), ValueError("a bug")], ids=repr)
async def test_whatever_ends_a_stream_all_that_was_taken_is_answered_before(end: Exception) -> None:
    async with a_shop() as shop:
        found: dict[int, service_pb.IngestionResult] = {}
        with pytest.raises(type(end)):
            await all_of(shop.open(), Sender("e", 150, end=end), found)
        assert sorted(found) == list(range(150))
        assert all(each.response.position for each in found.values())


async def test_an_error_of_ours_ends_a_stream_and_does_not_leave_it_hanging(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with a_shop() as shop:
        monkeypatch.setattr(Ingestion, "record_each", broken)
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(all_of(shop.open(), Sender("z", 10)), 10)


async def test_who_goes_away_leaves_nothing_running() -> None:
    async with a_shop() as shop, shop.log.turn:
        before = asyncio.all_tasks()
        answers = asyncio.ensure_future(all_of(shop.open(), Sender("gone", 100)))
        await asyncio.sleep(0.3)
        answers.cancel()
        await asyncio.gather(answers, return_exceptions=True)
        left = {task.get_name() for task in asyncio.all_tasks() - before}
        assert left <= {"writer"}
