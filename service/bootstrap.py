"""The composition root: the only module that knows every concrete class, and puts the house together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from daybook.v1 import audit_service_pb2_grpc as audit_grpc
from daybook.v1 import credit_memo_service_pb2_grpc as credit_memo_grpc
from daybook.v1 import debit_memo_service_pb2_grpc as debit_memo_grpc
from daybook.v1 import edition_service_pb2_grpc as edition_grpc
from daybook.v1 import invoice_query_service_pb2_grpc as query_grpc
from daybook.v1 import invoice_service_pb2_grpc as invoice_grpc
from daybook.v1 import projection_service_pb2_grpc as projection_grpc
from daybook.v1 import reference_data_service_pb2_grpc as reference_grpc
from daybook.v1 import sequence_service_pb2_grpc as sequence_grpc
from daybook.v1 import unfinished_work_service_pb2_grpc as unfinished_grpc
from domain.invoice import Limits
from projections import editions
from projections.caught_up import Tidings
from projections.checkpoint import prepare, ready
from projections.credit_memos import CREDIT_MEMOS
from projections.debit_memos import DEBIT_MEMOS
from projections.editions import Edition
from projections.gathered import Gathered
from projections.invoices import INVOICES
from projections.invoices_by_order import INVOICES_BY_ORDER
from projections.leases import Leases
from projections.pool import pool
from projections.projection import Pool
from projections.reader import Reader
from projections.rebuild import Rebuilder
from projections.receivables import RECEIVABLES
from projections.runner import Runner
from projections.series import SERIES
from projections.tax_summary import TAX_SUMMARY
from projections.unfinished_work import UNFINISHED_WORK
from projections.views import keep_views
from store import schema
from store.backup import BadBackup, NotEmpty, backup, restore
from store.codec import Codec
from store.durability import NotDurable
from store.embedded import Embedded, EmbeddedFailed, FolderTaken, NoBook
from store.log import Unavailable, Who
from store.migrate import NotGranted, NotTheOwner, WrongVersion, grants
from store.migrate import migrate as migrate_log
from store.postgres import ClockDiffers, PostgresLog, open_log
from store.proof import keys
from store.proof.sealer import Sealer
from store.proof.verify import Asked, NotTrusted, Told, verify
from store.proof.witness import BadWitness

from .audit import Audit
from .calls import Callers
from .config import Config, local_user
from .credit_memos import CreditMemos
from .debit_memos import DebitMemos
from .editions import Editions, named
from .estimator import Estimator
from .invoices import Invoices
from .policies import FinishPolicy
from .poster import Poster
from .proof import Prover
from .queries import Queries
from .read_models import ReadModels
from .rebuilding import see_to_rebuilds
from .reference_data import ReferenceDataServicer
from .sequences import Sequences
from .server import Register, Server, build
from .snapshot import Snapshot
from .supervisor import CannotStart, looked_after, port_held
from .tax_remote import Engines
from .transact import Book
from .unfinished_work import UnfinishedWorkServicer

log_line = structlog.get_logger()

READ_MODELS = (
    INVOICES,
    INVOICES_BY_ORDER,
    DEBIT_MEMOS,
    CREDIT_MEMOS,
    RECEIVABLES,
    TAX_SUMMARY,
    SERIES,
    UNFINISHED_WORK,
)
CANNOT_START = (
    CannotStart,
    EmbeddedFailed,
    NotGranted,
    WrongVersion,
    NotDurable,
    ClockDiffers,
    Unavailable,
    keys.BadKey,
)
CANNOT_MIGRATE = (NotTheOwner, WrongVersion, Unavailable)
CANNOT_VERIFY = (*CANNOT_MIGRATE, keys.BadKey, NotTrusted, BadWitness, EmbeddedFailed, OSError)
CANNOT_RESTORE = (*CANNOT_MIGRATE, BadBackup, NotEmpty, EmbeddedFailed, OSError)
SEAL_KEY = "seal.key"  # in the data folder, where the database's files are not
REBUILDER_LINGER_SECONDS = 3.0  # where one rebuild is asked for, others often are
GARBAGE_LEAST = 200_000  # what a rebuild lets go needs no collector; it only looks through what is kept
REBUILDER_NICE = 10  # a rebuild takes what others leave
HEALTH_SECONDS = 2.0  # between looks at the store
HEALTH_SECONDS_UNBUILT = 0.2
HEALTH_ANSWER_SECONDS_MAX = 3.0
PROJECTION_HEALTH = "projections/"  # before the name of a read model that health is asked for

Say = Callable[[str], None]


def aloud(text: str) -> None:
    """At once, also where standard output is a pipe or a file, which Python would fill first."""
    print(text, flush=True)


def now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def database(config: Config, say: Say) -> AsyncIterator[str]:
    """The store's connection string: the operator's own, or an embedded one that lives as long as this."""
    if config.database_url:
        yield config.database_url
        return
    async with Embedded(config.folder, say=say) as embedded:
        yield embedded.app_dsn


@contextlib.asynccontextmanager
async def running(config: Config, say: Say = aloud) -> AsyncIterator[Server]:
    """The whole house in this process, until the context is left; then what runs is finished."""
    async with database(config, say) as dsn:
        settled = replace(config, database_url=dsn, seal_key=seal_key(config, say))
        async with following(settled), working(settled) as server:
            yield server


@contextlib.asynccontextmanager
async def working(config: Config) -> AsyncIterator[Server]:
    """The edge: answers calls and writes the log."""
    dsn = config.database_url
    codec = schema.codec()
    async with await open_log(dsn, codec) as log, pool(dsn) as connections, Tidings(dsn) as tidings:
        await prepare(connections, READ_MODELS, built=True)
        snapshot = Snapshot(log, codec.decode, schema.REFERENCE_TOPICS)
        await snapshot.refresh()
        book = Book(log, snapshot, now, Limits(lines_max=config.lines_max))
        async with (
            estimating(book) as estimator,
            posting(estimator) as poster,
            proving(config) as prover,
            Gathered(dsn) as gathered,
        ):
            reader = Reader(connections, tidings, gathered)
            server = assemble(config, estimator, poster, reader, connections, prover)
            async with doing(snapshot.follow()), serving(server), doing(watch(log, server, connections)):
                yield server


@contextlib.asynccontextmanager
async def following(config: Config) -> AsyncIterator[Runner]:
    """The read models follow the log; the batch that is under way is finished."""
    dsn = config.database_url
    codec = schema.codec()
    async with await open_log(dsn, codec) as log, pool(dsn) as connections:
        await prepare(connections, READ_MODELS, built=True)
        runner = Runner(
            log,
            codec.decode,
            connections,
            READ_MODELS,
            known=frozenset(schema.REGISTRY),
            leases=Leases(dsn, READ_MODELS),
        )
        async with attended(runner.run()):
            try:
                async with (
                    policies(config, log, codec, connections),
                    doing(sealer(config, log).run()),
                    doing(see_to_rebuilds(config, connections, READ_MODELS)),
                    doing(keep_views(connections, READ_MODELS)),
                ):
                    yield runner
            finally:
                runner.stop()


@contextlib.asynccontextmanager
async def rebuilding(config: Config) -> AsyncIterator[asyncio.Task[None]]:
    """Everything that is asked for on generations of read models, until it is done or the context is left."""
    dsn = config.database_url
    codec = schema.codec()
    os.nice(REBUILDER_NICE)
    gc.set_threshold(GARBAGE_LEAST)
    async with await open_log(dsn, codec) as log, pool(dsn) as connections:
        known = frozenset(schema.REGISTRY)
        rebuilder = Rebuilder(dsn, log, codec.decode, connections, READ_MODELS, known)
        task = asyncio.create_task(rebuilder.run(REBUILDER_LINGER_SECONDS), name="rebuilder")
        yield task
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def sealer(config: Config, log: PostgresLog) -> Sealer:
    known = keys.read(Path(config.seal_key)) if config.seal_key else keys.Keys()
    witness = Path(config.witness) if config.witness else None
    return Sealer(config.database_url, log.identity, known, now=now, witness_file=witness)


def seal_key(config: Config, say: Say) -> str:
    """The file of the key that signs; beside the embedded store it is made at the first start."""
    if not config.seal_key and config.database_url:
        say("seals are not signed; daybook seal-key new makes a key for --seal-key")
        return ""
    file = Path(config.seal_key) if config.seal_key else config.folder / SEAL_KEY
    if not config.seal_key and not file.exists():
        say(f"made the key that signs seals, {keys.make(file)}, in {file}; keep a copy of it elsewhere")
    if not keys.read(file).private:
        raise keys.BadKey(f"{file}: holds no private key")
    return str(file)


@contextlib.asynccontextmanager
async def policies(config: Config, log: PostgresLog, codec: Codec, connections: Pool) -> AsyncIterator[None]:
    """What is asked for and not done is tried again, until the context is left."""
    snapshot = Snapshot(log, codec.decode, schema.REFERENCE_TOPICS)
    await snapshot.refresh()
    book = Book(log, snapshot, now, Limits(lines_max=config.lines_max))
    async with estimating(book) as estimator, posting(estimator) as poster:
        reader = Reader(connections, Tidings(config.database_url))
        policy = FinishPolicy(reader, estimator, poster, now, Who("local", local_user()))
        async with doing(snapshot.follow()), doing(policy.run()):
            yield


@contextlib.asynccontextmanager
async def serving(server: Server) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def doing(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on until the context is left; where it fails, so does the context, and loudly."""
    async with attended(work) as task:
        try:
            yield
        finally:
            task.cancel()


@contextlib.asynccontextmanager
async def attended(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Work that the context waits for at its end, and that ends the context when it fails before."""
    inside = asyncio.current_task()
    assert inside is not None
    failed: list[BaseException] = []

    def watched(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            log_line.error("work in the background failed", exc_info=error)
            failed.append(error)
            inside.cancel()

    task = asyncio.create_task(work)
    task.add_done_callback(watched)
    try:
        yield task
    except asyncio.CancelledError:
        if not failed:
            raise
        inside.uncancel()
    finally:
        task.remove_done_callback(watched)
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def estimating(book: Book) -> AsyncIterator[Estimator]:
    """Asks tax engines; what is under way at the end is left to another process."""
    estimator = Estimator(book, Engines())
    try:
        yield estimator
    finally:
        await estimator.close()


@contextlib.asynccontextmanager
async def proving(config: Config) -> AsyncIterator[Prover]:
    trusted = keys.read(Path(config.seal_key)).trusted if config.seal_key else ()
    prover = Prover(
        config.database_url, keys=trusted, key_file=config.seal_key, witness=config.witness, now=now
    )
    try:
        yield prover
    finally:
        prover.close()


@contextlib.asynccontextmanager
async def posting(estimator: Estimator) -> AsyncIterator[Poster]:
    """Posts; what waits for engines at the end is left to another process."""
    poster = Poster(estimator.book, estimator.engines)
    try:
        yield poster
    finally:
        await poster.close()


async def build_edition(
    dsn: str, *, read_model: str, edition: str, position: int, instant: str, **_: object
) -> None:
    """Works a read model out as it was, beside the live one."""
    projection = next(each for each in READ_MODELS if each.wire_name == read_model)
    built = Edition(edition, position, datetime.fromisoformat(instant))
    codec = schema.codec()
    async with pool(dsn, 1) as connections, connections.connection() as connection:
        await editions.build(connection, dsn, codec.decode, frozenset(schema.REGISTRY), built, projection)


def present() -> datetime:
    """Now; for questions about an edition, the instant that it stands for."""
    edition = editions.ASKED.get()
    return edition.instant if edition else now()


def assemble(
    config: Config, estimator: Estimator, poster: Poster, reader: Reader, connections: Pool, prover: Prover
) -> Server:
    book = estimator.book
    log, snapshot = book.log, book.snapshot
    callers = Callers(local_user(), proven=bool(config.client_ca))
    invoices = Invoices(book, estimator, poster, callers)
    memos = DebitMemos(book, callers, reader)
    credits_ = CreditMemos(book, callers, reader)
    queries = Queries(reader, snapshot, log.identity, present)
    reference_data = ReferenceDataServicer(log, snapshot, callers)
    unfinished = UnfinishedWorkServicer(reader, estimator, poster, callers, connections)
    read_models = ReadModels(connections, READ_MODELS, log.identity, now)
    services: dict[str, Register] = {
        "InvoiceService": partial(invoice_grpc.add_InvoiceServiceServicer_to_server, invoices),
        "InvoiceQueryService": partial(query_grpc.add_InvoiceQueryServiceServicer_to_server, queries),
        "CreditMemoService": partial(credit_memo_grpc.add_CreditMemoServiceServicer_to_server, credits_),
        "DebitMemoService": partial(debit_memo_grpc.add_DebitMemoServiceServicer_to_server, memos),
        "AuditService": partial(
            audit_grpc.add_AuditServiceServicer_to_server,
            Audit(log, schema.codec().decode, now, prover),
        ),
        "ReferenceDataService": partial(
            reference_grpc.add_ReferenceDataServiceServicer_to_server, reference_data
        ),
        "ProjectionService": partial(projection_grpc.add_ProjectionServiceServicer_to_server, read_models),
        "EditionService": partial(
            edition_grpc.add_EditionServiceServicer_to_server,
            Editions(
                log, schema.codec().decode, connections, READ_MODELS, prover.jobs, config.database_url, now
            ),
        ),
        "SequenceService": partial(
            sequence_grpc.add_SequenceServiceServicer_to_server, Sequences(reader, snapshot, log)
        ),
        "UnfinishedWorkService": partial(
            unfinished_grpc.add_UnfinishedWorkServiceServicer_to_server, unfinished
        ),
    }
    full_names = {f"daybook.v1.{name}": register for name, register in services.items()}
    return build(config, full_names, named(connections))


async def watch(log: PostgresLog, server: Server, connections: Pool) -> None:
    """Health says whether the store can be reached, and takes what is written; and each read model by name.

    A program whose read models are still being built is not ready: the one before it goes on meanwhile.
    """
    built = False
    while True:
        try:
            await log.check(HEALTH_ANSWER_SECONDS_MAX)
            able = await ready(connections, READ_MODELS)
            built = built or len(able) == len(READ_MODELS)
            await server.serving(built)
        except (Unavailable, TimeoutError) as away:
            log_line.warning("the store is out of reach", because=str(away))
            able = {}
            await server.serving(False)
        for each in READ_MODELS:
            await server.health.say([f"{PROJECTION_HEALTH}{each.wire_name}"], able.get(each.wire_name, False))
        await asyncio.sleep(HEALTH_SECONDS if built else HEALTH_SECONDS_UNBUILT)


async def serve(config: Config, say: Say = aloud) -> None:
    """Serves until SIGTERM or SIGINT, with a process for the follower and one for each worker."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with port_held(config) as settled:
        async with (
            database(settled, say) as dsn,
            looked_after(replace(settled, database_url=dsn, seal_key=seal_key(settled, say)), say),
        ):
            if not stop.is_set():  # who was told to stop while starting never says that it serves
                say(f"daybook serves on {settled.listen}")
            await stop.wait()
            say("finishing what runs")


async def migrate(config: Config, say: Say = aloud) -> None:
    """Brings the operator's own database up to date, as the owner of its log."""
    applied = await migrate_log(config.database_url)
    for name in applied:
        say(f"applied {name}")
    if not applied:
        say("nothing to do")


async def back_up(config: Config, file: Path, say: Say = aloud) -> None:
    """One file of the whole log, whether the service runs or not."""
    async with owned(config, say, running=True) as dsn:
        manifest = await backup(dsn, file)
    say(f"{file}: {manifest.events} events up to position {manifest.position}")


async def bring_back(config: Config, file: Path, say: Say = aloud) -> None:
    """A backup into an empty book; nothing may serve it meanwhile."""
    async with owned(config, say, running=False) as dsn:
        manifest = await restore(dsn, file)
    say(f"restored {manifest.events} events; positions answered before are refused from now on")


async def verify_here(config: Config, asked: Asked, hear: Callable[[Told], None], say: Say) -> None:
    """Straight on the database, whether the service runs or not; with the keys beside an embedded one."""
    key_file = config.folder / SEAL_KEY
    if not asked.keys and not config.database_url and key_file.exists():
        asked = replace(asked, keys=keys.read(key_file).trusted)

    def run(dsn: str) -> None:
        for told in verify(dsn, asked):
            hear(told)

    async with owned(config, say, running=True) as dsn:
        await asyncio.to_thread(run, dsn)


@contextlib.asynccontextmanager
async def owned(config: Config, say: Say, *, running: bool) -> AsyncIterator[str]:
    """The owner's connection string; of an embedded store that must be there, and may be running, or of one
    that may be missing, and must not be running.
    """
    if config.database_url:
        if not running:
            await migrate_log(config.database_url)
        yield config.database_url
        return
    embedded = Embedded(config.folder, say=say)
    if running and not embedded.made:
        raise NoBook(f"{config.folder} holds no book")
    try:
        await embedded.start()
    except FolderTaken:
        if not running:
            raise
        yield embedded.owner_dsn
        return
    try:
        yield embedded.owner_dsn
    finally:
        await embedded.stop()


def print_grants(application: str, say: Say = print) -> None:
    say(grants(application))
