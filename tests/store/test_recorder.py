"""The library's recorder works on our table, keeps its own contract there, and takes our turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.tests.persistence import ApplicationRecorderTestCase

from store.postgres import PostgresLog
from store.recorder import Recorder
from store.statements import TURN_KEY
from tests.postgres import Database

from .events import META, happenings, new


@pytest.fixture
def recorder(database: Database) -> Iterator[Recorder]:
    recorder = Recorder(database.app_dsn)
    yield recorder
    recorder.close()


def test_it_keeps_the_contract_that_the_library_tests_recorders_with(recorder: Recorder) -> None:
    class Contract(ApplicationRecorderTestCase):
        def create_recorder(self) -> Recorder:
            return recorder

    Contract("test_insert_select").debug()


def test_it_waits_for_the_turn(recorder: Recorder, database: Database) -> None:
    event = StoredEvent(uuid4(), 1, "Happened", b"{}")
    with psycopg.connect(database.app_dsn) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (TURN_KEY,))
        with pytest.raises(Exception, match="lock timeout"):
            Recorder.insert_events.__wrapped__(recorder, [event])
    assert recorder.insert_events([event]) == [1]


async def test_it_reads_what_the_log_appended(recorder: Recorder, postgres_log: PostgresLog) -> None:
    write = new(3)
    await postgres_log.append([write], META)
    events = await asyncio.to_thread(recorder.select_events, write.stream)
    assert [event.originator_version for event in events] == [1, 2, 3]
    stored = await postgres_log.feed(0, 10)
    assert [event.state for event in events] == [event.state for event in stored]


async def test_the_log_hears_of_what_it_appends(recorder: Recorder, postgres_log: PostgresLog) -> None:
    waiting = asyncio.create_task(postgres_log.wait(0, timeout=20))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(recorder.insert_events, [StoredEvent(uuid4(), 1, "Happened", b"{}")])
    await asyncio.wait_for(waiting, timeout=2)


async def test_it_cannot_overwrite_what_the_log_appended(
    recorder: Recorder, postgres_log: PostgresLog
) -> None:
    write = new(1)
    await postgres_log.append([write], META)
    with pytest.raises(IntegrityError):
        await asyncio.to_thread(recorder.insert_events, [StoredEvent(write.stream, 1, "Happened", b"{}")])
    assert (await postgres_log.read(write.stream)).events == happenings(1)
