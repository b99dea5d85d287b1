"""PostgresLog: the log in PostgreSQL, appended to in turns by one writer per process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from psycopg import sql

from .batch import encoded, encoded_each
from .bell import Bell
from .codec import Codec
from .durability import check_promises
from .group_commit import GroupCommit, Limits
from .instants import position_at
from .listener import HEAD, listen
from .log import (
    Append,
    Appended,
    History,
    LogIdentity,
    Meta,
    Recorded,
    Series,
    Stored,
    Unavailable,
    Write,
)
from .memory import Clock, now
from .migrate import check
from .reader import READ_SECONDS_MAX, Readers, reading
from .session import INT8, UUID_, UUIDS, Call, Session, Statement, int8, uuids
from .statements import BEGIN, ROLLBACK
from .writer import Writer

READERS_MAX = 4
CLOCK_DIFFERENCE_MAX = timedelta(seconds=1)
LAST = 2**63 - 1  # no version and no position is higher

IDENTITY = Statement("identity", "SELECT log_id, epoch FROM daybook.identity")
DATABASE_CLOCK = Statement("clock", "SELECT clock_timestamp()")
LAST_RECORDED = Statement(
    "last_recorded",
    """
    SELECT (convert_from(state, 'UTF8')::json -> 'meta' ->> 'recorded')::timestamptz
    FROM daybook.events ORDER BY notification_id DESC LIMIT 1
    """,
)
READ_ONLY = Statement("read_only", "SELECT current_setting('transaction_read_only')::boolean")
TRY = Statement(
    "try",
    """
    INSERT INTO daybook.events (originator_id, originator_version, topic, state)
    VALUES (gen_random_uuid(), 1, 'never written', repeat(' ', 2000)::bytea)
    """,
)
READ = Statement(
    "read",
    """
    SELECT event.notification_id, event.originator_version, event.topic, event.state, personal.body
    FROM daybook.events AS event
    LEFT JOIN daybook.personal AS personal
        ON personal.stream = event.originator_id AND personal.version = event.originator_version
    WHERE event.originator_id = $1 AND event.originator_version > $2 AND event.originator_version <= $3
        AND event.notification_id <= $4
    ORDER BY event.originator_version
    """,
    [UUID_, INT8, INT8, INT8],
)
READ_MANY = Statement(
    "read_many",
    """
    SELECT wanted.number, event.notification_id, event.originator_version, event.topic, event.state,
        personal.body
    FROM unnest($1) WITH ORDINALITY AS wanted (stream, number)
    JOIN daybook.events AS event ON event.originator_id = wanted.stream
    LEFT JOIN daybook.personal AS personal
        ON personal.stream = event.originator_id AND personal.version = event.originator_version
    ORDER BY wanted.number, event.originator_version
    """,
    [UUIDS],
)
FEED = """
    SELECT event.notification_id, event.originator_id, event.originator_version, event.topic, event.state,
        personal.body
    FROM daybook.events AS event
    LEFT JOIN daybook.personal AS personal
        ON personal.stream = event.originator_id AND personal.version = event.originator_version
    WHERE event.notification_id > $1 {of_topics}
    ORDER BY event.notification_id
    LIMIT $2
"""


class ClockDiffers(Exception):
    """This machine's clock and the database's are too far apart to say when something was recorded."""


class PostgresLog:
    """The log of one database. Open it with `open_log`, and close it."""

    def __init__(
        self, dsn: str, *, codec: Codec, identity: LogIdentity, writer: Writer, bell: Bell, limits: Limits
    ) -> None:
        self.identity = identity
        self._codec = codec
        self._writer = writer
        self._bell = bell
        self._commits = GroupCommit(writer.commit, limits)
        writer.when_away = self._commits.turn_away
        self._dsn = dsn
        self._in_trouble = False
        self._readers = Readers(dsn, READERS_MAX)
        self._listener = asyncio.create_task(listen(dsn, bell), name="listener")

    async def __aenter__(self) -> PostgresLog:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def append(
        self,
        writes: Sequence[Write],
        meta: Meta,
        *,
        deadline: float | None = None,
        caller: str = "",
        series: Series | None = None,
    ) -> Appended:
        append = Append(writes, meta, series)
        return await self._commits.submit(await encoded(self._codec, append), deadline, caller)

    async def append_each(
        self, appends: Sequence[Append], *, deadline: float | None = None, caller: str = ""
    ) -> Sequence[Appended | Exception]:
        requests = await encoded_each(self._codec, appends)
        return await self._commits.submit_each(requests, deadline, caller)

    async def read(
        self,
        stream: UUID,
        *,
        after: int = 0,
        upto: int | None = None,
        position: int | None = None,
        deadline: float | None = None,
    ) -> History:
        bounds = (after, LAST if upto is None else upto, LAST if position is None else position)
        rows = await self._readers.ask(Call(READ, (stream.bytes, *map(int8, bounds))), deadline)
        decode = self._codec.decode
        return History(stream, [decode(Stored(position, stream, *row)) for position, *row in rows])

    async def read_many(
        self, streams: Iterable[UUID], *, deadline: float | None = None
    ) -> Mapping[UUID, History]:
        wanted = list(dict.fromkeys(streams))
        recorded: list[list[Recorded]] = [[] for _ in wanted]
        decode = self._codec.decode
        rows = await self._readers.ask(Call(READ_MANY, (uuids(wanted),)), deadline)
        for number, position, version, topic, state, text in rows:
            stored = Stored(position, wanted[number - 1], version, topic, state, text)
            recorded[number - 1].append(decode(stored))
        return {stream: History(stream, events) for stream, events in zip(wanted, recorded, strict=True)}

    async def feed(self, after: int, limit: int, *, topics: Sequence[str] | None = None) -> Sequence[Stored]:
        rows = await self._readers.ask(Call(_feed(topics), (int8(after), int8(limit))))
        return [Stored(*row) for row in rows]

    async def head(self) -> int:
        [(position,)] = await self._readers.ask(Call(HEAD))
        return int(position)

    async def position_at(self, instant: datetime, *, deadline: float | None = None) -> int:
        return await position_at(partial(self._readers.ask, deadline=deadline), instant)

    async def check(self, seconds: float) -> None:
        """Raise Unavailable unless the log can be read and, as far as is known, written."""
        [(read_only,)] = await self._readers.ask(Call(READ_ONLY), asyncio.get_running_loop().time() + seconds)
        if read_only:
            raise Unavailable("the store is read-only")
        if self._writer.refused_by_store:
            self._writer.refused_by_store, self._in_trouble = False, True
            raise Unavailable("the store has refused a write")
        if self._in_trouble:
            async with reading(self._dsn) as session:
                await session.exchange(Call(BEGIN), Call(TRY), Call(ROLLBACK), seconds=seconds)
            self._in_trouble = False

    async def wait(self, after: int, timeout: float) -> None:  # noqa: ASYNC109
        await self._bell.wait(after, timeout)

    async def close(self) -> None:
        await self._commits.close()
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener
        self._readers.close()
        self._writer.close()


async def open_log(
    dsn: str,
    codec: Codec,
    *,
    clock: Clock = now,
    limits: Limits | None = None,
    turns: bool = True,
) -> PostgresLog:
    """Open the log of a migrated database; raises WrongVersion, NotDurable, ClockDiffers or Unavailable."""
    async with reading(dsn) as session:
        await check(session)
        await check_promises(session)
        await _compare_clocks(session, clock)
        seen = datetime.min.replace(tzinfo=UTC)
        [[identity], last] = await session.exchange(
            Call(IDENTITY), Call(LAST_RECORDED), seconds=READ_SECONDS_MAX
        )
        for (recorded,) in last:
            seen = recorded
    bell = Bell()
    writer = Writer(dsn, codec, clock=clock, bell=bell, seen=seen, turns=turns)
    return PostgresLog(
        dsn,
        codec=codec,
        identity=LogIdentity(*identity),
        writer=writer,
        bell=bell,
        limits=limits or Limits(),
    )


async def _compare_clocks(session: Session, clock: Clock) -> None:
    before = clock()
    [[(theirs,)]] = await session.exchange(Call(DATABASE_CLOCK), seconds=READ_SECONDS_MAX)
    after = clock()
    if theirs < before - CLOCK_DIFFERENCE_MAX or theirs > after + CLOCK_DIFFERENCE_MAX:
        raise ClockDiffers(f"here it is {after.isoformat()}, in the database {theirs.isoformat()}")


def _feed(topics: Sequence[str] | None) -> Statement:
    """The names stand in the statement: only so can PostgreSQL see that an index over some of them fits."""
    if topics is None:
        return Statement("feed", FEED.format(of_topics=""), [INT8, INT8])
    names = ", ".join(sql.Literal(topic).as_string() for topic in sorted(set(topics)))
    mark = hashlib.sha256(names.encode()).hexdigest()[:16]
    statement = FEED.format(of_topics=f"AND event.topic IN ({names})")
    return Statement(f"feed_{mark}", statement, [INT8, INT8])
