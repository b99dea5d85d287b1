"""Whatever is killed, whenever: what was acknowledged is there, whole and once, and service comes back."""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Iterator
from typing import Any, Protocol

import psycopg
import pytest

from .killing import BACK_SECONDS_MAX, Load, Served, load_reference_data

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("DAYBOOK_TEST_KILLS", "50"))
CALLERS = 16
FOLLOWED_SECONDS_MAX = 120.0

# Every invoice of the log: how many events it has, how many its first says it was written with, and its key.
INVOICES = """
SELECT drafted.originator_id, convert_from(drafted.state, 'UTF8')::json -> 'data' ->> 'unique_identifier',
    (convert_from(drafted.state, 'UTF8')::json -> 'data' ->> 'size')::bigint, found.count, found.last
FROM daybook.events AS drafted
CROSS JOIN LATERAL (
    SELECT count(*), max(originator_version) AS last
    FROM daybook.events WHERE originator_id = drafted.originator_id
) AS found
WHERE drafted.topic = 'InvoiceDrafted'
"""
BROKEN_CHAINS = """
SELECT count(*) FROM daybook.events AS event
JOIN daybook.events AS before
    ON before.originator_id = event.originator_id AND before.originator_version = event.originator_version - 1
WHERE convert_from(event.state, 'UTF8')::json -> 'meta' ->> 'prev'
    IS DISTINCT FROM
    daybook.digest(before.originator_id, before.originator_version, before.topic, before.state)
"""


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    load_reference_data(served.target)
    yield served
    served.stop()


@pytest.mark.parametrize("role", ["worker", "follower", "supervisor", "postgres"])
def test_what_was_acknowledged_is_there_whole_and_once_whoever_is_killed(
    role: str, served: Served, record_property: Any
) -> None:
    with Load(served, CALLERS) as load:
        for _ in range(KILLS):
            load.wait_for_more(CALLERS)
            time.sleep(random.uniform(0, 0.3))
            served.kill(role)
        load.wait_for_more(CALLERS)
    print(
        f"{role}: {KILLS} kills, {len(load.acknowledged)} acknowledged, longest gap {load.longest_gap:.1f} s"
    )
    record_property("longest gap", load.longest_gap)
    assert load.failures == []
    check_log(served, load)
    check_read_model(served, load)


class Acknowledged(Protocol):
    """Who keeps what was acknowledged: the id by the key."""

    acknowledged: dict[str, str]


def test_a_worker_that_is_killed_while_it_is_started_again_is_started_once_more(served: Served) -> None:
    with Load(served, CALLERS) as load:
        load.wait_for_more(CALLERS)
        for kills in range(1, 4):
            served.kill("worker")
            wait_until_said(served, "the worker ended (killed by SIGKILL); starting it again", kills)
        load.wait_for_more(CALLERS)
    assert load.failures == []
    assert served.said().count("the worker is back") == 1
    check_log(served, load)


def test_a_worker_for_which_the_machine_has_no_room_is_started_once_there_is(served: Served) -> None:
    supervisor = served.process.pid
    few, most = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    with Load(served, CALLERS) as load:
        load.wait_for_more(CALLERS)
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (3, most))
        served.kill("worker")
        wait_until_said(served, "the worker does not start (Too many open files)", 1)
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (few, most))
        load.wait_for_more(CALLERS)
    assert load.failures == []


def wait_until_said(served: Served, text: str, times: int) -> None:
    until = time.monotonic() + BACK_SECONDS_MAX
    while served.said().count(text) < times:
        assert time.monotonic() < until, served.said()
        time.sleep(0.02)


def check_log(served: Served, load: Acknowledged) -> None:
    found: dict[str, str] = {}
    for invoice_id, key, size, count, last in rows(served, INVOICES):
        assert key not in found, f"{key} is there twice"
        assert size == count == last, f"{key} is not whole: {count} of {size}, last {last}"
        found[key] = str(invoice_id)
    missing = load.acknowledged.keys() - found.keys()
    assert not missing
    assert {key: found[key] for key in load.acknowledged} == load.acknowledged
    assert rows(served, BROKEN_CHAINS) == [(0,)]


def check_read_model(served: Served, load: Acknowledged) -> None:
    """The follower catches up by itself, and shows every invoice once."""
    until = time.monotonic() + FOLLOWED_SECONDS_MAX
    wanted = {str(row[0]) for row in rows(served, INVOICES)}
    while True:
        shown = [str(row[0]) for row in rows(served, "SELECT invoice_id FROM projections.invoices_v1_g1")]
        if set(shown) == wanted:
            break
        assert time.monotonic() < until, f"{len(shown)} of {len(wanted)} shown: {served.said()}"
        time.sleep(0.2)
    assert len(shown) == len(wanted)


def rows(served: Served, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(served.dsn) as connection:
        return connection.execute(query.encode()).fetchall()
