"""The readers: a few sessions that ask the log, each question within its caller's time.

Nothing is told that a synchronous standby may not have yet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from .durability import STANDBYS, wait_for_standbys
from .log import DeadlineExceeded, Unavailable
from .session import Call, Lost, Refused, Rows, Session

READ_SECONDS_MAX = 10.0


class Readers:
    """Sessions that are opened as they are needed, at most `most` at a time."""

    def __init__(self, dsn: str, most: int) -> None:
        self._dsn = dsn
        self._idle: list[Session] = []
        self._free = asyncio.Semaphore(most)
        self._closed = False

    async def ask(self, call: Call, deadline: float | None = None) -> Rows:
        """Return the rows of a question; raises DeadlineExceeded or Unavailable."""
        loop = asyncio.get_running_loop()
        until = min(deadline or float("inf"), loop.time() + READ_SECONDS_MAX)
        try:
            async with asyncio.timeout_at(until), self._free:
                return await self._ask(call, until)
        except TimeoutError as error:
            if deadline is not None and loop.time() >= deadline:
                raise DeadlineExceeded() from error
            raise Unavailable("the store does not answer") from error
        except (Lost, Refused) as error:
            raise Unavailable(str(error)) from error

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _ask(self, call: Call, until: float) -> Rows:
        while self._idle:
            with contextlib.suppress(Lost):  # it had been lost while it was idle: a read may be asked again
                return await self._on(self._idle.pop(), call, until)
        return await self._on(await Session.open(self._dsn), call, until)

    async def _on(self, session: Session, call: Call, until: float) -> Rows:
        try:
            rows, [(standbys,)] = await session.exchange(call, Call(STANDBYS), seconds=_left(until))
            if standbys and rows:
                await wait_for_standbys(session, _left(until))
        finally:
            if session.lost or self._closed:
                session.close()
            else:
                self._idle.append(session)
        return rows


def _left(until: float) -> float:
    return max(0.0, until - asyncio.get_running_loop().time())


@contextlib.asynccontextmanager
async def reading(dsn: str) -> AsyncIterator[Session]:
    """A session for a few questions in one go."""
    try:
        session = await Session.open(dsn)
    except Lost as lost:
        raise Unavailable(str(lost)) from lost
    try:
        yield session
    except (Lost, Refused) as error:
        raise Unavailable(str(error)) from error
    finally:
        session.close()
