"""Where every generation of a read model stands; its position moves with the rows: it is the fence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import binary
from .exchange import Call
from .projection import SCHEMA, Connection, NotReady, Poison, Pool, Projection, surfacing

PREPARE_KEY = 7017848462464  # the advisory lock under which one process makes tables and the others wait
PREPARE_SECONDS_MAX = 60
CHANNEL = "projections"
ERROR_TEXT_MAX = 2000

BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS projections.checkpoints (
    projection text NOT NULL,
    code integer NOT NULL,
    generation integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    moved timestamptz NOT NULL DEFAULT now(),
    rate double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (projection, code, generation)
) WITH (fillfactor = 20);
ALTER TABLE projections.checkpoints ADD COLUMN IF NOT EXISTS rate double precision NOT NULL DEFAULT 0;

-- The generation that answers. Old and new code, side by side during a deployment, each have their own.
CREATE TABLE IF NOT EXISTS projections.live (
    projection text NOT NULL,
    code integer NOT NULL,
    generation integer NOT NULL,
    PRIMARY KEY (projection, code),
    FOREIGN KEY (projection, code, generation) REFERENCES projections.checkpoints
);

-- Events that a read model stands still at.
CREATE TABLE IF NOT EXISTS projections.troubles (
    projection text NOT NULL,
    code integer NOT NULL,
    generation integer NOT NULL,
    position bigint NOT NULL,
    event text NOT NULL,
    error text NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, code, generation)
);

-- Read models as they were at a position, beside the live ones, until they are dropped.
CREATE TABLE IF NOT EXISTS projections.editions (
    edition text NOT NULL,
    projection text NOT NULL,
    code integer NOT NULL,
    position bigint NOT NULL,
    instant timestamptz NOT NULL,
    ready boolean NOT NULL DEFAULT false,
    PRIMARY KEY (edition, projection, code)
);

-- The newest work on a generation of each read model: what is to be done, and how far it has come.
CREATE TABLE IF NOT EXISTS projections.rebuilds (
    projection text NOT NULL,
    code integer NOT NULL,
    kind text NOT NULL,
    state text NOT NULL DEFAULT 'ASKED',
    generation integer,
    upto bigint NOT NULL DEFAULT 0,
    after uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    rate double precision NOT NULL DEFAULT 0,
    rate_max bigint NOT NULL DEFAULT 0,
    asked timestamptz NOT NULL DEFAULT now(),
    changed timestamptz NOT NULL DEFAULT now(),
    found jsonb NOT NULL DEFAULT '{}',
    error text NOT NULL DEFAULT '',
    PRIMARY KEY (projection, code)
);

-- The generation that the views for people show.
CREATE TABLE IF NOT EXISTS projections.views (
    projection text PRIMARY KEY,
    code integer NOT NULL,
    generation integer NOT NULL,
    definition text NOT NULL
);
"""
MISSING = "SELECT NOT EXISTS (SELECT FROM projections.live WHERE projection = %s AND code = %s)"
LOG_IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM daybook.events)"
ASK = """
INSERT INTO projections.rebuilds (projection, code, kind) VALUES (%s, %s, 'REBUILD')
ON CONFLICT (projection, code) DO UPDATE SET kind = 'REBUILD', state = 'ASKED', generation = NULL,
    upto = 0, after = DEFAULT, done = 0, total = 0, rate_max = 0, asked = now(), found = '{}', error = ''
WHERE rebuilds.state IN ('DONE', 'FAILED', 'CANCELED')
"""
BEGIN_CHECKPOINT = "INSERT INTO projections.checkpoints (projection, code, generation) VALUES (%s, %s, %s)"
GO_LIVE = "INSERT INTO projections.live (projection, code, generation) VALUES (%s, %s, %s)"

MARK = """
SELECT checkpoint.generation, checkpoint.position, trouble.position IS NOT NULL
FROM projections.live
JOIN projections.checkpoints AS checkpoint USING (projection, code, generation)
LEFT JOIN projections.troubles AS trouble USING (projection, code, generation)
WHERE projection = %s AND code = %s
"""
# The commit does not wait for the disk: rows and checkpoint are lost together, and worked out again.
MOVE = f"""
UPDATE projections.checkpoints SET position = %(upto)s, moved = now(), rate = 0.7 * rate + 0.3 * (
    (%(upto)s - position) / greatest(extract(epoch FROM now() - moved)::double precision, 0.001)
)
WHERE projection = %(projection)s AND code = %(code)s AND generation = %(generation)s
    AND position = %(position)s
RETURNING pg_notify('{CHANNEL}', %(tidings)s), set_config('synchronous_commit', 'off', true), (
    SELECT live.generation FROM projections.live
    WHERE live.projection = %(projection)s AND live.code = %(code)s
)
"""
# The same for many at once. Whom somebody holds is left where it stands.
MOVE_ALL = b"""
WITH free AS (
    SELECT number, checkpoint.projection, checkpoint.code, checkpoint.generation
    FROM unnest($1::text[], $2::int4[], $3::int4[]) WITH ORDINALITY
        AS wanted (projection, code, generation, number)
    JOIN projections.checkpoints AS checkpoint USING (projection, code, generation)
    WHERE checkpoint.position = $4::int8
    FOR NO KEY UPDATE OF checkpoint SKIP LOCKED
)
UPDATE projections.checkpoints AS checkpoint
SET position = $5::int8, moved = now(), rate = 0.7 * rate + 0.3 * (
    ($5::int8 - position) / greatest(extract(epoch FROM now() - moved)::double precision, 0.001)
)
FROM free
WHERE (checkpoint.projection, checkpoint.code, checkpoint.generation)
    = (free.projection, free.code, free.generation)
RETURNING free.number, (
    SELECT live.generation FROM projections.live
    WHERE live.projection = checkpoint.projection AND live.code = checkpoint.code
)
"""
TELL = f"SELECT pg_notify('{CHANNEL}', convert_from($1::bytea, 'UTF8'))".encode()
SETTLE = "DELETE FROM projections.troubles WHERE projection = %s AND code = %s AND generation = %s"
RESUME = """
DELETE FROM projections.troubles AS trouble USING projections.live
WHERE (trouble.projection, trouble.code, trouble.generation) = (live.projection, live.code, live.generation)
    AND live.projection = %s AND live.code = %s
"""
STAND_STILL = """
INSERT INTO projections.troubles (projection, code, generation, position, event, error)
SELECT projection, code, generation, %(at)s, %(event)s, %(error)s FROM projections.checkpoints
WHERE projection = %(projection)s AND code = %(code)s AND generation = %(generation)s
    AND position = %(position)s
ON CONFLICT (projection, code, generation) DO UPDATE
SET position = EXCLUDED.position, event = EXCLUDED.event, error = EXCLUDED.error,
    attempts = troubles.attempts + 1
"""
STANDINGS = """
SELECT projection, code, generation,
    (projection, code, generation) IN (SELECT projection, code, generation FROM projections.live),
    checkpoint.position, checkpoint.moved, checkpoint.rate,
    trouble.position, trouble.event, trouble.error, trouble.attempts, trouble.since
FROM projections.checkpoints AS checkpoint
LEFT JOIN projections.troubles AS trouble USING (projection, code, generation)
ORDER BY projection, code, generation
"""


class Stale(Exception):
    """Somebody else has moved the checkpoint on; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A generation and how far it has come; `troubled` when it stands still."""

    generation: int
    position: int
    troubled: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """The event that a read model stands still at, and why."""

    position: int
    event: str
    error: str
    attempts: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """One generation of a read model as the database has it."""

    projection: str
    code: int
    generation: int
    live: bool
    position: int
    moved: datetime
    rate: float  # positions a second, of late
    trouble: Trouble | None


async def prepare(pool: Pool, projections: Iterable[Projection], *, built: bool = False) -> None:
    """Make what is missing, bookkeeping and first generations; any number of processes may do so at once.

    With `built`, a read model that is new to a log that holds something already is not answered from until
    its first generation has been built: that is asked for here, and done by whoever looks after rebuilds.
    """
    with surfacing():
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL client_min_messages = warning")
            await connection.execute(f"SET LOCAL lock_timeout = '{PREPARE_SECONDS_MAX}s'")
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (PREPARE_KEY,))
            await _make_schema(connection)
            await connection.execute(BOOKKEEPING)
            for projection in projections:
                await _make_live(connection, projection, built)


async def _make_schema(connection: Connection) -> None:
    """A role that may only use the schema must not even try to make it."""
    cursor = await connection.execute("SELECT to_regnamespace(%s) IS NULL", (SCHEMA,))
    if (await cursor.fetchone()) == (True,):
        await connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())


async def _make_live(connection: Connection, projection: Projection, built: bool) -> None:
    if not await _is(connection, MISSING, (projection.name, projection.code)):
        return
    if built and not await _is(connection, LOG_IS_EMPTY):
        await connection.execute(ASK, (projection.name, projection.code))
        return
    await create(connection, projection, 1)
    await connection.execute(projection.index.format(table=projection.table(1)).encode())
    await connection.execute(GO_LIVE, (projection.name, projection.code, 1))


async def _is(connection: Connection, question: str, parameters: Sequence[object] = ()) -> bool:
    cursor = await connection.execute(question.encode(), parameters)
    return (await cursor.fetchone()) == (True,)


async def create(connection: Connection, projection: Projection, generation: int) -> None:
    """The tables of a generation, without indexes, at the beginning of the log."""
    await connection.execute(projection.create.format(table=projection.table(generation)).encode())
    await connection.execute(BEGIN_CHECKPOINT, (projection.name, projection.code, generation))


async def mark(connection: Connection, projection: Projection) -> Mark:
    """Where the live generation stands."""
    cursor = await connection.execute(MARK, (projection.name, projection.code))
    row = await cursor.fetchone()
    if row is None:
        raise NotReady(projection.wire_name)
    return Mark(*row)


async def move(connection: Connection, projection: Projection, since: Mark, upto: int) -> int | None:
    """Move the checkpoint inside the transaction that writes the rows; it stays locked until the end.

    Answers which generation is live, and raises Stale where the checkpoint is not at `since`. The commit
    tells all who listen.
    """
    table = projection.table(since.generation)
    moved = await connection.execute(
        MOVE, {**_key(projection, since), "upto": upto, "tidings": f"{table} {upto}"}
    )
    row = await moved.fetchone()
    if row is None:
        raise Stale(f"{table} is no longer at {since.position}")
    if since.troubled:
        await connection.execute(SETTLE, (projection.name, projection.code, since.generation))
    live: int | None = row[2]
    return live


def moving(marks: Sequence[tuple[Projection, int]], since: int, upto: int) -> Call:
    """Move the checkpoints of these generations from one position to another; whose was not there stays."""
    projections, generations = zip(*marks, strict=True)
    keys = (
        binary.array_of("text", [each.name for each in projections]),
        binary.array_of("int4", [each.code for each in projections]),
        binary.array_of("int4", generations),
    )
    return Call(MOVE_ALL, (*keys, binary.long(since), binary.long(upto)))


def moved(
    answer: Iterable[tuple[int, int | None]], marks: Sequence[tuple[Projection, int]]
) -> Mapping[str, int | None]:
    """The tables of those that have moved, and which generation of each is live."""
    named = [projection.table(generation) for projection, generation in marks]
    return {named[number - 1]: live for number, live in answer}


def tidings(tables: Iterable[str], position: int) -> Call:
    """Tell all who listen; the commit does."""
    return Call(TELL, (" ".join((*tables, str(position))).encode(),))


async def stand_still(connection: Connection, projection: Projection, since: Mark, poison: Poison) -> None:
    """Write down the event that cannot be projected; without effect where the mark is stale."""
    error = str(poison).replace("\0", "")[:ERROR_TEXT_MAX]
    told = {**_key(projection, since), "at": poison.position, "event": poison.event, "error": error}
    await connection.execute(STAND_STILL, told)


async def resume(pool: Pool, projection: Projection) -> None:
    """Forget the trouble of the live generation: its runner tries the event again."""
    with surfacing():
        async with pool.connection() as connection:
            await connection.execute(RESUME, (projection.name, projection.code))


async def ready(pool: Pool, projections: Iterable[Projection]) -> Mapping[str, bool]:
    """Which read models can answer, and of those which do not stand still: true."""
    found = {(each.projection, each.code): each for each in await standings(pool) if each.live}
    known = [(each.wire_name, found.get((each.name, each.code))) for each in projections]
    return {name: standing.trouble is None for name, standing in known if standing}


async def standings(pool: Pool) -> Sequence[Standing]:
    """Every generation of every read model, and what troubles it."""
    with surfacing():
        async with pool.connection() as connection:
            cursor = await connection.execute(STANDINGS)
            rows = await cursor.fetchall()
    return [_standing(*row) for row in rows]


def _standing(*row: Any) -> Standing:
    projection, code, generation, live, position, moved, rate, *trouble = row
    known = Trouble(*trouble) if trouble[0] is not None else None
    return Standing(projection, code, generation, live, position, moved, rate, known)


def _key(projection: Projection, since: Mark) -> dict[str, object]:
    return {
        "projection": projection.name,
        "code": projection.code,
        "generation": since.generation,
        "position": since.position,
    }
