"""How a read model goes on with streams that began before: what it looks up of them, and what it changes.

Told apart from who asks the database, so that many read models are asked for, and written, in one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg

from store.log import Recorded

from . import binary
from .exchange import Call
from .histories import Histories, by_stream, continued, parted
from .projection import Begin, Block, Connection, Project, write

Found: TypeAlias = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Said:
    """A statement about a generation, `{table}`; its parameters, `$1` and on, are arrays of these types."""

    sql: str
    arrays: Sequence[tuple[str, Sequence[object]]]

    def call(self, table: str) -> Call:
        arrays = [binary.array_of(type_, values) for type_, values in self.arrays]
        return Call(self.sql.format(table=table).encode(), arrays)

    async def on(self, connection: Connection, table: str) -> Found:
        cursor = psycopg.AsyncRawCursor(connection)
        arrays = [list(values) for _, values in self.arrays]
        await cursor.execute(self.sql.format(table=table).encode(), arrays, binary=True)
        return await cursor.fetchall() if cursor.description else ()


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be removed, and what is then to be written."""

    removed: Sequence[Said]
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class GoOn:
    """`change` is given what was found of each that is `wanted`, in that order."""

    wanted: Callable[[Histories], Sequence[Said]]
    change: Callable[[Histories, Sequence[Found]], Change]


def of_streams(sql: str) -> Callable[[Histories], Sequence[Said]]:
    """What such a statement finds of all streams that began before."""
    return lambda histories: (Said(sql, [("uuid", continued(histories))]),)


def projecting(begin: Begin, go_on: GoOn) -> Project:
    """Both, for one read model on one connection: every stream of the batch, once, as the batch leaves it."""

    async def project(connection: Connection, table: str, batch: Sequence[Recorded]) -> None:
        new, known = parted(by_stream(batch))
        blocks = [*begin(new)] if new else []
        if known:
            found = [await each.on(connection, table) for each in go_on.wanted(known)]
            change = go_on.change(known, found)
            for each in change.removed:
                await each.on(connection, table)
            blocks += change.blocks
        await write(connection, table, blocks)

    return project


def merged(blocks: Iterable[Block]) -> Sequence[Block]:
    """One block for each table that something is written to."""
    found: dict[int, list[Block]] = {}
    for block in blocks:
        if block.values:
            found.setdefault(id(block.rows), []).append(block)
    return [
        those[0] if len(those) == 1 else Block(those[0].rows, [row for each in those for row in each.values])
        for those in found.values()
    ]
