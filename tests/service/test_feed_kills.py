"""The feed while consumers and servers are killed: no gap, no disorder, nothing twice."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from .killing import Load, Served, load_reference_data

pytestmark = pytest.mark.long

CONSUMER_KILLS, CALLERS = 12, 4
COME_SECONDS_MAX = 120
EVENTS = """
SELECT notification_id, originator_id::text, originator_version, topic
FROM daybook.events ORDER BY notification_id
"""


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    load_reference_data(served.target)
    yield served
    served.stop()


def consuming(served: Served, file: Path, slowness: float = 0.0) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", "tests.service.consumer", served.target, str(file), str(slowness)]
    return subprocess.Popen(program)


def happened(file: Path) -> list[tuple[int, str, int, str]]:
    with sqlite3.connect(file) as mine:
        return mine.execute("SELECT at, stream, version, type FROM happened ORDER BY at").fetchall()


def logged(served: Served) -> list[tuple[int, str, int, str]]:
    with psycopg.connect(served.dsn) as theirs:
        return theirs.execute(EVENTS).fetchall()


def test_a_consumer_that_is_killed_time_and_again_has_every_event_exactly_once(
    served: Served, tmp_path: Path
) -> None:
    quick, slow = tmp_path / "quick.db", tmp_path / "slow.db"
    patient = consuming(served, slow, slowness=0.2)
    with Load(served, CALLERS) as load:
        for kill in range(CONSUMER_KILLS):
            consumer = consuming(served, quick)
            load.wait_for_more(CALLERS)
            time.sleep(random.uniform(0, 1.5))
            if kill in (4, 9):
                served.kill("worker" if kill == 4 else "supervisor")
            consumer.kill()
            consumer.wait()
        load.wait_for_more(CALLERS)
    last = consuming(served, quick)
    everything = logged(served)
    until = time.monotonic() + COME_SECONDS_MAX
    while (len(happened(quick)), len(happened(slow))) != (len(everything), len(everything)):
        assert time.monotonic() < until, (len(happened(quick)), len(happened(slow)), len(everything))
        assert last.poll() is None
        assert patient.poll() is None
        time.sleep(0.5)
    assert happened(quick) == everything
    assert happened(slow) == everything
    for consumer in (last, patient):
        consumer.kill()
        consumer.wait()
