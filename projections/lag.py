"""How far a position is behind the log: in events, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .projection import Pool, surfacing

COUNTED_MAX = 1_000_000

HEAD = "SELECT coalesce(max(notification_id), 0) FROM daybook.events"
BEHIND = """
SELECT (
    SELECT count(*) FROM (
        SELECT FROM daybook.events WHERE notification_id > %(position)s LIMIT %(most)s
    ) AS following
), (
    SELECT (convert_from(state, 'UTF8')::json -> 'meta' ->> 'recorded')::timestamptz
    FROM daybook.events WHERE notification_id > %(position)s ORDER BY notification_id LIMIT 1
)
"""


@dataclass(frozen=True, slots=True)
class Lag:
    """How many events follow, at most COUNTED_MAX, and when the first of them was recorded."""

    events: int
    since: datetime | None


async def lag(pool: Pool, position: int) -> Lag:
    with surfacing():
        async with pool.connection() as connection:
            cursor = await connection.execute(BEHIND, {"position": position, "most": COUNTED_MAX})
            row = await cursor.fetchone()
    assert row is not None
    return Lag(*row)


async def head(pool: Pool) -> int:
    """The last position of the log; 0 while it is empty."""
    with surfacing():
        async with pool.connection() as connection:
            cursor = await connection.execute(HEAD)
            row = await cursor.fetchone()
    return int(row[0]) if row else 0
