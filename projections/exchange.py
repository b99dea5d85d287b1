"""Several statements in one round trip, on a connection that nobody else uses meanwhile.

A small transaction costs mostly its round trips: psycopg makes one for BEGIN, one for each statement, two for
a COPY and one for COMMIT. Here a statement is prepared where it is first used, and its parameters are binary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Rows: TypeAlias = Sequence[tuple[Any, ...]]


class Call(NamedTuple):
    """A statement that says the types of its parameters, with those in binary form."""

    sql: bytes
    parameters: Sequence[bytes] = ()


class Exchange:
    """A connection on which calls go together. Once anything was raised it is of no use any more."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pg = connection.pgconn
        self._names: dict[bytes, bytes] = {}
        self._transformer = Transformer(connection)

    async def ask(self, *calls: Call) -> Sequence[Rows]:
        """The rows that PostgreSQL answers to each; raises its first refusal, after which no more are run."""
        self._pg.enter_pipeline_mode()
        new = [self._send(call) for call in calls]
        self._pg.pipeline_sync()
        answers = iter(await _received(self._pg))
        self._pg.exit_pipeline_mode()
        return [self._rows((next(answers), next(answers))[1] if each else next(answers)) for each in new]

    def _send(self, call: Call) -> bool:
        """Whether it had to be prepared, which has an answer of its own."""
        name = self._names.get(call.sql)
        if new := name is None:
            name = self._names[call.sql] = b"daybook_%d" % len(self._names)
            self._pg.send_prepare(name, call.sql)
        formats = [Format.BINARY] * len(call.parameters)
        self._pg.send_query_prepared(name, call.parameters, formats, Format.BINARY)
        return new

    def _rows(self, result: PGresult) -> Rows:
        if result.status != ExecStatus.TUPLES_OK:
            return ()
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)


async def _received(pg: PGconn) -> Sequence[PGresult]:
    """Everything up to the end of the pipeline; the first refusal is raised once all has been read."""
    while pg.flush():
        await _ready(pg, to_write=True)
        pg.consume_input()
    results, refused = list[PGresult](), None
    while True:
        while pg.is_busy():
            await _ready(pg)
            pg.consume_input()
        result = pg.get_result()
        if result is None:
            if pg.status != ConnStatus.OK:
                raise psycopg.OperationalError("the connection was closed")
        elif result.status == ExecStatus.PIPELINE_SYNC:
            break
        elif result.status == ExecStatus.FATAL_ERROR:
            refused = refused or error_from_result(result)
        elif result.status != ExecStatus.PIPELINE_ABORTED:
            results.append(result)
    if refused is not None:
        raise refused
    return results


async def _ready(pg: PGconn, *, to_write: bool = False) -> None:
    """Until something comes, or there is room to write."""
    loop, socket = asyncio.get_running_loop(), pg.socket
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(socket, _wake, ready)
    if to_write:
        loop.add_writer(socket, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(socket)
        if to_write:
            loop.remove_writer(socket)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
