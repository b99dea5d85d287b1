"""The log's clock: how far the log had come at an instant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from .listener import HEAD
from .session import INT8, TIMESTAMPTZ, Call, Rows, Statement, int8, timestamptz

CLOCKS_DIFFER_MAX = timedelta(seconds=5)
"""Of two processes that write one log: their times of recording may be out of order by so much."""
NEAR = 500  # positions that are looked through rather than halved

PROBE = Statement(
    "probe",
    """
    SELECT notification_id, (convert_from(state, 'UTF8')::json -> 'meta' ->> 'recorded')::timestamptz
    FROM daybook.events WHERE notification_id >= $1 ORDER BY notification_id LIMIT 1
    """,
    [INT8],
)
FIRST_LATER = Statement(
    "first_later",
    """
    SELECT notification_id FROM daybook.events
    WHERE notification_id > $1
        AND (convert_from(state, 'UTF8')::json -> 'meta' ->> 'recorded')::timestamptz > $2
    ORDER BY notification_id LIMIT 1
    """,
    [INT8, TIMESTAMPTZ],
)

Ask = Callable[[Call], Awaitable[Rows]]


async def position_at(ask: Ask, instant: datetime) -> int:
    """The last position before the first event recorded later: halved down to near it, then read."""
    [(head,)] = await ask(Call(HEAD))
    before, beyond = 0, int(head) + 1  # what is at `before` or lower was certainly recorded by then
    while beyond - before > NEAR:
        middle = (before + beyond) // 2
        [(position, recorded)] = await ask(Call(PROBE, (int8(middle),)))
        if position >= beyond:
            beyond = middle
        elif recorded <= instant - CLOCKS_DIFFER_MAX:
            before = position
        else:
            beyond = position
    later = await ask(Call(FIRST_LATER, (int8(before), timestamptz(instant))))
    return int(later[0][0]) - 1 if later else int(head)
