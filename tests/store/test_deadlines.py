"""The deadlines of many are kept by one timer, and each is told of once, in time."""

from __future__ import annotations

import asyncio

import pytest

from store.deadlines import Deadlines

pytestmark = pytest.mark.asyncio


async def test_everything_is_told_of_in_the_order_of_its_deadline_whenever_it_came() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    deadlines: Deadlines[str] = Deadlines(told.put_nowait)
    now = asyncio.get_running_loop().time()
    for name, after in (("third", 0.06), ("first", 0.02), ("second", 0.04), ("gone by", -1.0)):
        deadlines.add(name, now + after)
    async with asyncio.timeout(10):
        assert [await told.get() for _ in range(4)] == ["gone by", "first", "second", "third"]


async def test_what_was_over_before_is_not_told_of() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    deadlines: Deadlines[str] = Deadlines(told.put_nowait)
    now = asyncio.get_running_loop().time()
    deadlines.add("over", now + 0.01)
    deadlines.add("late", now + 0.05)
    deadlines.discard("over")
    deadlines.discard("never there")
    async with asyncio.timeout(10):
        assert await told.get() == "late"
    assert told.empty()
