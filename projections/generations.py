"""Generations of a read model: beside each other in the database, one of them live, swapped at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psycopg

from domain.refusal import Refused

from .checkpoint import Mark
from .projection import SCHEMA, Connection, Pool, Projection, surfacing

DROP_LOCK = "2s"
DROP_ATTEMPTS = 10
DROP_PAUSE_SECONDS = 0.5  # the views for people follow a swap soon, and hold the old tables until then

# The tables of a generation are those that its projection's SQL names by {table}, with or without an ending.
TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r'
    AND (relname = %(table)s OR starts_with(relname, %(table)s || '_'))
ORDER BY relname
"""
NEWEST = (
    "SELECT coalesce(max(generation), 0) FROM projections.checkpoints WHERE projection = %s AND code = %s"
)
MARK_OF = """
SELECT generation, position FROM projections.checkpoints
WHERE projection = %s AND code = %s AND generation = %s
"""
# Whoever has this lock keeps the live generation where it is, and from being swapped.
HOLD = """
SELECT checkpoint.generation, checkpoint.position
FROM projections.live
JOIN projections.checkpoints AS checkpoint USING (projection, code, generation)
WHERE projection = %s AND code = %s
FOR UPDATE
"""
GO_LIVE = """
INSERT INTO projections.live (projection, code, generation) VALUES (%s, %s, %s)
ON CONFLICT (projection, code) DO UPDATE SET generation = EXCLUDED.generation
"""
IS_LIVE = """
SELECT FROM projections.live WHERE projection = %s AND code = %s AND generation = %s FOR UPDATE
"""
BEING_BUILT = """
SELECT FROM projections.rebuilds
WHERE projection = %s AND code = %s AND generation = %s AND state NOT IN ('DONE', 'FAILED', 'CANCELED')
FOR UPDATE
"""
FORGET = (
    "DELETE FROM projections.troubles WHERE projection = %s AND code = %s AND generation = %s",
    "DELETE FROM projections.checkpoints WHERE projection = %s AND code = %s AND generation = %s",
)


class NoSuchProjection(Refused):
    reason = "PROJECTION_NOT_FOUND"
    because = "there is no read model {name} (have: {have})"


class NoSuchGeneration(Refused):
    reason = "GENERATION_NOT_FOUND"
    because = "read model {projection} has no generation {generation} (have: {have})"


class GenerationInUse(Refused):
    reason = "GENERATION_IN_USE"
    because = "generation {generation} of {projection} answers, is being built, or is shown by a view"


@dataclass(frozen=True, slots=True)
class Key:
    """One generation of one version of a read model."""

    projection: str
    code: int
    generation: int

    @property
    def row(self) -> tuple[str, int, int]:
        return self.projection, self.code, self.generation

    @property
    def table(self) -> str:
        return f"{SCHEMA}.{self.projection}_v{self.code}_g{self.generation}"


def key(projection: Projection, generation: int) -> Key:
    return Key(projection.name, projection.code, generation)


async def tables(connection: Connection, table: str) -> list[str]:
    """What belongs to a generation, by the name of its first table, with the schema."""
    schema, _, name = table.rpartition(".")
    cursor = await connection.execute(TABLES, {"schema": schema, "table": name})
    return [f"{schema}.{found}" for (found,) in await cursor.fetchall()]


async def newest(connection: Connection, projection: Projection) -> int:
    cursor = await connection.execute(NEWEST, (projection.name, projection.code))
    [number] = await cursor.fetchone() or (0,)
    return int(number)


async def mark_of(connection: Connection, projection: Projection, generation: int) -> Mark | None:
    """Where a generation stands; None where there is none of that number."""
    cursor = await connection.execute(MARK_OF, key(projection, generation).row)
    row = await cursor.fetchone()
    return Mark(*row) if row else None


async def hold(connection: Connection, projection: Projection) -> Mark | None:
    """Keep the live generation where it is until the transaction ends; None where none is live."""
    cursor = await connection.execute(HOLD, (projection.name, projection.code))
    row = await cursor.fetchone()
    return Mark(*row) if row else None


async def go_live(connection: Connection, projection: Projection, generation: int) -> None:
    """Inside the transaction that holds the generation before."""
    await connection.execute(GO_LIVE, key(projection, generation).row)


async def empty_out(connection: Connection, one: Key) -> None:
    """The tables and everything known of a generation, gone."""
    for name in await tables(connection, one.table):
        await connection.execute(f"DROP TABLE {name}".encode())
    for forget in FORGET:
        await connection.execute(forget, one.row)


async def drop(pool: Pool, one: Key) -> None:
    """Drop a generation that neither answers nor is being built; raises GenerationInUse."""
    with surfacing():
        for attempt in range(DROP_ATTEMPTS):
            try:
                async with pool.connection() as connection, connection.transaction():
                    await connection.execute(f"SET LOCAL lock_timeout = '{DROP_LOCK}'".encode())
                    for taken in (IS_LIVE, BEING_BUILT):
                        if (await connection.execute(taken, one.row)).rowcount:
                            raise GenerationInUse(
                                projection=one.projection.replace("_", "-"), generation=one.generation
                            )
                    await empty_out(connection, one)
                return
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DependentObjectsStillExist) as held:
                if attempt + 1 == DROP_ATTEMPTS:
                    raise GenerationInUse(
                        projection=one.projection.replace("_", "-"), generation=one.generation
                    ) from held
                await asyncio.sleep(DROP_PAUSE_SECONDS)
