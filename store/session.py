"""A session: one connection to PostgreSQL, on which several statements make one round trip.

A server that is frozen trips none of its own timeouts, so every exchange has the client's deadline. One that
does not come back in time is cut off at the socket and never cancelled: cancelling a commit that waits for
its standby is a false acknowledgement.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct, pack
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

logger = logging.getLogger(__name__)

CONNECT_SECONDS_MAX = 3.0
BINARY = pq.Format.BINARY
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
INT8, TEXT, UUID_, BYTEA, TIMESTAMPTZ = 20, 25, 2950, 17, 1184
INT8S, TEXTS, UUIDS, BYTEAS = 1016, 1009, 2951, 1001

_INT8, _LENGTH = Struct(">q").pack, Struct(">i").pack

SESSION = """
    SET application_name = 'daybook';
    SET enable_seqscan = off;
    SET tcp_keepalives_idle = 5;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
"""


class Lost(Exception):
    """The connection is gone, or too slow to be waited for; what was sent may have been done."""


class Refused(Exception):
    """PostgreSQL says no; the transaction is undone and the session lives on."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(f"{message} ({sqlstate})")
        self.sqlstate = sqlstate


class Statement(NamedTuple):
    """A statement and the types of its parameters; it is prepared where it is first used."""

    name: str
    sql: str
    types: Sequence[int] = ()


class Call(NamedTuple):
    """A statement with its parameters in binary form."""

    statement: Statement
    parameters: Sequence[bytes | None] = ()


Rows = list[tuple[Any, ...]]


def int8(value: int) -> bytes:
    return _INT8(value)


def timestamptz(instant: datetime) -> bytes:
    return pack(">q", (instant - EPOCH) // timedelta(microseconds=1))


def array(of: int, items: Sequence[bytes]) -> bytes:
    """A one-dimensional array without nulls, as PostgreSQL sends it."""
    if not items:
        return pack(">iiI", 0, 0, of)
    parts = [pack(">iiIii", 1, 0, of, len(items), 1)]
    for item in items:
        parts += (_LENGTH(len(item)), item)
    return b"".join(parts)


def uuids(values: Sequence[UUID]) -> bytes:
    return array(UUID_, [value.bytes for value in values])


def int8s(values: Sequence[int]) -> bytes:
    return array(INT8, [_INT8(value) for value in values])


def texts(values: Sequence[str]) -> bytes:
    return array(TEXT, [value.encode() for value in values])


def byteas(values: Sequence[bytes]) -> bytes:
    return array(BYTEA, values)


class Session:
    """One connection, used by one task at a time."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._pg.nonblocking = 1
        self._transformer = Transformer(connection)
        self._prepared: set[str] = set()
        self._watched: int | None = None  # the socket, while the loop tells of what comes from it
        self._waiting: asyncio.Future[None] | None = None
        self.warnings: list[str] = []
        connection.add_notice_handler(self._note)

    @classmethod
    async def open(cls, dsn: str, settings: str = SESSION, seconds: float = CONNECT_SECONDS_MAX) -> Session:
        """Connect, or raise Lost within the time given."""
        try:
            async with asyncio.timeout(seconds):
                connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
                try:
                    await connection.execute(settings.encode())
                except BaseException:
                    connection.pgconn.finish()
                    raise
        except (psycopg.Error, OSError, TimeoutError) as error:
            raise Lost(f"cannot connect: {str(error).strip() or 'no answer'}") from error
        session = cls(connection)
        session._pg.enter_pipeline_mode()
        return session

    @property
    def lost(self) -> bool:
        return self._pg.status != pq.ConnStatus.OK

    @property
    def idle(self) -> bool:
        """No transaction is open."""
        return self._pg.transaction_status == pq.TransactionStatus.IDLE

    async def prepare(self, *statements: Statement, seconds: float) -> None:
        unknown = [statement for statement in statements if statement.name not in self._prepared]
        if unknown:
            await self._exchange(lambda: self._send_prepare(unknown), seconds)
            self._prepared.update(statement.name for statement in unknown)

    async def exchange(self, *calls: Call, seconds: float) -> list[Rows]:
        """Send the calls in one go and return the rows of each.

        Raises Refused when PostgreSQL refuses one (those after it are not run), and Lost in all other cases.
        """
        await self.prepare(*(call.statement for call in calls), seconds=seconds)
        return [self._rows(result) for result in await self._exchange(lambda: self._send(calls), seconds)]

    async def notified(self) -> list[str]:
        """Wait for notifications and return their payloads."""
        while True:
            try:
                await self._ready()
                self._pg.consume_input()
            except (psycopg.Error, OSError) as error:
                raise Lost(str(error).strip()) from error
            payloads: list[str] = []
            while notify := self._pg.notifies():
                payloads.append(notify.extra.decode())
            if payloads:
                return payloads

    def cut(self) -> None:
        """Give up the connection at once, without a word to the server."""
        self._unwatch()
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._pg.socket)) as wire,
        ):
            wire.shutdown(socket.SHUT_RDWR)
        self._pg.finish()

    def close(self) -> None:
        self._unwatch()
        self._pg.finish()

    async def _exchange(self, send: Callable[[], None], seconds: float) -> list[PGresult]:
        self.warnings.clear()
        try:
            async with asyncio.timeout(seconds):
                send()
                return await self._receive()
        except Refused:
            raise
        except TimeoutError as error:
            self.cut()
            raise Lost(f"no answer within {seconds:.1f} s") from error
        except (psycopg.Error, OSError) as error:
            self.cut()
            raise Lost(str(error).strip()) from error
        except BaseException:
            self.cut()
            raise

    def _send_prepare(self, statements: Sequence[Statement]) -> None:
        for name, sql, types in statements:
            self._pg.send_prepare(name.encode(), sql.encode(), types)
        self._pg.pipeline_sync()

    def _send(self, calls: Sequence[Call]) -> None:
        for statement, parameters in calls:
            formats = [BINARY] * len(parameters)
            self._pg.send_query_prepared(statement.name.encode(), parameters, formats, BINARY)
        self._pg.pipeline_sync()

    async def _receive(self) -> list[PGresult]:
        """Everything up to the end of the pipeline; the first refusal is raised once all has been read."""
        results: list[PGresult] = []
        refused: Refused | None = None
        while self._pg.flush():
            await self._ready(to_write=True)
            self._pg.consume_input()
        while True:
            while self._pg.is_busy():
                await self._ready()
                self._pg.consume_input()
            result = self._pg.get_result()
            if result is None:
                if self.lost:
                    raise Lost("the connection was closed")
            elif result.status == ExecStatus.PIPELINE_SYNC:
                break
            elif result.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                results.append(result)
            elif result.status == ExecStatus.FATAL_ERROR:
                refused = refused or _refusal(result)
        if refused is not None:
            raise refused
        return results

    async def _ready(self, *, to_write: bool = False) -> None:
        """Until something comes, or there is room to write.

        The socket stays watched from one exchange to the next: to begin and to end that costs as much as a
        whole answer. What comes when nobody waits ends it, such as the news that the server is gone.
        """
        loop = asyncio.get_running_loop()
        ready = self._waiting = loop.create_future()
        if self._watched is None:
            self._watched = self._pg.socket
            loop.add_reader(self._watched, self._wake)
        if to_write:
            loop.add_writer(self._watched, self._wake)
        try:
            await ready
        finally:
            self._waiting = None
            if to_write and self._watched is not None:
                loop.remove_writer(self._watched)

    def _wake(self) -> None:
        if self._waiting is None:
            self._unwatch()
        elif not self._waiting.done():
            self._waiting.set_result(None)

    def _unwatch(self) -> None:
        """Before the socket is closed: the next one may have its number."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def _rows(self, result: PGresult) -> Rows:
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self.warnings.append(notice.message_primary or "")


def _refusal(result: PGresult) -> Refused:
    """What PostgreSQL says against it; raises Lost when that was its last word on this connection."""
    sqlstate = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    message = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
    severity = result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED)
    if severity != b"ERROR":
        raise psycopg.OperationalError(message or result.error_message.decode(errors="replace").strip())
    return Refused(sqlstate, message)
