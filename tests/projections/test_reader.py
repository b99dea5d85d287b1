"""The reader: waits for what the caller wants follows the live generation, and says what is amiss."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import psycopg
import pytest

from projections import invoices
from projections.caught_up import LOOK_SECONDS, Tidings
from projections.gathered import Gathered
from projections.invoices import INVOICES
from projections.pool import pool
from projections.projection import Faulty, NotCaughtUp, NotReady
from projections.reader import Reader
from store.log import DeadlineExceeded, Unavailable
from tests.postgres import Database

from .book import Book, draft, execute

LISTENERS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query = 'LISTEN projections'"""


def within(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_a_question_waits_until_its_position_is_seen(book: Book) -> None:
    async with book.running():
        for _ in range(20):
            one = uuid4()
            position = await book.write(one, 0, *draft())
            answer = await invoices.find(book.reader, one, min_position=position, deadline=within(10))
            assert answer.found is not None
            assert answer.position >= position


async def test_many_who_wait_share_one_listener_and_are_woken_by_it(book: Book) -> None:
    one = uuid4()
    position = await book.write(one, 0, *draft())
    waiting = [
        asyncio.create_task(invoices.find(book.reader, one, min_position=position, deadline=within(20)))
        for _ in range(100)
    ]
    await asyncio.sleep(0.05)
    async with book.running():
        assert all([(await each).found for each in waiting])
    assert await execute(book.database.admin_dsn, LISTENERS) == [(1,)]


async def test_word_of_a_commit_arrives_long_before_it_is_time_to_look(book: Book) -> None:
    await book.write(uuid4(), 0, *draft())
    async with book.running():
        await book.reader.wait_until(INVOICES, await book.log.head())
        took = []
        for _ in range(11):
            begun = within(0)
            position = await book.write(uuid4(), 0, *draft())
            await book.reader.wait_until(INVOICES, position)
            took.append(within(0) - begun)
    assert sorted(took)[5] < LOOK_SECONDS / 2


async def test_a_deadline_that_passes_first_says_how_far_the_read_model_is(book: Book) -> None:
    position = await book.write(uuid4(), 0, *draft())
    await book.caught_up()
    with pytest.raises(NotCaughtUp) as caught:
        await invoices.list_(book.reader, min_position=position + 5, deadline=within(0.4))
    assert (caught.value.projection, caught.value.position, caught.value.wanted) == (
        "invoices",
        position,
        position + 5,
    )


async def test_without_a_listener_the_waiter_looks_for_itself(book: Book) -> None:
    deaf = Reader(book.pool, Tidings(book.database.app_dsn))
    position = await book.write(uuid4(), 0, *draft())
    waiting = asyncio.create_task(deaf.wait_until(INVOICES, position, within(10)))
    await asyncio.sleep(0.05)
    await book.caught_up()
    assert await waiting >= position


async def test_a_listener_that_is_cut_off_comes_back(book: Book) -> None:
    cut = LISTENERS.replace("count(*)", "pg_terminate_backend(pid)")
    assert await execute(book.database.admin_dsn, cut) == [(True,)]
    async with asyncio.timeout(10):
        while await execute(book.database.admin_dsn, LISTENERS) != [(1,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_question_follows_the_live_generation(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft())
    position = await book.caught_up()
    assert (await invoices.find(book.reader, one)).found is not None
    first, second = INVOICES.table(1), INVOICES.table(2)
    await book.execute(f"CREATE TABLE {second} AS TABLE {first}")
    await book.execute(f"CREATE TABLE {second}_lines AS TABLE {first}_lines")
    await book.execute(
        "INSERT INTO projections.checkpoints (projection, code, generation, position)"
        f" VALUES ('invoices', 1, 2, {position + 1})"
    )
    go_live = "UPDATE projections.live SET generation = %s WHERE projection = 'invoices'"
    await book.execute(go_live, 2)
    answer = await invoices.find(book.reader, one)
    assert answer.found is not None
    assert answer.position == position + 1
    await book.execute(f"DELETE FROM {first}")
    await book.execute(go_live, 1)
    await book.execute(f"DROP TABLE {second}, {second}_lines")
    answer = await invoices.find(book.reader, one)
    assert (answer.found, answer.position) == (None, position)


async def test_what_many_ask_at_once_is_answered_to_each(book: Book) -> None:
    async with Gathered(book.database.app_dsn) as gathered:
        asked = [gathered.ask("SELECT %(n)s + %(n)s, %(text)s", {"n": n, "text": str(n)}) for n in range(300)]
        assert await asyncio.gather(*asked) == [[(2 * n, str(n))] for n in range(300)]


async def test_a_question_may_call_what_it_is_about_as_it_likes(book: Book) -> None:
    async with Gathered(book.database.app_dsn) as gathered:
        sql = "SELECT %(number)s + 1, %(limit)s FROM (SELECT 1 LIMIT %(limit)s) AS answer"
        asked = [gathered.ask(sql, {"number": number, "limit": 1}) for number in range(3)]
        assert await asyncio.gather(*asked) == [[(1, 1)], [(2, 1)], [(3, 1)]]


async def test_who_asks_waits_no_longer_than_is_said(book: Book) -> None:
    async with Gathered(book.database.app_dsn) as gathered:
        slow = "SELECT 1 FROM pg_sleep(%(seconds)s)"
        with pytest.raises(TimeoutError):
            await gathered.ask(slow, {"seconds": 1}, until=within(0.05))
        assert await gathered.ask(slow, {"seconds": 0}, until=within(10)) == [(1,)]


async def test_a_question_that_cannot_be_answered_costs_those_that_are_asked_with_it_nothing(
    book: Book,
) -> None:
    async with Gathered(book.database.app_dsn) as gathered:
        questions = ["SELECT 1", "SELECT 2 FROM nowhere", "SELECT 3", "SELECT 1 / 0", "SELECT 5"]
        for _ in range(2):
            answers = await asyncio.gather(
                *(gathered.ask(each, {}) for each in questions), return_exceptions=True
            )
            assert [answers[0], answers[2], answers[4]] == [[(1,)], [(3,)], [(5,)]]
            assert isinstance(answers[1], psycopg.errors.UndefinedTable)
            assert isinstance(answers[3], psycopg.errors.DivisionByZero)


async def test_an_idle_connection_that_was_lost_is_not_noticed(book: Book) -> None:
    await invoices.list_(book.reader)
    cut = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    await execute(book.database.admin_dsn, cut)
    assert (await invoices.list_(book.reader)).found.items == ()
    one = uuid4()
    assert (await invoices.find(book.reader, one)).found is None
    await execute(book.database.admin_dsn, cut)
    assert (await invoices.find(book.reader, one)).found is None


async def test_a_database_without_read_models_is_not_ready(database: Database) -> None:
    async with pool(database.app_dsn) as connections:
        with pytest.raises(NotReady):
            await invoices.find(Reader(connections, Tidings(database.app_dsn)), uuid4())


async def test_a_database_out_of_reach_is_unavailable() -> None:
    dsn = "host=/nowhere"
    async with pool(dsn) as connections:
        with pytest.raises(Unavailable):
            await invoices.find(Reader(connections, Tidings(dsn)), uuid4())


async def test_a_deadline_holds_although_the_database_does_not_answer(book: Book) -> None:
    with pytest.raises(DeadlineExceeded):
        await book.reader.ask(INVOICES, "SELECT pg_sleep(5)", {}, deadline=within(0.2))


async def test_a_question_that_makes_no_sense_is_our_own_fault(book: Book) -> None:
    with pytest.raises(Faulty):
        await book.reader.ask(INVOICES, "SELECT nothing FROM {table}", {})
