"""Read models that stand together go on together; what holds one up holds nobody else up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from uuid import uuid4

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from projections import checkpoint
from projections.binary import long
from projections.checkpoint import prepare, standings
from projections.exchange import Call, Exchange
from projections.pool import apart
from projections.projection import Projection
from projections.receivables import RECEIVABLES
from projections.series import SERIES
from projections.tax_summary import TAX_SUMMARY
from projections.unfinished_work import UNFINISHED_WORK

from .book import ALL, META, Book, Chance, address, draft, execute, line, relabeled, tax
from .test_runner import standing, until

MODELS = (*ALL, RECEIVABLES, TAX_SUMMARY, SERIES, UNFINISHED_WORK)
HELD = "SELECT FROM projections.checkpoints WHERE projection = 'receivables' FOR UPDATE"
TRANSACTIONS = "SELECT DISTINCT xmin::text FROM projections.checkpoints"


@asynccontextmanager
async def following(book: Book) -> AsyncIterator[None]:
    await prepare(book.pool, MODELS)
    async with book.running(projections=MODELS):
        yield


async def reached(book: Book, position: int, *projections: Projection) -> None:
    async def all_there() -> bool:
        at = {each.projection: each.position for each in await standings(book.pool)}
        return all(at[each.name] >= position for each in projections)

    await until(all_there)


async def together(book: Book) -> bool:
    """Whether one more invoice is taken by all of them in one transaction."""
    await reached(book, await book.write(uuid4(), 0, *draft()), *MODELS)
    return len(await book.execute(TRANSACTIONS)) == 1


async def test_who_stand_together_go_on_in_one_transaction(book: Book) -> None:
    async with following(book):
        await until(lambda: together(book))
        one = uuid4()
        await book.write(one, 0, *draft())
        position = await book.write(one, 3, relabeled(a="b"))
        await reached(book, position, *MODELS)
        assert len(await book.execute(TRANSACTIONS)) == 1, "also where they look something up"
        assert (
            await book.execute("SELECT version FROM projections.invoices_v1_g1 WHERE invoice_id = %s", one)
        ) == [(4,)]


async def test_who_is_one_stop_behind_gets_on_board_of_a_convoy_that_does_not_pause(book: Book) -> None:
    await prepare(book.pool, MODELS)
    position = 0
    for _ in range(40):
        position = await book.write(uuid4(), 0, *draft())
    told: list[list[str]] = []
    async with await psycopg.AsyncConnection.connect(book.database.app_dsn, autocommit=True) as listening:
        await listening.execute(f"LISTEN {checkpoint.CHANNEL}".encode())
        async with book.running(batch=3, projections=MODELS):  # one draft at a time, and always more to come
            await reached(book, position, *MODELS)
        async for notify in listening.notifies(timeout=0.1):
            *tables, at = notify.payload.split(" ")
            if int(at) < position:
                told.append(tables)
    together = [each for each in told if len(each) == len(MODELS)]
    assert len(together) > 0.8 * len(told)


async def test_who_is_held_is_not_waited_for_and_rejoins(book: Book) -> None:
    others = [each for each in MODELS if each is not RECEIVABLES]
    async with following(book):
        await until(lambda: together(book))
        async with book.pool.connection() as holding, holding.transaction():
            await holding.execute(HELD)
            before = position = await book.log.head()
            for _ in range(3):
                position = await book.write(uuid4(), 0, *draft())
                await reached(book, position, *others)
            assert (await standing(book, RECEIVABLES)).position == before
        await reached(book, position, RECEIVABLES)
        await until(lambda: together(book))


async def test_whose_rows_are_refused_stands_still_alone_and_rejoins(book: Book) -> None:
    others = [each for each in MODELS if each is not TAX_SUMMARY]
    in_the_way = uuid4()
    async with following(book):
        await until(lambda: together(book))
        slipped_in = "INSERT INTO projections.tax_summary_v1_g1_invoices VALUES (%s, '')"
        await book.execute(slipped_in, in_the_way)
        position = await book.write(in_the_way, 0, *draft(address(), line(1), tax(1, "1.90")))
        await reached(book, position, *others)

        async def still() -> bool:
            return (await standing(book, TAX_SUMMARY)).trouble is not None

        await until(still)
        await reached(book, await book.write(uuid4(), 0, *draft()), *others)
        await book.execute("DELETE FROM projections.tax_summary_v1_g1_invoices WHERE state = ''")
        await checkpoint.resume(book.pool, TAX_SUMMARY)
        await reached(book, position, TAX_SUMMARY)
        await until(lambda: together(book))
    [[tax_of_it]] = await book.execute("SELECT sum(tax) FROM projections.tax_summary_v1_g1")
    assert tax_of_it == Decimal("3.80")


async def test_whose_rows_cannot_be_made_leaves_the_others_to_go_on(book: Book) -> None:
    others = [each for each in MODELS if each is not TAX_SUMMARY]
    async with following(book):
        await until(lambda: together(book))
        nowhere = draft(line(1), tax(1, "1.90"))  # goes to an address that there is not
        position = await book.write(uuid4(), 0, *nowhere)
        await reached(book, position, *others)

        async def still() -> bool:
            return (await standing(book, TAX_SUMMARY)).trouble is not None

        await until(still)
        trouble = (await standing(book, TAX_SUMMARY)).trouble
        assert trouble is not None
        assert (trouble.position, trouble.event) == (position, "TaxImported")


async def test_cut_off_in_the_middle_nothing_is_lost_or_doubled(book: Book) -> None:
    chance = Chance(Random(8))
    cut = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    async with following(book):
        for number in range(40):
            await book.log.append([chance.next()], META)
            if number % 15 == 10:
                await execute(book.database.admin_dsn, cut)
                await asyncio.sleep(0.3)  # the log's own connections come back
        await reached(book, await book.log.head(), *MODELS)
        await until(lambda: together(book))
    [[counted]] = await book.execute("SELECT count(*) FROM projections.receivables_v1_g1")
    [[streams]] = await book.execute("SELECT count(DISTINCT originator_id) FROM daybook.events")
    assert counted == streams


async def test_what_goes_together_is_answered_in_its_order_and_refused_as_a_whole(book: Book) -> None:
    connection = await apart(book.pool)
    try:
        exchange = Exchange(connection)
        twice, large = (
            Call(b"SELECT 2 * $1::int8", (long(21),)),
            Call(b"SELECT length($1::bytea)", (bytes(3_000_000),)),
        )
        answers = await exchange.ask(twice, large, twice)
        assert answers == [[(42,)], [(3_000_000,)], [(42,)]]
        assert await exchange.ask(twice) == [[(42,)]]
        with pytest.raises(psycopg.errors.DivisionByZero):
            await exchange.ask(Call(b"BEGIN"), Call(b"SELECT 1 / 0"), Call(b"COMMIT"))
        assert connection.pgconn.transaction_status == TransactionStatus.INERROR
    finally:
        await connection.close()
