"""The verifier: reads the log in its order, from one moment of it, and says what is not as it was sealed.

It asks nothing but to read, trusts no function of the database, and holds one group of segments at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ..log import Unavailable
from . import witness
from .findings import Fault, Finding, Findings, Progress, Verdict
from .keys import is_signed
from .links import Links
from .personal import personal_texts
from .rows import COLUMNS, Connection, copied, moved
from .seal import EVENTS_MAX, NoSeal, Seal, Sealed, stated
from .segment import Place, Segment, differences
from .tree import LEAF_BYTES, root

FINDINGS_MAX = 1_000  # told one by one; the rest is counted
SEALS_AT_ONCE = 1_000
CONNECT_SECONDS_MAX = 10

MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
IDENTITY = """
SELECT log_id::text, epoch, (SELECT coalesce(max(notification_id), 0) FROM daybook.events)
FROM daybook.identity
"""
SEALS = """
SELECT number, last, statement, coalesce(encode(signature, 'hex'), ''),
    coalesce(encode(countersignature, 'hex'), '')
FROM daybook.seals WHERE number > %s ORDER BY number LIMIT %s
"""
ONE_SEAL = "SELECT statement FROM daybook.seals WHERE number = %s"
LISTS = "SELECT number, leaves, places FROM daybook.seals WHERE number = ANY (%s)"
EVENTS = f"SELECT {COLUMNS} FROM daybook.events WHERE {{where}} ORDER BY notification_id"
AT = f"SELECT {COLUMNS} FROM daybook.events WHERE notification_id = {{position}}"

Told = Progress | Finding | Verdict


class NotTrusted(Exception):
    """What the verification should begin with is not there, or is something else."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to verify, and what is believed beforehand.

    `since` is a seal that is trusted, with all up to it; `digest` is its digest where one was kept. `keys`
    are public keys in hex: with any, every seal must be signed by one of them or by one they lead to.
    """

    since: int = 0
    digest: str = ""
    keys: tuple[str, ...] = ()
    witness: Path | None = None


def verify(dsn: str, asked: Asked) -> Iterator[Told]:
    """Findings as they are found, progress in between, and last the verdict.

    Raises NotTrusted, BadWitness or Unavailable.
    """
    with at_one_moment(dsn) as connection:
        yield from verify_on(connection, asked)


def verify_on(connection: Connection, asked: Asked) -> Iterator[Told]:
    """The same on a connection that stays at one moment of the log."""
    yield from _Verification(connection, asked).run()


@contextmanager
def at_one_moment(dsn: str) -> Iterator[Connection]:
    """A connection that sees one moment of the log, and nothing else but reads; raises Unavailable."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX) as connection:
            connection.execute(MOMENT)
            yield connection
    except psycopg.Error as away:
        raise Unavailable(str(away).strip()) from away


def identified(connection: Connection) -> tuple[str, int, int]:
    """Which log it is, its epoch, and the position of its last event."""
    [(log, epoch, head)] = connection.execute(IDENTITY).fetchall()
    return log, epoch, head


class _Verification:
    """One run over the log."""

    def __init__(self, connection: Connection, asked: Asked) -> None:
        self._connection = connection
        self._asked = asked
        self._findings = Findings(FINDINGS_MAX)
        self._links = Links(connection, self._findings)
        self._keys = set(asked.keys)
        self._before: Seal | None = None
        self._events = self._unsealed = self._seals = self._signed = self._witnessed = 0
        self._log, self._epoch, self._head = "", 0, 0

    def run(self) -> Iterator[Told]:
        self._log, self._epoch, self._head = identified(self._connection)
        if self._asked.since:
            self._before = self._trusted()
        begin = self._before.last if self._before else None
        self._compare_with_witness()
        for seals in self._groups():
            self._check_group(seals)
            yield from self._findings.take()
            yield Progress(seals[-1].last, self._head, self._events)
        self._check_rest()
        yield from self._findings.take()
        for finding in personal_texts(self._connection, begin):
            if (finding.stream, finding.version) not in self._findings.named:
                self._findings.add(finding)
        yield from self._findings.take()
        yield self._verdict()

    def _trusted(self) -> Seal:
        asked = self._asked
        row = self._connection.execute(ONE_SEAL, (asked.since,)).fetchone()
        if row is None:
            raise NotTrusted(f"there is no seal {asked.since}; if there was one, the log has lost it")
        try:
            seal = stated(row[0])
        except NoSeal as fault:
            raise NotTrusted(f"seal {asked.since}: {fault}") from fault
        if asked.digest not in ("", seal.digest):
            raise NotTrusted(
                f"seal {asked.since} is {seal.digest}, not the one that you trust: {asked.digest}"
            )
        return seal

    # Seals

    def _groups(self) -> Iterator[list[Seal]]:
        """The seals that hold, as many at a time as cover some ten thousand events."""
        group: list[Seal] = []
        for seal in self._checked_seals():
            full = sum(each.events for each in group) + seal.events > EVENTS_MAX
            if group and (full or seal.after != group[-1].last):
                yield group
                group = []
            group.append(seal)
        if group:
            yield group

    def _checked_seals(self) -> Iterator[Seal]:
        number = self._asked.since
        while True:
            rows = self._connection.execute(SEALS, (number, SEALS_AT_ONCE)).fetchall()
            for number, last, *sealed in rows:
                seal = self._checked(number, last, Sealed(*sealed))
                if seal is not None:
                    self._before = seal
                    yield seal
            if len(rows) < SEALS_AT_ONCE:
                return

    def _checked(self, number: int, last: int, sealed: Sealed) -> Seal | None:
        """A seal as it is read, compared with the one before it; None where nothing can be made of it."""
        self._seals += 1
        try:
            seal = stated(sealed.statement)
        except NoSeal as fault:
            self._fault(Fault.SEAL_ALTERED, number, str(fault))
            return None
        before = self._before
        if (seal.number, seal.last, seal.log) != (number, last, self._log):
            self._fault(
                Fault.SEAL_ALTERED, number, "states another number, position or log than it stands for"
            )
        elif number != (before.number if before else 0) + 1:
            missing = (before.number if before else 0) + 1
            self._fault(Fault.SEAL_MISSING, missing, f"is gone; seal {number} comes next")
        elif seal.prev != (before.digest if before else "") or seal.after != (before.last if before else 0):
            self._fault(Fault.SEAL_ALTERED, number, "does not follow the seal before it")
        elif not (before.epoch if before else 0) <= seal.epoch <= self._epoch:
            self._fault(Fault.SEAL_ALTERED, number, f"is of epoch {seal.epoch}, out of order")
        self._check_signature(seal, sealed, before)
        return seal

    def _check_signature(self, seal: Seal, sealed: Sealed, before: Seal | None) -> None:
        if not seal.key:
            if self._keys:
                self._fault(Fault.SEAL_UNSIGNED, seal.number, "is not signed")
            return
        if not is_signed(sealed.statement, sealed.signature, seal.key):
            self._fault(Fault.SEAL_KEY, seal.number, f"is not signed by the key that it names, {seal.key}")
            return
        self._signed += 1
        if self._keys and seal.key not in self._keys:
            if (
                before
                and before.key in self._keys
                and is_signed(sealed.statement, sealed.countersignature, before.key)
            ):
                self._keys.add(seal.key)
            else:
                self._fault(
                    Fault.SEAL_KEY, seal.number, f"is signed by {seal.key}, a key that is not trusted"
                )

    def _compare_with_witness(self) -> None:
        """Every seal that the witness holds must be a seal of this log, to the byte."""
        if self._asked.witness is None:
            return
        batch: list[tuple[Seal, Sealed]] = []
        for each in witness.seals(self._asked.witness):
            batch.append(each)
            if len(batch) == SEALS_AT_ONCE:
                self._compare(batch)
                batch = []
        self._compare(batch)

    def _compare(self, witnessed: Sequence[tuple[Seal, Sealed]]) -> None:
        if not witnessed:
            return
        rows = self._connection.execute(SEALS, (witnessed[0][0].number - 1, len(witnessed))).fetchall()
        ours = {number: statement for number, _, statement, *_ in rows}
        for seal, sealed in witnessed:
            self._witnessed += 1
            if ours.get(seal.number) == sealed.statement:
                continue
            is_gone = seal.number not in ours
            what = "is not in the log any more" if is_gone else "is another one than was witnessed"
            covers = f"it covers positions {seal.after + 1} to {seal.last}"
            self._fault(Fault.WITNESS, seal.number, f"{what}; {covers}", position=seal.after + 1)

    # Events

    def _check_group(self, seals: Sequence[Seal]) -> None:
        first, last = seals[0], seals[-1]
        begin = f"notification_id > {first.after} AND " if first.number > 1 else ""
        leaves, places = self._links.read(
            copied(self._connection, EVENTS.format(where=f"{begin}notification_id <= {last.last}"))
        )
        self._events += len(leaves) // LEAF_BYTES
        numbers = [seal.number for seal in seals]
        kept = {row[0]: row[1:] for row in self._connection.execute(LISTS, (numbers,), binary=True)}
        lists = [kept.get(seal.number, (b"", b"")) for seal in seals]
        if b"".join(each[0] for each in lists) != leaves or b"".join(each[1] for each in lists) != places:
            self._tell_differences(seals, lists, Segment(leaves, places))
        for seal, (own, _) in zip(seals, lists, strict=True):
            self._check_list(seal, own, leaves)
        self._links.settle()

    def _tell_differences(
        self, seals: Sequence[Seal], lists: Sequence[tuple[Any, ...]], found: Segment
    ) -> None:
        sealed = Segment(b"".join(each[0] for each in lists), b"".join(each[1] for each in lists))
        numbers = [(seal.last, seal.number) for seal in seals]
        before = self._findings.count
        for finding in differences(sealed, found, self._rehash, numbers):
            self._findings.add(finding)
        if self._findings.count == before:
            text = "covers an event that stands in the log twice"
            self._fault(Fault.SEGMENT, seals[0].number, text, position=seals[0].after + 1)

    def _check_list(self, seal: Seal, own: bytes, found: bytes) -> None:
        """The root of a seal is over the list that it keeps; if not, only the events themselves can tell."""
        if seal.events * LEAF_BYTES == len(own) and own and root(own).hex() == seal.root:
            return
        text = "its list of events is not the one that it was made over"
        self._fault(Fault.SEAL_ALTERED, seal.number, text, position=seal.after + 1)
        standing = b"".join(
            found[at : at + LEAF_BYTES]
            for at in range(0, len(found), LEAF_BYTES)
            if seal.after < int.from_bytes(found[at : at + 8], "big", signed=True) <= seal.last
        )
        if not standing or root(standing).hex() != seal.root:
            text = f"what stands from position {seal.after + 1} to {seal.last} is not what was sealed"
            self._fault(Fault.SEGMENT, seal.number, text, position=seal.after + 1)

    def _check_rest(self) -> None:
        """What has no seal yet is only chained."""
        after = self._before.last if self._before else None
        where = "true" if after is None else f"notification_id > {after}"
        for leaves, _ in self._links.read_in_parts(copied(self._connection, EVENTS.format(where=where))):
            self._unsealed += len(leaves) // LEAF_BYTES
            self._links.settle()

    def _rehash(self, position: int, place: Place) -> bytes | None:
        for row in list(copied(self._connection, AT.format(position=position))):
            return moved(row, *place)
        return None

    def _fault(self, fault: Fault, number: int, text: str, *, position: int = 0) -> None:
        self._findings.add(Finding(fault, f"seal {number} {text}", position, seal=number))

    def _verdict(self) -> Verdict:
        last = self._before
        return Verdict(
            log=self._log,
            epoch=self._epoch,
            events=self._events,
            unsealed=self._unsealed,
            position=last.last if last else 0,
            seals=self._seals,
            seal=last.number if last else 0,
            digest=last.digest if last else "",
            signed=self._signed,
            witnessed=self._witnessed,
            keys=tuple(sorted(self._keys)),
            found=self._findings.count,
            since=self._asked.since,
        )
