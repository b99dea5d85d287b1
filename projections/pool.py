"""Connections to the read models, a few per process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

from .caught_up import CONNECT_SECONDS_MAX, KEEPALIVES
from .projection import Connection, Pool

CONNECTIONS_MAX = 8
EACH: Mapping[str, Any] = {"autocommit": True, "connect_timeout": CONNECT_SECONDS_MAX, **KEEPALIVES}
WAITING_MAX = 2000  # for a connection; who comes later is refused at once
CONNECTION_SECONDS_MAX = 3.0  # until one is free
RECONNECT_SECONDS_MAX = 5.0  # then whoever asks next tries anew, without the pause that has grown meanwhile


@asynccontextmanager
async def pool(dsn: str, connections: int = CONNECTIONS_MAX) -> AsyncIterator[Pool]:
    """A pool that opens in the background and mends itself."""
    made: Pool = AsyncConnectionPool(
        dsn,
        connection_class=psycopg.AsyncConnection[tuple[object, ...]],
        kwargs={**EACH},
        min_size=1,
        max_size=connections,
        max_waiting=WAITING_MAX,
        timeout=CONNECTION_SECONDS_MAX,
        reconnect_timeout=RECONNECT_SECONDS_MAX,
        open=False,
        name="read models",
    )
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def apart(pool: Pool) -> Connection:
    """A connection of its own, made as those of the pool are."""
    return await psycopg.AsyncConnection.connect(str(pool.conninfo), **EACH)
