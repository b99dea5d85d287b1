"""The bell: wakes those who wait for something new in the log."""

from __future__ import annotations

import asyncio


class Bell:
    """Remembers the highest position heard of, and wakes everybody who waits for a higher one than theirs."""

    def __init__(self) -> None:
        self.heard = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self, position: int) -> None:
        if position > self.heard:
            self.heard = position
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    async def wait(self, after: int, timeout: float) -> None:  # noqa: ASYNC109
        if self.heard > after:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await asyncio.wait([waiting], timeout=timeout)
        finally:
            self._waiting.discard(waiting)
