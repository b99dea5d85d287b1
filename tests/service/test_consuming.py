"""The feed into a caller's own database: exactly once, whatever breaks in between."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from daybook.client import connect, explain
from daybook.feed import Batch, OtherFilter, Overtaken, consume
from daybook.v1.audit_service_pb2 import EventFilter
from tests.postgres import Database
from tests.serving import free_port

from .consumer import TABLE, write
from .house import House, at_home, position
from .messages import an_invoice, apply, ingest

pytestmark = pytest.mark.asyncio(loop_scope="module")


def caught_up(batch: Batch) -> bool:
    return batch.caught_up


def opened(file: Path) -> sqlite3.Connection:
    mine = sqlite3.connect(file)
    mine.execute(TABLE)
    mine.commit()
    return mine


async def consumed(target: str, file: Path, **how: Any) -> None:
    """All there is, in a thread, as a program without an event loop would do it."""

    def run() -> None:
        mine = opened(file)
        try:
            with connect(target) as channel:
                consume(channel, mine, how.pop("write", write), name="all", **({"until": caught_up} | how))
        finally:
            mine.close()

    await asyncio.to_thread(run)


def rows(file: Path, sql: str = "SELECT at FROM happened ORDER BY at") -> list[Any]:
    mine = sqlite3.connect(file)
    try:
        return [row[0] for row in mine.execute(sql)]
    finally:
        mine.close()


async def kept(house: House) -> list[int]:
    return [each.position for each in await house.log.feed(0, 1_000_000)]


async def test_a_consumer_has_every_event_once_and_goes_on_where_it_was(
    own_server: House, tmp_path: Path
) -> None:
    file = tmp_path / "mine.db"
    for number in range(40):
        await own_server.invoices.IngestInvoice(ingest(an_invoice(f"once-{number}")))
    await consumed(own_server.target, file)
    assert rows(file) == await kept(own_server)
    await own_server.invoices.IngestInvoice(ingest(an_invoice("once more")))
    await consumed(own_server.target, file)
    assert rows(file) == await kept(own_server)


async def test_a_batch_that_cannot_be_worked_off_leaves_nothing_and_comes_again(
    own_server: House, tmp_path: Path
) -> None:
    file = tmp_path / "mine.db"

    def fails_at_the_end(cursor: sqlite3.Cursor, batch: Batch) -> None:
        write(cursor, batch)
        raise ArithmeticError("a fault of the caller's own")

    with pytest.raises(ArithmeticError):
        await consumed(own_server.target, file, write=fails_at_the_end)
    assert rows(file) == []
    assert rows(file, "SELECT token FROM daybook_feed") == [""]
    await consumed(own_server.target, file)
    assert rows(file) == await kept(own_server)


async def test_of_two_consumers_under_one_name_only_one_works_a_batch_off(
    own_server: House, tmp_path: Path
) -> None:
    file = tmp_path / "mine.db"

    def while_another_is_quicker(batch: Batch) -> bool:
        if batch.events:
            other = sqlite3.connect(file)
            other.execute("UPDATE daybook_feed SET token = 'further'")
            other.commit()
            other.close()
        return batch.caught_up

    with pytest.raises(Overtaken):
        await consumed(own_server.target, file, until=while_another_is_quicker)
    assert rows(file) == await kept(own_server)


async def test_another_filter_needs_another_name(server: House, tmp_path: Path) -> None:
    file = tmp_path / "mine.db"
    await consumed(server.target, file, filter=EventFilter(types=["InvoicePosted"]))
    with pytest.raises(OtherFilter):
        await consumed(server.target, file)


async def test_a_connection_that_commits_by_itself_is_refused(server: House) -> None:
    mine = sqlite3.connect(":memory:", isolation_level=None)
    with connect(server.target) as channel, pytest.raises(ValueError, match="commits by itself"):
        consume(channel, mine, write, name="all")
    mine.close()


async def test_a_database_of_any_driver_will_do(own_server: House, database: Database) -> None:
    def into_postgresql(cursor: psycopg.Cursor[Any], batch: Batch) -> None:
        cursor.executemany("INSERT INTO mine VALUES (%s)", [(position(e.position),) for e in batch.events])

    def run() -> list[int]:
        with psycopg.connect(database.admin_dsn) as mine, connect(own_server.target) as channel:
            mine.execute("CREATE TABLE mine (at bigint PRIMARY KEY)")
            consume(channel, mine, into_postgresql, name="all", until=caught_up)
            return [at for (at,) in mine.execute("SELECT at FROM mine ORDER BY at")]

    assert await asyncio.to_thread(run) == await kept(own_server)


async def test_a_token_that_a_restored_log_does_not_know_is_the_callers_to_decide_on(
    server: House, tmp_path: Path
) -> None:
    file = tmp_path / "mine.db"
    await consumed(server.target, file)
    mine = sqlite3.connect(file)
    mine.execute("UPDATE daybook_feed SET token = '0123456789ab.1.7'")
    mine.commit()
    mine.close()
    with pytest.raises(grpc.RpcError) as caught:
        await consumed(server.target, file)
    assert explain(caught.value).reason == "LOG_RESTORED"


async def test_a_consumer_outlives_the_server(database: Database, tmp_path: Path) -> None:
    file, listen = tmp_path / "mine.db", f"127.0.0.1:{free_port()}"
    stop, failures = threading.Event(), []

    def run() -> None:
        try:
            mine = opened(file)
            with connect(listen) as channel:
                consume(channel, mine, write, name="all", until=lambda _: stop.is_set())
            mine.close()
        except BaseException as error:
            failures.append(error)
            raise

    consumer = threading.Thread(target=run, daemon=True)
    consumer.start()  # before there is anybody to ask
    for life in range(3):
        async with at_home(database.app_dsn, listen=listen) as house:
            if not life:
                await house.reference.ApplyReferenceData(apply())
            await house.invoices.IngestInvoice(ingest(an_invoice(f"life-{life}")))
            everything = await kept(house)
            await until(lambda: rows(file) == everything, failures)  # noqa: B023
            if life == 2:
                stop.set()
                await house.invoices.IngestInvoice(ingest(an_invoice("the end")))
                await asyncio.to_thread(consumer.join)
    assert not failures


async def until(holds: Callable[[], bool], failures: list[BaseException]) -> None:
    for _ in range(600):
        if failures:
            raise failures[0]
        if await asyncio.to_thread(holds):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the consumer did not come that far")
