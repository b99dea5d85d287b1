"""The listener: hears PostgreSQL tell of new positions, and comes back by itself when it is cut off."""

from __future__ import annotations

import asyncio
import logging
import random

from .bell import Bell
from .session import Call, Lost, Refused, Session, Statement

logger = logging.getLogger(__name__)

ANSWER_SECONDS_MAX = 5.0
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 2.0

LISTEN = Statement("listen", "LISTEN daybook")
HEAD = Statement("head", "SELECT coalesce(max(notification_id), 0) FROM daybook.events")


async def listen(dsn: str, bell: Bell) -> None:
    """Ring the bell for every position told, for ever."""
    pause = PAUSE_SECONDS_MIN
    while True:
        try:
            session = await Session.open(dsn)
            try:
                await session.exchange(Call(LISTEN), seconds=ANSWER_SECONDS_MAX)
                bell.ring(await _head(session))  # what was told while nobody listened
                pause = PAUSE_SECONDS_MIN
                while True:
                    told = await session.notified()
                    bell.ring(max(map(int, told)) if all(told) else await _head(session))
            finally:
                session.close()
        except (Lost, Refused) as error:
            logger.warning("the listener was cut off: %s", error)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, PAUSE_SECONDS_MAX)


async def _head(session: Session) -> int:
    [[(head,)]] = await session.exchange(Call(HEAD), seconds=ANSWER_SECONDS_MAX)
    return int(head)
