"""Work in the background: it ends with its context, and a failure is never kept quiet."""

from __future__ import annotations

import asyncio

import pytest

from service.bootstrap import attended, doing


class Broken(Exception):
    pass


async def breaks() -> None:
    await asyncio.sleep(0)
    raise Broken


async def goes_on(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("work")


async def test_work_that_fails_ends_what_it_works_for_with_its_own_failure() -> None:
    ended: list[str] = []

    async def inside() -> None:
        async with doing(goes_on(ended)), doing(breaks()):
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("context")

    with pytest.raises(Broken):
        await inside()
    assert ended == ["context", "work"]
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()  # whoever hears of it goes on as after any failure


async def test_work_is_told_to_end_when_its_context_is_left() -> None:
    ended: list[str] = []
    async with doing(goes_on(ended)):
        await asyncio.sleep(0)
    assert ended == ["work"]


async def test_a_context_waits_for_the_work_that_it_attends_to() -> None:
    stop, ended = asyncio.Event(), []

    async def finishes() -> None:
        await stop.wait()
        ended.append("work")

    async with attended(finishes()):
        stop.set()
    assert ended == ["work"]


async def test_a_cancellation_from_outside_stays_one() -> None:
    ended: list[str] = []

    async def inside() -> None:
        async with doing(goes_on(ended)):
            await asyncio.Event().wait()

    task = asyncio.create_task(inside())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["work"]
