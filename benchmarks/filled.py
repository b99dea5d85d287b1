"""A book with many invoices in no time: the log of another, which holds one, written again under new ids.

Whoever serves it first works out its read models from the log.
"""

from __future__ import annotations

import time

import psycopg

from daybook.client import connect
from daybook.v1 import projection_service_pb2 as pb
from daybook.v1.projection_service_pb2_grpc import ProjectionServiceStub

from .invoice import request
from .visible import ingesting

TABLES = {
    "events": ("originator_id", "originator_version", "topic, state", "notification_id"),
    "personal": ("stream", "version", "salt, body", "version"),
}
TAKEN = "COPY (SELECT {columns} FROM daybook.{table} ORDER BY {order}) TO STDOUT (FORMAT BINARY)"
PUT = "COPY daybook.{table} ({columns}) FROM STDIN (FORMAT BINARY)"
FIRST = "SELECT originator_id FROM daybook.events WHERE topic = 'InvoiceDrafted' LIMIT 1"
IDS = """
    CREATE TEMPORARY TABLE invoice ON COMMIT DROP AS
    SELECT gen_random_uuid() AS id FROM generate_series(1, %s)
"""
AGAIN = """
    INSERT INTO daybook.{table} ({columns})
    SELECT invoice.id, {rest} FROM invoice,
        LATERAL (SELECT * FROM daybook.{table} WHERE {stream} = %s ORDER BY {version}) AS event
"""
UP_TO_DATE_SECONDS_MAX = 1800.0


def begin(target: str) -> None:
    """The first invoice of a book."""
    with connect(target) as channel:
        ingesting(channel)(request(), timeout=30)


def copy(source: str, dsn: str) -> None:
    """All that a log holds, into an empty one."""
    with psycopg.connect(source) as theirs, psycopg.connect(dsn) as ours:
        for table, (stream, version, rest, order) in TABLES.items():
            columns = f"{stream}, {version}, {rest}"
            taken = TAKEN.format(table=table, columns=columns, order=order).encode()
            put = PUT.format(table=table, columns=columns).encode()
            with theirs.cursor().copy(taken) as reading, ours.cursor().copy(put) as writing:
                for block in reading:
                    writing.write(block)


def multiply(dsn: str, invoices: int) -> None:
    """The first invoice so many times more."""
    with psycopg.connect(dsn) as connection:
        [first] = connection.execute(FIRST).fetchone() or (None,)
        connection.execute(IDS, (invoices,))
        for table, (stream, version, content, _) in TABLES.items():
            rest = f"{version}, {content}"
            columns = f"{stream}, {rest}"
            sql = AGAIN.format(table=table, columns=columns, rest=rest, stream=stream, version=version)
            connection.execute(sql.encode(), (first,))
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE daybook.events, daybook.personal")


def wait_until_up_to_date(target: str) -> None:
    """Until all read models answer, and none is behind."""
    until = time.monotonic() + UP_TO_DATE_SECONDS_MAX
    with connect(target) as channel:
        stub = ProjectionServiceStub(channel)
        while True:
            told = stub.ListProjections(pb.ListProjectionsRequest(), timeout=30).projections
            if all(each.generation and not each.events_behind for each in told):
                return
            if time.monotonic() > until:
                raise TimeoutError("the read models do not catch up")
            time.sleep(0.2)
