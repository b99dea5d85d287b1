"""A rebuild: beside the live generation, compared with it, swapped in at once, whatever interrupts it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import generations, rebuilds
from projections.invoices import INVOICES
from projections.projection import Projection
from projections.rebuild import Rebuilder
from projections.rebuilds import AlreadyRebuilding, Rebuild
from store import schema

from .book import ALL, CODEC, META, Book, Chance
from .test_fold import assert_is_fold


def rebuilder(book: Book, projections: Any = ALL) -> Rebuilder:
    return Rebuilder(
        book.database.app_dsn, book.log, CODEC.decode, book.pool, projections, schema.REGISTRY.keys()
    )


async def rebuilt(book: Book, projection: Projection, kind: str = "REBUILD", **said: Any) -> Rebuild:
    return await rebuilder(book).finish(await rebuilds.ask(book.pool, projection, kind, **said))


async def some_history(book: Book, seed: int = 5, count: int = 60) -> None:
    chance = Chance(Random(seed))
    for _ in range(count):
        await book.log.append([chance.next()], META)


async def live(book: Book, projection: Projection) -> int:
    sql = "SELECT generation FROM projections.live WHERE projection = %s"
    [[generation]] = await book.execute(sql, projection.name)
    return int(generation)


async def changed(book: Book) -> datetime | None:
    now = await rebuilds.read(book.pool, INVOICES)
    return now.changed if now else None


@pytest.mark.parametrize("projection", ALL, ids=lambda each: each.name)
async def test_a_rebuild_is_the_live_generation_row_for_row(book: Book, projection: Projection) -> None:
    await some_history(book)
    await book.caught_up()
    done = await rebuilt(book, projection)
    assert (done.state, done.found["differing_rows"]) == ("DONE", 0), done
    assert done.found["live_digest"] == done.found["built_digest"]
    assert done.found["built_rows"] > 0
    assert await live(book, projection) == 2


@pytest.mark.parametrize("projection", ALL, ids=lambda each: each.name)
async def test_histories_that_come_in_pieces_are_rebuilt_alike(
    book: Book, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some_history(book, count=30)
    await book.caught_up()
    monkeypatch.setattr("projections.bulk.CHUNK_ROWS", 3)
    monkeypatch.setattr("projections.bulk.BATCH_EVENTS", 7)
    monkeypatch.setattr("projections.bulk.SLICE_EVENTS", 40)
    done = await rebuilt(book, projection)
    assert (done.state, done.found["differing_rows"]) == ("DONE", 0), done


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32), batch=st.sampled_from([1, 7, 50]))
async def test_after_any_history_and_any_restarts_what_is_rebuilt_is_what_is_live(
    book: Book, seed: int, batch: int
) -> None:
    random = Random(seed)
    chance = Chance(random)
    for _ in range(random.randint(1, 4)):
        task = asyncio.create_task(book.runner(batch).run())
        for _ in range(random.randint(1, 12)):
            await book.log.append([chance.next()], META)
        await asyncio.sleep(random.random() * 0.05)
        task.cancel()
        await asyncio.wait([task])
    await book.caught_up(batch)
    for projection in ALL:
        checked = await rebuilt(book, projection, "CHECK")
        assert (checked.state, checked.found["differing_rows"]) == ("DONE", 0), checked


async def test_a_row_that_was_changed_by_hand_is_shown_and_put_right(book: Book) -> None:
    await some_history(book)
    await book.caught_up()
    await book.execute(
        "UPDATE projections.invoices_v1_g1 SET account_id = 'wrong' WHERE drafted_position = 1"
    )
    checked = await rebuilt(book, INVOICES, "CHECK")
    assert (checked.state, checked.found["differing_rows"]) == ("DONE", 1)
    [difference] = checked.found["differences"]
    assert (difference["column"], difference["live"]) == ("account_id", "wrong")
    assert await live(book, INVOICES) == 1
    async with book.pool.connection() as connection:
        assert await generations.tables(connection, INVOICES.table(2)) == [], (
            "what was built to compare is gone"
        )
    await rebuilt(book, INVOICES)
    assert (await rebuilt(book, INVOICES, "CHECK")).found["differing_rows"] == 0


async def test_two_at_once_are_refused(book: Book) -> None:
    await rebuilds.ask(book.pool, INVOICES, "REBUILD")
    with pytest.raises(AlreadyRebuilding):
        await rebuilds.ask(book.pool, INVOICES, "REBUILD")


async def test_a_rebuild_goes_on_where_it_was_interrupted(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some_history(book)
    await book.caught_up()
    monkeypatch.setattr("projections.bulk.BATCH_EVENTS", 5)
    asked = await rebuilds.ask(book.pool, INVOICES, "REBUILD")
    for _ in range(4):
        task = asyncio.create_task(rebuilder(book).finish(asked))
        while await changed(book) == asked.changed:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait([task])
        asked = await rebuilds.read(book.pool, INVOICES) or asked
        assert not asked.ended
    asked = await rebuilder(book).finish(asked)
    assert (asked.state, asked.found["differing_rows"]) == ("DONE", 0)


async def test_a_rebuild_under_load_ends_and_misses_nothing(book: Book) -> None:
    chance = Chance(Random(2))
    await some_history(book, seed=9)

    async def load() -> None:
        while True:
            await book.log.append([chance.next()], META)

    async with book.running(50):
        loading = asyncio.create_task(load())
        for projection in ALL:
            done = await rebuilt(book, projection)
            assert (done.state, done.found["differing_rows"]) == ("DONE", 0)
        loading.cancel()
        await asyncio.wait([loading])
        await book.seen(await book.log.head())
    for projection in ALL:
        assert (await rebuilt(book, projection, "CHECK")).found["differing_rows"] == 0


async def test_a_revert_catches_the_old_generation_up_first(book: Book) -> None:
    await some_history(book)
    await book.caught_up()
    await rebuilt(book, INVOICES)
    await some_history(book, seed=6)
    await book.caught_up()
    done = await rebuilt(book, INVOICES, "REVERT", generation=1)
    assert done.state == "DONE"
    assert await live(book, INVOICES) == 1
    await assert_is_fold(book)


async def test_what_is_canceled_leaves_nothing_behind(book: Book) -> None:
    await some_history(book)
    await book.caught_up()
    asked = await rebuilds.ask(book.pool, INVOICES, "REBUILD", rate_max=500)
    task = asyncio.create_task(rebuilder(book).finish(asked))
    await asyncio.sleep(0.3)
    await rebuilds.cancel(book.pool, INVOICES)
    assert (await task).state == "CANCELED"
    assert await live(book, INVOICES) == 1
    async with book.pool.connection() as connection:
        assert await generations.tables(connection, INVOICES.table(2)) == []
    assert (await rebuilt(book, INVOICES)).state == "DONE"
