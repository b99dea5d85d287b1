"""The runner: goes on through loss, stands still at what cannot be read, and never counts an event twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from uuid import uuid4

import pytest

from domain import numbering
from projections import checkpoint
from projections.checkpoint import Stale, Standing, prepare, standings
from projections.invoices import INVOICES
from projections.invoices_by_order import INVOICES_BY_ORDER
from projections.pool import pool
from projections.projection import Connection, Projection
from projections.runner import TROUBLE_SECONDS, Runner
from store.log import OutcomeUnknown, Recorded, Unavailable, Write
from tests.postgres import Database

from .book import ALL, META, Book, Chance, draft, execute, line, relabeled
from .test_fold import assert_is_fold

Project = Callable[[Connection, str, Sequence[Recorded]], Awaitable[None]]


def counting(name: str, topic: str, refuse: Sequence[int] = ()) -> Projection:
    """A read model of one kind of event; it cannot digest some versions."""

    async def project(connection: Connection, table: str, batch: Sequence[Recorded]) -> None:
        for recorded in batch:
            if recorded.version in refuse:
                raise ValueError("cannot digest this")
            sql = f"INSERT INTO {table} (position) VALUES (%s)"
            await connection.execute(sql.encode(), (recorded.position,))

    return Projection(
        name=name,
        code=1,
        topics=frozenset({topic}),
        create="CREATE TABLE {table} (position bigint PRIMARY KEY)",
        index="",
        project=project,
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def standing(book: Book, projection: Projection) -> Standing:
    [one] = [each for each in await standings(book.pool) if each.projection == projection.name]
    return one


@asynccontextmanager
async def standing_still(book: Book, *projections: Projection) -> AsyncIterator[None]:
    """Run until every one of these stands still."""
    await prepare(book.pool, projections)

    async def all_still() -> bool:
        return all([(await standing(book, each)).trouble for each in projections])

    async with book.running(projections=[*{*ALL, *projections}]):
        await until(all_still)
        yield


async def insert(book: Book, topic: str, state: str, version: int = 1) -> int:
    """Slip an event into the log behind the program's back."""
    sql = """INSERT INTO daybook.events (originator_id, originator_version, topic, state)
        VALUES (%s, %s, %s, %s) RETURNING notification_id"""
    [[position]] = await execute(book.database.admin_dsn, sql, uuid4(), version, topic, state.encode())
    return int(position)


async def test_the_checkpoint_moves_even_when_nothing_concerns_the_read_model(book: Book) -> None:
    claimed = numbering.NumberClaimed("house", "R-1", uuid4())
    appended = await book.log.append([Write(uuid4(), 0, [claimed])], META)
    await book.caught_up()
    assert [each.position for each in await standings(book.pool)] == [appended.position] * 2


async def test_an_event_that_cannot_be_read_stops_exactly_there(book: Book) -> None:
    good = await book.write(uuid4(), 0, *draft())
    bad = await insert(book, "InvoiceDrafted", '{"v":1,"meta":{},"data":{}}')
    await book.write(uuid4(), 0, *draft())
    async with standing_still(book, *ALL):
        for projection in ALL:
            found = await standing(book, projection)
            assert found.trouble is not None
            assert (found.position, found.trouble.position, found.trouble.event) == (
                good,
                bad,
                "InvoiceDrafted",
            )


async def test_an_event_of_a_newer_version_stops_by_name(book: Book) -> None:
    at = await insert(
        book, "InvoiceCanceled", '{"v":2,"meta":{"recorded":"2026-11-23T00:00:00Z"},"data":{}}', 4
    )
    async with standing_still(book, *ALL):
        trouble = (await standing(book, INVOICES)).trouble
        assert trouble is not None
        assert (trouble.position, trouble.event) == (at, "InvoiceCanceled")
        assert "version 2, newer than this program" in trouble.error


async def test_an_event_that_the_program_does_not_know_is_never_skipped(book: Book) -> None:
    good = await book.write(uuid4(), 0, *draft())
    at = await insert(book, "InvoiceFramed", '{"v":1}')
    async with standing_still(book, *ALL):
        found = await standing(book, INVOICES_BY_ORDER)
        assert found.trouble is not None
        assert (found.position, found.trouble.position, found.trouble.event) == (good, at, "InvoiceFramed")


async def test_a_history_with_a_hole_stops_the_read_model(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft())
    await execute(
        book.database.admin_dsn,
        "INSERT INTO daybook.events (originator_id, originator_version, topic, state)"
        " SELECT originator_id, 9, topic, state FROM daybook.events WHERE topic = 'LineAdded'",
    )
    async with standing_still(book, INVOICES):
        trouble = (await standing(book, INVOICES)).trouble
        assert trouble is not None
        assert trouble.event == "LineAdded"
        assert "does not follow 3" in trouble.error


async def test_one_read_model_stands_still_and_the_others_go_on(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft())
    for version in range(3, 43):
        await book.write(one, version, relabeled(a=str(version)))
    choosy = counting("choosy", "InvoiceUpdated", refuse=[30])
    easy = counting("easy", "InvoiceUpdated")
    await prepare(book.pool, [easy])
    async with standing_still(book, choosy), book.running(projections=[easy]):
        await book.seen(await book.log.head())
        found = await standing(book, choosy)
        assert found.trouble is not None
        history = await book.log.read(one)
        assert found.trouble.position == history.recorded[29].position
        assert found.position == history.recorded[28].position
        assert "cannot digest this" in found.trouble.error
        rows = await book.execute("SELECT count(*) FROM projections.choosy_v1_g1")
        assert rows == [(26,)]


async def test_trouble_is_over_once_the_read_model_has_passed_it(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft())
    position = await book.write(one, 3, relabeled(a="b"))
    choosy = counting("choosy", "InvoiceUpdated", refuse=[4])
    async with standing_still(book, choosy):
        pass
    mended = replace(choosy, project=counting("choosy", "InvoiceUpdated").project)

    async def passed() -> bool:
        return (await standing(book, choosy)).position == position

    async with book.running(projections=[mended]):
        await until(passed)
    assert (await standing(book, choosy)).trouble is None


async def test_what_is_resumed_is_tried_at_once(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft())
    position = await book.write(one, 3, relabeled(a="b"))
    refused = [4]
    choosy = counting("choosy", "InvoiceUpdated", refuse=refused)

    async def passed() -> bool:
        return (await standing(book, choosy)).position == position

    async with standing_still(book, choosy):
        refused.clear()
        await checkpoint.resume(book.pool, choosy)
        async with asyncio.timeout(TROUBLE_SECONDS / 2):
            await until(passed)
    assert (await standing(book, choosy)).trouble is None


async def test_whoever_moves_from_where_the_checkpoint_no_longer_is_changes_nothing(book: Book) -> None:
    await book.write(uuid4(), 0, *draft())
    async with book.pool.connection() as connection:
        since = await checkpoint.mark(connection, INVOICES)
    await book.caught_up()
    before = await book.content(), [each.position for each in await standings(book.pool)]
    with pytest.raises(Stale):
        async with book.pool.connection() as connection, connection.transaction():
            await checkpoint.move(connection, INVOICES, since, 99)
    assert (await book.content(), [each.position for each in await standings(book.pool)]) == before


async def test_the_second_of_two_at_once_waits_for_the_first_and_is_stale(book: Book) -> None:
    async with book.pool.connection() as connection:
        since = await checkpoint.mark(connection, INVOICES)
    async with book.pool.connection() as first, book.pool.connection() as second:

        async def late() -> None:
            async with second.transaction():
                await checkpoint.move(second, INVOICES, since, 8)

        async with first.transaction():
            await checkpoint.move(first, INVOICES, since, 7)
            racing = asyncio.create_task(late())
            done, _ = await asyncio.wait([racing], timeout=0.2)
            assert not done
        with pytest.raises(Stale):
            await racing
    assert (await standing(book, INVOICES)).position == 7


async def test_cut_connections_cost_only_time(book: Book) -> None:
    chance = Chance(Random(3))
    cut = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    async with book.running(5):
        for round_ in range(60):
            await book.log.append([chance.next()], META)
            if round_ % 20 == 10:
                await execute(book.database.admin_dsn, cut)
                await asyncio.sleep(0.3)  # the log's own connections come back
        await book.seen(await book.log.head())
    await assert_is_fold(book)


async def test_a_runner_that_is_stopped_finishes_its_batch(book: Book) -> None:
    for _ in range(30):
        await book.write(uuid4(), 0, *draft())
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: Connection, table: str, batch: Sequence[Recorded]) -> None:
        started.set()
        await go_on.wait()
        await easy.project(connection, table, batch)

    easy = counting("easy", "LineAdded")
    await prepare(book.pool, [easy])
    runner = book.runner(batch=40, projections=[replace(easy, project=slow)])
    running = asyncio.create_task(runner.run())
    await started.wait()
    runner.stop()
    go_on.set()
    async with asyncio.timeout(5):
        await running
    assert (await standing(book, easy)).position == 40
    assert runner.progress[0].position == 40


async def test_a_runner_at_rest_stops_at_once(book: Book) -> None:
    async with asyncio.timeout(0.9), book.running():
        await asyncio.sleep(0.1)


async def test_several_processes_prepare_at_once(database: Database) -> None:
    async def one() -> None:
        async with pool(database.app_dsn) as connections:
            await prepare(connections, ALL)
            await prepare(connections, ALL)

    await asyncio.gather(*(one() for _ in range(6)))
    rows = await execute(database.app_dsn, "SELECT projection, generation FROM projections.live ORDER BY 1")
    assert rows == [("invoices", 1), ("invoices_by_order", 1)]


async def test_the_log_is_read_once_for_all_read_models(book: Book) -> None:
    for _ in range(20):
        await book.write(uuid4(), 0, *draft(line(1), line(2)))
    reads: list[int] = []

    class Watched(type(book.log)):  # type: ignore[misc]
        async def feed(self, after: int, limit: int, **more: object) -> object:
            found = await super().feed(after, limit, **more)
            reads.extend(event.position for event in found)
            return found

    book.log.__class__ = Watched
    await book.caught_up(30)
    assert set(reads) == set(range(1, 61))
    assert len(reads) <= 60 + 2 * 3  # an append that the end of a batch cuts is read again


async def test_a_database_that_takes_no_writes_for_a_while_is_waited_for(book: Book) -> None:
    name = book.database.app_dsn.rpartition("dbname=")[2]
    cut = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    position = await book.write(uuid4(), 0, *draft())
    await execute(book.database.admin_dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await execute(book.database.admin_dsn, cut)
    async with book.running() as runner:
        await until(lambda: troubled(runner, "read-only"))
        await asyncio.sleep(2)  # longer than an event that cannot be projected is tried
        assert all(each.trouble is None for each in await standings(book.pool))
        writing = book.database.admin_dsn + " options='-c default_transaction_read_only=off'"
        await execute(writing, f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await execute(book.database.admin_dsn, cut)
        await book.seen(position)


async def troubled(runner: Runner, because: str) -> bool:
    return all(because in each.error for each in runner.progress)


@pytest.mark.long
async def test_a_database_that_was_away_for_long_is_back_soon(book: Book) -> None:
    """Pauses between attempts stay short, however long it was away."""
    name = book.database.app_dsn.rpartition("dbname=")[2]
    admin = book.database.admin_dsn.replace(f"dbname={name}", "dbname=postgres")
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    position = await book.write(uuid4(), 0, *draft())
    async with book.running():
        await book.seen(position)
        await execute(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await execute(admin, cut, name)
        with pytest.raises(Unavailable):
            await book.reader.wait_until(INVOICES, 0)
        await asyncio.sleep(20)
        await execute(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        async with asyncio.timeout(12):
            position = await until_written(book)
            await book.seen(position)


async def until_written(book: Book) -> int:
    while True:
        try:
            return await book.write(uuid4(), 0, *draft())
        except (Unavailable, OutcomeUnknown):
            await asyncio.sleep(0.1)
