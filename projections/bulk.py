"""Reads the log in bulk, stream by stream, and fills the tables of a read model from nothing.

Streams come in the order of their ids, one slice of them at a time, each with its whole history up to a
position: a projection then needs to look nothing up, and memory is bounded whatever the log's size.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import TypeVar
from uuid import UUID

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.sql import Literal

from store.log import Recorded

from .feed import Decode, Fed, Whole, wanted
from .projection import Connection, Packed, Poison, Projection, write

SLICE_EVENTS = 100_000  # of the log in one COPY
BATCH_EVENTS = 10_000  # written at once; more only where one append has more
BATCH_EVENTS_LEAST = 500
BATCHES_A_SECOND = 20  # where the rate is capped
CHUNK_ROWS = 500  # taken at once while they come
ANSWER_SECONDS_MAX = 60.0  # until the database says the next word
START = UUID(int=0)
END = UUID(int=2**128 - 1)
SETTINGS = """
SET enable_sort = on; SET enable_hashjoin = off; SET enable_nestloop = off; SET enable_seqscan = off;
SET enable_bitmapscan = off; SET jit = off; SET max_parallel_workers_per_gather = 0;
SET cursor_tuple_fraction = 1
"""
WRITER_SETTINGS = "SET synchronous_commit = off; SET maintenance_work_mem = '64MB'"

BOUNDARY = """
SELECT originator_id FROM daybook.events WHERE originator_id > %s
ORDER BY originator_id, originator_version OFFSET %s LIMIT 1
"""
# The state stands last: it is what is left of the row. Of an event that nobody wants only its place is read.
EVENTS = """
COPY (
    SELECT originator_id, originator_version, notification_id, topic,
        CASE WHEN {wanted} THEN text.body END, CASE WHEN {wanted} THEN state ELSE '' END
    FROM daybook.events
    LEFT JOIN (
        SELECT stream, version, body FROM daybook.personal WHERE stream > '{after}' AND stream <= '{last}'
    ) AS text ON text.stream = originator_id AND text.version = originator_version
    WHERE originator_id > '{after}' AND originator_id <= '{last}' AND notification_id <= {upto}
    ORDER BY originator_id, originator_version
) TO STDOUT (FORMAT BINARY)
"""

_head = Struct(">6x16s4xq4xqi").unpack_from  # stream, version, position, and the length of the name
_length = Struct(">i").unpack_from
HEAD_BYTES, LENGTH_BYTES = 50, 4
SIGNATURE_BYTES = 19
TRAILER_BYTES = 2

T = TypeVar("T")
Done = Callable[[Connection, UUID, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Source:
    """The log as a rebuild reads it: up to a position, by a program that knows some events."""

    dsn: str
    decode: Decode
    known: Collection[str]
    upto: int


async def fill(
    connection: Connection,
    source: Source,
    projection: Projection,
    table: str,
    done: Done,
    *,
    after: UUID = START,
    rate_max: int = 0,
) -> None:
    """Write the rows of every stream after one into tables that exist and hold none of them yet.

    Each transaction holds the rows of whole streams, and ends with `done(connection, stream, events)`, inside
    of it: what it writes down there is where to go on `after` an interruption. At most `rate_max` events a
    second; 0: as many as go. Raises Poison at an event that cannot be projected, or that is newer than the
    program.
    """
    batch = BATCH_EVENTS
    if rate_max:
        batch = min(batch, max(BATCH_EVENTS_LEAST, rate_max // BATCHES_A_SECOND))
    pace = Pace(rate_max)
    reading = contextlib.aclosing(ahead(parts(source, projection, after, batch)))
    async with reading as following, contextlib.AsyncExitStack() as open_:
        count = 0
        async for part in following:
            if not count:
                await open_.enter_async_context(connection.transaction())
            count += part.count
            await write(connection, table, part.blocks)
            if part.events:
                await projection.project(connection, table, part.events)
            if part.whole:
                await done(connection, part.stream, count)
                await open_.aclose()
                await pace.keep(count)
                count = 0


@dataclass(slots=True)
class Pace:
    """Not more than so many a second; 0: no limit."""

    rate_max: int
    _next: float = 0.0

    async def keep(self, count: int) -> None:
        if self.rate_max:
            now = asyncio.get_running_loop().time()
            self._next = max(self._next, now) + count / self.rate_max
            await asyncio.sleep(self._next - now)


async def ahead(items: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The same, but the next one is under way while one is used."""
    async with contextlib.aclosing(items):
        coming = asyncio.ensure_future(anext(items, None))
        try:
            while (item := await coming) is not None:
                coming = asyncio.ensure_future(anext(items, None))
                yield item
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be written at once: rows that are made already, and events that are to be projected.

    `count` is how many were read for it, with those that nobody wants; `whole` where its last stream is at
    its end.
    """

    stream: UUID
    blocks: Sequence[Packed]
    events: Sequence[Recorded]
    count: int
    whole: bool


async def parts(source: Source, projection: Projection, after: UUID, batch: int) -> AsyncGenerator[Part]:
    """All histories after a stream. A very long one is cut between two appends."""
    stream, blocks, events, count = after, list[Packed](), list[Fed](), 0
    async with contextlib.aclosing(histories(source, projection.topics, after)) as found:
        async for those, whole in found:
            stream = those[-1][-1].stream
            count += sum(map(len, those))
            blocks += _begun(projection, those if whole else ())
            events += _others(projection, those, whole)
            if whole and count < batch:
                continue
            end = len(events) if whole else _last_end(Whole(events, projection.openings, source.known))
            if end or blocks:
                yield Part(stream, blocks, wanted(projection, events[:end]), count, whole)
                blocks, events, count = [], events[end:], 0
    if count:
        yield Part(stream, blocks, wanted(projection, events), count, whole=True)


def _begun(projection: Projection, those: Sequence[Sequence[Fed]]) -> Sequence[Packed]:
    """The rows of whole histories, where the projection makes them so."""
    if projection.begin is None:
        return ()
    new = [events for each in those if each[0].version == 1 and (events := wanted(projection, each))]
    return [block.packed() for block in projection.begin(new)] if new else ()


def _others(projection: Projection, those: Sequence[Sequence[Fed]], whole: bool) -> Sequence[Fed]:
    """The events of all others; of a long history each piece but the first has begun before."""
    alone = whole and projection.begin is not None
    return [event for each in those if not alone or each[0].version > 1 for event in each]


def _last_end(whole: Whole) -> int:
    return whole.ends[-1] if whole.ends else 0


Histories = tuple[list[list[Fed]], bool]


async def histories(source: Source, topics: Collection[str], after: UUID) -> AsyncGenerator[Histories]:
    """Every stream with its events, in the order of their ids, some at a time; of a very long one a piece.

    A piece is told by False, unless it is the last one.
    """
    async with _connected(source.dsn) as reading, _connected(source.dsn) as looking:
        last = await _boundary(looking, after)
        while after < END:
            following = asyncio.ensure_future(_boundary(looking, last))
            async with contextlib.aclosing(_slice(reading, source, topics, after, last)) as found:
                async for those in found:
                    yield those
            after, last = last, await following


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    """A connection that is closed whatever it is in the middle of."""
    connection: Connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    try:
        await connection.execute(SETTINGS.encode())
        yield connection
    finally:
        await connection.close()


async def _boundary(connection: Connection, after: UUID) -> UUID:
    """The last stream of the slice."""
    cursor = await connection.execute(BOUNDARY, (after, SLICE_EVENTS))
    row = await cursor.fetchone()
    return row[0] if row else END


async def _slice(
    reading: Connection, source: Source, topics: Collection[str], after: UUID, last: UUID
) -> AsyncGenerator[Histories]:
    of_topics = f"topic IN ({', '.join(Literal(topic).as_string() for topic in sorted(topics))})"
    sql = EVENTS.format(wanted=of_topics, after=after, last=last, upto=source.upto)
    names = {name.encode(): name for name in source.known}
    history = list[Fed]()  # of the stream whose end has not come yet
    async with contextlib.aclosing(_copied(reading, sql)) as chunks:
        async for chunk in chunks:
            *found, history = _read(chunk, names, source.decode, history)
            if found:
                yield found, True
            if len(history) > BATCH_EVENTS:
                *piece, newest = history
                history = [newest]
                yield [piece], False
    if history:
        yield [history], True


def _read(
    chunk: Chunk, names: Mapping[bytes, str], decode: Decode, history: list[Fed]
) -> Sequence[list[Fed]]:
    """The histories of a chunk; that of its last stream may go on in the next, as the given one does here."""
    found = list[list[Fed]]()
    stream, last = (history[0].stream, history[0].stream.bytes) if history else (START, b"")
    for row in chunk:
        of, version, position, size = _head(row)
        at = HEAD_BYTES + size
        if (name := names.get(row[HEAD_BYTES:at])) is None:
            unknown = row[HEAD_BYTES:at].decode()
            raise Poison(position, unknown, f"{unknown} is newer than this program")
        [size] = _length(row, at)
        start = at + LENGTH_BYTES
        end = start + size if size > 0 else start
        if of != last:
            if history:
                found.append(history)
            stream, last, history = UUID(bytes=of), of, []
        text, state = row[start:end] if size >= 0 else None, row[end + LENGTH_BYTES :]
        history.append(Fed(position, stream, version, name, state, text, decode))
    found.append(history)
    return found


Chunk = list[bytes]


async def _copied(connection: Connection, sql: str) -> AsyncGenerator[Chunk]:
    """The rows of a COPY in binary, as many at a time as have come."""
    pg = connection.pgconn
    pg.send_query(sql.encode())
    await _readable(pg)
    begun = pg.get_result()
    if begun is None or begun.status != ExecStatus.COPY_OUT:
        raise psycopg.DatabaseError((pg.error_message or b"").decode(errors="replace"))
    skipped, chunk, before = SIGNATURE_BYTES, Chunk(), 0
    while (got := pg.get_copy_data(1))[0] >= 0:
        if got[0]:
            row, skipped = bytes(got[1][skipped:]), 0
            if len(row) > TRAILER_BYTES:
                chunk.append(row)
        elif len(chunk) > before:
            before = len(chunk)
            pg.consume_input()  # takes little at a time: there may be more
            continue
        if len(chunk) >= CHUNK_ROWS or not got[0]:
            if chunk:
                yield chunk
            chunk, before = Chunk(), 0
            await (asyncio.sleep(0) if got[0] else _readable(pg))
    if chunk:
        yield chunk
    ended = pg.get_result()
    if ended is None or ended.status != ExecStatus.COMMAND_OK:
        raise psycopg.OperationalError((pg.error_message or b"").decode(errors="replace"))
    while pg.get_result() is not None:
        pass


async def _readable(pg: PGconn) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(pg.socket, _wake, ready)
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await ready
    finally:
        loop.remove_reader(pg.socket)
    pg.consume_input()


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
