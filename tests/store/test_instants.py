"""How far the log had come at an instant, where the clocks of those who write it differ a little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest

from store.postgres import open_log
from tests.postgres import Database

from .events import codec

EVENTS = 3_000
INSERT = """
INSERT INTO daybook.events (originator_id, originator_version, topic, state, notification_id)
SELECT gen_random_uuid(), 1, 'Happened', convert_to(state, 'UTF8'), position
FROM unnest(%s::text[], %s::bigint[]) AS of (state, position)
"""


def stored(recorded: datetime) -> str:
    who = '"who":{"kind":"local","id":"tester"}'
    return f'{{"v":1,"meta":{{"recorded":"{recorded.isoformat()}",{who}}},"data":{{"what":"x"}}}}'


@pytest.mark.parametrize("seed", range(3))
async def test_the_first_event_recorded_later_decides_whatever_the_order_of_the_clocks(
    database: Database, seed: int
) -> None:
    chance = Random(seed)
    position, at = 0, datetime.now(UTC) - timedelta(days=1)
    recorded: list[tuple[int, datetime]] = []
    for _ in range(EVENTS):  # with gaps between positions, and times that are out of order by seconds
        position += chance.choice([1, 1, 1, 30])
        at += timedelta(seconds=chance.choice([0, 0.01, 2]))
        recorded.append((position, at + timedelta(seconds=chance.uniform(-2, 2))))
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute(INSERT, ([stored(at) for _, at in recorded], [each for each, _ in recorded]))
    asked = [at + timedelta(microseconds=chance.choice([-1, 0, 1])) for _, at in chance.sample(recorded, 100)]
    async with await open_log(database.app_dsn, codec()) as log:
        for instant in (*asked, recorded[0][1] - timedelta(days=1), datetime.now(UTC)):
            later = (position for position, at in recorded if at > instant)
            assert await log.position_at(instant) == next(later, recorded[-1][0] + 1) - 1
