"""The sides of a run: the service in several settings, its ceiling and its peers, each up and serving."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from .invoice import EVENTS, LINES, apply_reference_data
from .postgres import Postgres, daybook, migrate
from .processes import Server, running, standing_still

ECHO, SERVICE, PAUSED, ALONE = "echo", "daybook", "daybook, projections paused", "daybook, one commit each"
STOCK, CRUD = "stock eventsourcing", "plain CRUD"
ANSWER_BYTES_LEAST = 40  # a gRPC frame with an invoice's id in it

# No setting of the service, and not for use: a worker that writes every invoice in a commit of its own.
# Said as text, because the benchmarks are a client like any other and import nothing of the service.
ONE_COMMIT_EACH = """
import functools
from service import bootstrap, process
from store.group_commit import Limits
bootstrap.open_log = functools.partial(bootstrap.open_log, limits=Limits(batch=1))
process.main()
"""

DRAFTED = "SELECT count(*) FROM daybook.events WHERE topic = 'InvoiceDrafted'"
WHOLE = f"""
    SELECT count(*) FROM (
        SELECT FROM daybook.events WHERE originator_id IN (
            SELECT originator_id FROM daybook.events WHERE topic = 'InvoiceDrafted'
        )
        GROUP BY originator_id HAVING count(*) = {EVENTS} AND max(originator_version) = {EVENTS}
    ) AS invoice
"""
STOCK_DRAFTED = "SELECT count(*) FROM invoices_events WHERE topic LIKE '%Drafted'"
STOCK_WHOLE = f"""
    SELECT count(*) FROM (
        SELECT FROM invoices_events GROUP BY originator_id HAVING count(*) = {EVENTS}
    ) AS invoice
"""
CRUD_DRAFTED = "SELECT count(*) FROM invoices"
CRUD_WHOLE = f"""
    SELECT count(*) FROM (
        SELECT FROM lines JOIN tax_rows USING (invoice_id) GROUP BY invoice_id HAVING count(*) = {LINES}
    ) AS invoice
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One server, and how to count what it has recorded and how much of that is whole."""

    name: str
    server: Server
    recorded: Callable[[], int] | None = None
    whole: Callable[[], int] | None = None
    follows: bool = False  # its read models follow
    answer_bytes: int = ANSWER_BYTES_LEAST


@contextmanager
def up(postgres: Postgres, folder: Path, frame: bytes) -> Iterator[dict[str, Side]]:
    """All sides."""
    migrate(postgres.make("insert"))
    with ExitStack() as stack:

        def peer(name: str, *arguments: str) -> Server:
            module = f"benchmarks.peers.{name}"
            return stack.enter_context(
                running(["-m", module, "{listen}", *arguments], folder / f"{name}.log")
            )

        def service(name: str, database: str, *, paused: bool = False) -> Side:
            dsn = prepared(database)
            serve = [*daybook(), "serve", "--listen", "{listen}", "--database-url", dsn]
            server = stack.enter_context(running(serve, folder / f"{database}.log"))
            furnish(server)
            if paused:
                stack.enter_context(standing_still(server.part("follower")))
            return counted(name, server, database, DRAFTED, WHOLE, follows=not paused)

        def one_commit_each(name: str, database: str) -> Side:
            settings = {"listen": "{listen}", "database_url": prepared(database)}
            worker = ["-c", ONE_COMMIT_EACH, "worker"]
            server = stack.enter_context(
                running(worker, folder / f"{database}.log", said=json.dumps(settings) + "\n")
            )
            furnish(server)
            return counted(name, server, database, DRAFTED, WHOLE)

        def prepared(database: str) -> str:
            dsn = postgres.make(database)
            migrate(dsn)
            return dsn

        def furnish(server: Server) -> None:
            with grpc.insecure_channel(server.target) as channel:
                apply_reference_data(channel)

        def counted(name: str, server: Server, database: str, *queries: str, follows: bool = False) -> Side:
            recorded, whole = (lambda query=query: postgres.count(database, query) for query in queries)
            return Side(name, server, recorded, whole, follows)

        sides = (
            Side(ECHO, peer("echo"), answer_bytes=len(frame)),
            service(SERVICE, "service"),
            service(PAUSED, "paused", paused=True),
            one_commit_each(ALONE, "alone"),
            counted(STOCK, peer("stock", postgres.make("stock")), "stock", STOCK_DRAFTED, STOCK_WHOLE),
            counted(CRUD, peer("crud", postgres.make("crud")), "crud", CRUD_DRAFTED, CRUD_WHOLE),
        )
        yield {side.name: side for side in sides}
