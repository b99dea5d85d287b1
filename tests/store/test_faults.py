"""Whatever dies between the log and its database, what is acknowledged is there, whole and once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import psycopg
import pytest

from store.group_commit import Limits
from store.log import (
    Append,
    Conflict,
    DeadlineExceeded,
    Log,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
    Write,
)
from store.memory import MemoryLog
from store.postgres import PostgresLog, open_log
from store.statements import TURN_KEY
from store.writer import TURN_SECONDS_MAX
from tests.postgres import Database

from .events import META, assert_whole, codec, everything, happenings, new, versions_by_stream
from .proxy import Proxy

FULL_DISK = """
CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON daybook.events FOR EACH ROW EXECUTE FUNCTION public.full_disk();
"""
HOLD = f"SELECT pg_advisory_xact_lock({TURN_KEY})"


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[Proxy]:
    async with Proxy(database.app_dsn) as proxy:
        yield proxy


@pytest.fixture
async def remote(proxy: Proxy) -> AsyncIterator[PostgresLog]:
    """The log behind the proxy."""
    async with await open_log(proxy.dsn, codec()) as log:
        yield log
        proxy.cut_after = None
        proxy.thaw()
        proxy.refusing = False


def in_time(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_a_commit_whose_acknowledgement_is_lost_is_recognised_as_done(
    proxy: Proxy, remote: PostgresLog, postgres_log: PostgresLog, caplog: pytest.LogCaptureFixture
) -> None:
    await remote.append([new()], META)
    for cut_after in range(0, 700, 7):
        proxy.cut_after = cut_after
        appended = await remote.append([new(3)], META)
        [*_, last] = await postgres_log.feed(appended.position - 1, 1)
        assert last.position == appended.position
    proxy.cut_after = None
    stored = await everything(postgres_log)
    assert proxy.cuts >= 50
    assert caplog.text.count("lost in mid-commit") >= 10
    assert caplog.text.count("was done all the same") >= 2
    assert len(stored) == 1 + 100 * 3
    assert_whole(stored)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_cuts_in_the_middle_of_full_batches_lose_and_double_nobody(
    proxy: Proxy, remote: PostgresLog, postgres_log: PostgresLog, seed: int
) -> None:
    chance = random.Random(seed)
    writes = [new(chance.randint(1, 5)) for _ in range(1000)]
    for start in range(0, 1000, 40):
        proxy.cut_after = chance.randint(0, 2500)
        await asyncio.gather(*(remote.append([write], META) for write in writes[start : start + 40]))
    stored = await everything(postgres_log)
    assert_whole(stored)
    assert versions_by_stream(stored) == {w.stream: list(range(1, len(w.events) + 1)) for w in writes}
    assert proxy.cuts > 10


async def test_connections_that_were_killed_cost_nobody_anything(
    database: Database, postgres_log: PostgresLog
) -> None:
    written = []
    with psycopg.connect(database.admin_dsn, autocommit=True) as admin:
        for _ in range(20):
            write = new(2)
            work = asyncio.create_task(postgres_log.append([write], META))
            await asyncio.sleep(random.uniform(0, 0.003))
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            written.append((write.stream, (await work).position))
            assert (await postgres_log.read(write.stream)).version == 2
    assert [position for _, position in written] == sorted(position for _, position in written)
    assert len(await everything(postgres_log)) == 40


async def test_the_listener_comes_back_when_it_is_cut_off(
    database: Database, postgres_log: PostgresLog
) -> None:
    head = (await postgres_log.append([new()], META)).position
    with psycopg.connect(database.admin_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    async with await open_log(database.app_dsn, codec()) as other:
        waiting = asyncio.create_task(postgres_log.wait(head, timeout=20))
        await asyncio.sleep(0.05)
        await other.append([new()], META)
        await asyncio.wait_for(waiting, timeout=5)


async def test_the_store_away_is_told_within_seconds_and_it_comes_back_by_itself(
    proxy: Proxy, remote: PostgresLog
) -> None:
    await remote.append([new()], META)
    proxy.refusing = True
    proxy.cut()
    started = in_time(0)
    with pytest.raises(Unavailable) as caught:
        await remote.append([new()], META)
    assert caught.value.retry_after > 0
    with pytest.raises(Unavailable):
        await remote.read(uuid4())
    assert in_time(0) - started < 8
    proxy.refusing = False
    write = new(2)
    await remote.append([write], META)
    assert (await remote.read(write.stream)).version == 2
    assert len(await everything(remote)) == 3


async def test_a_frozen_store_keeps_nobody_beyond_the_deadline(proxy: Proxy, remote: PostgresLog) -> None:
    await remote.append([new()], META)
    await remote.head()
    proxy.freeze()
    started = in_time(0)
    writing = remote.append([new()], META, deadline=in_time(0.5))
    reading = remote.read(uuid4(), deadline=in_time(0.5))
    outcomes = await asyncio.gather(writing, reading, return_exceptions=True)
    assert all(isinstance(outcome, TimeoutError) for outcome in outcomes), outcomes
    assert in_time(0) - started < 1.5
    proxy.thaw()
    await remote.append([new()], META, deadline=in_time(20))
    assert_whole(await everything(remote))


async def test_a_read_only_database_is_unavailable_and_then_writes_again(
    database: Database, postgres_log: PostgresLog
) -> None:
    def set_read_only(value: str) -> None:
        with psycopg.connect(database.admin_dsn, autocommit=True) as admin:
            name = admin.info.dbname
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}".encode())
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    set_read_only("on")
    with pytest.raises(Unavailable, match="read-only"):
        await postgres_log.append([new()], META)
    set_read_only("off")
    await postgres_log.append([new()], META)
    assert len(await everything(postgres_log)) == 1


async def test_a_refusal_of_the_database_in_a_batch_costs_only_the_guilty(
    database: Database, postgres_log: PostgresLog
) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as admin:
        admin.execute(
            "ALTER TABLE daybook.events ADD CONSTRAINT no_poison"
            " CHECK (position('poison'::bytea IN state) = 0)"
        )
    writes = [new(2, "poison" if i in (3, 17) else "fine") for i in range(30)]
    outcomes = await asyncio.gather(
        *(postgres_log.append([write], META) for write in writes), return_exceptions=True
    )
    assert [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Exception)] == [3, 17]
    assert isinstance(outcomes[3], Unavailable)
    stored = await everything(postgres_log)
    assert_whole(stored)
    assert len(stored) == 28 * 2


async def test_a_deadline_is_kept_while_somebody_else_holds_the_turn(
    database: Database, postgres_log: PostgresLog
) -> None:
    await postgres_log.append([new()], META)
    async with await psycopg.AsyncConnection.connect(database.app_dsn) as other:
        await other.execute(HOLD.encode())
        started = in_time(0)
        writes = [new() for _ in range(10)]
        outcomes = await asyncio.gather(
            *(postgres_log.append([w], META, deadline=in_time(0.3 + i / 10)) for i, w in enumerate(writes)),
            return_exceptions=True,
        )
        assert all(isinstance(outcome, DeadlineExceeded) for outcome in outcomes), outcomes
        assert in_time(0) - started < 1.7
        patient = asyncio.create_task(postgres_log.append([new()], META))
        await asyncio.sleep(3)
        assert not patient.done()
    await patient
    assert len(await everything(postgres_log)) == 2


@pytest.mark.long
async def test_a_deadline_is_kept_while_the_turn_is_held_for_a_minute(
    database: Database, postgres_log: PostgresLog
) -> None:
    async with await psycopg.AsyncConnection.connect(database.app_dsn) as other:
        await other.execute(HOLD.encode())
        until = in_time(60)
        while in_time(0) < until:
            started = in_time(0)
            with pytest.raises(DeadlineExceeded):
                await postgres_log.append([new()], META, deadline=in_time(1))
            assert in_time(0) - started < 1.5
    await postgres_log.append([new()], META, deadline=in_time(1))
    assert await postgres_log.head() > 0
    assert len(await everything(postgres_log)) == 1


async def test_what_is_in_a_batch_at_its_deadline_has_an_unknown_outcome_and_is_found(
    database: Database, postgres_log: PostgresLog
) -> None:
    await postgres_log.append([new()], META)
    write = new(2)
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as other:
        await other.execute("LOCK TABLE daybook.events IN SHARE MODE")  # inserts wait, heads can be read
        with pytest.raises(OutcomeUnknown):
            await postgres_log.append([write], META, deadline=in_time(0.5))
    await postgres_log.append([new()], META)
    assert (await postgres_log.read(write.stream)).version == 2
    with pytest.raises(Conflict):
        await postgres_log.append([write], META)
    assert_whole(await everything(postgres_log))


async def test_who_waits_behind_a_doubt_hears_so_before_it_is_settled(
    database: Database, proxy: Proxy, remote: PostgresLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.writer.AWAY_SECONDS_MAX", 0.3)
    await remote.append([new()], META)
    write = new(2)
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as other:
        await other.execute("LOCK TABLE daybook.events IN SHARE MODE")
        doubtful = asyncio.create_task(remote.append([write], META))
        await asyncio.sleep(0.3)
        waiting = asyncio.create_task(remote.append([new()], META))
        proxy.refusing = True
        proxy.cut()
        with pytest.raises(Unavailable):
            await waiting
        assert not doubtful.done()
        proxy.refusing = False
    position = (await doubtful).position
    assert (await remote.read(write.stream)).position == position
    assert len(await everything(remote)) == 3


async def test_health_of_the_log_turns_when_nothing_can_be_written_and_back(
    database: Database, postgres_log: PostgresLog
) -> None:
    await postgres_log.check(5)
    with psycopg.connect(database.admin_dsn, autocommit=True) as admin:
        admin.execute(FULL_DISK)
        with pytest.raises(Unavailable):
            await postgres_log.append([new()], META)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await postgres_log.check(5)
        admin.execute("DROP TRIGGER full_disk ON daybook.events")
    await postgres_log.check(5)
    assert await postgres_log.head() == 0


async def test_a_cancelled_caller_never_cancels_its_commit(
    database: Database, postgres_log: PostgresLog
) -> None:
    await postgres_log.append([new()], META)
    write = new(2)
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as other:
        await other.execute("LOCK TABLE daybook.events IN SHARE MODE")
        caller = asyncio.create_task(postgres_log.append([write], META))
        await asyncio.sleep(0.3)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    await postgres_log.append([new()], META)
    assert (await postgres_log.read(write.stream)).version == 2


async def test_what_has_waited_too_long_for_a_lock_is_tried_again(
    database: Database, postgres_log: PostgresLog
) -> None:
    write = new(2)
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as other:
        await other.execute("LOCK TABLE daybook.events IN SHARE MODE")
        patient = asyncio.create_task(postgres_log.append([write], META))
        await asyncio.sleep(TURN_SECONDS_MAX + 0.5)
        assert not patient.done()
    await patient
    assert (await postgres_log.read(write.stream)).version == 2


@pytest.mark.long
async def test_two_hundred_callers_cancelled_at_random_are_each_written_once(
    postgres_log: PostgresLog,
) -> None:
    chance = random.Random(7)

    async def caller(stream: UUID) -> None:
        while True:
            try:
                async with asyncio.timeout(chance.expovariate(1 / 0.01)):
                    await postgres_log.append([Write(stream, 0, happenings(8))], META)
            except TimeoutError:
                continue
            except Conflict:
                return
            else:
                return

    streams = [uuid4() for _ in range(200)]
    await asyncio.gather(*map(caller, streams))
    stored = await everything(postgres_log)
    assert_whole(stored)
    assert versions_by_stream(stored) == {stream: list(range(1, 9)) for stream in streams}


@pytest.fixture(params=["memory", "postgres"])
async def held(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    """A small log whose turn somebody else holds."""
    limits = Limits(queued=10, queued_per_caller=4, batch=2)
    if request.param == "memory":
        log = MemoryLog(codec(), limits=limits)
        async with log.turn:
            yield log
        return
    database: Database = request.getfixturevalue("database")
    async with (
        await open_log(database.app_dsn, codec(), limits=limits) as held,
        await psycopg.AsyncConnection.connect(database.app_dsn) as other,
    ):
        await other.execute(HOLD.encode())
        yield held


async def test_appends_in_one_go_wait_as_one_and_end_at_their_deadline_together(held: Log) -> None:
    def many() -> list[Append]:
        return [Append([new()], META) for _ in range(30)]

    calls = [
        asyncio.create_task(held.append_each(many(), caller="greedy", deadline=in_time(1))) for _ in range(6)
    ]
    await asyncio.sleep(0.1)
    assert sum(call.done() for call in calls) == 2
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, Overloaded) for each in outcomes) == 2
    for outcome in outcomes:
        if not isinstance(outcome, BaseException):
            assert {type(each) for each in outcome} == {DeadlineExceeded}
    assert await held.head() == 0


async def test_the_queue_is_bounded_in_all_and_per_caller(held: Log) -> None:
    async def append(caller: str) -> None:
        await held.append([new()], META, caller=caller, deadline=in_time(2))

    first = asyncio.create_task(append("first"))
    await asyncio.sleep(0.1)  # it has left the queue and waits for the turn
    greedy = [asyncio.create_task(append("greedy")) for _ in range(6)]
    await asyncio.sleep(0.05)
    assert sum(task.done() for task in greedy) == 2
    others = [asyncio.create_task(append(str(i))) for i in range(10)]
    await asyncio.sleep(0.05)
    assert sum(task.done() for task in others) == 4
    outcomes = await asyncio.gather(first, *greedy, *others, return_exceptions=True)
    overloaded = [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]
    assert len(overloaded) == 6
    assert all(refusal.retry_after > 0 for refusal in overloaded)
    assert await held.head() == 0
