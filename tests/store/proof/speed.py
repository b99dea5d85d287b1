"""How fast a log is verified: `python -m tests.store.proof.speed [EVENTS]`, on a database of its own.

Tells events per second of the verifier's own processor time, the database apart, and per second of the clock;
beside them what COPY alone costs, and one digest of each event, which no verifier can do without.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

import psycopg

from store.chain import digest
from store.embedded import Embedded
from store.postgres import open_log
from store.proof.findings import Finding, Progress
from store.proof.rows import COLUMNS, copied
from store.proof.sealer import Sealer
from store.proof.verify import Asked, verify
from tests.store.events import codec

from .sealing import NOW, OURS

PER_STREAM = 8
HEAD = '{"v":1,"meta":{"recorded":"2026-04-02T08:15:00.000123Z","who":{"kind":"claimed","id":"shop"}'
DATA = '},"data":{"number":1,"name":"Support","charge":"-250.00","reference":"' + "x" * 330 + '"}}'
RUNS = 3


def histories(events: int) -> Iterator[tuple[UUID, int, str, bytes]]:
    """Streams as invoices have them: some eight events of half a kilobyte, each naming the one before."""
    for _ in range(events // PER_STREAM):
        stream, prev = uuid4(), ""
        for version in range(1, PER_STREAM + 1):
            link = f',"prev":"{prev}"' if prev else ""
            state = f"{HEAD}{link}{DATA}".encode()
            yield stream, version, "LineAdded", state
            prev = digest(stream, version, "LineAdded", state)


def fill(dsn: str, events: int) -> None:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        columns = "originator_id, originator_version, topic, state"
        with cursor.copy(f"COPY daybook.events ({columns}) FROM STDIN (FORMAT binary)".encode()) as copy:
            copy.set_types(["uuid", "int8", "text", "bytea"])
            for row in histories(events):
                copy.write_row(row)


async def seal(dsn: str) -> None:
    async with await open_log(dsn, codec()) as log:
        sealer = Sealer(dsn, log.identity, OURS, now=lambda: NOW, age_max=0.0)
        while await sealer.step():
            pass
        sealer.close()


def verified(dsn: str) -> None:
    """Besides the whole run, groups of some ten thousand events: on a busy machine some go undisturbed."""
    rates, began, before = [], time.process_time(), 0
    for told in verify(dsn, Asked(keys=OURS.trusted)):
        assert not isinstance(told, Finding)
        if isinstance(told, Progress):
            now = time.process_time()
            rates.append((told.events - before) / (now - began))
            began, before = now, told.events
    print(f"  groups of events: {median(rates):,.0f} in the middle, {max(rates):,.0f} at best")


def hashed(dsn: str, *, digests: bool) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for row in copied(connection, f"SELECT {COLUMNS} FROM daybook.events ORDER BY notification_id"):
            if digests:
                sha256(row[14:]).digest()


def timed(name: str, events: int, work: Callable[[], None]) -> None:
    best_own, best_wall = float("inf"), float("inf")
    for _ in range(RUNS):
        own, wall = time.process_time(), time.perf_counter()
        work()
        best_own = min(best_own, time.process_time() - own)
        best_wall = min(best_wall, time.perf_counter() - wall)
    own_rate, rate = events / best_own, events / best_wall
    print(f"{name}: {own_rate:,.0f} events/s of its own processor time, {rate:,.0f} by the clock")


async def main(events: int) -> None:
    with tempfile.TemporaryDirectory(prefix="daybook-", dir="/tmp") as folder:
        async with Embedded(Path(folder)) as embedded:
            await asyncio.to_thread(fill, embedded.owner_dsn, events)
            began = time.process_time()
            await seal(embedded.app_dsn)
            rate = events / (time.process_time() - began)
            print(f"sealing: {rate:,.0f} events/s of the sealer's processor time")
            for name, work in (
                ("COPY alone", lambda: hashed(embedded.app_dsn, digests=False)),
                ("COPY and one digest", lambda: hashed(embedded.app_dsn, digests=True)),
                ("verifying", lambda: verified(embedded.app_dsn)),
            ):
                await asyncio.to_thread(timed, name, events, work)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
