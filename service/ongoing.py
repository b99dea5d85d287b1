"""Work that goes on when whoever asked for it cannot wait any longer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

ANSWER_MARGIN = 0.1  # seconds before the caller's time is over, when the rest is left to the background


class Ongoing(Generic[T]):
    """What is under way; what is not done at the end is unfinished work, which another process takes up."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[T]] = set()

    async def within(self, work: Coroutine[Any, Any, T], name: str, until: float) -> T | None:
        """What came of it before it was time to answer; None: it goes on without anybody waiting."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._gone)
        seconds = max(0.0, until - ANSWER_MARGIN - asyncio.get_running_loop().time())
        await asyncio.wait((task,), timeout=seconds)
        return task.result() if task.done() else None

    def _gone(self, task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # who still waited has heard it; else the background tries again

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
