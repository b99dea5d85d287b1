"""The chain of each stream, followed in the order of the log, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from ..chain import digest
from .columns import POSITION, ROWS_AT_ONCE, STREAM, VERSION, Columns, columns
from .findings import Fault, Finding, Findings
from .rows import PREIMAGE, Connection, prev_of

STREAMS_MAX = 100_000  # whose last event is remembered, twice: the events before others are looked up
PART_EVENTS = 10_000
VERSIONS_MAX = 100_000  # that are remembered
FIRST = (1).to_bytes(8, "big")
NOWHERE = (b"", b"")
NAME_BYTES = 49  # where a row says how long the event's name is, in its last byte of four

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
        self._offset = 0  # from the end of an event's name to what it says of the one before, as seen last

    def read(self, rows: Iterable[bytes]) -> tuple[bytes, bytes]:
        """The leaves and places of rows; what does not follow what is remembered is left open."""
        leaves: list[bytes] = []
        places: list[bytes] = []
        each = iter(rows)
        while some := list(islice(each, ROWS_AT_ONCE)):
            of_some = columns(some)
            self._follow(some, of_some)
            leaves.append(of_some.leaves)
            places.append(of_some.places)
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

    def _follow(self, rows: Sequence[bytes], of_rows: Columns) -> None:
        """Most events follow the one before them in the log, and name it where the last one did."""
        heads, offset = self._heads, self._offset
        offset = self._look_closer(rows[0], None, offset)
        for turn, before, row, link in zip(of_rows.turns, rows, rows[1:], of_rows.links, strict=False):
            if turn:
                heads[before[STREAM]] = FOLLOWING[before[VERSION]], link
                offset = self._look_closer(row, None, offset)
            elif not row.startswith(link, offset + row[NAME_BYTES]):
                offset = self._look_closer(row, (row[VERSION], link), offset)
        heads[rows[-1][STREAM]] = FOLLOWING[rows[-1][VERSION]], of_rows.links[-1]
        self._offset = offset
        if len(heads) > STREAMS_MAX:
            self._older, self._heads = heads, {}

    def _look_closer(self, row: bytes, head: Head | None, offset: int) -> int:
        """Where an event names the one before it; left open if that is not the one that is to come before it.

        Without `head`, it is the one that is remembered of the stream.
        """
        version, stream = row[VERSION], row[STREAM]
        if version != FIRST:
            want, link = head or self._heads.get(stream) or self._older.get(stream) or NOWHERE
            if version == want:
                if row.startswith(link, offset + row[NAME_BYTES]):
                    return offset
                if (at := row.find(link, PREIMAGE)) >= 0:
                    return at - row[NAME_BYTES]
        prev = prev_of(row)
        if version != FIRST or prev:
            position, number = (int.from_bytes(each, "big", signed=True) for each in (row[POSITION], version))
            self._open.append(Open(position, stream, number, prev.decode(errors="replace")))
        return offset

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


class _Following(dict[bytes, bytes]):
    """Versions in eight bytes, and the one that follows each; made as they are met."""

    def __missing__(self, version: bytes) -> bytes:
        after = (int.from_bytes(version, "big", signed=True) + 1).to_bytes(9, "big", signed=True)[1:]
        if len(self) < VERSIONS_MAX:
            self[version] = after
        return after


FOLLOWING = _Following()
