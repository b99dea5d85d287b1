"""What PostgreSQL itself guards: rights, the trigger, the chain in SQL, migrations, the clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from store import migrate as migrations
from store.log import Write
from store.memory import now
from store.migrate import WrongVersion, grants, migrate
from store.postgres import FEED, ClockDiffers, PostgresLog, open_log
from store.schema import REFERENCE_TOPICS
from tests.postgres import Database, Server

from .events import META, Met, Names, assert_whole, codec, everything, new

CHANGES = [
    "UPDATE daybook.events SET state = ''",
    "DELETE FROM daybook.events",
    "TRUNCATE daybook.events",
]
OTHERS = [
    "UPDATE daybook.identity SET epoch = 2",
    "DELETE FROM daybook.personal",
    "UPDATE daybook.personal SET body = ''",
    "DELETE FROM daybook.migrations",
    "DROP TABLE daybook.events",
    "ALTER TABLE daybook.events DISABLE TRIGGER events_are_for_ever",
    "LOCK TABLE daybook.events IN EXCLUSIVE MODE",
    "SELECT setval('daybook.events_notification_id_seq', 1)",
    "CREATE INDEX ON daybook.events (topic)",
    "CREATE TABLE public.other (id int)",
]


@pytest.mark.parametrize("statement", CHANGES + OTHERS)
async def test_the_application_role_can_only_read_the_log_and_add_to_it(
    database: Database, postgres_log: PostgresLog, statement: str
) -> None:
    await postgres_log.append([new()], META)
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with psycopg.connect(database.app_dsn) as connection, refused:
        connection.execute(statement.encode())


@pytest.mark.parametrize("statement", CHANGES)
@pytest.mark.parametrize("role", ["owner_dsn", "admin_dsn"])
async def test_nobody_changes_the_log_by_mistake(
    database: Database, postgres_log: PostgresLog, statement: str, role: str
) -> None:
    await postgres_log.append([new()], META)
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed")
    with psycopg.connect(getattr(database, role)) as connection, refused:
        connection.execute(statement.encode())


def test_the_application_role_makes_and_drops_its_read_models(database: Database) -> None:
    with psycopg.connect(database.app_dsn) as connection:
        connection.execute("CREATE TABLE projections.it (id int)")
        connection.execute("CREATE VIEW projections.them AS SELECT id FROM projections.it")
        connection.execute("DROP TABLE projections.it CASCADE")


async def test_the_chain_can_be_worked_out_in_sql(database: Database, postgres_log: PostgresLog) -> None:
    await postgres_log.append([new(4), Write(uuid4(), 0, [Met("Würzburg", Names("Ada"))])], META)
    stored = await everything(postgres_log)
    with psycopg.connect(database.app_dsn) as connection:
        rows = connection.execute(
            "SELECT digest, prev, who_id, correlation, recorded IS NOT NULL, personal"
            " FROM daybook.log ORDER BY position"
        ).fetchall()
    assert [row[0] for row in rows] == [event.digest for event in stored]
    assert [row[1] for row in rows[:4]] == [None, *(event.digest for event in stored[:3])]
    assert {row[2:5] for row in rows} == {("tester", "a test", True)}
    assert rows[4][5] == '{"first":"Ada"}'


async def test_personal_data_can_be_erased_without_touching_the_log(
    database: Database, postgres_log: PostgresLog
) -> None:
    stream, other = uuid4(), uuid4()
    for each in (stream, other):
        await postgres_log.append([Write(each, 0, [Met("a", Names("Ada")), Met("b", Names("Bob"))])], META)
    before = [(event.state, event.digest) for event in await everything(postgres_log)]
    with psycopg.connect(database.app_dsn) as connection:
        assert connection.execute("SELECT daybook.erase_personal(%s)", (stream,)).fetchone() == (2,)
    assert (await postgres_log.read(stream)).events == [Met("a", None), Met("b", None)]
    assert (await postgres_log.read(other)).events == [Met("a", Names("Ada")), Met("b", Names("Bob"))]
    assert [(event.state, event.digest) for event in await everything(postgres_log)] == before


async def test_the_log_has_an_identity_that_lasts(database: Database, postgres_log: PostgresLog) -> None:
    async with await open_log(database.app_dsn, codec()) as again:
        assert again.identity == postgres_log.identity
    assert postgres_log.identity.epoch == 1


async def test_a_clock_that_differs_from_the_databases_is_refused(database: Database) -> None:
    for difference in (timedelta(seconds=2), timedelta(seconds=-2)):
        with pytest.raises(ClockDiffers):
            await open_log(database.app_dsn, codec(), clock=lambda by=difference: now() + by)  # type: ignore[misc]


async def test_recorded_does_not_go_back_behind_what_another_process_wrote(database: Database) -> None:
    ahead = now() + timedelta(seconds=0.9)
    async with await open_log(database.app_dsn, codec(), clock=lambda: ahead) as first:
        await first.append([new()], META)
    async with await open_log(database.app_dsn, codec()) as second:
        assert (await second.append([new()], META)).recorded == ahead


async def test_reference_data_is_found_by_its_index(database: Database, postgres_log: PostgresLog) -> None:
    await postgres_log.append([new(50) for _ in range(20)], META)
    names = ", ".join(f"'{name}'" for name in REFERENCE_TOPICS[1:4])
    feed = FEED.format(of_topics=f"AND event.topic IN ({names})").replace("$1", "0").replace("$2", "10")
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("ANALYZE daybook.events")
        plan = connection.execute(f"EXPLAIN {feed}".encode()).fetchall()
    assert any("events_of_reference_data_idx" in line for (line,) in plan), plan


# Migrations


@pytest.fixture
def empty(postgres: Server, database: Database) -> Database:
    """A database of the owner's that knows nothing of the log yet."""
    with psycopg.connect(database.admin_dsn, autocommit=True) as admin:
        admin.execute("DROP SCHEMA daybook CASCADE")
        admin.execute("DROP SCHEMA projections CASCADE")
    return database


async def test_an_empty_database_is_told_what_to_run(empty: Database) -> None:
    with pytest.raises(WrongVersion, match="daybook migrate"):
        await open_log(empty.owner_dsn, codec())


async def test_migrating_twice_changes_nothing(empty: Database) -> None:
    assert (await migrate(empty.owner_dsn))[0] == "0001_log.sql"
    async with await open_log(empty.owner_dsn, codec()) as log:
        identity = log.identity
    assert await migrate(empty.owner_dsn, "daybook_app") == []
    async with await open_log(empty.app_dsn, codec()) as log:
        assert log.identity == identity


async def test_several_processes_may_migrate_at_once(empty: Database) -> None:
    applied = await asyncio.gather(*(migrate(empty.owner_dsn, "daybook_app") for _ in range(6)))
    assert sum(map(len, applied)) == len(migrations.migrations())


async def test_a_migration_that_was_changed_is_refused(database: Database) -> None:
    with psycopg.connect(database.owner_dsn) as owner:
        owner.execute("UPDATE daybook.migrations SET checksum = 'other'")
    with pytest.raises(WrongVersion, match="not the file"):
        await open_log(database.app_dsn, codec())


async def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    with psycopg.connect(database.owner_dsn) as owner:
        owner.execute("INSERT INTO daybook.migrations (number, name, checksum) VALUES (9999, 'x', 'y')")
    with pytest.raises(WrongVersion, match="9999"):
        await open_log(database.app_dsn, codec())


def test_the_grants_name_any_role_safely() -> None:
    assert 'TO "my ""role"""' in grants('my "role"')


async def test_the_owner_alone_is_enough_for_a_small_installation(empty: Database) -> None:
    await migrate(empty.owner_dsn)
    async with await open_log(empty.owner_dsn, codec()) as log:
        await log.append([new(3)], META)
        assert_whole(await everything(log))
