"""The reference data as this process knows it: an immutable snapshot that follows the log.

Every append carries the snapshot's version as an expectation, so that nothing is ever recorded that was
decided with reference data that had moved on: the append conflicts, the snapshot is refreshed, and the
decision is taken again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from domain import reference
from store.log import Log, Recorded, Stored, Unavailable

log_line = structlog.get_logger()

BATCH = 1000
AT_ONCE = 50  # of many, before others have their turn
POLL_SECONDS = 5.0
PAUSE_SECONDS = (
    0.25  # between looks while the log grows: a decision on what is old conflicts, and looks by itself
)


class Snapshot:
    """Owns the current reference data of one process."""

    def __init__(self, log: Log, decode: Callable[[Stored], Recorded], topics: tuple[str, ...]) -> None:
        self._log = log
        self._decode = decode
        self._topics = topics
        self._reading = asyncio.Lock()
        self._begun = self._done = 0  # readings of the log
        self.current = reference.ReferenceData()

    async def refresh(self) -> reference.ReferenceData:
        """Reads what has been applied since; answers the reference data as it then stands.

        Those who wait for a reading share the next one.
        """
        asked = self._begun
        async with self._reading:
            if self._done <= asked:
                self._begun += 1
                await self._read()
                self._done = self._begun
        return self.current

    async def _read(self) -> None:
        """All that is new becomes the current data in one step; calls are answered while it is folded."""
        folding, position = None, self.current.position
        while batch := await self._log.feed(position, BATCH, topics=self._topics):
            folding = folding or reference.Folding(self.current)
            for count, each in enumerate(batch, 1):
                recorded = self._decode(each)
                folding.take(recorded.event, _at(recorded))
                if not count % AT_ONCE:
                    await asyncio.sleep(0)
            position = batch[-1].position
            if len(batch) < BATCH:
                break
        if folding is not None:
            self.current = folding.folded()

    async def follow(self) -> None:
        """Keeps the snapshot fresh until cancelled."""
        seen = 0
        while True:
            try:
                await self._log.wait(seen, POLL_SECONDS)
                seen = await self._log.head()
                await self.refresh()
                await asyncio.sleep(PAUSE_SECONDS)
            except Unavailable as away:
                log_line.warning("reference data not refreshed", because=str(away))
                await asyncio.sleep(away.retry_after)


def _at(recorded: Recorded) -> reference.At:
    return reference.At(recorded.version, recorded.position, recorded.recorded)
