"""Compares two generations of a read model row by row, as they stand in one snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .generations import tables
from .projection import Connection, Pool

SHOWN_MAX = 25  # differing rows of one table
VALUE_TEXT_MAX = 400

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The order of rows does not matter to a sum, and no row of one can make up for another of any likelihood.
DIGEST = """
SELECT count(*), coalesce(sum(hash_record_extended(found, 7)::numeric), 0)::text FROM {table} AS found
"""
KEY = """
SELECT attribute.attname
FROM pg_index AS index
CROSS JOIN LATERAL unnest(index.indkey) WITH ORDINALITY AS part (number, place)
JOIN pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = part.number
WHERE index.indrelid = %s::regclass AND index.indisprimary
ORDER BY part.place
"""
DIFFERING = """
SELECT to_jsonb(live), to_jsonb(built), count(*) OVER ()
FROM {live} AS live FULL JOIN {built} AS built USING ({key})
WHERE live IS DISTINCT FROM built
ORDER BY {key} LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One column of one row; empty where the row is missing on that side."""

    table: str
    key: str
    column: str
    live: str
    built: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two generations hold at a position, and where they differ."""

    position: int
    live_rows: int
    built_rows: int
    live_digest: str
    built_digest: str
    differing_rows: int
    differences: Sequence[Difference]

    @property
    def equal(self) -> bool:
        return not self.differing_rows

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)


@contextlib.asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """A connection that sees the database as it is now, for as long as it is wanted."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(SNAPSHOT)
        await connection.execute("SELECT 1")
        yield connection


async def compare(connection: Connection, live: str, built: str, position: int) -> Comparison:
    """Compare the tables of two generations, each named by its first one."""
    ours, theirs, differing, found = Sum(), Sum(), 0, list[Difference]()
    pairs = zip(await tables(connection, live), await tables(connection, built), strict=True)
    for one, other in pairs:
        left, right = await _sum(connection, one), await _sum(connection, other)
        ours, theirs = ours + left, theirs + right
        if left != right:
            count, shown = await _differences(connection, one, other, one.removeprefix(live))
            differing += count
            found += shown
    return Comparison(
        position, ours.rows, theirs.rows, ours.digest, theirs.digest, differing, found[:SHOWN_MAX]
    )


@dataclass(frozen=True, slots=True)
class Sum:
    """How many rows there are, and the digest over all that is in them."""

    rows: int = 0
    digest: str = ""

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.rows + other.rows, f"{self.digest} {other.digest}".strip())


async def _sum(connection: Connection, table: str) -> Sum:
    cursor = await connection.execute(DIGEST.format(table=table).encode())
    row = await cursor.fetchone()
    assert row is not None
    return Sum(*row)


async def _differences(
    connection: Connection, live: str, built: str, ending: str
) -> tuple[int, list[Difference]]:
    cursor = await connection.execute(KEY, (live,))
    key = [name for (name,) in await cursor.fetchall()]
    sql = DIFFERING.format(live=live, built=built, key=", ".join(key))
    cursor = await connection.execute(sql.encode(), (SHOWN_MAX,))
    found, count = list[Difference](), 0
    for ours, theirs, count in await cursor.fetchall():  # noqa: B007
        found += _of_row(ending.removeprefix("_") or "rows", key, ours, theirs)
    return count, found


def _of_row(
    table: str, key: Sequence[str], live: Mapping[str, Any] | None, built: Mapping[str, Any] | None
) -> list[Difference]:
    some = live or built or {}
    named = ", ".join(f"{name}={some[name]}" for name in key)
    if live is None or built is None:
        return [Difference(table, named, "", "a row" if live else "", "a row" if built else "")]
    return [
        Difference(table, named, column, _shown(value), _shown(built[column]))
        for column, value in live.items()
        if value != built[column]
    ]


def _shown(value: Any) -> str:
    """As people read it: what a table keeps as bytes is text."""
    text = "null" if value is None else str(value)
    if text.startswith("\\x"):
        with contextlib.suppress(ValueError):
            text = bytes.fromhex(text[2:]).decode()
    return text if len(text) <= VALUE_TEXT_MAX else text[: VALUE_TEXT_MAX - 1] + "…"
