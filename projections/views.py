"""Views for people: what they may read with plain SQL, in the schema `daybook`, whatever generation is live.

They are swapped apart from the generations, and never wait long for a lock: who waits for one holds up
everybody who comes after. Their columns only ever grow.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterator, Sequence
from functools import lru_cache

import psycopg
import structlog
from psycopg import sql

from store.log import Unavailable

from .projection import LOST, Connection, Pool, Projection, View

LOOK_SECONDS = 1.0  # between looks whether a view shows what is live
LOCK = "100ms"
AWAY_SECONDS = 5.0  # when the store is out of reach, or we may not

# A program that is older than the one whose tables are shown leaves the views as they are.
OUT_OF_DATE = """
SELECT live.generation FROM projections.live
LEFT JOIN projections.views AS shown USING (projection)
WHERE projection = %(projection)s AND live.code = %(code)s AND (
    shown.projection IS NULL OR shown.code < live.code OR shown.code = live.code
    AND (shown.generation, shown.definition) IS DISTINCT FROM (live.generation, %(definition)s)
)
"""
SHOWN = """
INSERT INTO projections.views (projection, code, generation, definition)
VALUES (%(projection)s, %(code)s, %(generation)s, %(definition)s)
ON CONFLICT (projection) DO UPDATE
SET code = EXCLUDED.code, generation = EXCLUDED.generation, definition = EXCLUDED.definition
"""
KEY = 7017848462465  # one process makes views, others wait

logger = structlog.get_logger(__name__)


async def keep_views(pool: Pool, projections: Sequence[Projection]) -> None:
    """Let the views show the live generations, until cancelled."""
    told = False
    while True:
        pause = LOOK_SECONDS
        try:
            await show(pool, projections)
            told = False
        except psycopg.errors.LockNotAvailable:
            pause = LOOK_SECONDS * random.random()  # a reader is in the way; another time
        except (*LOST, Unavailable, TimeoutError, psycopg.Error) as error:
            pause = AWAY_SECONDS
            if not told:
                logger.warning("the views for people are not up to date", because=str(error).strip())
            told = True
        await asyncio.sleep(pause)


async def show(pool: Pool, projections: Sequence[Projection]) -> None:
    """Replace the views that do not show what is live; raises LockNotAvailable where somebody reads on."""
    async with pool.connection() as connection:
        for projection in projections:
            if projection.views and await _out_of_date(connection, projection):
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK}'".encode())
                    await connection.execute("SET LOCAL client_min_messages = warning")
                    await _show(connection, projection)


async def _out_of_date(connection: Connection, projection: Projection) -> bool:
    cursor = await connection.execute(OUT_OF_DATE, _told(projection))
    return await cursor.fetchone() is not None


async def _show(connection: Connection, projection: Projection) -> None:
    told = _told(projection)
    cursor = await connection.execute(OUT_OF_DATE, told)
    if (row := await cursor.fetchone()) is None:
        return
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (KEY,))
    for view in projection.views:
        for statement in statements(view, projection.table(row[0])):
            await connection.execute(statement)
    await connection.execute(SHOWN, {**told, "generation": row[0]})


def statements(view: View, table: str) -> Iterator[sql.Composed]:
    """The view over the tables of a generation, and what it says of itself."""
    name = sql.Identifier("daybook", view.name)
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.SQL(expression), sql.Identifier(column))
        for column, (expression, _) in view.columns.items()
    )
    source = sql.SQL(view.source.format(table=table))
    yield sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}").format(name, columns, source)
    yield sql.SQL("COMMENT ON VIEW {} IS {}").format(name, sql.Literal(view.about))
    for column, (_, about) in view.columns.items():
        place = sql.Identifier("daybook", view.name, column)
        yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(place, sql.Literal(about))


def _told(projection: Projection) -> dict[str, object]:
    return {"projection": projection.name, "code": projection.code, "definition": _digest(projection)}


@lru_cache
def _digest(projection: Projection) -> str:
    said = [each.as_string() for view in projection.views for each in statements(view, "{table}")]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
