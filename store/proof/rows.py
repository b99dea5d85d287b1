"""Events as COPY hands them out: a row in binary form is, behind its position, what the digest is made of."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import psycopg
from psycopg.pq import ExecStatus

BEHIND_META = b'},"data":'
PREV = b',"prev":"'
HEX_BYTES = 64
PREIMAGE = 14  # behind the number of fields, the length of the position and the position
TRAILER_BYTES = 2
HEAD_BYTES = 19  # of a binary COPY, in front of its first row

COLUMNS = "notification_id, originator_id, originator_version, topic, state"

Connection = psycopg.Connection[tuple[Any, ...]]


def copied(connection: Connection, query: str) -> Iterator[bytes]:
    """The rows of a query in COPY's binary form, without its head and its trailer."""
    wire = connection.pgconn
    begun = wire.exec_(f"COPY ({query}) TO STDOUT (FORMAT binary)".encode())
    if begun.status != ExecStatus.COPY_OUT:
        raise psycopg.OperationalError(begun.get_error_message())
    receive = wire.get_copy_data
    first = bytes(receive(0)[1])[HEAD_BYTES:]
    if len(first) > TRAILER_BYTES:
        yield first
        while (received := receive(0))[0] > TRAILER_BYTES:
            yield bytes(received[1])
    while receive(0)[0] > 0:
        pass
    while (ended := wire.get_result()) is not None:
        if ended.status != ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError(ended.get_error_message())


def prev_of(row: bytes) -> bytes:
    """The digest, in hex, that an event says is of the one before it; empty where it says none."""
    end = row.find(BEHIND_META, PREIMAGE)
    begin = end - HEX_BYTES - 1
    return row[begin : end - 1] if row.startswith(PREV, begin - len(PREV)) else b""


def moved(row: bytes, stream: bytes, version: int) -> bytes:
    """The digest that the event of a row would have in another place."""
    return sha256(
        b"".join((row[14:18], stream, row[34:38], version.to_bytes(8, "big", signed=True), row[46:]))
    ).digest()
