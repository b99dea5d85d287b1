"""`python -m benchmarks.audit`: verifying the log and reading what was, beside their floor and a peer.

In rounds on one PostgreSQL: the whole log verified, beside a COPY of it with one digest of each event; whole
invoices read and folded, many per question, beside the eventsourcing library's `repository.get` of the same
eight events; an invoice of 500 lines as it stood. Looks inside: it reads through the store, as auditors may.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import psycopg

from domain import invoice
from store import chain, schema
from store.codec import Encoded, accompanying
from store.log import Log, Meta, Who
from store.postgres import open_log
from store.proof.findings import Finding, Verdict
from store.proof.keys import Keys
from store.proof.rows import COLUMNS, PREIMAGE, copied
from store.proof.sealer import Sealer
from store.proof.verify import Asked, verify

from .folder import temporary
from .goals import Goal, told
from .invoice import EVENTS, LINES, request
from .peers.rules import decided
from .peers.stock import Invoices, environment
from .postgres import Postgres, embedded, migrate

VERIFIED_GOAL, FOLDED_GOAL, AS_OF_GOAL = 300_000, 12.0, 5.0
LARGE = 500  # lines
AT_ONCE = 100  # streams in one question
TOLD = accompanying(Meta(Who("claimed", "benchmark"), "billing-run-2026-11"))
WRITTEN = b"2026-11-02T08:15:00.000123Z"
COPY_IN = "COPY daybook.{table} ({columns}) FROM STDIN (FORMAT binary)"
ALL = f"SELECT {COLUMNS} FROM daybook.events ORDER BY notification_id"
TABLES = (
    ("events", "originator_id, originator_version, topic, state", ["uuid", "int8", "text", "bytea"]),
    ("personal", "stream, version, salt, body", ["uuid", "int8", "bytea", "bytea"]),
)


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int = 5
    events: int = 100_000
    streams: int = 1_000  # that are folded in a round
    stock: int = 100  # of the library's
    as_of: int = 40  # times


SHORT = Plan(rounds=3, events=16_000, streams=400, stock=40, as_of=15)


@dataclass(frozen=True, slots=True)
class Book:
    """The log that is audited: many small invoices and a large one. The library keeps the small one, too."""

    dsn: str
    small: Sequence[UUID]
    large: UUID
    stock: Invoices
    stock_ids: Sequence[UUID]


@dataclass(slots=True)
class Measured:
    """A value of each round: rates a second of the processor and of the clock, milliseconds."""

    floor: list[float] = field(default_factory=list)
    verified: list[float] = field(default_factory=list)
    verified_clock: list[float] = field(default_factory=list)
    stock: list[float] = field(default_factory=list)
    stock_cpu: list[float] = field(default_factory=list)
    folded: list[float] = field(default_factory=list)
    folded_cpu: list[float] = field(default_factory=list)
    as_of: list[float] = field(default_factory=list)
    as_of_cpu: list[float] = field(default_factory=list)


def goals(postgres: Postgres, folder: Path, *, short: bool) -> list[Goal]:
    """What this measures, for a run of all benchmarks."""
    del folder
    return _goals(asyncio.run(measured(postgres, SHORT if short else Plan())))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--events", type=int, default=Plan().events, help="in the log that is verified")
    parser.add_argument("--rounds", type=int, default=Plan().rounds)
    said = parser.parse_args()
    with temporary() as folder, embedded(folder / "data") as postgres:
        found = asyncio.run(measured(postgres, Plan(rounds=said.rounds, events=said.events)))
    for goal in _goals(found):
        low, middle, high = (
            goal.shown.format(each) for each in (min(goal.measured), goal.value, max(goal.measured))
        )
        wished = f"; goal {goal.shown.format(goal.wished)}: {goal.verdict}" if goal.wished is not None else ""
        print(f"{goal.what}: {middle} ({low}–{high}){wished}")


async def measured(postgres: Postgres, plan: Plan) -> Measured:
    book, found = await asyncio.to_thread(filled, postgres, plan), Measured()
    try:
        async with await open_log(book.dsn, schema.codec()) as log:
            await seal(book.dsn, log)
            for number in range(1, plan.rounds + 1):
                await _round(book, log, plan, found)
                print(f"round {number} of {plan.rounds}", file=sys.stderr)
    finally:
        book.stock.close()
    return found


async def _round(book: Book, log: Log, plan: Plan, found: Measured) -> None:
    events, cpu, _ = await asyncio.to_thread(timed, lambda: digests(book.dsn))
    found.floor.append(events / cpu)
    events, cpu, clock = await asyncio.to_thread(timed, lambda: verified(book.dsn))
    found.verified.append(events / cpu)
    found.verified_clock.append(events / clock)
    streams, cpu, clock = timed(lambda: stock_read(book.stock, book.stock_ids))
    found.stock.append(streams / clock)
    found.stock_cpu.append(streams / cpu)
    cpu, clock = time.thread_time(), time.perf_counter()
    streams = await folded(log, book.small[: plan.streams])
    found.folded.append(streams / (time.perf_counter() - clock))
    found.folded_cpu.append(streams / (time.thread_time() - cpu))
    clocks, cpus = await as_of(log, book.large, plan.as_of)
    found.as_of.append(median(clocks) * 1e3)
    found.as_of_cpu.append(median(cpus) * 1e3)


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """How many it did, in how many seconds of its thread's processor time and of the clock."""
    cpu, clock = time.thread_time(), time.perf_counter()
    done = work()
    return done, time.thread_time() - cpu, time.perf_counter() - clock


# What is measured


def digests(dsn: str) -> int:
    """The floor of verifying: every event read, and one digest made of it."""
    count = 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        for row in copied(connection, ALL):
            sha256(row[PREIMAGE:]).digest()
            count += 1
    return count


def verified(dsn: str) -> int:
    verdict = None
    for each in verify(dsn, Asked()):
        if isinstance(each, Finding):
            raise RuntimeError(f"the log does not verify: {each}")
        verdict = each
    if not isinstance(verdict, Verdict) or verdict.unsealed:
        raise RuntimeError(f"not the whole log was verified: {verdict}")
    return verdict.events


async def folded(log: Log, streams: Sequence[UUID]) -> int:
    """Whole invoices, so many per question; answers how many were as they should be."""
    for begin in range(0, len(streams), AT_ONCE):
        histories = await log.read_many(streams[begin : begin + AT_ONCE])
        for history in histories.values():
            _require_whole(invoice.fold(history.events), LINES)
    return len(streams)


async def as_of(log: Log, stream: UUID, times: int) -> tuple[list[float], list[float]]:
    """Seconds of the clock and of the processor, for each time that a large invoice is read as it stood."""
    clocks, cpus = [], []
    for missing in range(times):
        cpu, clock = time.thread_time(), time.perf_counter()
        history = await log.read(stream, upto=LARGE + 2 - missing % 5)
        state = invoice.fold(history.events)
        clocks.append(time.perf_counter() - clock)
        cpus.append(time.thread_time() - cpu)
        _require_whole(state, LARGE - missing % 5)
    return clocks, cpus


def stock_read(application: Invoices, ids: Sequence[UUID]) -> int:
    for each in ids:
        found: Any = application.repository.get(each)
        if (len(found.lines), len(found.taxes)) != (LINES, 1):
            raise RuntimeError("the library's aggregate is not whole")
    return len(ids)


def _require_whole(state: invoice.Invoice | None, lines: int) -> None:
    if state is None or len(state.lines) != lines or state.charge != 250 * lines:
        raise RuntimeError("an invoice is not as it was recorded")


# What it is measured on


def filled(postgres: Postgres, plan: Plan) -> Book:
    dsn = postgres.make("audit")
    migrate(dsn)
    small, large = [uuid4() for _ in range(plan.events // EVENTS)], uuid4()
    rows = _Rows()
    rows.add([large], LARGE)
    rows.add(small, LINES)
    rows.copy(dsn)
    application = Invoices(environment(postgres.make("audit_stock")))
    events = decided(request().invoice, uuid4())
    stock_ids = [UUID(str(application.ingest(events))) for _ in range(plan.stock)]
    return Book(dsn, small, large, application, stock_ids)


@dataclass(slots=True)
class _Rows:
    """Rows of the log, every event naming the one before it in its stream, and of the texts kept apart."""

    events: list[tuple[UUID, int, str, bytes]] = field(default_factory=list)
    personal: list[tuple[UUID, int, bytes, bytes]] = field(default_factory=list)

    def add(self, streams: Sequence[UUID], lines: int) -> None:
        codec = schema.codec()
        encoded = [codec.encode(each) for each in decided(request(lines).invoice, uuid4())]
        for stream in streams:
            self._add(stream, encoded)

    def _add(self, stream: UUID, encoded: Sequence[Encoded]) -> None:
        prev = ""
        for version, each in enumerate(encoded, 1):
            state = each.state(WRITTEN, TOLD, prev)
            prev = chain.digest(stream, version, each.topic, state)
            self.events.append((stream, version, each.topic, state))
            if each.salt and each.body:
                self.personal.append((stream, version, each.salt, each.body))

    def copy(self, dsn: str) -> None:
        with psycopg.connect(dsn) as connection:
            all_rows: tuple[Sequence[Sequence[object]], ...] = (self.events, self.personal)
            for (table, columns, types), rows in zip(TABLES, all_rows, strict=True):
                statement = COPY_IN.format(table=table, columns=columns)
                with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
                    copy.set_types(types)
                    for row in rows:
                        copy.write_row(row)
            connection.commit()
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE daybook.events, daybook.personal")


async def seal(dsn: str, log: Log) -> None:
    sealer = Sealer(dsn, log.identity, Keys(), now=lambda: datetime.now(UTC), age_max=0.0)
    while await sealer.step():
        pass
    sealer.close()


# What is told


def _goals(found: Measured) -> list[Goal]:
    rate, times, share, ms = "{:,.0f}", "{:.1f} ×", "{:.0%}", "{:.1f} ms"
    large = f"an invoice of {LARGE} lines as it stood"
    return [
        Goal("verifying: events a second of its own CPU", True, VERIFIED_GOAL, found.verified, rate),
        told("verifying: of a COPY and the bare digests", _ratios(found.verified, found.floor), share),
        told("verifying: events a second by the clock", found.verified_clock, rate),
        Goal(
            "whole invoices read and folded: against the library's repository",
            True,
            FOLDED_GOAL,
            _ratios(found.folded, found.stock),
            times,
        ),
        told("the same by CPU of the reader", _ratios(found.folded_cpu, found.stock_cpu), times),
        told("whole invoices a second by the clock", found.folded, rate),
        told("the library's invoices a second by the clock", found.stock, rate),
        Goal(f"{large}: p50", False, AS_OF_GOAL, found.as_of, ms),
        told(f"{large}: CPU of the reader", found.as_of_cpu, ms),
    ]


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


if __name__ == "__main__":
    main()
