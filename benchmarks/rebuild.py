"""`python -m benchmarks.rebuild`: a read model worked out anew, beside its floor and the library's runner.

The service rebuilds while it serves; the floor is the COPY of the same events to nowhere; the peer is the
eventsourcing library's projection runner as its documentation shows it, an event a transaction. All in rounds
on one PostgreSQL, so that what is told are ratios within a round. With --live it also tells what a rebuild
with a capped rate does to those who call meanwhile, at half of what the service can take.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import psycopg
from psycopg.pq import ExecStatus

from daybook.client import connect, connect_async
from daybook.v1 import projection_service_pb2 as pb
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from daybook.v1.projection_service_pb2_grpc import ProjectionServiceStub

from .folder import temporary
from .goals import Goal
from .invoice import EVENTS, apply_reference_data, request
from .peers import stock_runner
from .postgres import Postgres, daybook, embedded, migrate
from .processes import running
from .visible import ingesting

NAMES = ("invoices-by-order", "invoices")
EVENTS_SHORT, EVENTS_FULL = 20_000, 200_000
RUNNER_SHORT, RUNNER_FULL = 800, 20_000
ROUNDS_SHORT, ROUNDS_FULL = 1, 3
RATE_MAX = 5_000  # events a second of a rebuild that is not to be felt
LIVE_SECONDS = 8.0
CALLERS = 64
IDS = """
    CREATE TEMPORARY TABLE invoice ON COMMIT DROP AS
    SELECT gen_random_uuid() AS id FROM generate_series(1, %s)
"""
FILL = """
    INSERT INTO daybook.{table} ({columns}) SELECT invoice.id, {rest} FROM invoice,
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
    events: int
    memory: int  # MB, at the most, of the process that rebuilds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rebuild", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS_FULL, help="in the log; 200,000 when not said")
    parser.add_argument("--rounds", type=int, default=ROUNDS_FULL)
    parser.add_argument("--runner-events", type=int, default=RUNNER_FULL)
    parser.add_argument("--live", action="store_true", help="what callers feel of a rebuild, as well")
    parser.add_argument("names", nargs="*", default=NAMES)
    said = parser.parse_args()
    with temporary() as folder, embedded(folder / "data") as postgres:
        plan = Plan(said.events, said.rounds, said.runner_events, said.live, said.names)
        for goal in measured(postgres, folder, plan):
            low, middle, high = map(goal.shown.format, (min(goal.measured), goal.value, max(goal.measured)))
            print(f"{goal.what}: {middle} ({low}–{high}), {goal.verdict}", flush=True)


@dataclass(frozen=True, slots=True)
class Plan:
    events: int
    rounds: int
    runner_events: int
    live: bool
    names: Sequence[str] = NAMES


SHORT = Plan(EVENTS_SHORT, ROUNDS_SHORT, RUNNER_SHORT, live=False)
FULL = Plan(EVENTS_FULL, ROUNDS_FULL, RUNNER_FULL, live=True)


def goals(postgres: Postgres, folder: Path, *, short: bool) -> list[Goal]:
    """The rows of the rebuild, for all others to stand beside."""
    return list(measured(postgres, folder, SHORT if short else FULL))


def measured(postgres: Postgres, folder: Path, plan: Plan) -> Iterator[Goal]:
    runner = stock_runner.rate(postgres.make("runner"), plan.runner_events // EVENTS)
    with serving(postgres, folder, plan.events // EVENTS) as (target, pid, dsn):
        for name in plan.names:
            rounds = [_round(target, pid, dsn, name) for _ in range(plan.rounds)]
            yield from _goals(f"{name} rebuilt from {plan.events:,} events", rounds, runner)
        if plan.live:
            yield _felt(target, plan.names[-1])


def _goals(what: str, rounds: Sequence[Round], runner: float) -> Iterator[Goal]:
    rates = [each.events / each.built for each in rounds]
    yield Goal(f"{what}: of the floor", True, 0.45, [each.floor / each.built for each in rounds], "{:.0%}")
    times = [each / runner for each in rates]
    yield Goal(f"{what}: against the library's runner", True, 300, times, "{:,.0f} ×")
    yield Goal(f"{what}: memory", False, 200, [each.memory for each in rounds], "{:.0f} MB")


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
        connection.execute(IDS, (invoices - 1,))
        for table, stream, version, rest in (
            ("events", "originator_id", "originator_version", "topic, state"),
            ("personal", "stream", "version", "salt, body"),
        ):
            columns = f"{stream}, {version}, {rest}"
            sql = FILL.format(
                table=table, columns=columns, rest=f"{version}, {rest}", stream=stream, version=version
            )
            connection.execute(sql.encode(), (first,))
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
    return Round((before + floor(dsn)) / 2, compared - began, done - began, last.total_events, memory)


def _felt(target: str, name: str) -> Goal:
    """How much a capped rebuild adds to the p99 of those who ingest, at half of what the service takes."""
    asked = pb.RebuildProjectionRequest(name=name, max_events_per_second=RATE_MAX)
    ratios = []
    half = asyncio.run(_capacity(target)) / 2
    for _ in range(ROUNDS_FULL):
        alone = asyncio.run(_p99(target, half))
        with connect(target) as channel:
            stub = ProjectionServiceStub(channel)
            rebuilding = stub.RebuildProjection(asked)
            next(rebuilding)
            beside = asyncio.run(_p99(target, half))
            rebuilding.cancel()
            stub.CancelRebuild(pb.CancelRebuildRequest(name=name))
        ratios.append(beside / alone)
    what = f"p99 of ingestion at half load beside a rebuild of {RATE_MAX:,} events/s, against without"
    return Goal(what, False, 2.0, ratios, "{:.1f} ×")


async def _capacity(target: str) -> float:
    """Calls a second that so many callers get through."""
    took: list[float] = []
    async with connect_async(target) as channel:
        call, until = InvoiceServiceStub(channel).IngestInvoice, time.monotonic() + LIVE_SECONDS / 2

        async def caller() -> None:
            while (began := time.monotonic()) < until:
                await call(request(), timeout=30)
                took.append(time.monotonic() - began)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return len(took) / (LIVE_SECONDS / 2)


async def _p99(target: str, rate: float) -> float:
    """Seconds, with so many calls a second, whether those before are answered or not."""
    took: list[float] = []
    async with connect_async(target) as channel, asyncio.TaskGroup() as calls:
        call, began = InvoiceServiceStub(channel).IngestInvoice, time.monotonic()

        async def one(due: float) -> None:
            await call(request(), timeout=30)
            took.append(time.monotonic() - due)

        for number in range(int(rate * LIVE_SECONDS)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            calls.create_task(one(due))
    return quantiles(took, n=100)[98]


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


if __name__ == "__main__":
    main()
