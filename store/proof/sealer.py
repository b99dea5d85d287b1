"""The sealer: follows the log and seals it, segment by segment, without getting into the writers' way.

The last seal is its checkpoint: whoever writes the next one first has sealed, and the others go on from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from ..chain import digest
from ..log import LogIdentity, Unavailable
from ..reader import READ_SECONDS_MAX, Readers
from ..session import BYTEA, INT8, TEXT, Call, Lost, Refused, Session, Statement, int8
from . import witness
from .kept import KeptSeals
from .keys import Keys, is_signed
from .seal import EVENTS_MAX, NoSeal, Seal, Sealed, stated
from .tree import LEAF_BYTES, root

logger = structlog.get_logger(__name__)

AGE_SECONDS_MAX = 8.0  # of an event that waits for its seal; with a look each second it is less than ten
POLL_SECONDS = 1.0
TROUBLE_SECONDS = 30.0  # between looks where somebody has to do something
READ_EVENTS = 2_000  # at once
WITNESSED_AT_ONCE = 1_000
UNIQUE_VIOLATION = "23505"

LAST_SEAL = Statement(
    "last_seal",
    """
    SELECT statement, coalesce(encode(signature, 'hex'), ''), coalesce(encode(countersignature, 'hex'), '')
    FROM daybook.seals ORDER BY number DESC LIMIT 1
    """,
)
UNSEALED = Statement(
    "unsealed",
    """
    SELECT notification_id, originator_id, originator_version, topic, state
    FROM daybook.events WHERE notification_id > $1 ORDER BY notification_id LIMIT $2
    """,
    [INT8, INT8],
)
SEAL = Statement(
    "seal",
    """
    INSERT INTO daybook.seals (number, last, statement, signature, countersignature, leaves, places)
    VALUES ($1, $2, $3, nullif($4, ''::bytea), nullif($5, ''::bytea), $6, $7)
    """,
    [INT8, INT8, TEXT, BYTEA, BYTEA, BYTEA, BYTEA],
)


class CannotContinue(Exception):
    """The last seal is none that this sealer may build on; the text says why and what helps."""


@dataclass(slots=True)
class Segment:
    """What has been read of the log and is not sealed yet."""

    leaves: bytearray = field(default_factory=bytearray)
    places: bytearray = field(default_factory=bytearray)
    last: int = 0
    begun: float = 0.0  # when the first was read, or what was there before it and did not come to a seal

    @property
    def events(self) -> int:
        return len(self.leaves) // LEAF_BYTES


class Sealer:
    """Seals the log of one database until it is cancelled. Any number may run; one at a time succeeds."""

    def __init__(
        self,
        dsn: str,
        identity: LogIdentity,
        keys: Keys,
        *,
        now: Callable[[], datetime],
        witness_file: Path | None = None,
        events_max: int = EVENTS_MAX,
        age_max: float = AGE_SECONDS_MAX,
        poll: float = POLL_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._identity = identity
        self._keys = keys
        self._now = now
        self._witness = witness_file
        self._events_max = events_max
        self._age_max = age_max
        self._poll = poll
        self._readers = Readers(dsn, 1)
        self._kept = KeptSeals(dsn, 1)
        self._last: Seal | None = None  # None: not looked yet, or in doubt
        self._segment = Segment()
        self._witnessed = 0
        self._witness_rests_until = 0.0

    async def run(self) -> None:
        try:
            while True:
                pause = await self._pause()
                await asyncio.sleep(pause)
        finally:
            self.close()

    def close(self) -> None:
        self._readers.close()
        self._kept.close()

    async def _pause(self) -> float:
        """One step, and how long to rest after it; what goes wrong is told, and tried again."""
        try:
            return 0.0 if await self.step() else self._poll
        except CannotContinue as trouble:
            logger.error("the log is not sealed", because=str(trouble))
            return TROUBLE_SECONDS
        except (Unavailable, TimeoutError) as away:
            self._last = None
            logger.warning("sealing waits", because=str(away))
            return self._poll

    async def step(self) -> bool:
        """Read what follows and seal what is full or old enough; whether there may be more to do at once."""
        if self._last is None:
            self._last = await self._found()
            self._segment = Segment(last=self._last.last, begun=self._segment.begun)
        more = await self._read_on()
        if self._segment.events >= self._events_max or (self._segment.events and self._is_old()):
            await self.seal()
        await self._bear_witness()
        return more

    async def seal(self) -> None:
        """Seal what was read; where another sealer was faster, go on from there."""
        assert self._last is not None
        seal = self._sealing(self._last, self._segment)
        try:
            await self._write(seal)
        except Refused as refused:
            if refused.sqlstate != UNIQUE_VIOLATION:
                raise Unavailable(str(refused)) from refused
            self._last = None
            return
        self._last, self._segment = seal, Segment(last=seal.last)

    def _sealing(self, before: Seal, segment: Segment) -> Seal:
        return Seal(
            log=str(self._identity.log_id),
            epoch=self._identity.epoch,
            number=before.number + 1,
            after=before.last,
            last=segment.last,
            events=segment.events,
            root=root(bytes(segment.leaves)).hex(),
            prev=before.digest if before.number else "",
            sealed=self._now().isoformat(timespec="microseconds"),
            key=self._keys.current,
        )

    async def _write(self, seal: Seal) -> None:
        statement, before = seal.statement, self._last
        assert before is not None
        by_key_before = before.key if before.key != seal.key else ""
        signatures = self._keys.signed(statement), self._keys.countersigned(statement, by_key_before)
        values = (
            int8(seal.number),
            int8(seal.last),
            statement.encode(),
            *map(bytes.fromhex, signatures),
            bytes(self._segment.leaves),
            bytes(self._segment.places),
        )
        try:
            session = await Session.open(self._dsn)
        except Lost as lost:
            raise Unavailable(str(lost)) from lost
        try:
            await session.exchange(Call(SEAL, values), seconds=READ_SECONDS_MAX)
        except Lost as lost:
            raise Unavailable(str(lost)) from lost  # it may be written: the last seal will tell
        finally:
            session.close()

    async def _found(self) -> Seal:
        """The last seal, once it is known for ours; raises CannotContinue."""
        rows = await self._readers.ask(Call(LAST_SEAL))
        if not rows:
            return Seal(str(self._identity.log_id), 0, 0, 0, 0, 0, "", "", "", "")
        sealed = Sealed(*rows[0])
        try:
            seal = stated(sealed.statement)
        except NoSeal as fault:
            raise CannotContinue(f"the last seal is none: {fault}; run: daybook verify") from fault
        if seal.log != str(self._identity.log_id) or seal.epoch > self._identity.epoch:
            raise CannotContinue("the last seal is of another log; run: daybook verify")
        if seal.key != self._keys.current and seal.key not in self._keys.trusted:
            logger.error("the last seal is not by a key of ours", key=seal.key, ours=self._keys.current)
        if seal.key and not is_signed(sealed.statement, sealed.signature, seal.key):
            raise CannotContinue("the last seal is not signed by the key that it names; run: daybook verify")
        return seal

    async def _read_on(self) -> bool:
        segment = self._segment
        limit = min(READ_EVENTS, self._events_max - segment.events)
        rows = await self._readers.ask(Call(UNSEALED, (int8(segment.last), int8(limit))))
        if rows and not segment.begun:
            segment.begun = asyncio.get_running_loop().time()
        for position, stream, version, topic, state in rows:
            segment.leaves += int8(position) + bytes.fromhex(digest(stream, version, topic, state))
            segment.places += stream.bytes + int8(version)
            segment.last = position
        return len(rows) == limit

    def _is_old(self) -> bool:
        return asyncio.get_running_loop().time() - self._segment.begun >= self._age_max

    async def _bear_witness(self) -> None:
        """Add to the witness what it does not hold yet; sealing does not wait for it."""
        loop = asyncio.get_running_loop()
        if self._witness is None or self._last is None or loop.time() < self._witness_rests_until:
            return
        try:
            if not self._witnessed:
                await asyncio.to_thread(witness.begin, self._witness)
            while self._witnessed < self._last.number:
                self._witnessed = await self._witness_on(self._witness)
        except (witness.Diverged, witness.BadWitness) as trouble:
            logger.error("the witness does not hear of seals", because=str(trouble))
            self._witness_rests_until = loop.time() + TROUBLE_SECONDS

    async def _witness_on(self, file: Path) -> int:
        """Add what follows the last that the witness holds, and that one too, so that both are compared."""
        known = await asyncio.to_thread(witness.last, file)
        after = known.number - 1 if known else 0
        return await asyncio.to_thread(witness.add, file, await self._kept.after(after, WITNESSED_AT_ONCE))
