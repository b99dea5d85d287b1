"""Migrations: numbered SQL files, forward only, each applied once and remembered with its checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg
from psycopg import sql

from .log import Unavailable
from .session import Call, Refused, Session, Statement

MIGRATION_KEY = 7017848462463  # the advisory lock under which one process migrates and the others wait
CONNECT_SECONDS_MAX = 10
CHECK_SECONDS_MAX = 10.0
UNDEFINED_TABLE = "42P01"
INVALID_SCHEMA = "3F000"

PREPARATIONS = """
    CREATE SCHEMA IF NOT EXISTS daybook;
    CREATE TABLE IF NOT EXISTS daybook.migrations (
        number integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied timestamptz NOT NULL DEFAULT now()
    );
"""
APPLIED = Statement("applied", "SELECT number, checksum FROM daybook.migrations ORDER BY number")
WITHOUT_RIGHTS = Statement(
    "without_rights",
    """
    SELECT current_user::text FROM pg_namespace AS log
    WHERE nspname = 'daybook' AND (
        NOT has_schema_privilege(log.oid, 'USAGE') OR EXISTS (
            SELECT FROM pg_class
            WHERE relnamespace = log.oid AND relkind IN ('r', 'v') AND NOT has_table_privilege(oid, 'SELECT')
        )
    )
    """,
)


class WrongVersion(Exception):
    """The database is not at the version that this program needs; the text says what to do."""


class NotGranted(Exception):
    """The role lacks rights on the log; the text says what to do."""


class NotTheOwner(Exception):
    """The role may not migrate; the text says what it was refused."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All there are, in order."""
    files = sorted(file.name for file in resources.files(__package__).joinpath("sql").iterdir())
    return [Migration(int(name[:4]), name, _text(name)) for name in files if name[:4].isdigit()]


def grants(application: str) -> str:
    """The SQL that gives an application role what it needs of the log, and no more."""
    role = sql.Identifier(application).as_string()
    return _text("grants.sql").format(application=role)


async def migrate(dsn: str, application: str | None = None) -> list[str]:
    """Bring the database up to date as the log's owner; return the names of what was applied.

    With the name of an application role, it is granted its rights too.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX
        )
        async with connection:
            await connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_KEY,))
            return await _migrate(connection, application)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotTheOwner(f"{_first_line(error)}; migrate as the owner of the log") from error
    except psycopg.OperationalError as error:
        raise Unavailable(str(error).strip()) from error


async def check(session: Session) -> None:
    """Raise WrongVersion unless exactly the migrations of this program have been applied.

    Raise NotGranted where the role may not read all of the log, as after a migration that made more of it.
    """
    [roles] = await session.exchange(Call(WITHOUT_RIGHTS), seconds=CHECK_SECONDS_MAX)
    for (role,) in roles:
        raise NotGranted(
            f"the role {role} lacks rights on the log; run: daybook migrate --print-grants {role}"
        )
    try:
        [rows] = await session.exchange(Call(APPLIED), seconds=CHECK_SECONDS_MAX)
    except Refused as refused:
        if refused.sqlstate not in (UNDEFINED_TABLE, INVALID_SCHEMA):
            raise
        rows = []
    pending = _pending(dict(rows))
    if pending:
        raise WrongVersion(f"the database lacks {pending[0].name}; run: daybook migrate")


async def _migrate(connection: psycopg.AsyncConnection[Any], application: str | None) -> list[str]:
    await connection.execute("SET client_min_messages = warning")
    await connection.execute(PREPARATIONS)
    cursor = await connection.execute(APPLIED.sql)
    pending = _pending(dict(await cursor.fetchall()))
    for migration in pending:
        await _apply(connection, migration)
    if application is not None:
        await connection.execute(grants(application).encode())
    return [migration.name for migration in pending]


async def _apply(connection: psycopg.AsyncConnection[Any], migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.text.encode())
        await connection.execute(
            "INSERT INTO daybook.migrations (number, name, checksum) VALUES (%s, %s, %s)",
            (migration.number, migration.name, migration.checksum),
        )


def _pending(applied: dict[int, str]) -> list[Migration]:
    known = {migration.number: migration for migration in migrations()}
    for number, checksum in applied.items():
        if number not in known:
            raise WrongVersion(
                f"the database knows migration {number}, this program does not; update daybook"
            )
        if known[number].checksum != checksum:
            raise WrongVersion(f"{known[number].name} is not the file that was applied to this database")
    return [migration for number, migration in known.items() if number not in applied]


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0]


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("sql", name).read_text(encoding="utf-8")
