"""The runner: follows the log and keeps every read model up to date, each at its own pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog

from store.log import Log, Recorded, Unavailable

from .checkpoint import Mark, Stale, mark, move, stand_still
from .convoy import APPENDS_MAX, BATCH_SECONDS_MAX, POLL_SECONDS, Convoy, Seat, rest
from .feed import BATCH_EVENTS, Decode, Feed, Whole, wanted, whole
from .leases import Leases
from .projection import LOST, NotReady, Poison, Pool, Projection

NOT_READY_SECONDS = 0.2  # between looks whether a generation is there by now
PACE_SECONDS = 0.02  # from one read of a growing log to the next: half of what a reader may have to wait
PAUSE_SECONDS_MIN = 0.01  # after a lost connection, doubled each time: the pool may hold several
PAUSE_SECONDS_MAX = 5.0
ATTEMPTS_MAX = 3  # at an event that cannot be projected, before it is written down
ATTEMPT_SECONDS = 0.2  # between them
TROUBLE_SECONDS = 30.0  # between looks at an event that was written down

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How a projection fares in this process. `error` is what last held it up, until it goes on."""

    projection: str
    generation: int
    position: int
    standing_still: bool
    error: str


class Runner:
    """Runs all projections until it is stopped or cancelled.

    Any number of runners may run: a batch counts only where the checkpoint still is where it began.
    `known` are the stored names of all events that this program knows. With `leases` it leaves to others
    what others hold; without, it runs everything.
    """

    def __init__(
        self,
        log: Log,
        decode: Decode,
        pool: Pool,
        projections: Sequence[Projection],
        *,
        known: Collection[str],
        batch: int = BATCH_EVENTS,
        leases: Leases | None = None,
    ) -> None:
        feed = Feed(log, decode, batch, PACE_SECONDS)
        self._stopping = asyncio.Event()
        self._leases = leases
        openings = {name: size for each in projections for name, size in each.openings.items()}
        convoy = self._convoy = Convoy(feed, pool, openings, known, self._stopping)
        self._followers = [
            _Follower(each, feed, convoy, pool, known, self._stopping, leases) for each in projections
        ]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            leases = group.create_task(self._leases.run(), name="leases") if self._leases else None
            async with asyncio.TaskGroup() as following:
                following.create_task(self._convoy.run(), name="projections together")
                for follower in self._followers:
                    following.create_task(follower.run(), name=f"projection {follower.projection.wire_name}")
            if leases is not None:
                leases.cancel()

    def stop(self) -> None:
        """Let every projection finish its batch; `run` returns then."""
        self._stopping.set()

    @property
    def progress(self) -> list[Progress]:
        return [follower.progress for follower in self._followers]


class _Follower:
    """One projection on its way along the log."""

    def __init__(
        self,
        projection: Projection,
        feed: Feed,
        convoy: Convoy,
        pool: Pool,
        known: Collection[str],
        stopping: asyncio.Event,
        leases: Leases | None,
    ) -> None:
        self.projection = projection
        self._feed = feed
        self._convoy = convoy
        self._pool = pool
        self._known = known
        self._stopping = stopping
        self._leases = leases
        self._mark: Mark | None = None
        self._last = Mark(0, 0)
        self._alone_until = 0  # before that position it does not ride with the others
        self._appends = APPENDS_MAX
        self._attempts = 0
        self._error = ""
        self._logger = logger.bind(projection=projection.wire_name)

    @property
    def progress(self) -> Progress:
        at = self._mark or self._last
        return Progress(self.projection.wire_name, at.generation, at.position, at.troubled, self._error)

    async def run(self) -> None:
        losses = 0
        while not self._stopping.is_set():
            if self._leases and not self._holds():
                self._mark = None
                await self._rest(self._leases.taken(self.projection))
                continue
            try:
                since = self._mark = self._mark or await self._read_mark()
                await (self._ride(since) if self._rides(since) else self._step(since))
                losses = 0
            except NotReady as waits:
                self._forget(waits)
                await self._rest(asyncio.sleep(NOT_READY_SECONDS))
            except (psycopg.Error, OSError, Unavailable, TimeoutError) as error:
                losses += 1
                self._forget(error)
                self._logger.warning("projection waits", because=str(error), losses=losses)
                await self._rest(asyncio.sleep(_pause(losses)))

    async def _step(self, since: Mark) -> None:
        """Project what there is to project, or wait until there is something."""
        try:
            batch = await whole(self._feed, since.position, self.projection.openings, self._known)
        except Poison as poison:
            await self._fail(since, poison)
            return
        if batch:
            await self._take(since, batch)
        else:
            await self._rest(self._feed.wait(since.position, POLL_SECONDS))
            self._mark = None  # another generation may be the live one by now

    async def _ride(self, since: Mark) -> None:
        """Go on with the others, until something is not as usual."""
        seat = Seat(self.projection, since, self._holds, self._went_on)
        self._convoy.board(seat)
        await self._rest(_until(seat.left))
        self._alone_until = seat.alone_until
        if seat.stale:
            self._mark = None
        if seat.error is not None:
            raise seat.error

    def _rides(self, since: Mark) -> bool:
        usual = not since.troubled and not self._attempts and self._appends == APPENDS_MAX
        return usual and since.position >= self._alone_until and self._convoy.takes(since.position)

    def _holds(self) -> bool:
        return self._leases is None or self._leases.holds(self.projection)

    def _went_on(self, mark: Mark) -> None:
        self._mark, self._error = mark, ""

    async def _take(self, since: Mark, batch: Whole) -> None:
        appends = min(self._appends, len(batch.ends))
        try:
            events, upto = batch.upto(appends)
            with self._convoy.awaiting(self.projection, since.position):
                self._mark = await self._advance(since, wanted(self.projection, events), upto)
        except Stale as stale:
            self._mark = None
            self._logger.info("another runner was faster", because=str(stale))
        except (*LOST, Unavailable, TimeoutError):
            raise
        except Exception as error:
            if appends > 1:
                self._appends = appends // 2  # nearer to the one that it is
            else:
                await self._fail(since, _blamed(error, self.projection, batch))
        else:
            self._appends, self._attempts, self._error = APPENDS_MAX, 0, ""

    async def _advance(self, since: Mark, recorded: Sequence[Recorded], upto: int) -> Mark | None:
        """Rows and checkpoint in one transaction; None where another generation has become the live one."""
        async with (
            asyncio.timeout(BATCH_SECONDS_MAX),
            self._pool.connection() as connection,
            connection.transaction(),
        ):
            live = await move(connection, self.projection, since, upto)
            if recorded:
                await self.projection.project(connection, self.projection.table(since.generation), recorded)
        self._last = Mark(since.generation, upto)
        return self._last if live in (None, since.generation) else None

    async def _read_mark(self) -> Mark:
        async with asyncio.timeout(BATCH_SECONDS_MAX), self._pool.connection() as connection:
            return await mark(connection, self.projection)

    async def _fail(self, since: Mark, poison: Poison) -> None:
        """Look at it again a few times, then stand still before it, for everybody to see; others go on."""
        self._attempts += 1
        self._error = f"{poison.event} at position {poison.position}: {poison}"
        self._logger.error("projection stands still", at=poison.position, at_event=poison.event)
        if self._attempts < ATTEMPTS_MAX:
            await self._rest(asyncio.sleep(ATTEMPT_SECONDS))
            return
        async with asyncio.timeout(BATCH_SECONDS_MAX), self._pool.connection() as connection:
            await stand_still(connection, self.projection, since, poison)
        await self._rest(self._settled())

    async def _settled(self) -> None:
        """Wait until somebody wants it to be tried again, or it is time to."""
        loop = asyncio.get_running_loop()
        until, troubled = loop.time() + TROUBLE_SECONDS, True
        while troubled and loop.time() < until:
            await asyncio.sleep(POLL_SECONDS)
            self._mark = await self._read_mark()
            troubled = self._mark.troubled
        self._attempts = 0 if not troubled else self._attempts

    def _forget(self, error: BaseException) -> None:
        """A commit whose answer was lost may have been done: ask the checkpoint."""
        self._last, self._mark = self._mark or self._last, None
        self._error = str(error) or type(error).__name__

    async def _rest(self, waiting: Coroutine[Any, Any, None]) -> None:
        await rest(waiting, self._stopping)


async def _until(event: asyncio.Event) -> None:
    await event.wait()


def _pause(times: int) -> float:
    return min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2.0 ** min(times - 1, 16)) * random.uniform(0.5, 1.0)


def _blamed(error: Exception, projection: Projection, batch: Whole) -> Poison:
    """The event that is to blame; of one append the first, where the fault does not say."""
    if isinstance(error, Poison):
        return error
    events, position = batch.upto(1)
    recorded = [event for event in events if event.name in projection.topics]
    event = recorded[0].name if recorded else ""
    at = recorded[0].position if recorded else position
    return Poison(at, event, f"{type(error).__name__}: {error}")
