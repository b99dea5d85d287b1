"""Reads the log in bulk, stream by stream, and fills the tables of a read model from nothing.

Streams come in the order of their ids, one slice of them at a time, each with its whole history up to a
position: a projection then needs to look nothing up, and memory is bounded whatever the log's size.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from uuid import UUID

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from .feed import Decode, Fed, Whole, wanted
from .projection import Connection, Poison, Projection

SLICE_EVENTS = 50_000  # of the log in one COPY
BATCH_EVENTS = 10_000  # folded and written at once; more only where one append has more
BATCH_EVENTS_LEAST = 500
BATCHES_A_SECOND = 20  # where the rate is capped
GATHER_SECONDS = 0.0005  # so that more than a few rows come at a time
ANSWER_SECONDS_MAX = 60.0  # until the database says the next word
PART_EVENTS = 1_000  # of one stream in one row of the COPY
START = UUID(int=0)
SETTINGS = """
SET enable_sort = on; SET enable_hashagg = off; SET enable_seqscan = off; SET enable_bitmapscan = off;
SET jit = off; SET max_parallel_workers_per_gather = 0; SET cursor_tuple_fraction = 1
"""
WRITER_SETTINGS = "SET synchronous_commit = off; SET maintenance_work_mem = '64MB'"

BOUNDARY = """
SELECT originator_id FROM daybook.events WHERE originator_id > %s
ORDER BY originator_id, originator_version OFFSET %s LIMIT 1
"""
EVENTS = """
COPY (
    SELECT originator_id, min(originator_version),
        string_agg(topic, ','), array_agg(notification_id), array_agg(state)
    FROM (
        SELECT * FROM daybook.events
        WHERE originator_id > '{after}' AND originator_id <= '{last}' AND notification_id <= {upto}
        ORDER BY originator_id, originator_version
    ) AS event
    GROUP BY originator_id, (originator_version - 1) / {part}
    ORDER BY originator_id, (originator_version - 1) / {part}
) TO STDOUT (FORMAT BINARY)
"""
TEXTS = """
COPY (
    SELECT stream, array_agg(version), array_agg(body) FROM (
        SELECT * FROM daybook.personal WHERE stream > '{after}' AND stream <= '{last}' ORDER BY stream
    ) AS text
    GROUP BY stream
) TO STDOUT (FORMAT BINARY)
"""
END = UUID(int=2**128 - 1)

_stream = Struct(">h4x16s").unpack_from
_version_and_length = Struct(">4xqi").unpack_from
_length = Struct(">i").unpack_from
STREAM_BYTES, HEAD_BYTES, POSITION_BYTES = 22, 38, 12
ARRAY_BYTES = 24  # length of the field, dimensions, flags, type, and of the one dimension length and bound
SIGNATURE_BYTES = 19
TRAILER_BYTES = 2

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
    reading = contextlib.aclosing(parts(source, projection, after, batch))
    async with reading as following, contextlib.AsyncExitStack() as open_:
        count = 0
        async for part in following:
            if not count:
                await open_.enter_async_context(connection.transaction())
            count += part.count
            if events := wanted(projection, part.events):
                await projection.project(connection, table, events)
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


@dataclass(frozen=True, slots=True)
class Part:
    """Events of some streams that are projected at once; `whole` where the last of them is at its end.

    `count` is how many were read for it, with those that nobody wants.
    """

    stream: UUID
    events: Sequence[Fed]
    count: int
    whole: bool


async def parts(source: Source, projection: Projection, after: UUID, batch: int) -> AsyncGenerator[Part]:
    """All histories after a stream. A very long one is cut between two appends."""
    stream, events, count = after, list[Fed](), 0
    async with contextlib.aclosing(histories(source, after)) as found:
        async for stream, history, whole in found:
            count += len(history)
            events += history
            if whole and count < batch:
                continue
            end = len(events) if whole else _last_end(Whole(events, projection, source.known))
            if end:
                yield Part(stream, events[:end], count, whole)
                events, count = events[end:], 0
    if count:
        yield Part(stream, events, count, whole=True)


def _last_end(whole: Whole) -> int:
    return whole.ends[-1] if whole.ends else 0


async def histories(source: Source, after: UUID) -> AsyncGenerator[tuple[UUID, list[Fed], bool]]:
    """Every stream with its events, in the order of their ids; of a very long one a piece at a time."""
    async with _connected(source.dsn) as reading, _connected(source.dsn) as texts:
        while after < END:
            last = await _boundary(reading, after)
            async with contextlib.aclosing(_slice(reading, texts, source, after, last)) as found:
                async for history in found:
                    yield history
            after = last


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
    reading: Connection, texts: Connection, source: Source, after: UUID, last: UUID
) -> AsyncGenerator[tuple[UUID, list[Fed], bool]]:
    told = {"after": after, "last": last, "upto": source.upto, "part": PART_EVENTS}
    async with contextlib.aclosing(_copied(reading, EVENTS.format(**told))) as chunks:
        chunk = await anext(chunks)  # the database reads on while we look at the texts
        personal = await _texts(texts, TEXTS.format(**told))
        stream, id_, history = START, START.bytes, list[Fed]()
        while chunk is not NOTHING:
            for row in chunk:
                _, found = _stream(row)
                if found != id_:
                    if history:
                        yield stream, history, True
                    id_, stream, history = found, UUID(bytes=found), []
                elif len(history) >= BATCH_EVENTS:
                    yield stream, history, False
                    history = []
                _read(history, row, stream, source, personal.get(found, NO_TEXTS))
            chunk = await anext(chunks, NOTHING)
        if history:
            yield stream, history, True


Chunk = list[bytes]
NO_TEXTS: Mapping[int, bytes] = {}
NOTHING: Chunk = []


async def _copied(connection: Connection, sql: str) -> AsyncGenerator[Chunk]:
    """The rows of a COPY in binary, as many at a time as have come; first none."""
    pg = connection.pgconn
    pg.send_query(sql.encode())
    yield []
    await _readable(pg)
    begun = pg.get_result()
    if begun is None or begun.status != ExecStatus.COPY_OUT:
        raise psycopg.DatabaseError((pg.error_message or b"").decode(errors="replace"))
    skipped = SIGNATURE_BYTES
    while True:
        chunk: Chunk = []
        while (got := pg.get_copy_data(1))[0] > 0:
            row, skipped = bytes(got[1][skipped:]), 0
            if len(row) > TRAILER_BYTES:
                chunk.append(row)
        yield chunk
        if got[0] < 0:
            break
        await asyncio.sleep(GATHER_SECONDS)
        if chunk:
            pg.consume_input()
        else:
            await _readable(pg)
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


async def _texts(connection: Connection, sql: str) -> dict[bytes, dict[int, bytes]]:
    """The personal texts of a slice, by stream and version."""
    found: dict[bytes, dict[int, bytes]] = {}
    async for chunk in _copied(connection, sql):
        for row in chunk:
            _, stream = _stream(row)
            versions, at = _array(row, STREAM_BYTES)
            bodies, _ = _array(row, at)
            found[stream] = {
                int.from_bytes(version, "big"): body for version, body in zip(versions, bodies, strict=True)
            }
    return found


def _read(history: list[Fed], row: bytes, stream: UUID, source: Source, texts: Mapping[int, bytes]) -> None:
    version, length = _version_and_length(row, STREAM_BYTES)
    at = HEAD_BYTES + length
    names = row[HEAD_BYTES:at].decode().split(",")
    positions = _positions(len(names)).unpack_from(row, at + ARRAY_BYTES)
    states, _ = _array(row, at + ARRAY_BYTES + POSITION_BYTES * len(names))
    text, decode, known = texts.get, source.decode, source.known
    for position, name, state in zip(positions, names, states, strict=True):
        if name not in known:
            raise Poison(position, name, f"{name} is newer than this program")
        history.append(Fed(position, stream, version, name, state, text(version), decode))
        version += 1


@lru_cache(maxsize=PART_EVENTS)
def _positions(count: int) -> Struct:
    """The elements of an array of so many, each after its length."""
    return Struct(">" + "4xq" * count)


def _array(row: bytes, at: int) -> tuple[list[bytes], int]:
    [count] = _length(row, at + 16)
    at += ARRAY_BYTES
    items = []
    for _ in range(count):
        [length] = _length(row, at)
        start = at + 4
        at = start + length
        items.append(row[start:at])
    return items, at
