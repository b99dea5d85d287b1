"""Leases: processes share the read models fairly, and what a dead one held is taken over at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from projections.leases import Leases
from projections.projection import Projection
from tests.postgres import Database

from .book import ALL, Book, draft, execute
from .test_runner import counting, until

FOUR = (*ALL, counting("one", "LineAdded"), counting("other", "LineAdded"))
CUT = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"


@asynccontextmanager
async def sharing(database: Database, projections: tuple[Projection, ...] = FOUR) -> AsyncIterator[Leases]:
    leases = Leases(database.app_dsn, projections)
    task = asyncio.create_task(leases.run())
    try:
        yield leases
    finally:
        task.cancel()
        await asyncio.wait([task])


def held(leases: Leases) -> set[str]:
    return {each.name for each in FOUR if leases.holds(each)}


async def test_one_process_holds_everything_and_two_hold_half_each(database: Database) -> None:
    async with sharing(database) as first:

        async def alone() -> bool:
            return len(held(first)) == 4

        await until(alone)
        async with sharing(database) as second:

            async def shared() -> bool:
                return len(held(first)) == len(held(second)) == 2 and not held(first) & held(second)

            await until(shared)
        await until(alone)


async def test_programs_of_another_version_do_not_take_part(database: Database) -> None:
    old = tuple(each for each in FOUR if each.name != "other")
    async with sharing(database) as new, sharing(database, old) as before:

        async def both() -> bool:
            return new.holds(FOUR[3]) and len(held(new)) + sum(map(before.holds, old)) == 4

        await until(both)


async def test_a_lease_that_is_lost_with_its_connection_is_taken_again(database: Database) -> None:
    async with sharing(database) as leases:

        async def all_held() -> bool:
            return len(held(leases)) == 4

        async def none_held() -> bool:
            return not held(leases)

        await until(all_held)
        await execute(database.admin_dsn, CUT)
        await until(none_held)
        await until(all_held)


async def test_runners_that_share_leave_nothing_undone_when_one_goes(book: Book) -> None:
    dsn = book.database.app_dsn

    def runner() -> asyncio.Task[None]:
        return asyncio.create_task(book.runner(leases=Leases(dsn, ALL)).run())

    first, second = runner(), runner()
    for _ in range(3):
        await book.seen(await book.write(uuid4(), 0, *draft()))
    first.cancel()
    await asyncio.wait([first])
    for _ in range(3):
        await book.seen(await book.write(uuid4(), 0, *draft()))
    second.cancel()
    await asyncio.wait([second])
