"""Hears of every checkpoint that moves, over one connection for all who wait for a read model to catch up."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from store.bell import Bell

from .checkpoint import CHANNEL
from .projection import LOST

CONNECT_SECONDS_MAX = 5
LOOK_SECONDS = 0.25  # a waiter looks for itself this often, should nobody call
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 2.0

KEEPALIVES = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3}

logger = structlog.get_logger(__name__)


class Tidings:
    """Positions as the runners tell them. Enter it to listen; without, waiters look for themselves."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._bells: defaultdict[str, Bell] = defaultdict(Bell)
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Tidings:
        self._listening = asyncio.create_task(self._listen(), name="tidings of the projections")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
            self._listening = None

    def tell(self, table: str, position: int) -> None:
        self._bells[table].ring(position)

    def heard(self, table: str) -> int:
        """The highest position that was told of this table; 0 before the first."""
        return self._bells[table].heard

    async def wait(self, table: str, position: int) -> None:
        """Return when the table is heard to have come so far, or when it is time to look."""
        await self._bells[table].wait(position - 1, LOOK_SECONDS)

    async def _listen(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}".encode())
                    pause = PAUSE_SECONDS_MIN
                    async for notify in connection.notifies():
                        *tables, position = notify.payload.split(" ")
                        for table in tables:
                            self.tell(table, int(position))
            except LOST as error:
                logger.warning("tidings of the projections cut off", because=str(error))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        dsn = make_conninfo(self._dsn, connect_timeout=CONNECT_SECONDS_MAX, **KEEPALIVES)
        return await psycopg.AsyncConnection.connect(dsn, autocommit=True)
