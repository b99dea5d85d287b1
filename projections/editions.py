"""Editions: read models as they were at a position, beside the live ones, until they are dropped."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.refusal import Refused
from store.log import Recorded

from .bulk import WRITER_SETTINGS, Source, fill
from .feed import Decode
from .generations import tables
from .projection import SCHEMA, Connection, Pool, Projection, surfacing

BUILD_KEY = 7017848462467  # with the table's name: the advisory lock of whoever builds it

READ = "SELECT position, instant FROM projections.editions WHERE edition = %s LIMIT 1"
ALL = """
SELECT edition, position, instant, array_agg(projection ORDER BY projection) FILTER (WHERE ready)
FROM projections.editions GROUP BY edition, position, instant ORDER BY edition
"""
BEGIN = """
INSERT INTO projections.editions (edition, projection, code, position, instant) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (edition, projection, code) DO NOTHING
"""
ROW = "edition = %s AND projection = %s AND code = %s"
IS_READY = f"SELECT ready FROM projections.editions WHERE {ROW}"
READY = f"UPDATE projections.editions SET ready = true WHERE {ROW}"
TABLES_OF = "SELECT projection, code FROM projections.editions WHERE edition = %s FOR UPDATE"
FORGET = "DELETE FROM projections.editions WHERE edition = %s"
LOCK = "SELECT pg_advisory_lock(%s, hashtext(%s))"


class NoSuchEdition(Refused):
    reason = "EDITION_NOT_FOUND"
    because = "there is no edition {name} that holds {needed}; build it: daybook editions build {name}"


class OtherPoint(Refused):
    reason = "EDITION_OF_ANOTHER_POINT"
    because = "edition {name} is of position {position}, not {asked}; drop it, or use another name"


@dataclass(frozen=True, slots=True)
class Edition:
    """A name, the position up to which the log was read, and the instant that it stands for."""

    name: str
    position: int
    instant: datetime
    read_models: tuple[str, ...] = ()

    def table(self, projection: Projection) -> str:
        return table(self.name, projection.name, projection.code)


def table(edition: str, projection: str, code: int) -> str:
    return f"{SCHEMA}.{projection}_v{code}_at_{edition}"


ASKED: ContextVar[Edition | None] = ContextVar("edition", default=None)
"""The edition that the questions of this task are about; None: the live read models."""


@contextlib.contextmanager
def asked(edition: Edition) -> Iterator[None]:
    """Questions are about an edition, until the context is left."""
    token = ASKED.set(edition)
    try:
        yield
    finally:
        ASKED.reset(token)


async def find(pool: Pool, name: str) -> Edition | None:
    with surfacing():
        async with pool.connection() as connection:
            row = await (await connection.execute(READ, (name,))).fetchone()
    return Edition(name, *row) if row else None


async def all_(pool: Pool) -> list[Edition]:
    with surfacing():
        async with pool.connection() as connection:
            rows = await (await connection.execute(ALL)).fetchall()
    return [
        Edition(name, position, instant, tuple(each.replace("_", "-") for each in ready or ()))
        for name, position, instant, ready in rows
    ]


async def begin(pool: Pool, edition: Edition, projection: Projection) -> bool:
    """Writes down that a read model belongs to an edition; answers whether it is ready already."""
    row = (edition.name, projection.name, projection.code)
    with surfacing():
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(BEGIN, (*row, edition.position, edition.instant))
            [ready] = await (await connection.execute(IS_READY, row)).fetchone() or (False,)
    return bool(ready)


async def build(
    connection: Connection,
    dsn: str,
    decode: Decode,
    known: Collection[str],
    edition: Edition,
    projection: Projection,
) -> None:
    """Works a read model out up to the edition's position; who comes meanwhile waits, and finds it ready."""
    row, into = (edition.name, projection.name, projection.code), edition.table(projection)
    await connection.execute(LOCK, (BUILD_KEY % 2**31, into))
    [ready] = await (await connection.execute(IS_READY, row)).fetchone() or (True,)  # dropped meanwhile
    if ready:
        return
    await _drop_tables(connection, into)
    await connection.execute(WRITER_SETTINGS.encode())
    await connection.execute(projection.create.format(table=into).encode())
    source = Source(dsn, decode, known, edition.position)
    await fill(connection, source, whole_appends(projection), into, _nothing_more)
    if projection.index.strip():
        await connection.execute(projection.index.format(table=into).encode())
    for each in await tables(connection, into):
        await connection.execute(f"ANALYZE {each}".encode())
    await connection.execute(READY, row)


async def drop(pool: Pool, name: str) -> None:
    """The edition and its tables, gone; raises NoSuchEdition."""
    with surfacing():
        async with pool.connection() as connection, connection.transaction():
            rows = await (await connection.execute(TABLES_OF, (name,))).fetchall()
            if not rows:
                raise NoSuchEdition(name=name, needed="anything")
            for projection, code in rows:
                await _drop_tables(connection, table(name, projection, code))
            await connection.execute(FORGET, (name,))


async def _drop_tables(connection: Connection, name: str) -> None:
    for each in await tables(connection, name):
        await connection.execute(f"DROP TABLE {each}".encode())


async def _nothing_more(connection: Connection, stream: UUID, events: int) -> None:
    """A build that is interrupted begins anew."""


def whole_appends(projection: Projection) -> Projection:
    """The same read model without an append that the last position cuts in two: nobody ever saw that."""

    async def project(connection: Connection, into: str, events: Sequence[Recorded]) -> None:
        if whole := _whole(projection, events):
            await projection.project(connection, into, whole)

    return replace(projection, project=project, begin=None)


def _whole(projection: Projection, events: Sequence[Recorded]) -> Sequence[Recorded]:
    last = {each.stream: each.version for each in events}
    kept: list[Recorded] = []
    ends: dict[UUID, int] = {}  # of streams whose last append is under way
    for each in events:
        size = projection.openings.get(each.name)
        if size and each.version >= ends.get(each.stream, 0):
            ends[each.stream] = each.version + size(each)
        if ends.get(each.stream, 0) <= last[each.stream] + 1:
            kept.append(each)
    return kept
