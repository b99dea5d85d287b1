"""The views for people: what is live, with plain SQL, documented, whatever generation it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from random import Random
from uuid import uuid4

import psycopg
import pytest

from domain import invoice
from projections import generations, rebuilds, views
from projections.checkpoint import prepare
from projections.invoices import INVOICES
from projections.projection import View
from projections.tax_summary import TAX_SUMMARY
from service.bootstrap import READ_MODELS

from .book import META, POSTED, Book, Chance, address, draft, line, tax
from .test_rebuild import rebuilder, rebuilt, some_history
from .test_runner import until


async def shown(book: Book, name: str) -> list[tuple[object, ...]]:
    return await book.execute(f"SELECT * FROM daybook.{name} ORDER BY 1, 2")


async def test_every_read_model_has_views_and_every_column_says_what_it_is(book: Book) -> None:
    await prepare(book.pool, READ_MODELS)
    await views.show(book.pool, READ_MODELS)
    for projection in READ_MODELS:
        assert projection.views, projection.name
        for view in projection.views:
            columns = await book.execute(
                """SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
                WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum""",
                f"daybook.{view.name}",
            )
            assert columns == [(name, about) for name, (_, about) in view.columns.items()]
            assert await book.execute("SELECT obj_description(%s::regclass)", f"daybook.{view.name}") == [
                (view.about,)
            ]


async def test_a_view_shows_the_live_generation_after_a_swap(book: Book) -> None:
    await some_history(book)
    await book.caught_up()
    await views.show(book.pool, [INVOICES])
    before = await shown(book, "invoices")
    assert len(before) > 3
    await rebuilt(book, INVOICES)
    await some_history(book, seed=8)
    await book.caught_up()
    assert await shown(book, "invoices") == before, "it is swapped apart"
    await views.show(book.pool, [INVOICES])
    [[live]] = await book.execute("SELECT count(*) FROM projections.invoices_v1_g2")
    assert len(await shown(book, "invoices")) == live > len(before)


async def test_a_reader_who_takes_his_time_is_not_waited_for(book: Book) -> None:
    await views.show(book.pool, [INVOICES])
    await rebuilt(book, INVOICES)
    async with await psycopg.AsyncConnection.connect(book.database.app_dsn) as reader:
        await reader.execute("SELECT count(*) FROM daybook.invoices")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await views.show(book.pool, [INVOICES])
        keeping = asyncio.create_task(views.keep_views(book.pool, [INVOICES]))
        await asyncio.wait_for(shown(book, "invoices_by_account"), 5)
    async with asyncio.timeout(20):

        async def swapped() -> bool:
            rows = await book.execute("SELECT generation FROM projections.views")
            return rows == [(2,)]

        await until(swapped)
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_a_generation_is_dropped_once_no_view_shows_it(book: Book) -> None:
    await views.show(book.pool, [INVOICES])
    await rebuilt(book, INVOICES)
    dropping = asyncio.create_task(generations.drop(book.pool, generations.key(INVOICES, 1)))
    await asyncio.wait([dropping], timeout=0.3)
    assert not dropping.done()
    await views.show(book.pool, [INVOICES])
    await dropping
    async with book.pool.connection() as connection:
        assert await generations.tables(connection, INVOICES.table(1)) == []


async def test_columns_may_be_added_and_nothing_else(book: Book) -> None:
    await views.show(book.pool, [INVOICES])
    [first, *_] = INVOICES.views
    fewer = replace(INVOICES, views=(replace(first, columns=dict(list(first.columns.items())[1:])),))
    with pytest.raises(psycopg.errors.InvalidTableDefinition):
        await views.show(book.pool, [fewer])
    more = replace(INVOICES, views=(View(first.name, first.about, {**first.columns, "more": ("1", "One.")}),))
    await views.show(book.pool, [more])
    await shown(book, "invoices")


async def test_a_program_of_before_leaves_the_views_of_a_newer_one_alone(book: Book) -> None:
    newer = replace(INVOICES, code=2)
    await prepare(book.pool, [newer])
    await views.show(book.pool, [newer])
    await views.show(book.pool, [INVOICES])
    assert await book.execute("SELECT code FROM projections.views") == [(2,)]


async def test_taxes_are_summed_up_by_jurisdiction_and_period(book: Book) -> None:
    await prepare(book.pool, [TAX_SUMMARY])
    body = (address("a"), line(1, "10.00"), line(2, "20.00"), tax(1, "1.90"), tax(2, "3.80"), POSTED)
    await book.write(uuid4(), 0, *draft(*body))
    later = uuid4()
    await book.write(later, 0, *draft(address("a"), line(1, "5.00"), tax(1, "0.95")))
    async with book.running(projections=[TAX_SUMMARY]):
        await book.reader.wait_until(TAX_SUMMARY, await book.log.head())
        await views.show(book.pool, [TAX_SUMMARY])
        sums = "SELECT status, country, region, rate, invoices, lines, taxable, tax FROM daybook.tax_summary"
        vat = ("DE", "BY", Decimal("0.19"))
        assert sorted(await book.execute(sums)) == [
            ("DRAFT", *vat, 1, 2, Decimal("10.00"), Decimal("1.90")),
            ("POSTED", *vat, 1, 4, Decimal("60.00"), Decimal("11.40")),
        ]
        position = await book.write(later, 4, replace(POSTED, number="R-2"))
        await book.reader.wait_until(TAX_SUMMARY, position)
        assert await book.execute(sums) == [("POSTED", *vat, 2, 6, Decimal("70.00"), Decimal("13.30"))]


async def seen(book: Book, position: int) -> bool:
    return await book.reader.wait_until(TAX_SUMMARY, 0) >= position


@pytest.mark.parametrize("seed", range(2))
async def test_the_tax_of_every_invoice_is_in_the_summary(book: Book, seed: int) -> None:
    await prepare(book.pool, [TAX_SUMMARY])
    chance, streams = Chance(Random(seed)), set()
    async with book.running(200, projections=[TAX_SUMMARY]):
        for _ in range(30):
            write = chance.next()
            streams.add(write.stream)
            await book.log.append([write], META)
        head = await book.log.head()
        await until(lambda: seen(book, head))
    for stream, history in (await book.log.read_many(streams)).items():
        state = invoice.fold(history.events)
        assert state is not None
        sums = "SELECT coalesce(sum(tax), 0), max(status) FROM projections.tax_summary_v1_g1"
        [[total, status]] = await book.execute(f"{sums} WHERE invoice_id = %s", stream)
        assert total == state.tax
        assert status in (None, state.status.value)
    asked = await rebuilds.ask(book.pool, TAX_SUMMARY, "CHECK")
    done = await rebuilder(book, (TAX_SUMMARY,)).finish(asked)
    assert (done.state, done.found["differing_rows"]) == ("DONE", 0)
