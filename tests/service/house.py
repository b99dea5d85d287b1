"""The whole house in the test's own process: the real server, a real PostgreSQL, a real channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import psycopg

from daybook.client import Explanation, explain
from daybook.v1.audit_service_pb2_grpc import AuditServiceStub
from daybook.v1.credit_memo_service_pb2_grpc import CreditMemoServiceStub
from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceStub
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from daybook.v1.projection_service_pb2_grpc import ProjectionServiceStub
from daybook.v1.reference_data_service_pb2_grpc import ReferenceDataServiceStub
from daybook.v1.unfinished_work_service_pb2_grpc import UnfinishedWorkServiceStub
from domain import identity
from service.bootstrap import running
from service.config import Config
from service.server import Server
from store import schema
from store.log import Recorded
from store.postgres import PostgresLog, open_log
from store.statements import TURN_KEY

if TYPE_CHECKING:  # they exist for type checkers alone
    from daybook.v1.audit_service_pb2_grpc import AuditServiceAsyncStub
    from daybook.v1.credit_memo_service_pb2_grpc import CreditMemoServiceAsyncStub
    from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceAsyncStub
    from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub
    from daybook.v1.projection_service_pb2_grpc import ProjectionServiceAsyncStub
    from daybook.v1.reference_data_service_pb2_grpc import ReferenceDataServiceAsyncStub
    from daybook.v1.unfinished_work_service_pb2_grpc import UnfinishedWorkServiceAsyncStub

LOOPBACK = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class House:
    """A running service, a channel to it, and its log as somebody else reads it."""

    server: Server
    channel: grpc.aio.Channel
    log: PostgresLog
    dsn: str

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def invoices(self) -> InvoiceServiceAsyncStub:
        return InvoiceServiceStub(self.channel)

    @property
    def queries(self) -> InvoiceQueryServiceAsyncStub:
        return InvoiceQueryServiceStub(self.channel)

    @property
    def audit(self) -> AuditServiceAsyncStub:
        return AuditServiceStub(self.channel)

    @property
    def credits(self) -> CreditMemoServiceAsyncStub:
        return CreditMemoServiceStub(self.channel)

    @property
    def reference(self) -> ReferenceDataServiceAsyncStub:
        return ReferenceDataServiceStub(self.channel)

    @property
    def projections(self) -> ProjectionServiceAsyncStub:
        return ProjectionServiceStub(self.channel)

    @property
    def unfinished(self) -> UnfinishedWorkServiceAsyncStub:
        return UnfinishedWorkServiceStub(self.channel)

    async def history(self, key: str) -> Sequence[Recorded]:
        """What the log holds of the invoice with this key."""
        return (await self.log.read(identity.invoice(key))).recorded

    async def happened(self, key: str) -> list[str]:
        return [recorded.name for recorded in await self.history(key)]

    async def head(self) -> int:
        return await self.log.head()


@asynccontextmanager
async def at_home(dsn: str, **settings: Any) -> AsyncIterator[House]:
    """The house on a database, on a port of its own."""
    config = Config(**({"listen": LOOPBACK} | settings), database_url=dsn)
    async with (
        running(config) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        await open_log(dsn, schema.codec()) as log,
    ):
        yield House(server, channel, log, dsn)


@asynccontextmanager
async def turn_held(dsn: str) -> AsyncIterator[None]:
    """Nobody writes while this lasts."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (TURN_KEY,))
        yield


async def refused(call: Any) -> Explanation:
    """What the service says to a call that it refuses."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return explain(error)
    raise AssertionError(f"it was not refused: {answer}")


def position(token: str) -> int:
    """The position in a token, which callers do not look into."""
    return int(token.rpartition(".")[2])


def stream(invoice_id: str) -> UUID:
    return UUID(invoice_id)
