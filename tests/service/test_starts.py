"""Many start at once, on nothing or on what is there: one makes it, all serve; a folder has one keeper."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.embedded import APPLICATION, OWNER, SUPERUSER
from store.migrate import grants, migrate, migrations
from tests.postgres import Database, Server
from tests.serving import DAYBOOK, buffering, free_port

from .killing import Load, Served, load_reference_data
from .test_kills import check_log, check_read_model

pytestmark = pytest.mark.long  # each starts a service of its own, or tries to

MIGRATING = 6
SERVING = 3
START_SECONDS_MAX = 60


@pytest.fixture
def empty(postgres: Server) -> Iterator[Database]:
    """A database in which there is nothing yet."""
    name = "empty_book"
    of = postgres.embedded.dsn
    with psycopg.connect(of(SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER {OWNER}".encode())
    yield Database(of(OWNER, name), of(APPLICATION, name), of(SUPERUSER, name))
    postgres.drop(name)


async def test_several_migrations_at_once_apply_everything_once(empty: Database) -> None:
    applied = await asyncio.gather(*(migrate(empty.owner_dsn, APPLICATION) for _ in range(MIGRATING)))
    assert sorted(applied, key=len) == [[]] * (MIGRATING - 1) + [[each.name for each in migrations()]]


def test_several_daybook_migrate_at_once_all_succeed(empty: Database) -> None:
    command: list[str | Path] = [DAYBOOK, "migrate", "--database-url", empty.owner_dsn]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(MIGRATING)
    ]
    said = [run.communicate(timeout=START_SECONDS_MAX) for run in runs]
    assert [run.returncode for run in runs] == [0] * MIGRATING, said
    assert sum("applied 0001" in out for out, _ in said) == 1


@pytest.mark.parametrize(("whose", "said"), [("app_dsn", "as the owner"), ("nowhere", "No such file")])
def test_a_migration_that_cannot_be_made_says_why(whose: str, said: str, empty: Database) -> None:
    dsn = "host=/nowhere dbname=daybook" if whose == "nowhere" else empty.app_dsn
    command: list[str | Path] = [DAYBOOK, "migrate", "--database-url", dsn]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_SECONDS_MAX)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_several_serve_one_database_new_and_old(empty: Database) -> None:
    """Twice: the first time they make the read models' tables, the second time all of it is there."""
    asyncio.run(migrate(empty.owner_dsn, APPLICATION))
    for round_ in range(2):
        several = [Served(start=False, database_url=empty.app_dsn) for _ in range(SERVING)]
        for served in several:
            served.launch()
        for served in several:
            served.wait_until_ready()
        load_reference_data(several[0].target)
        loads = [Load(served, 4, name=f"{round_}-{n}") for n, served in enumerate(several)]
        for load in loads:
            load.__enter__()
        for load in loads:
            load.wait_for_more(40)
        for load in loads:
            load.__exit__()
        for load, served in zip(loads, several, strict=True):
            assert load.failures == []
            check_log(served, load)
            check_read_model(served, load)
        for served in several:
            served.stop()


def test_a_second_serve_on_a_data_folder_is_refused_and_names_the_first(tmp_path: Path) -> None:
    first = Served()
    try:
        second = serve("--data-dir", str(first.folder / "data"))
        assert second.returncode == 2
        assert f"is looked after by process {first.process.pid} already" in second.stderr
        assert "Traceback" not in second.stderr
        load_reference_data(first.target)
        with Load(first, 2) as load:
            load.wait_for_more(4)
    finally:
        first.stop()


def test_who_is_told_to_stop_while_starting_ends_in_order_and_never_says_that_it_serves() -> None:
    with tempfile.TemporaryDirectory(prefix="daybook-test-") as folder:
        command: list[str | Path] = [DAYBOOK, "serve", "--listen", "127.0.0.1:0", "--data-dir", folder]
        served = subprocess.Popen(
            command, env=buffering(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert served.stdout is not None
        assert "making a new database" in served.stdout.readline()
        served.terminate()
        said, trouble = served.communicate(timeout=START_SECONDS_MAX)
    assert "serves on" not in said
    assert "Traceback" not in trouble
    assert served.returncode == 0


def test_a_database_that_nobody_has_migrated_is_refused_with_the_command_that_helps(empty: Database) -> None:
    refused = serve("--database-url", empty.owner_dsn)
    assert refused.returncode == 2
    assert "daybook migrate" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_role_without_its_rights_is_refused_with_the_command_that_helps(empty: Database) -> None:
    """At first, and after a migration that made another table."""
    asyncio.run(migrate(empty.owner_dsn))
    first = serve("--database-url", empty.app_dsn)
    administer(empty, grants(APPLICATION))
    administer(empty, f"REVOKE ALL ON daybook.seals FROM {APPLICATION}")
    for refused in (first, serve("--database-url", empty.app_dsn)):
        assert refused.returncode == 2
        assert f"daybook migrate --print-grants {APPLICATION}" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("whose", ["ROLE", "DATABASE"])
def test_a_database_that_may_forget_what_it_acknowledged_is_refused(whose: str, empty: Database) -> None:
    """Durability is promised by the server; a role or a database can take it back."""
    asyncio.run(migrate(empty.owner_dsn, APPLICATION))
    of = APPLICATION if whose == "ROLE" else "empty_book"
    change = f"ALTER {whose} {of} SET synchronous_commit = off"
    administer(empty, change)
    try:
        refused = serve("--database-url", empty.app_dsn)
    finally:
        administer(empty, change.replace("SET", "RESET").removesuffix("= off"))
    assert refused.returncode == 2
    assert "synchronous_commit is off" in refused.stderr
    assert "could be lost" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_rights_can_be_granted_again_and_again(empty: Database) -> None:
    asyncio.run(migrate(empty.owner_dsn))
    with psycopg.connect(empty.owner_dsn) as owner:
        for _ in range(2):
            owner.execute(grants(APPLICATION).encode())


def administer(database: Database, statement: str) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as admin:
        admin.execute(statement.encode())


def serve(*options: str) -> subprocess.CompletedProcess[str]:
    """One that must not come up."""
    command: list[str | Path] = [DAYBOOK, "serve", "--listen", f"127.0.0.1:{free_port()}", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_SECONDS_MAX)
