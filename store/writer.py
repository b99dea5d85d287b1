"""The writer: batches go into the log in turns, and after any doubt it looks before it writes again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

from .batch import BEGINNING, Head, Request, Settlement, prepare, settle
from .bell import Bell
from .codec import Codec
from .durability import NotDurable, check_promises, pass_barrier
from .log import Conflict, OutcomeUnknown, Unavailable
from .memory import Clock
from .session import SESSION, Call, Lost, Refused, Session, int8s, uuids
from .statements import (
    APPEND,
    BEGIN,
    COMMIT,
    HEADS,
    KEEP_APART,
    NO_TURN,
    NOTIFY,
    READ_BACK,
    ROLLBACK,
    TURN,
    heads_of,
    inserts,
)

logger = logging.getLogger(__name__)

TURN_SECONDS_MAX = 2.0  # how long PostgreSQL waits for the turn before we look who is still there
TURN_ANSWER_SECONDS_MAX = 5.0
COMMIT_SECONDS_MAX = 15.0
AWAY_SECONDS_MAX = 3.0
DOUBT_SECONDS_MAX = 20.0
PAUSE_SECONDS = 0.1

LOCK_NOT_AVAILABLE = "55P03"
UNIQUE_VIOLATION = "23505"
OF_THE_STORE = ("25006", "53", "57", "58", "XX")  # read-only, out of space, damaged: no row is to blame

WRITER_SESSION = f"""
    {SESSION}
    SET lock_timeout = '{TURN_SECONDS_MAX}s';
    SET idle_in_transaction_session_timeout = '{TURN_ANSWER_SECONDS_MAX * 2}s';
    SET default_transaction_isolation = 'read committed';
"""


class Writer:
    """The one task of a process that writes. `turns` is taken out only to prove that a test would notice."""

    def __init__(
        self, dsn: str, codec: Codec, *, clock: Clock, bell: Bell, seen: datetime, turns: bool = True
    ) -> None:
        self._dsn = dsn
        self._prepare = partial(prepare, codec)
        self._clock = clock
        self._bell = bell
        self._seen = seen
        self._turn = TURN if turns else NO_TURN
        self._open: Session | None = None
        self.when_away: Callable[[Unavailable], None] = lambda _: None
        self.refused_by_store = False  # a write was: perhaps nothing can be written now

    async def commit(self, batch: Sequence[Request]) -> Sequence[Request]:
        """Write a batch and answer its requests; return those that must wait for the next."""
        return await self._commit(batch, time.monotonic() + AWAY_SECONDS_MAX)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    async def _commit(self, batch: Sequence[Request], patience: float) -> Sequence[Request]:
        while requests := _there(batch):
            try:
                return await self._write(await self._session(), requests)
            except Refused as refused:
                if refused.sqlstate == LOCK_NOT_AVAILABLE:
                    await self._undo()
                    _forget_sending(requests)
                    continue
                logger.warning("a batch of %d was refused: %s", len(requests), refused)
                return await self._after_refusal(_there(requests), refused, patience)
            except Lost as lost:
                self._discard()
                if any(request.sent for request in requests):
                    logger.warning("the connection was lost in mid-commit: %s", lost)
                    return await self._after_doubt(_there(requests), patience)
                if time.monotonic() > patience:
                    self._give_up(requests, str(lost))
                    return ()
                await asyncio.sleep(PAUSE_SECONDS)
        return ()

    async def _write(self, session: Session, requests: Sequence[Request]) -> Sequence[Request]:
        settlement, recorded = await self._settled(session, requests)
        for request, error in settlement.refused:
            request.fail(error)
        if not settlement.rows:
            await session.exchange(Call(ROLLBACK), seconds=TURN_ANSWER_SECONDS_MAX)
            positions: list[int] = []
        else:
            positions = await self._insert(session, settlement)
        self._answer(settlement, positions, recorded)
        return settlement.deferred

    async def _settled(self, session: Session, requests: Sequence[Request]) -> tuple[Settlement, datetime]:
        """Take the turn, read the heads, and set the batch against them."""
        streams = {stream for request in requests for stream in request.streams}
        begin = (Call(BEGIN), Call(self._turn), heads_of(streams))
        *_, rows = await session.exchange(*begin, seconds=TURN_ANSWER_SECONDS_MAX)
        heads = dict.fromkeys(streams, BEGINNING)
        recorded = self._seen = max(self._clock(), self._seen)
        while True:
            heads |= {stream: Head(version, digest) for stream, version, digest in rows}
            settlement = settle(_there(requests), heads, recorded, self._prepare)
            if not settlement.missing:
                return settlement, recorded
            [rows] = await session.exchange(heads_of(settlement.missing), seconds=TURN_ANSWER_SECONDS_MAX)
            if not rows:
                return settlement, recorded
            heads |= dict.fromkeys(settlement.missing, BEGINNING)

    async def _insert(self, session: Session, settlement: Settlement) -> list[int]:
        """Send the rows and commit; from here on no caller can stop it."""
        for request, rows in settlement.accepted:
            request.sent = rows
        calls = [*inserts(settlement.rows), Call(NOTIFY), Call(COMMIT)]
        results = await session.exchange(*calls, seconds=COMMIT_SECONDS_MAX)
        if session.warnings:
            raise Lost(f"warned in the commit: {session.warnings}")
        return [position for (position,) in results[0]]

    def _answer(self, settlement: Settlement, positions: Sequence[int], recorded: datetime) -> None:
        assert len(positions) == len(settlement.rows)
        end = 0
        for request, rows in settlement.accepted:
            began, end = end, end + len(rows)
            request.succeed(positions[began:end], recorded)
        if positions:
            self._bell.ring(positions[-1])

    async def _after_refusal(
        self, requests: Sequence[Request], refused: Refused, patience: float
    ) -> Sequence[Request]:
        """All is undone. One request may be to blame: each gets a transaction of its own."""
        await self._undo()
        guilty = [request for request in requests if request.sent]
        if len(guilty) > 1:
            return await self._one_by_one(requests, patience)
        if not guilty or len(requests) == 1:
            meaning = _meaning(refused, requests)
            self.refused_by_store |= refused.sqlstate.startswith(OF_THE_STORE)
            _fail(requests, meaning)
            return ()
        return await self._one_by_one(requests, patience)

    async def _after_doubt(self, requests: Sequence[Request], patience: float) -> Sequence[Request]:
        """Answer those whose rows are in the log, and write the others, one by one."""
        await self._read_back([request for request in requests if request.sent])
        return await self._one_by_one(_there(requests), patience)

    async def _one_by_one(self, requests: Sequence[Request], patience: float) -> Sequence[Request]:
        _forget_sending(requests)
        for request in requests:
            if self._open is None and time.monotonic() > patience:
                self._give_up(requests, "the store does not answer")
                break
            assert not await self._commit([request], patience)
        return ()

    def _give_up(self, requests: Sequence[Request], because: str) -> None:
        """Nothing of these was written; nor will be what waits behind them, for now."""
        _fail(_there(requests), Unavailable(because))
        self.when_away(Unavailable(because))

    async def _read_back(self, requests: Sequence[Request]) -> None:
        """Look for the rows, in the turn: whoever sent them for us has then ended, one way or the other."""
        began = time.monotonic()
        while sent := _there(requests):
            try:
                found = await self._found(session := await self._session(), sent)
                await pass_barrier(session)
            except (Lost, Refused) as trouble:
                logger.warning("cannot read back yet: %s", trouble)
                self._discard()
                doubt = time.monotonic() - began
                if doubt > AWAY_SECONDS_MAX:
                    self.when_away(Unavailable(str(trouble)))
                if doubt > DOUBT_SECONDS_MAX:
                    _fail(sent, OutcomeUnknown())
                    return
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                if found:
                    logger.warning("a commit without an answer was done all the same: %d appends", len(found))
                for request, positions in found:
                    request.succeed(positions, self._seen)
                    self._bell.ring(positions[-1])
                return

    async def _found(
        self, session: Session, requests: Sequence[Request]
    ) -> Sequence[tuple[Request, Sequence[int]]]:
        """Whose rows are in the log as we sent them, to the byte, and at which positions."""
        sent = [row for request in requests for row in request.sent]
        look = Call(READ_BACK, (uuids([row.stream for row in sent]), int8s([row.version for row in sent])))
        calls = (Call(BEGIN), Call(self._turn), look, Call(COMMIT))
        *_, rows, _ = await session.exchange(*calls, seconds=TURN_ANSWER_SECONDS_MAX)
        there = {(stream, version): (state, position) for stream, version, state, position in rows}
        found = []
        for request in requests:
            rows = [there.get((row.stream, row.version), (b"", 0)) for row in request.sent]
            if [state for state, _ in rows] == [row.state for row in request.sent]:
                found.append((request, [position for _, position in rows]))
        return found

    async def _session(self) -> Session:
        if self._open is None or self._open.lost:
            session = await Session.open(self._dsn, WRITER_SESSION)
            try:
                await check_promises(session)
                await pass_barrier(session)
                known = (BEGIN, self._turn, HEADS, APPEND, KEEP_APART, NOTIFY, COMMIT, ROLLBACK, READ_BACK)
                await session.prepare(*known, seconds=TURN_ANSWER_SECONDS_MAX)
            except NotDurable as broken:
                session.cut()
                raise Lost(str(broken)) from broken
            except BaseException:
                session.cut()
                raise
            self._open = session
        return self._open

    async def _undo(self) -> None:
        if self._open is None:
            return
        try:
            await self._open.exchange(Call(ROLLBACK), seconds=TURN_ANSWER_SECONDS_MAX)
        except (Lost, Refused):
            self._discard()

    def _discard(self) -> None:
        if self._open is not None:
            self._open.cut()
            self._open = None


def _there(requests: Iterable[Request]) -> list[Request]:
    return [request for request in requests if not request.left]


def _forget_sending(requests: Iterable[Request]) -> None:
    """None of their rows are in the log: all was undone, or looked for and not found."""
    for request in requests:
        request.sent = ()


def _fail(requests: Iterable[Request], error: Exception) -> None:
    for request in requests:
        request.fail(error)


def _meaning(refused: Refused, requests: Sequence[Request]) -> Exception:
    if refused.sqlstate == UNIQUE_VIOLATION:
        return Conflict(*(write.stream for request in requests for write in request.writes))
    return Unavailable(str(refused))
