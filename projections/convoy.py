"""The convoy: read models that stand at one position go on together, all of their rows in one transaction.

A transaction for each costs more than what is written in it. A read model is put down where something is not
as usual: its rows cannot be made, its checkpoint is held or was moved by somebody else, it must look up what
only it knows how to. It goes on alone from there, and boards again once it stands where the convoy does: so
what stands still stands still alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import psycopg
import structlog

from store.log import Recorded, Unavailable

from .change import Change, Found, Said, merged
from .checkpoint import Mark, moved, moving, standings, tidings
from .exchange import Call, Exchange
from .feed import Fed, Feed, wanted, whole
from .histories import Histories, by_stream, parted
from .pool import apart
from .projection import LOST, Block, Pool, Projection, Size

POLL_SECONDS = 1.0  # looks at the log even when nobody calls
LATE_SECONDS_MAX = 0.05  # for who is one stop behind
BATCH_SECONDS_MAX = 60.0  # one batch, with its commit
APPENDS_MAX = 1 << 30  # in a batch: no limit but the events'
NOTHING = Change((), ())
BEGIN, COMMIT = Call(b"BEGIN"), Call(b"COMMIT")
# The commit does not wait for the disk: rows and checkpoints are lost together, and worked out again.
SETTINGS = b"SET synchronous_commit = off"


logger = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class Seat:
    """A read model that rides, until it has `left`. `stale`: where it stands is to be read again."""

    projection: Projection
    mark: Mark
    holds: Callable[[], bool]
    went_on: Callable[[Mark], None]
    left: asyncio.Event = field(default_factory=asyncio.Event)
    stale: bool = False
    alone_until: int = 0
    error: Exception | None = None

    @property
    def table(self) -> str:
        return self.projection.table(self.mark.generation)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done for one: rows that are made, and histories of which something is looked up first."""

    seat: Seat
    blocks: Sequence[Block] = ()
    known: Histories = ()
    wanted: Sequence[Said] = ()

    @property
    def asking(self) -> Sequence[Call]:
        return [each.call(self.seat.table) for each in self.wanted]

    def writing(self, found: Sequence[Found]) -> Sequence[Call]:
        table, change = self.seat.table, NOTHING
        if self.known:
            assert self.seat.projection.go_on is not None
            change = self.seat.projection.go_on.change(self.known, found)
        inserts = [block.insert(table) for block in merged((*self.blocks, *change.blocks))]
        return [*(each.call(table) for each in change.removed), *inserts]


class Convoy:
    """Takes on whoever is on board, until everything is to stop."""

    def __init__(
        self,
        feed: Feed,
        pool: Pool,
        openings: Mapping[str, Size],
        known: Collection[str],
        stopping: asyncio.Event,
    ) -> None:
        self._feed = feed
        self._pool = pool
        self._openings = openings
        self._known = known
        self._stopping = stopping
        self._seats: list[Seat] = []
        self._position = 0  # of everybody on board
        self._under_way = False
        self._boarded = asyncio.Event()
        self._coming: set[str] = set()  # who is on the way to the next stop alone
        self._arrived = asyncio.Event()
        self._looked = 0.0  # at the checkpoints, by the loop's clock
        self._exchange: Exchange | None = None

    def takes(self, position: int) -> bool:
        """Whether somebody who stands there may board."""
        return not self._under_way and (not self._seats or self._position == position)

    @contextmanager
    def awaiting(self, projection: Projection, position: int) -> Iterator[None]:
        """Somebody goes on alone; from where the convoy has just left, it is waited for at the next stop."""
        if self._under_way and self._position == position and projection.go_on is not None:
            self._coming.add(projection.name)
        try:
            yield
        finally:
            self._coming.discard(projection.name)
            self._arrived.set()

    def board(self, seat: Seat) -> None:
        self._position = seat.mark.position
        self._seats.append(seat)
        self._boarded.set()

    async def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._boarded.clear()
                if self._seats:
                    await self._wait_for_the_late()
                    await self._step()
                else:
                    await rest(_until(self._boarded), self._stopping)
        finally:
            await self._hang_up()

    async def _wait_for_the_late(self) -> None:
        """Who is one stop behind would never get on board of a convoy that does not pause."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_SECONDS_MAX):
                while self._coming and not self._stopping.is_set():
                    self._arrived.clear()
                    await self._arrived.wait()
        self._coming.clear()

    async def _step(self) -> None:
        """Go on by one batch, or wait until there is one; nobody stays on board whom that does not suit."""
        until = self._position + 1
        try:
            batch = await whole(self._feed, self._position, self._openings, self._known)
            if not batch:
                await rest(self._feed.wait(self._position, POLL_SECONDS), self._stopping)
                await self._look()
                return
            events, until = batch.upto(APPENDS_MAX)
            work = list(self._work(events, until))
            if work:
                await self._advance(work, until)
        except (*LOST, Unavailable, TimeoutError) as error:
            await self._hang_up()
            self._put_down(self._seats, error=error)
        except Exception as error:  # it is found anew, and told of, by whomever it concerns
            logger.warning("projections go on alone", because=f"{type(error).__name__}: {error}")
            await self._hang_up()
            self._put_down(self._seats, until=until)

    def _work(self, events: Sequence[Fed], upto: int) -> Iterator[Work]:
        names = {event.name for event in events}
        together = by_stream(cast(Sequence[Recorded], events))
        for seat in [*self._seats]:
            projection = seat.projection
            if not seat.holds():
                self._put_down([seat])
                continue
            try:
                if projection.lazy and names <= projection.topics:
                    yield self._of(seat, together)
                else:
                    yield self._of(seat, by_stream(wanted(projection, events)))
            except Exception:
                self._put_down([seat], until=upto)

    def _of(self, seat: Seat, histories: Histories) -> Work:
        begin, go_on = seat.projection.begin, seat.projection.go_on
        if not histories:
            return Work(seat)
        if begin is None or go_on is None:
            raise OnItsOwn
        new, known = parted(histories)
        return Work(seat, begin(new) if new else (), known, go_on.wanted(known) if known else ())

    async def _advance(self, work: Sequence[Work], upto: int) -> None:
        """Rows and checkpoints in one transaction; whose checkpoint is not here stays behind."""
        self._under_way = True
        try:
            async with asyncio.timeout(BATCH_SECONDS_MAX):
                live = await self._write(work, upto)
        finally:
            self._under_way = False
        self._position, self._looked = upto, asyncio.get_running_loop().time()
        for seat in [each.seat for each in work]:
            if seat.table not in live:
                self._put_down([seat], until=upto, stale=True)
                continue
            others = live[seat.table] not in (None, seat.mark.generation)
            seat.mark = Mark(seat.mark.generation, upto)
            seat.went_on(seat.mark)
            if others:
                self._put_down([seat], stale=True)

    async def _write(self, work: Sequence[Work], upto: int) -> Mapping[str, int | None]:
        """The tables whose checkpoints have moved, each with the generation that is live."""
        exchange = self._exchange = self._exchange or await self._connected()
        keys = [(each.seat.projection, each.seat.mark.generation) for each in work]
        asking = [call for each in work for call in each.asking]
        _, answer, *rows = await exchange.ask(BEGIN, moving(keys, self._position, upto), *asking)
        live, found = moved(answer, keys), iter(rows)
        of_each = [(each, list(islice(found, len(each.wanted)))) for each in work]
        writing = [call for each, of_it in of_each if each.seat.table in live for call in each.writing(of_it)]
        await exchange.ask(*writing, tidings(live, upto), COMMIT)
        return live

    async def _connected(self) -> Exchange:
        connection = await apart(self._pool)
        try:
            await connection.execute(SETTINGS)
        except BaseException:
            await connection.close()
            raise
        return Exchange(connection)

    async def _hang_up(self) -> None:
        """What is not committed is undone with the connection."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            with suppress(psycopg.Error, OSError):
                await exchange.connection.close()

    async def _look(self) -> None:
        """Somebody else may have moved a checkpoint, and another generation may be the live one by now."""
        now = asyncio.get_running_loop().time()
        if now < self._looked + POLL_SECONDS:
            return
        self._looked = now
        live = [each for each in await standings(self._pool) if each.live]
        found_at = {(each.projection, each.code, each.generation): each for each in live}
        for seat in [*self._seats]:
            found = found_at.get((seat.projection.name, seat.projection.code, seat.mark.generation))
            if found is None or found.trouble or found.position != seat.mark.position:
                self._put_down([seat], stale=True)

    def _put_down(
        self, seats: Sequence[Seat], *, until: int = 0, stale: bool = False, error: Exception | None = None
    ) -> None:
        for seat in [*seats]:
            self._seats.remove(seat)
            seat.alone_until, seat.stale, seat.error = until, stale, error
            seat.left.set()


class OnItsOwn(Exception):
    """A read model that looks everything up itself takes the time that it needs."""


async def rest(waiting: Coroutine[Any, Any, None], stopping: asyncio.Event) -> None:
    """Wait, but not when everything is to stop."""
    resting, stopped = asyncio.ensure_future(waiting), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((resting, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        resting.cancel()
    if resting.done():
        resting.result()


async def _until(event: asyncio.Event) -> None:
    await event.wait()
