"""What is written in blocks is what was given, of every type and to the last digit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import psycopg

from projections.binary import ENCODE, KEPT_MAX
from projections.exchange import Exchange
from projections.projection import Rows
from tests.postgres import Database

NAMES = {name: name for name in ENCODE}
QUOTED = {f'"{name}"': name for name in ENCODE}
NOTHING: dict[str, object] = dict.fromkeys(NAMES)
EDGES: dict[str, list[object]] = {
    "bytea": [b"", b"\0\xff"],
    "text": ["", "ü\u2028 \"'\\", "x" * 100_000],
    "uuid": [UUID(int=0), UUID(int=2**128 - 1)],
    "bool": [True, False],
    "int4": [0, -(2**31), 2**31 - 1],
    "int8": [0, -(2**63), 2**63 - 1],
    "numeric": [Decimal(each) for each in ("0", "0.00", "-0.01", "1E+3", "123456789012345678.90", "1e-12")],
    "date": [date(1, 1, 1), date(1999, 12, 31), date(2000, 1, 1), date(9999, 12, 31)],
    "timestamptz": [
        datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(2026, 11, 27, 1, tzinfo=timezone(timedelta(hours=5))),
    ],
    "jsonb": [{}, {"ü": "\u2028 \"'", "a": "1.10"}],
}


async def _written(
    database: Database, types: dict[str, str], rows: list[tuple[object, ...]]
) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(database.app_dsn) as connection:
        columns = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
        await connection.execute(f"CREATE TEMPORARY TABLE edges_rows ({columns}, number serial)".encode())
        quoted = {f'"{name}"': type_ for name, type_ in types.items()}
        await Rows(quoted, "_rows").write(connection, "edges", rows)
        names = ", ".join(quoted)
        cursor = await connection.execute(f"SELECT {names} FROM edges_rows ORDER BY number".encode())
        return list(await cursor.fetchall())


async def test_every_type_comes_back_as_it_was_given(database: Database) -> None:
    assert EDGES.keys() == ENCODE.keys()
    rows = [tuple((NOTHING | {name: value}).values()) for name, values in EDGES.items() for value in values]
    rows.append(tuple(NOTHING.values()))
    found = await _written(database, NAMES, rows)
    assert found == rows
    assert [_numbers(row) for row in found] == [_numbers(row) for row in rows], "with all its zeros"


def _numbers(row: Iterable[object]) -> list[str]:
    return [f"{value:f}" for value in row if isinstance(value, Decimal)]


async def test_texts_that_come_again_and_those_that_never_do_are_alike(database: Database) -> None:
    rows: list[tuple[object, ...]] = [(f"t{number}", None) for number in range(KEPT_MAX + 50)]
    rows += [("t1", None), (None, None), (f"t{KEPT_MAX + 1}", date(2026, 2, 28))]
    assert await _written(database, {"text": "text", "date": "date"}, rows) == rows


async def test_an_insert_of_few_rows_writes_what_a_copy_does(database: Database) -> None:
    rows = [tuple((NOTHING | {name: value}).values()) for name, values in EDGES.items() for value in values]
    columns = ", ".join(f"{name} {type_}" for name, type_ in QUOTED.items())
    async with await psycopg.AsyncConnection.connect(database.app_dsn, autocommit=True) as connection:
        await connection.execute(f"CREATE TEMPORARY TABLE edges_rows ({columns}, number serial)".encode())
        block = Rows(QUOTED, "_rows").block(rows)
        await Exchange(connection).ask(block.insert("edges"))
        names = ", ".join(QUOTED)
        cursor = await connection.execute(f"SELECT {names} FROM edges_rows ORDER BY number".encode())
        found = await cursor.fetchall()
    assert found == rows
    assert [_numbers(row) for row in found] == [_numbers(row) for row in rows], "with all its zeros"
