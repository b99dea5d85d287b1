"""The sides of a run: the service in several settings, its ceiling and its peers, each up and serving."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc

from . import filled
from .invoice import EVENTS, LINES, apply_reference_data
from .postgres import Postgres, daybook, migrate
from .processes import Server, running, standing_still

ECHO, SERVICE, PAUSED, ALONE = "echo", "daybook", "daybook, projections paused", "daybook, one commit each"
TWO = "daybook, projections paused, two workers"
SMALL, LARGE = "daybook, a small book", "daybook, a large book"
STARTING_MAX = 4  # at a time
EMPTY, PATTERN = "empty", "service"  # databases that others begin as
STOCK, CRUD = "stock eventsourcing", "plain CRUD"

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
        GROUP BY originator_id
        HAVING count(*) = {EVENTS} AND max(originator_version) = {EVENTS}
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


@contextmanager
def up(
    postgres: Postgres, folder: Path, wanted: Collection[str], books: Mapping[str, int]
) -> Iterator[dict[str, Side]]:
    """All sides that are wanted. `books` says how many invoices those hold that are only asked."""
    with ExitStack() as stack:
        making = Making(postgres, folder, stack)
        making.prepared("insert")
        start: dict[str, Callable[[], Side]] = {
            ECHO: lambda: Side(ECHO, making.peer("echo")),
            STOCK: lambda: making.writing_peer(STOCK, "stock", STOCK_DRAFTED, STOCK_WHOLE),
            CRUD: lambda: making.writing_peer(CRUD, "crud", CRUD_DRAFTED, CRUD_WHOLE),
            SERVICE: lambda: making.service(SERVICE, "service"),
            PAUSED: lambda: making.service(PAUSED, "paused", paused=True),
            TWO: lambda: making.service(TWO, "two", "--workers", "2", paused=True),
            ALONE: lambda: making.one_commit_each(ALONE, "alone"),
            SMALL: lambda: making.book(SMALL, "small", books[SMALL]),
            LARGE: lambda: making.book(LARGE, "large", books[LARGE]),
        }
        first = {SERVICE: start.pop(SERVICE)()} if SERVICE in wanted else {}  # others begin with its log
        with ThreadPoolExecutor(STARTING_MAX) as starting:
            others = {name: starting.submit(side) for name, side in start.items() if name in wanted}
        yield first | {name: side.result() for name, side in others.items()}


@dataclass(frozen=True, slots=True)
class Making:
    """Starts a side, to be stopped with the stack."""

    postgres: Postgres
    folder: Path
    stack: ExitStack

    def peer(self, module: str, *arguments: str) -> Server:
        command = ["-m", f"benchmarks.peers.{module}", "{listen}", *arguments]
        return self.stack.enter_context(running(command, self.folder / f"{module}.log"))

    def writing_peer(self, name: str, module: str, drafted: str, whole: str) -> Side:
        return self._counted(name, self.peer(module, self.postgres.make(module)), module, drafted, whole)

    def service(self, name: str, database: str, *arguments: str, paused: bool = False) -> Side:
        server = self._serving(database, self.prepared(database), *arguments)
        furnish(server)
        if paused:
            self.stack.enter_context(standing_still(server.part("follower")))
        return self._counted(name, server, database, DRAFTED, WHOLE, follows=not paused)

    def one_commit_each(self, name: str, database: str) -> Side:
        settings = json.dumps({"listen": "{listen}", "database_url": self.prepared(database)})
        log = self.folder / f"{database}.log"
        server = self.stack.enter_context(running(["-c", ONE_COMMIT_EACH, "worker"], log, settings + "\n"))
        furnish(server)
        return self._counted(name, server, database, DRAFTED, WHOLE)

    def book(self, name: str, database: str, invoices: int) -> Side:
        """Holds so many invoices from the beginning, and is only asked."""
        dsn = self.prepared(database)
        filled.copy(self._pattern(), dsn)
        filled.multiply(dsn, invoices - 1)
        server = self._serving(database, dsn)
        filled.wait_until_up_to_date(server.target)
        return Side(name, server)

    def _pattern(self) -> str:
        """A log that holds the reference data and one invoice."""
        if not self.postgres.has(PATTERN):
            with serving(self.prepared(PATTERN), self.folder / f"{PATTERN}.log") as server:
                furnish(server)
        return self.postgres.dsn(PATTERN)

    def _serving(self, database: str, dsn: str, *arguments: str) -> Server:
        return self.stack.enter_context(serving(dsn, self.folder / f"{database}.log", *arguments))

    def prepared(self, database: str) -> str:
        """An empty book."""
        if not self.postgres.has(EMPTY):
            migrate(self.postgres.make(EMPTY))
        return self.postgres.make(database, like=EMPTY)

    def _counted(
        self, name: str, server: Server, database: str, *queries: str, follows: bool = False
    ) -> Side:
        recorded, whole = (partial(self.postgres.count, database, query) for query in queries)
        return Side(name, server, recorded, whole, follows)


def serving(dsn: str, log: Path, *arguments: str) -> AbstractContextManager[Server]:
    command = [*daybook(), "serve", "--listen", "{listen}", "--database-url", dsn, *arguments]
    return running(command, log)


def furnish(server: Server) -> None:
    """Reference data, and the first invoice."""
    with grpc.insecure_channel(server.target) as channel:
        apply_reference_data(channel)
    filled.begin(server.target)
