"""Readers that follow the log while several processes write miss nothing and see nothing twice."""

from __future__ import annotations

import asyncio
import sys

import psycopg
import pytest

from store.postgres import PostgresLog, open_log
from store.statements import TURN
from tests.postgres import Database

from .events import META, assert_whole, codec, everything, new
from .writing import EVENTS_PER_APPEND

WRITERS, READERS, CALLERS = 4, 3, 32
SLOWEST_SECONDS_MAX = 5.0
ROUNDS_MAX = 10


async def writing(database: Database, turns: bool, appends: int) -> float:
    """Run the writing processes; the time of their slowest append."""
    command = [sys.executable, "-m", "tests.store.writing", database.app_dsn]
    command += ["turns" if turns else "no turns", str(appends // WRITERS), str(CALLERS)]
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(WRITERS)
    ]
    said = [await process.communicate() for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return max(float(out) for out, _ in said)


async def tail(log: PostgresLog, after: int, over: asyncio.Event) -> list[int]:
    """What a reader sees until the writers are done and nothing follows."""
    seen = [after]
    while True:
        finished = over.is_set()
        following = await log.feed(seen[-1], 1000)
        seen += [event.position for event in following]
        if not following:
            if finished:
                return seen[1:]
            await log.wait(seen[-1], timeout=0.2)


async def vacuum(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, autocommit=True) as owner:
        while True:
            await owner.execute("VACUUM ANALYZE daybook.events")
            await asyncio.sleep(0.5)


async def follow(database: Database, log: PostgresLog, *, turns: bool, appends: int) -> tuple[int, float]:
    """How many events the readers missed, all told, and the time of the slowest append."""
    over = asyncio.Event()
    before = await log.head()
    cleaning = asyncio.create_task(vacuum(database))
    readers = [asyncio.create_task(tail(log, before, over)) for _ in range(READERS)]
    slowest = await writing(database, turns, appends)
    over.set()
    seen = [await reader for reader in readers]
    cleaning.cancel()
    stored = await everything(log)
    assert_whole(stored)
    written = [event.position for event in stored if event.position > before]
    assert len(written) == appends * EVENTS_PER_APPEND
    assert all(len(set(positions)) == len(positions) for positions in seen)
    return sum(len(written) - len(positions) for positions in seen), slowest


async def misses_within(rounds: int, database: Database, log: PostgresLog) -> bool:
    """Whether readers miss anything without the turn: it takes two commits that overtake one another."""
    for _ in range(rounds):
        missed, _ = await follow(database, log, turns=False, appends=4000)
        if missed:
            return True
    return False


@pytest.mark.long
async def test_readers_miss_nothing_under_four_writing_processes(
    database: Database, postgres_log: PostgresLog
) -> None:
    missed, slowest = await follow(database, postgres_log, turns=True, appends=2000)
    assert missed == 0
    assert slowest < SLOWEST_SECONDS_MAX


@pytest.mark.parametrize("turns", [True, False])
async def test_a_reader_misses_a_slow_commit_only_without_the_turn(database: Database, turns: bool) -> None:
    """A slow process holds the turn and its positions; a quick one either waits for it or overtakes it."""
    slow = new()
    async with (
        await open_log(database.app_dsn, codec(), turns=turns) as log,
        await psycopg.AsyncConnection.connect(database.app_dsn) as other,
    ):
        await other.execute(TURN.sql.encode())
        await other.execute(
            "INSERT INTO daybook.events (originator_id, originator_version, topic, state)"
            " VALUES (%s, 1, 'Happened', '{}')",
            (slow.stream,),
        )
        quick = asyncio.create_task(log.append([new()], META))
        over = asyncio.Event()
        reader = asyncio.create_task(tail(log, 0, over))
        await asyncio.sleep(0.5)
        await other.commit()
        await quick
        over.set()
        assert len(await reader) == (2 if turns else 1)


@pytest.mark.long
async def test_without_the_turn_they_would(database: Database, postgres_log: PostgresLog) -> None:
    assert await misses_within(ROUNDS_MAX, database, postgres_log)


@pytest.mark.long
async def test_readers_miss_nothing_in_a_hundred_thousand_events(
    database: Database, postgres_log: PostgresLog
) -> None:
    missed, slowest = await follow(database, postgres_log, turns=True, appends=100_000 // EVENTS_PER_APPEND)
    assert missed == 0
    assert slowest < SLOWEST_SECONDS_MAX


@pytest.mark.long
async def test_several_processes_that_start_at_once_write_one_whole_log(
    database: Database, postgres_log: PostgresLog
) -> None:
    for _ in range(5):
        await writing(database, turns=True, appends=WRITERS * 4)
    assert_whole(await everything(postgres_log))
