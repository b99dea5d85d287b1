"""The read model `series`: how far each series of numbers is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from store.log import Recorded

from .change import Change, Found, GoOn, Said, of_streams, projecting
from .histories import Histories
from .projection import Block, Projection, Rows, View
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
STORED = f"SELECT {NAMES} FROM {{table}} WHERE series_id = ANY($1::uuid[])"
REMOVE = "DELETE FROM {table} WHERE series_id = ANY($1::uuid[])"
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


def begin(histories: Histories) -> Sequence[Block]:
    """Series from their first number on."""
    return (ROWS.block([_fold(None, history).row for history in histories]),)


def _fold(before: SeriesSummary | None, history: Sequence[Recorded]) -> SeriesSummary:
    first, last = history[0], history[-1]
    return SeriesSummary(
        last.stream,
        before.opened_position if before else first.position,
        last.event.policy_id,
        last.event.period,
        last.version,
        before.first_number if before else first.event.number,
        last.event.number,
        last.recorded,
    )


def _change(histories: Histories, found: Sequence[Found]) -> Change:
    """Series that began before."""
    before = {row[0]: SeriesSummary(*row) for row in found[0]}
    after = [_fold(before.get(history[0].stream), history) for history in histories]
    return Change((Said(REMOVE, [("uuid", list(before))]),), (ROWS.block([each.row for each in after]),))


GO_ON = GoOn(of_streams(STORED), _change)
SERIES = Projection(
    name="series",
    code=1,
    topics=frozenset(("NumberAssigned",)),
    create=CREATE,
    index=INDEX,
    project=projecting(begin, GO_ON),
    begin=begin,
    go_on=GO_ON,
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
