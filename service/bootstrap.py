"""The composition root: the only module that knows every concrete class, and puts the house together."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import structlog

from daybook.v1 import invoice_service_pb2_grpc as invoice_grpc
from daybook.v1 import reference_data_service_pb2_grpc as reference_grpc
from domain.invoice import Limits
from store import schema
from store.embedded import Embedded
from store.log import Unavailable
from store.migrate import grants
from store.migrate import migrate as migrate_log
from store.postgres import PostgresLog, open_log

from .calls import Callers
from .config import Config, local_user
from .invoices import Invoices
from .reference_data import ReferenceDataServicer
from .server import Server, build
from .snapshot import Snapshot
from .transact import Book

log_line = structlog.get_logger()

HEALTH_SECONDS = 2.0  # between looks at the store

Say = Callable[[str], None]


def now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def database(config: Config, say: Say) -> AsyncIterator[str]:
    """The connection string of the store: the operator's own, or an embedded one that lives as long as this."""
    if config.database_url:
        yield config.database_url
        return
    async with Embedded(config.folder, say=say) as embedded:
        yield embedded.app_dsn


@contextlib.asynccontextmanager
async def running(config: Config, say: Say) -> AsyncIterator[Server]:
    """The whole house, up and serving until the context is left; then what runs is finished."""
    async with contextlib.AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(config, say))
        log = await stack.enter_async_context(await open_log(dsn))
        snapshot = Snapshot(log, schema.codec().decode, schema.REFERENCE_TOPICS)
        await snapshot.refresh()
        server = assemble(config, log, snapshot)
        await server.start()
        stack.push_async_callback(server.stop)
        for work in (snapshot.follow(), watch(log, server)):
            stack.callback(asyncio.create_task(work).cancel)
        await server.serving(True)
        yield server


def assemble(config: Config, log: PostgresLog, snapshot: Snapshot) -> Server:
    callers = Callers(local_user(), proven=bool(config.client_ca))
    book = Book(log, snapshot, now, Limits(lines_max=config.lines_max))
    invoices = Invoices(book, callers)
    reference_data = ReferenceDataServicer(log, snapshot, callers)
    return build(
        config,
        (
            (
                "daybook.v1.InvoiceService",
                lambda server: invoice_grpc.add_InvoiceServiceServicer_to_server(invoices, server),
            ),
            (
                "daybook.v1.ReferenceDataService",
                lambda server: reference_grpc.add_ReferenceDataServiceServicer_to_server(
                    reference_data, server
                ),
            ),
        ),
    )


async def watch(log: PostgresLog, server: Server) -> None:
    """Health says whether the store can be reached."""
    while True:
        try:
            await log.head()
            await server.serving(True)
        except (Unavailable, TimeoutError) as away:
            log_line.warning("the store is out of reach", because=str(away))
            await server.serving(False)
        await asyncio.sleep(HEALTH_SECONDS)


async def serve(config: Config, say: Say = print) -> None:
    """Serves until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config, say) as server:
        say(f"daybook serves on {config.host}:{server.port}")
        await stop.wait()
        say("finishing what runs")


async def migrate(config: Config, say: Say = print) -> None:
    """Brings the operator's own database up to date, as the owner of its log."""
    applied = await migrate_log(config.database_url)
    for name in applied:
        say(f"applied {name}")
    if not applied:
        say("nothing to do")


def print_grants(application: str, say: Say = print) -> None:
    say(grants(application))
