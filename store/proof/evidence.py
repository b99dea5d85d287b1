"""Evidence: events with all that proves them, in a form that is checked without us.

An event is told to the byte, with its personal text and the salt of its commitment. For each seal concerned
there is its statement, its signatures, and the branches that lead from the events to its root.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow, tuple_row

from ..log import Stored
from .rows import Connection
from .seal import Sealed
from .tree import LEAF_BYTES, branches
from .verify import at_one_moment

FORM = "daybook-receipt-1"
ROWS_AT_ONCE = 2_000
SEALS_AT_ONCE = 50

SEALED_UPTO = "SELECT coalesce(max(last), 0) FROM daybook.seals"
BY_POSITION = """
SELECT event.notification_id, event.originator_id, event.originator_version, event.topic, event.state,
    personal.body, personal.salt
FROM daybook.events AS event
LEFT JOIN daybook.personal AS personal
    ON personal.stream = event.originator_id AND personal.version = event.originator_version
WHERE event.originator_id = ANY (%s) AND event.notification_id <= %s
ORDER BY event.notification_id
"""
BY_STREAM = """
SELECT event.notification_id, event.originator_id, event.originator_version, event.topic, event.state,
    personal.body
FROM daybook.events AS event
LEFT JOIN daybook.personal AS personal
    ON personal.stream = event.originator_id AND personal.version = event.originator_version
WHERE event.originator_id = ANY (%s) AND event.notification_id <= %s
ORDER BY array_position(%s, event.originator_id), event.originator_version
"""
# Whatever the read models say: an invoice's content, the first and every revision, says whose it is and when.
INVOICES = """
SELECT originator_id FROM (
    SELECT originator_id, notification_id, convert_from(state, 'UTF8')::json -> 'data' -> 'header' AS header
    FROM daybook.events WHERE topic IN ('InvoiceDrafted', 'InvoiceRevised')
) AS said
WHERE (%(account)s = '' OR header ->> 'account_id' = %(account)s)
    AND (%(first)s::date IS NULL OR (header ->> 'invoice_date')::date BETWEEN %(first)s AND %(last)s)
GROUP BY originator_id ORDER BY min(notification_id)
"""
SEALS_OVER = """
SELECT statement, coalesce(encode(signature, 'hex'), ''), coalesce(encode(countersignature, 'hex'), ''),
    leaves
FROM daybook.seals WHERE last >= %s ORDER BY last LIMIT 1
"""


class NothingToTell(Exception):
    """No invoice that is sealed is what is asked about."""


@dataclass(frozen=True, slots=True)
class About:
    """Which invoices: one, those of an account, or those of some days."""

    stream: UUID | None = None
    account: str = ""
    first: date | None = None
    last: date | None = None

    def __str__(self) -> str:
        if self.stream is not None:
            return f"invoice {self.stream}"
        return f"account {self.account}" if self.account else f"{self.first} to {self.last}"


def sealed_upto(connection: Connection) -> int:
    row = connection.execute(SEALED_UPTO).fetchone()
    assert row is not None
    return int(row[0])


def invoices(connection: Connection, about: About) -> list[UUID]:
    """The streams of the invoices that ever were of an account, or dated in a period; oldest first."""
    asked = {"account": about.account, "first": about.first, "last": about.last}
    return [row[0] for row in connection.execute(INVOICES, asked)]


def histories(connection: Connection, streams: Sequence[UUID], upto: int) -> Iterator[list[Stored]]:
    """The events of each stream up to a position, stream by stream in the order asked for."""
    for begin in range(0, len(streams), ROWS_AT_ONCE):
        part = list(streams[begin : begin + ROWS_AT_ONCE])
        history: list[Stored] = []
        for row in _rows(connection, BY_STREAM, (part, upto, part)):
            stored = Stored(*row)
            if history and history[-1].stream != stored.stream:
                yield history
                history = []
            history.append(stored)
        if history:
            yield history


def events(
    connection: Connection, streams: Sequence[UUID], upto: int, positions: array[int]
) -> Iterator[str]:
    """A line of JSON for each event up to a position, in the order of the log; positions are noted."""
    for position, stream, version, name, state, personal, salt in _rows(
        connection, BY_POSITION, (list(streams), upto)
    ):
        positions.append(position)
        told = {
            "position": position,
            "stream": str(stream),
            "version": version,
            "name": name,
            "state": state.decode(),
        }
        if personal is not None:
            told |= {"personal": personal.decode(), "salt": salt.hex()}
        yield _line(told)


def seals(connection: Connection, positions: Sequence[int]) -> Iterator[str]:
    """A line of JSON for each seal over positions, which rise."""
    at = 0
    while at < len(positions):
        row = connection.execute(SEALS_OVER, (positions[at],)).fetchone()
        if row is None:
            return
        statement, signature, countersignature, leaves = row
        last = int.from_bytes(leaves[-LEAF_BYTES : 8 - LEAF_BYTES], "big")
        end = bisect_right(positions, last, at)
        sealed = Sealed(statement, signature, countersignature)
        yield _line(_proof(sealed, leaves, positions[at:end]))
        at = end


def _proof(sealed: Sealed, leaves: bytes, positions: Iterable[int]) -> dict[str, Any]:
    listed = array("q", leaves[0:0])
    listed.extend(
        int.from_bytes(leaves[at : at + 8], "big", signed=True) for at in range(0, len(leaves), LEAF_BYTES)
    )
    wanted = (bisect_left(listed, position) for position in positions)
    led = branches(leaves, [place for place in wanted if place < len(listed)])
    return {
        "statement": sealed.statement,
        "signature": sealed.signature,
        "countersignature": sealed.countersignature,
        "branches": [[[number, hung.hex()] for number, hung in level.items()] for level in led],
    }


def receipt_of(dsn: str, stream: UUID) -> tuple[str, int]:
    """The receipt of one stream; raises Unavailable."""
    with at_one_moment(dsn) as connection:
        return receipt(connection, stream)


def receipt(connection: Connection, stream: UUID) -> tuple[str, int]:
    """The evidence of one stream as one JSON text, and how many of its events have no seal yet."""
    positions: array[int] = array("q")
    told = list(events(connection, [stream], sealed_upto(connection), positions))
    over = list(seals(connection, positions))
    row = connection.execute(
        "SELECT count(*) FROM daybook.events WHERE originator_id = %s", (stream,)
    ).fetchone()
    assert row is not None
    text = f'{{"form":"{FORM}","events":[{",".join(told)}],"seals":[{",".join(over)}]}}'
    return text, int(row[0]) - len(told)


def _rows(connection: Connection, query: str, parameters: Sequence[object]) -> Iterator[TupleRow]:
    """Rows as they come, never all at once."""
    with connection.cursor(name="evidence", row_factory=tuple_row) as cursor:
        cursor.itersize = ROWS_AT_ONCE
        yield from cursor.execute(query, parameters)


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
