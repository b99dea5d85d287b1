"""Leases: many processes share the projections, and what one held another takes over at once when it dies.

A lease is an advisory lock of one session, so that the database itself gives it back with the connection. It
only saves work: what counts is the checkpoint. How many processes there are shows from a lock that all share.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import zlib
from collections.abc import AsyncIterator, Sequence

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from .caught_up import CONNECT_SECONDS_MAX, KEEPALIVES
from .projection import LOST, Connection, Projection

SPACE = 1633968500  # of our advisory locks, beside those of the log
LOOK_SECONDS = 0.2
ANSWER_SECONDS_MAX = 3.0
PAUSE_SECONDS = 0.5

JOIN = "SELECT pg_advisory_lock_shared(%s, %s)"
MEMBERS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = %s AND objid = %s AND objsubid = 2 AND granted
"""
TAKE = "SELECT pg_try_advisory_lock(%s, %s)"
GIVE = "SELECT pg_advisory_unlock(%s, %s)"

logger = structlog.get_logger(__name__)


class Leases:
    """Holds a fair share of the projections as long as it runs. `held` may be waited for."""

    def __init__(self, dsn: str, projections: Sequence[Projection]) -> None:
        self._dsn = dsn
        self._held = {_named(each): asyncio.Event() for each in projections}
        self._members = lock_of(" ".join(sorted(self._held)))  # shared by all of the same program

    def holds(self, projection: Projection) -> bool:
        return self._held[_named(projection)].is_set()

    async def taken(self, projection: Projection) -> None:
        """Return once the lease of this projection is held."""
        await self._held[_named(projection)].wait()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    connection = await self._connect()
                try:
                    await self._share(connection)
                finally:
                    self._let_go()
                    await connection.close()
            except (*LOST, TimeoutError) as error:
                logger.warning("leases lost", because=str(error) or "no answer")
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.0))

    async def _connect(self) -> Connection:
        dsn = make_conninfo(self._dsn, connect_timeout=CONNECT_SECONDS_MAX, **KEEPALIVES)
        connection: Connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        await connection.execute(JOIN, (SPACE, self._members))
        return connection

    async def _share(self, connection: Connection) -> None:
        """Take what is free while this is no more than one's share, and give back what is more."""
        while True:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                members = await _answer(connection, MEMBERS, self._members)
                share = -(-len(self._held) // max(1, members))
                held = [name for name, event in self._held.items() if event.is_set()]
                free = [name for name in self._held if name not in held]
                for name in held[share:]:
                    self._held[name].clear()
                    await _answer(connection, GIVE, lock_of(name))
                for name in random.sample(free, len(free)):
                    if self._count() >= share:
                        break
                    if await _answer(connection, TAKE, lock_of(name)):
                        self._held[name].set()
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.5, 1.0))

    def _count(self) -> int:
        return sum(event.is_set() for event in self._held.values())

    def _let_go(self) -> None:
        for event in self._held.values():
            event.clear()


def _named(projection: Projection) -> str:
    return f"{projection.name}:{projection.code}"


def lock_of(name: str) -> int:
    """The number of the lock of that name."""
    return zlib.crc32(name.encode()) % 2**31


async def _answer(connection: Connection, question: str, lock: int) -> int:
    cursor = await connection.execute(question.encode(), (SPACE, lock))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


@contextlib.asynccontextmanager
async def sole(dsn: str, name: str) -> AsyncIterator[bool]:
    """Whether nobody else does this, for as long as it is done."""
    connection: Connection = await psycopg.AsyncConnection.connect(
        make_conninfo(dsn, connect_timeout=CONNECT_SECONDS_MAX, **KEEPALIVES), autocommit=True
    )
    try:
        yield bool(await _answer(connection, TAKE, lock_of(name)))
    finally:
        await connection.close()
