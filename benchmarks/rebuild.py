"""`python -m benchmarks.rebuild`: a read model worked out anew, beside its floor and the library's runner.

The service rebuilds while it serves; the floor is the COPY of the same events to nowhere; the peer is the
eventsourcing library's projection runner as its documentation shows it, an event a transaction. All in rounds
on one PostgreSQL, so that what is told are ratios within a round.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg
from psycopg.pq import ExecStatus

from daybook.client import connect
from daybook.v1 import projection_service_pb2 as pb
from daybook.v1.projection_service_pb2_grpc import ProjectionServiceStub

from .invoice import EVENTS, apply_reference_data, request
from .peers import stock_runner
from .postgres import Postgres, daybook, embedded, migrate
from .processes import running
from .visible import ingesting

FLOOR_GOAL, RUNNER_GOAL, MEMORY_GOAL = 0.45, 300.0, 200
RUNNER_EVENTS = 20_000
FILL = """
    INSERT INTO daybook.{table} ({columns})
    SELECT invoice.id, {rest} FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %s)) AS invoice,
        LATERAL (SELECT * FROM daybook.{table} WHERE {stream} = %s ORDER BY {version}) AS event
"""
FIRST = "SELECT originator_id FROM daybook.events WHERE topic = 'InvoiceDrafted' LIMIT 1"
CATCHING_UP = 600.0


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of one round: of the floor, of building until the comparison began, and of all."""

    floor: float
    built: float
    all: float
    rows: int
    memory: int  # MB, at the most, of the process that rebuilds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rebuild", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="in the log; 200,000 when not said")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runner-events", type=int, default=RUNNER_EVENTS)
    parser.add_argument("names", nargs="*", default=["invoices-by-order", "invoices"])
    said = parser.parse_args()
    with _folder() as folder, embedded(folder / "data") as postgres:
        runner = stock_runner.rate(postgres.make("stock"), said.runner_events // EVENTS)
        with serving(postgres, folder, said.events // EVENTS) as (target, pid, dsn):
            for name in said.names:
                rounds = [_round(target, pid, dsn, name) for _ in range(said.rounds)]
                print(report(name, said.events, rounds, runner), flush=True)


@contextmanager
def serving(postgres: Postgres, folder: Path, invoices: int) -> Iterator[tuple[str, int, str]]:
    """A service whose log holds so many invoices, all read models up to date."""
    dsn = postgres.make("rebuild")
    migrate(dsn)
    serve = [*daybook(), "serve", "--listen", "{listen}", "--database-url", dsn]
    with running(serve, folder / "rebuild.log") as server, connect(server.target) as channel:
        apply_reference_data(channel)
        ingesting(channel)(request(), timeout=30)
    fill(dsn, invoices)
    with running(serve, folder / "rebuild.log") as server, connect(server.target) as channel:
        stub, until = ProjectionServiceStub(channel), time.monotonic() + CATCHING_UP
        while any(
            each.events_behind for each in stub.ListProjections(pb.ListProjectionsRequest()).projections
        ):
            if time.monotonic() > until:
                raise TimeoutError("the read models do not catch up")
            time.sleep(1)
        yield server.target, server.pid, dsn


def fill(dsn: str, invoices: int) -> None:
    """The one invoice, again and again, under a new id each time."""
    with psycopg.connect(dsn) as connection:
        [first] = connection.execute(FIRST).fetchone() or (None,)
        for table, stream, version, rest in (
            ("events", "originator_id", "originator_version", "topic, state"),
            ("personal", "stream", "version", "salt, body"),
        ):
            columns = f"{stream}, {version}, {rest}"
            sql = FILL.format(
                table=table, columns=columns, rest=f"{version}, {rest}", stream=stream, version=version
            )
            connection.execute(sql.encode(), (invoices - 1, first))
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE daybook.events, daybook.personal")


def floor(dsn: str) -> float:
    """Seconds of a COPY of all events to somebody who looks at none."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        wire = connection.pgconn
        began = time.monotonic()
        wire.send_query(b"COPY daybook.events TO STDOUT (FORMAT BINARY)")
        begun = wire.get_result()
        if begun is None or begun.status != ExecStatus.COPY_OUT:
            raise RuntimeError(wire.error_message)
        while wire.get_copy_data(0)[0] > 0:
            pass
        while wire.get_result() is not None:
            pass
        return time.monotonic() - began


def _round(target: str, pid: int, dsn: str, name: str) -> Round:
    before = floor(dsn)
    marks, memory, last = dict[int, float](), 0, pb.Rebuild()
    with connect(target) as channel:
        stub = ProjectionServiceStub(channel)
        for answer in stub.RebuildProjection(pb.RebuildProjectionRequest(name=name)):
            last = answer.rebuild
            marks.setdefault(last.state, last.update_time.ToNanoseconds() / 1e9)
            memory = max(memory, _memory(pid))
        if last.state != pb.REBUILD_STATE_DONE or last.comparison.differing_rows:
            raise RuntimeError(f"{name}: {last}")
        stub.DropGeneration(pb.DropGenerationRequest(name=name, generation=last.generation - 1))
    began, done = marks[pb.REBUILD_STATE_BUILDING], marks[pb.REBUILD_STATE_DONE]
    compared = marks.get(pb.REBUILD_STATE_COMPARING, done)
    return Round(
        (before + floor(dsn)) / 2, compared - began, done - began, last.comparison.built_rows, memory
    )


def _memory(pid: int) -> int:
    """MB that the rebuilding process has taken at the most; 0 where it is gone."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if "rebuilder" in status.with_name("cmdline").read_text().split("\0"):
                [line] = [each for each in status.read_text().splitlines() if each.startswith("VmHWM")]
                return int(line.split()[1]) // 1024
        except (OSError, ValueError):
            continue
    return 0


def report(name: str, events: int, rounds: Sequence[Round], runner: float) -> str:
    of_floor = [each.floor / each.built for each in rounds]
    rates = [events / each.built for each in rounds]
    compared = [each.floor / each.all for each in rounds]
    memory = max(each.memory for each in rounds)
    floor_goal, times = f"goal {FLOOR_GOAL:.0%}", median(rates) / runner
    swapped = f"compared and swapped as well {_spread(compared, '{:.0%}')}"
    return "\n".join(
        (
            f"{name}: {events:,} events, {rounds[-1].rows:,} rows, {len(rounds)} rounds; median (range)",
            f"  of the floor      {_spread(of_floor, '{:.0%}')}, {floor_goal}; {swapped}",
            f"  of the runner     {times:,.0f} ×, goal {RUNNER_GOAL:,.0f} ×; it makes {runner:,.0f} events/s",
            f"  events a second   {_spread(rates, '{:,.0f}')}",
            f"  memory            {memory} MB, goal at most {MEMORY_GOAL} MB",
        )
    )


def _spread(values: Sequence[float], shown: str) -> str:
    low, middle, high = (shown.format(each) for each in (min(values), median(values), max(values)))
    return f"{middle} ({low}–{high})"


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="daybook-rebuild-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
