"""What PostgreSQL must promise before anything is acknowledged: what it has said is done stays done.

With synchronous standbys that is more than can be seen: a commit whose wait for them was broken off, or cut
short by a crash, can be read before they have it.
"""

from __future__ import annotations

from .session import Call, Lost, Session, Statement

ANSWER_SECONDS_MAX = 5.0

KEPT = {"fsync": ("on",), "full_page_writes": ("on",), "synchronous_commit": ("on", "remote_apply")}
PROMISES = Statement("promises", "SELECT " + ", ".join(f"current_setting('{name}')" for name in KEPT))
STANDBYS = Statement("standbys", "SELECT current_setting('synchronous_standby_names') <> ''")
BARRIER = Statement("barrier", "SELECT pg_logical_emit_message(true, 'daybook', 'barrier')::text")


class NotDurable(Exception):
    """The database may forget what it has acknowledged; the text says why and what helps."""


async def check_promises(session: Session) -> None:
    """Raise NotDurable unless a commit on this session is on disk when it is answered."""
    [[said]] = await session.exchange(Call(PROMISES), seconds=ANSWER_SECONDS_MAX)
    for (name, kept), value in zip(KEPT.items(), said, strict=True):
        if value not in kept:
            raise NotDurable(
                f"{name} is {value} in this database: what is acknowledged could be lost; "
                f"set it to {kept[0]} for the server, this database and this role"
            )


async def pass_barrier(session: Session, seconds: float = ANSWER_SECONDS_MAX) -> None:
    """With synchronous standbys, wait until they have all that this session has seen."""
    [[(standbys,)]] = await session.exchange(Call(STANDBYS), seconds=seconds)
    if standbys:
        await wait_for_standbys(session, seconds)


async def wait_for_standbys(session: Session, seconds: float) -> None:
    await session.exchange(Call(BARRIER), seconds=seconds)
    if session.warnings:
        raise Lost(f"warned at the barrier: {session.warnings}")
