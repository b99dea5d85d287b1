"""A process that writes: `python -m tests.store.writing DSN TURNS APPENDS CALLERS`; tells the slowest."""

from __future__ import annotations

import asyncio
import sys
import time

from store.postgres import open_log

from .events import META, codec, new

EVENTS_PER_APPEND = 8


async def write(dsn: str, turns: bool, appends: int, callers: int) -> float:
    left = iter(range(appends))
    slowest = 0.0

    async def caller() -> None:
        nonlocal slowest
        for _ in left:
            started = time.monotonic()
            await log.append([new(EVENTS_PER_APPEND)], META)
            slowest = max(slowest, time.monotonic() - started)

    async with await open_log(dsn, codec(), turns=turns) as log:
        await asyncio.gather(*(caller() for _ in range(callers)))
    return slowest


if __name__ == "__main__":
    _, dsn, turns, appends, callers = sys.argv
    print(asyncio.run(write(dsn, turns == "turns", int(appends), int(callers))))
