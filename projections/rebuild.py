"""Rebuilds a read model while it is being asked: beside the live generation, compared, swapped in at once.

Whatever interrupts it, even a kill, it goes on where it stopped: how far it has come is written down in the
transaction that brings it there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from uuid import UUID

import structlog

from store.log import Log, Unavailable

from . import bulk, checkpoint, generations, rebuilds
from .bulk import Source, fill
from .checkpoint import ERROR_TEXT_MAX, Mark, move
from .compare import Comparison, compare, snapshot
from .feed import Decode, Feed, wanted, whole
from .generations import Key, hold, key, mark_of, newest
from .projection import LOST, Connection, NotReady, Poison, Pool, Projection
from .rebuilds import Rebuild, Superseded, step

LOOK_SECONDS = 0.1  # between looks whether anything more is asked for
CATCH_UP_EVENTS = 2_000  # read at once
HOLD_EVENTS_MAX = 500  # that a generation may be behind while the live one is kept waiting

# Workers would finish a little sooner, for half as much CPU again that others could use.
INDEX_SETTINGS = "SET LOCAL maintenance_work_mem = '64MB'; SET LOCAL max_parallel_maintenance_workers = 0"
SET_POSITION = """
UPDATE projections.checkpoints SET position = %s, moved = now()
WHERE projection = %s AND code = %s AND generation = %s
"""
COUNT = "SELECT count(*) FROM daybook.events WHERE notification_id <= %s"

logger = structlog.get_logger(__name__)


class Rebuilder:
    """Does what is asked for in `projections.rebuilds`."""

    def __init__(
        self,
        dsn: str,
        log: Log,
        decode: Decode,
        pool: Pool,
        projections: Sequence[Projection],
        known: Collection[str],
    ) -> None:
        self._dsn = dsn
        self._log = log
        self._decode = decode
        self._pool = pool
        self._projections = {(each.name, each.code): each for each in projections}
        self._known = known
        self._feed = Feed(log, decode, CATCH_UP_EVENTS)

    async def run(self, linger: float = 0.0) -> None:
        """Everything that is asked for on read models of this program, and so many seconds later still."""
        clock = asyncio.get_running_loop().time
        until = clock() + linger
        while True:
            if waiting := [each for each in await rebuilds.open_(self._pool) if self._ours(each)]:
                await self.finish(waiting[0])
                until = clock() + linger
            elif clock() >= until:
                return
            else:
                await asyncio.sleep(LOOK_SECONDS)

    def _ours(self, rebuild: Rebuild) -> bool:
        return (rebuild.projection, rebuild.code) in self._projections

    async def finish(self, rebuild: Rebuild) -> Rebuild:
        """From wherever it stands to its end."""
        projection = self._projections[rebuild.projection, rebuild.code]
        while not rebuild.ended:
            try:
                rebuild = await self._next(projection, rebuild)
            except Superseded:
                rebuild = await rebuilds.read(self._pool, projection) or rebuild
            except (*LOST, Unavailable, TimeoutError):
                raise
            except Exception as error:
                logger.exception("rebuild failed", projection=projection.wire_name)
                rebuild = await self._failed(projection, error)
        logger.info("rebuild ended", projection=projection.wire_name, state=rebuild.state)
        return rebuild

    async def _next(self, projection: Projection, rebuild: Rebuild) -> Rebuild:
        match rebuild.state:
            case "ASKED" if rebuild.kind == "REVERT":
                return await self._note(rebuild, state="CATCHING_UP")
            case "ASKED":
                return await self._begin(projection, rebuild)
            case "BUILDING":
                return await self._fill(projection, rebuild)
            case "INDEXING":
                return await self._index(projection, rebuild)
            case "CATCHING_UP":
                return await self._catch_up(projection, rebuild)
            case "COMPARING":
                return await self._compare(projection, rebuild)
            case "SWAPPING":
                return await self._swap(projection, rebuild)
            case "CANCELING":
                return await self._give_up(projection, rebuild, "CANCELED", "")
            case state:
                raise AssertionError(f"there is no state {state}")

    async def _begin(self, projection: Projection, rebuild: Rebuild) -> Rebuild:
        """A new generation, empty; it is built up to where the live one stands."""
        head = await self._log.head()
        async with self._pool.connection() as connection, connection.transaction():
            live = await hold(connection, projection)
            number = await newest(connection, projection) + 1
            await checkpoint.create(connection, projection, number)
            upto = live.position if live else head
            cursor = await connection.execute(COUNT, (upto,))
            [total] = await cursor.fetchone() or (0,)
            return await step(
                connection, rebuild, state="BUILDING", generation=number, upto=upto, total=total
            )

    async def _fill(self, projection: Projection, rebuild: Rebuild) -> Rebuild:
        source = Source(self._dsn, self._decode, self._known, rebuild.upto)
        clock = asyncio.get_running_loop().time
        began, before = clock(), rebuild.done

        async def done(connection: Connection, stream: UUID, events: int) -> None:
            nonlocal rebuild
            count = rebuild.done + events
            rate = (count - before) / max(clock() - began, 1e-3)
            rebuild = await step(connection, rebuild, after=stream, done=count, rate=rate)

        async with self._pool.connection() as connection:
            await connection.execute(bulk.WRITER_SETTINGS.encode())
            try:
                await fill(
                    connection,
                    source,
                    projection,
                    _table(projection, rebuild),
                    done,
                    after=rebuild.after,
                    rate_max=rebuild.rate_max,
                )
            finally:
                await connection.execute("RESET ALL")
        return await self._note(rebuild, state="INDEXING", done=rebuild.total)

    async def _index(self, projection: Projection, rebuild: Rebuild) -> Rebuild:
        table = _table(projection, rebuild)
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(INDEX_SETTINGS.encode())
            if projection.index.strip():
                await connection.execute(projection.index.format(table=table).encode())
            for each in await generations.tables(connection, table):
                await connection.execute(f"ANALYZE {each}".encode())
            await connection.execute(SET_POSITION, (rebuild.upto, *_key(projection, rebuild).row))
            return await step(connection, rebuild, state="CATCHING_UP")

    async def _catch_up(self, projection: Projection, rebuild: Rebuild) -> Rebuild:
        live = await self._live(projection)
        await self._advance(projection, rebuild, live.position if live else await self._log.head())
        compared = live is not None and rebuild.kind != "REVERT"
        return await self._note(rebuild, state="COMPARING" if compared else "SWAPPING")

    async def _compare(self, projection: Projection, rebuild: Rebuild) -> Rebuild:
        """Both at one position, in one snapshot; the live one waits only until that is taken."""
        async with contextlib.AsyncExitStack() as kept:
            async with self._level(projection, rebuild) as (_, live):
                assert live is not None
                seen = await kept.enter_async_context(snapshot(self._pool))
            tables = projection.table(live.generation), _table(projection, rebuild)
            found = await compare(seen, *tables, live.position)
        _say(projection, found)
        if rebuild.kind == "CHECK":
            return await self._give_up(projection, rebuild, "DONE", "", found)
        return await self._note(rebuild, state="SWAPPING", found=found.as_json())

    async def _swap(self, projection: Projection, rebuild: Rebuild) -> Rebuild:
        async with self._level(projection, rebuild) as (holding, _):
            await generations.go_live(holding, projection, _key(projection, rebuild).generation)
            return await step(holding, rebuild, state="DONE")

    @contextlib.asynccontextmanager
    async def _level(
        self, projection: Projection, rebuild: Rebuild
    ) -> AsyncIterator[tuple[Connection, Mark | None]]:
        """The new generation no less far than the live one, which is held meanwhile."""
        while True:
            live = await self._live(projection)
            await self._advance(projection, rebuild, live.position if live else await self._log.head())
            async with self._pool.connection() as holding, holding.transaction():
                live = await hold(holding, projection)
                ours = await mark_of(holding, projection, _key(projection, rebuild).generation)
                assert ours is not None
                if live is None or live.position - ours.position <= HOLD_EVENTS_MAX:
                    if live is not None:
                        await self._advance(projection, rebuild, live.position)
                    yield holding, live
                    return

    async def _advance(self, projection: Projection, rebuild: Rebuild, upto: int) -> None:
        """Project what follows in the log, up to a position and not further."""
        generation = _key(projection, rebuild).generation
        async with self._pool.connection() as connection:
            mark = await mark_of(connection, projection, generation)
            assert mark is not None
            while mark.position < upto:
                batch = await whole(self._feed, mark.position, projection.openings, self._known)
                if not (appends := batch.within(upto)):
                    break
                events, reached = batch.upto(appends)
                recorded = wanted(projection, events)
                async with connection.transaction():
                    await move(connection, projection, mark, reached)
                    if recorded:
                        await projection.project(connection, _table(projection, rebuild), recorded)
                mark = Mark(generation, reached)

    async def _live(self, projection: Projection) -> Mark | None:
        with contextlib.suppress(NotReady):
            async with self._pool.connection() as connection:
                return await checkpoint.mark(connection, projection)
        return None

    async def _give_up(
        self,
        projection: Projection,
        rebuild: Rebuild,
        state: str,
        because: str,
        found: Comparison | None = None,
    ) -> Rebuild:
        """Clear away what was built; a generation that was there before stays."""
        async with self._pool.connection() as connection, connection.transaction():
            if rebuild.generation is not None and rebuild.kind != "REVERT":
                await generations.empty_out(connection, _key(projection, rebuild))
            more = {"found": found.as_json()} if found else {}
            return await step(connection, rebuild, state=state, error=because, generation=None, **more)

    async def _failed(self, projection: Projection, error: Exception) -> Rebuild:
        because = f"{type(error).__name__}: {error}"
        if isinstance(error, Poison):
            because = f"{error.event} at position {error.position}: {error}"
        rebuild = await rebuilds.read(self._pool, projection)
        assert rebuild is not None
        return await self._give_up(projection, rebuild, "FAILED", because.replace("\0", "")[:ERROR_TEXT_MAX])

    async def _note(self, rebuild: Rebuild, **changes: object) -> Rebuild:
        async with self._pool.connection() as connection:
            return await step(connection, rebuild, **changes)


def _key(projection: Projection, rebuild: Rebuild) -> Key:
    assert rebuild.generation is not None
    return key(projection, rebuild.generation)


def _table(projection: Projection, rebuild: Rebuild) -> str:
    return _key(projection, rebuild).table


def _say(projection: Projection, found: Comparison) -> None:
    if found.equal:
        logger.info("rebuilt alike", projection=projection.wire_name, rows=found.built_rows)
    else:
        logger.warning("rebuilt otherwise", projection=projection.wire_name, rows=found.differing_rows)
