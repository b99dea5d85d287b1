"""What is asked for on the generations of a read model, and how far it has come: one row for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.refusal import Refused

from .projection import Connection, Pool, Projection, surfacing

ENDED = ("DONE", "FAILED", "CANCELED")
CHANNEL = "rebuilds"

COLUMNS = """projection, code, kind, state, generation, upto, after, done, total, rate, rate_max, asked,
    changed, found, error"""
ASK = f"""
INSERT INTO projections.rebuilds (projection, code, kind, generation, rate_max)
VALUES (%(projection)s, %(code)s, %(kind)s, %(generation)s, %(rate_max)s)
ON CONFLICT (projection, code) DO UPDATE SET kind = EXCLUDED.kind, state = 'ASKED',
    generation = EXCLUDED.generation, upto = 0, after = DEFAULT, done = 0, total = 0, rate = 0,
    rate_max = EXCLUDED.rate_max, asked = now(), changed = now(), found = '{{}}', error = ''
WHERE rebuilds.state IN ('DONE', 'FAILED', 'CANCELED')
RETURNING {COLUMNS}
"""
READ = f"SELECT {COLUMNS} FROM projections.rebuilds WHERE projection = %s AND code = %s"
ALL = f"SELECT {COLUMNS} FROM projections.rebuilds"
OPEN = f"""
SELECT {COLUMNS} FROM projections.rebuilds WHERE state NOT IN ('DONE', 'FAILED', 'CANCELED') ORDER BY asked
"""
CANCEL = f"""
UPDATE projections.rebuilds SET state = 'CANCELING', changed = now()
WHERE projection = %s AND code = %s AND state NOT IN ('DONE', 'FAILED', 'CANCELED', 'CANCELING')
RETURNING {COLUMNS}
"""
# Only whoever has gone on from `after` may go on, and nobody once it is to be canceled.
STEP = f"""
UPDATE projections.rebuilds SET {{changes}}, changed = now()
WHERE projection = %(projection)s AND code = %(code)s AND asked = %(asked)s AND after = %(since)s
    AND state = %(standing)s
RETURNING {COLUMNS}
"""
CHANGEABLE = ("state", "generation", "upto", "after", "done", "total", "rate", "found", "error")


class AlreadyRebuilding(Refused):
    reason = "REBUILD_RUNNING"
    because = "read model {projection} is being worked on already ({state}); wait for it, or cancel it"


class NotRebuilding(Refused):
    reason = "NO_REBUILD_RUNNING"
    because = "nothing is being done on read model {projection}"


class Superseded(Exception):
    """Somebody else goes on with this, or it is to be canceled; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A piece of work on a read model. `found` is what the comparison says."""

    projection: str
    code: int
    kind: str  # REBUILD, REVERT or CHECK
    state: str
    generation: int | None
    upto: int
    after: UUID
    done: int
    total: int
    rate: float
    rate_max: int
    asked: datetime
    changed: datetime
    found: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ENDED


async def ask(
    pool: Pool, projection: Projection, kind: str, *, generation: int | None = None, rate_max: int = 0
) -> Rebuild:
    """Ask for it, or raise AlreadyRebuilding."""
    asked = {
        "projection": projection.name,
        "code": projection.code,
        "kind": kind,
        "generation": generation,
        "rate_max": rate_max,
    }
    with surfacing():
        async with pool.connection() as connection:
            cursor = await connection.execute(ASK, asked)
            if (row := await cursor.fetchone()) is not None:
                return Rebuild(*row)
    running = await read(pool, projection)
    raise AlreadyRebuilding(projection=projection.wire_name, state=running.state.lower() if running else "")


async def read(pool: Pool, projection: Projection) -> Rebuild | None:
    with surfacing():
        async with pool.connection() as connection:
            cursor = await connection.execute(READ, (projection.name, projection.code))
            row = await cursor.fetchone()
    return Rebuild(*row) if row else None


async def all_(pool: Pool) -> Sequence[Rebuild]:
    """The newest of each read model, of every version."""
    with surfacing():
        async with pool.connection() as connection:
            cursor = await connection.execute(ALL)
            return [Rebuild(*row) for row in await cursor.fetchall()]


async def open_(pool: Pool) -> Sequence[Rebuild]:
    """What is to be done, what was asked first first."""
    with surfacing():
        async with pool.connection() as connection:
            cursor = await connection.execute(OPEN)
            return [Rebuild(*row) for row in await cursor.fetchall()]


async def cancel(pool: Pool, projection: Projection) -> Rebuild:
    """Ask whoever does it to stop and clear away; raises NotRebuilding."""
    with surfacing():
        async with pool.connection() as connection:
            cursor = await connection.execute(CANCEL, (projection.name, projection.code))
            row = await cursor.fetchone()
    if row is None:
        raise NotRebuilding(projection=projection.wire_name)
    return Rebuild(*row)


async def step(connection: Connection, rebuild: Rebuild, **changes: Any) -> Rebuild:
    """Write down how far it has come; raises Superseded where somebody else did, or it is to be canceled."""
    assert changes.keys() <= set(CHANGEABLE)
    if "found" in changes:
        changes["found"] = json.dumps(changes["found"])
    sql = STEP.format(changes=", ".join(f"{name} = %(to_{name})s" for name in changes))
    told = {f"to_{name}": value for name, value in changes.items()}
    told |= {"projection": rebuild.projection, "code": rebuild.code, "asked": rebuild.asked}
    told |= {"since": rebuild.after, "standing": rebuild.state}
    cursor = await connection.execute(sql.encode(), told)
    row = await cursor.fetchone()
    if row is None:
        raise Superseded(f"{rebuild.projection} is no longer at {rebuild.after}, or to be canceled")
    return Rebuild(*row)
