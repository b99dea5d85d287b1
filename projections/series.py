"""The read model `series`: how far each series of numbers is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from store.log import Recorded

from .projection import Connection, Projection, Rows, View
from .reader import Answer, Page, Reader

CREATE = """
CREATE TABLE {table} (
    series_id uuid PRIMARY KEY,
    opened_position bigint NOT NULL,
    policy_id text COLLATE "C" NOT NULL,
    period text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    first_number text COLLATE "C" NOT NULL,
    last_number text COLLATE "C" NOT NULL,
    updated timestamptz NOT NULL
);
"""
INDEX = """
CREATE UNIQUE INDEX ON {table} (opened_position);
"""
ROWS = Rows(
    {
        "series_id": "uuid",
        "opened_position": "int8",
        "policy_id": "text",
        "period": "text",
        "count": "int8",
        "first_number": "text",
        "last_number": "text",
        "updated": "timestamptz",
    }
)
NAMES = ", ".join(ROWS.columns)
STORED = f"SELECT {NAMES} FROM {{table}} WHERE series_id = ANY(%s)"
REMOVE = "DELETE FROM {table} WHERE series_id = ANY(%s)"
LIST = f"""
SELECT {NAMES} FROM {{table}} WHERE opened_position > %(after)s ORDER BY opened_position LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """A series that has given numbers; the n-th is its n-th event."""

    series_id: UUID
    opened_position: int
    policy_id: str
    period: str
    count: int
    first_number: str
    last_number: str
    updated: datetime

    @property
    def row(self) -> tuple[object, ...]:
        return (
            self.series_id,
            self.opened_position,
            self.policy_id,
            self.period,
            self.count,
            self.first_number,
            self.last_number,
            self.updated,
        )


async def list_(
    reader: Reader, *, after: int = 0, size: int = 100, min_position: int = 0, deadline: float | None = None
) -> Answer[Page[SeriesSummary]]:
    """A page of the series, in the order in which they began."""
    asked = {"after": after, "limit": size + 1}
    answer = await reader.ask(SERIES, LIST, asked, min_position=min_position, deadline=deadline)
    found = tuple(SeriesSummary(*row) for row in answer.found[:size])
    return Answer(
        Page(found, found[-1].opened_position if len(answer.found) > size else None), answer.position
    )


async def project(connection: Connection, table: str, batch: Sequence[Recorded]) -> None:
    """Every series of the batch, once, as the batch leaves it."""
    begun = {each.stream for each in batch if each.version == 1}
    before = await _stored(connection, table, {each.stream for each in batch} - begun)
    after = dict(before)
    for recorded in batch:
        after[recorded.stream] = _follow(after.get(recorded.stream), recorded)
    if before:
        await connection.execute(REMOVE.format(table=table).encode(), (list(before),))
    await ROWS.write(connection, table, (each.row for each in after.values()))


def _follow(before: SeriesSummary | None, recorded: Recorded) -> SeriesSummary:
    event = recorded.event
    return SeriesSummary(
        recorded.stream,
        before.opened_position if before else recorded.position,
        event.policy_id,
        event.period,
        recorded.version,
        before.first_number if before else event.number,
        event.number,
        recorded.recorded,
    )


async def _stored(connection: Connection, table: str, touched: set[UUID]) -> dict[UUID, SeriesSummary]:
    if not touched:
        return {}
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(STORED.format(table=table).encode(), (list(touched),))
        return {row[0]: SeriesSummary(*row) for row in await cursor.fetchall()}


SERIES = Projection(
    name="series",
    code=1,
    topics=frozenset(("NumberAssigned",)),
    create=CREATE,
    index=INDEX,
    project=project,
    views=(
        View(
            name="series",
            about="Each series of numbers that has begun: how far it is.",
            columns={
                "series_id": ("series_id", "The series: a stream, whose n-th event is its n-th number."),
                "policy_id": ("policy_id", "The sequence policy that it follows."),
                "period": ("period", "The year or month that it is for; empty where it never restarts."),
                "count": ("count", "How many numbers it has given."),
                "first_number": ("first_number", "The number that it began with."),
                "last_number": ("last_number", "The number that it gave last."),
                "updated": ("updated", "When it gave that number."),
            },
        ),
    ),
)
