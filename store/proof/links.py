"""The chain of each stream, followed in the order of the log, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from ..chain import digest
from .findings import Fault, Finding, Findings
from .rows import BEHIND_META, PREV, Connection, in_hex, prev_of

STREAMS_MAX = 100_000  # whose last event is remembered, twice: the events before others are looked up
PART_EVENTS = 10_000
VERSIONS = 20_000
FIRST = (1).to_bytes(8, "big")
FOLLOWING = {v.to_bytes(8, "big"): (v + 1).to_bytes(8, "big") for v in range(1, VERSIONS)}
END = b'"' + BEHIND_META

BEFORE = """
SELECT event.originator_id, event.originator_version, event.topic, event.state
FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (stream, version)
JOIN daybook.events AS event
    ON event.originator_id = wanted.stream AND event.originator_version = wanted.version
"""

Head = tuple[bytes, bytes]
"""What must come next in a stream: its version, and what it must hold of the event before it."""


class Open(NamedTuple):
    """An event whose predecessor is not remembered, or is not the one that it names."""

    position: int
    stream: bytes
    version: int
    prev: str


class Links:
    """Follows the streams as the rows of the log go by."""

    def __init__(self, connection: Connection, findings: Findings) -> None:
        self._connection = connection
        self._findings = findings
        self._heads: dict[bytes, Head] = {}
        self._older: dict[bytes, Head] = {}
        self._open: list[Open] = []

    def read(self, rows: Iterable[bytes]) -> tuple[bytes, bytes]:
        """The leaves and places of rows; what does not follow what is remembered is left open."""
        leaves: list[bytes] = []
        places: list[bytes] = []
        heads, older = self._heads, self._older
        for row in rows:
            digest = sha256(row[14:]).digest()
            stream, version = row[18:34], row[38:46]
            leaves += (row[6:14], digest)
            places += (stream, version)
            known = heads.get(stream) or older.get(stream)
            if known is None or known[0] != version or known[1] not in row:
                self._look_closer(row, stream, version)
            heads[stream] = FOLLOWING.get(version) or _after(version), PREV + in_hex(digest) + END
        if len(heads) > STREAMS_MAX:
            self._older, self._heads = heads, {}
        return b"".join(leaves), b"".join(places)

    def read_in_parts(self, rows: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
        while part := list(islice(rows, PART_EVENTS)):
            yield self.read(part)

    def settle(self) -> None:
        """Look up what the open ones follow, and tell those that follow nothing; ends a group of rows."""
        before = self._looked_up([(each.stream, each.version - 1) for each in self._open if each.version > 1])
        for each in self._open:
            said = before.get((each.stream, each.version - 1), "")
            if (each.version == 1 and not each.prev) or (said and said == each.prev):
                continue
            self._tell(each, is_there=bool(said))
        self._open.clear()

    def _look_closer(self, row: bytes, stream: bytes, version: bytes) -> None:
        prev = prev_of(row)
        if version != FIRST or prev:
            position, number = (int.from_bytes(each, "big", signed=True) for each in (row[6:14], version))
            self._open.append(Open(position, stream, number, prev.decode(errors="replace")))

    def _looked_up(self, wanted: list[tuple[bytes, int]]) -> dict[tuple[bytes, int], str]:
        if not wanted:
            return {}
        streams, versions = [UUID(bytes=stream) for stream, _ in wanted], [version for _, version in wanted]
        rows = self._connection.execute(BEFORE, (streams, versions)).fetchall()
        return {(row[0].bytes, row[1]): digest(*row) for row in rows}

    def _tell(self, each: Open, *, is_there: bool) -> None:
        """An event that is itself named already, or whose predecessor is, is not told twice."""
        stream = str(UUID(bytes=each.stream))
        if {(stream, each.version), (stream, each.version - 1)} & self._findings.named:
            return
        if is_there:
            text = "does not follow the event before it in its stream"
        elif each.version > 1:
            text = f"follows version {each.version - 1}, which is not there"
        else:
            text = f"is of version {each.version}, and says that it follows another event"
        self._findings.add(Finding(Fault.UNCHAINED, text, each.position, stream, each.version))


def _after(version: bytes) -> bytes:
    return (int.from_bytes(version, "big", signed=True) + 1).to_bytes(8, "big", signed=True)
