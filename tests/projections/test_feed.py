"""The log is read once for all read models that stand together, and in steps while it grows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from domain import invoice
from projections.feed import Feed, wanted
from projections.invoices import INVOICES
from projections.invoices_by_order import INVOICES_BY_ORDER
from projections.opening import shared
from store.log import Stored, Write
from store.memory import MemoryLog

from .book import CODEC, META, draft, line

PACE = 0.05


class Counting(MemoryLog):
    """A log in memory that knows how often it was read."""

    def __init__(self) -> None:
        super().__init__(CODEC)
        self.reads = 0

    async def feed(self, after: int, limit: int, *, topics: Sequence[str] | None = None) -> Sequence[Stored]:
        self.reads += 1
        await asyncio.sleep(0)
        return await super().feed(after, limit, topics=topics)

    async def grow(self) -> int:
        return (await self.append([Write(uuid4(), 0, draft())], META)).position


def feed_of(log: Counting, pace: float, batch: int = 1000) -> Feed:
    return Feed(log, CODEC.decode, batch, pace)


async def test_those_who_stand_together_share_one_read_and_the_events_that_it_found() -> None:
    log = Counting()
    feed = feed_of(log, PACE)
    assert [list(each) for each in await asyncio.gather(*(feed.after(0) for _ in range(8)))] == [[]] * 8
    assert log.reads == 1
    position = await log.grow()
    found = await asyncio.gather(*(feed.after(0) for _ in range(8)))
    assert log.reads == 2
    assert [each[-1].position for each in found] == [position] * 8
    assert all(one is other for each in found for one, other in zip(each, found[0], strict=True))
    await log.close()


async def test_what_comes_while_others_look_in_vain_is_found_by_the_next_look() -> None:
    log = Counting()
    feed = feed_of(log, PACE)
    assert not await feed.after(0)
    position = await log.grow()
    assert (await feed.after(0))[-1].position == position
    await log.close()


async def test_a_log_that_grows_is_read_in_steps() -> None:
    loop = asyncio.get_running_loop()
    log = Counting()
    feed = feed_of(log, PACE)
    first = await log.grow()
    began = loop.time()
    assert (await feed.after(0))[-1].position == first
    second = await log.grow()
    assert (await feed.after(first))[-1].position == second
    assert loop.time() - began >= PACE / 2
    await log.close()


async def test_a_log_that_is_far_ahead_is_read_without_a_pause() -> None:
    log = Counting()
    await log.grow()
    feed = feed_of(log, pace=3600.0, batch=1)
    async with asyncio.timeout(60):
        assert [(await feed.after(position))[0].position for position in range(3)] == [1, 2, 3]
    await log.close()


async def test_what_was_read_before_is_not_waited_for() -> None:
    log = Counting()
    first = await log.grow()
    feed = feed_of(log, pace=3600.0)
    read = await feed.after(0)
    others = asyncio.create_task(feed.after(first))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        assert list(await feed.after(0)) == list(read)
    others.cancel()
    await log.close()


async def test_what_one_read_model_has_found_of_an_invoice_the_next_one_need_not_look_for_again() -> None:
    log = Counting()
    content = draft(line(1))
    invoice_id = uuid4()
    await log.append([Write(invoice_id, 0, content)], META)
    await log.append([Write(invoice_id, len(content), [invoice.InvoiceCanceled()])], META)
    events = await feed_of(log, PACE).after(0)
    history = wanted(INVOICES, events)
    whole = shared(history)
    assert whole is not None
    assert [each.name for each in whole.later] == ["InvoiceCanceled"]
    assert shared(wanted(INVOICES_BY_ORDER, events)) is whole
    opened = shared(history[:-1])
    assert opened is not None
    assert not opened.later
    await log.close()
