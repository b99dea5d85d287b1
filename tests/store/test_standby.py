"""With a synchronous standby nothing is told that it does not have: what it lacks could still be lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from store.embedded.binaries import binaries_of_wheel
from store.embedded.user import SUPERUSER, as_unprivileged, give
from store.log import DeadlineExceeded, OutcomeUnknown, Unavailable
from store.postgres import PostgresLog, open_log
from tests.postgres import Server

from .events import META, assert_whole, codec, everything, new

pytestmark = pytest.mark.long

START_SECONDS_MAX = 60
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'daybook'"
SYNCHRONOUS = "SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"


class Standby:
    """A copy that follows a server, and that its commits wait for."""

    def __init__(self, primary: Server) -> None:
        self.primary = primary
        self.folder = Path(tempfile.mkdtemp(prefix="daybook-standby-", dir="/tmp"))
        self.folder.chmod(0o711)
        cluster, sockets = self.folder / "cluster", self.folder / "sockets"
        for each in (cluster, sockets):
            each.mkdir(mode=0o700)
            give(each)
        told = primary.embedded.dsn(SUPERUSER, "postgres").replace("dbname=postgres", "").strip()
        copy: list[str | Path] = [
            binary("pg_basebackup"),
            "-D",
            cluster,
            "-d",
            told,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ]
        subprocess.run([*as_unprivileged(), *copy], check=True, cwd="/")
        command: list[str | Path] = [
            binary("postgres"),
            "-D",
            cluster,
            "-c",
            "listen_addresses=",
            "-k",
            sockets,
        ]
        command += ["-c", "cluster_name=copy", "-c", "logging_collector=off"]
        said = (self.folder / "said").open("wb")
        with said:
            self.process = subprocess.Popen([*as_unprivileged(), *command], stdout=said, stderr=said, cwd="/")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        pid = self.process.pid
        pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        for each in pids:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in pids:
                os.kill(each, signal.SIGCONT)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(START_SECONDS_MAX)
        shutil.rmtree(self.folder)


def binary(name: str) -> Path:
    return binaries_of_wheel() / "bin" / name


@pytest.fixture
def primary() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="daybook-primary-", dir="/tmp"))
    server = Server(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def standby(primary: Server) -> Iterator[Standby]:
    standby = Standby(primary)
    administer(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    administer(primary, "SELECT pg_reload_conf()")
    until = time.monotonic() + START_SECONDS_MAX
    while not administer(primary, SYNCHRONOUS):
        assert time.monotonic() < until, (standby.folder / "said").read_text()
        time.sleep(0.1)
    yield standby
    administer(primary, "ALTER SYSTEM RESET synchronous_standby_names")
    administer(primary, "SELECT pg_reload_conf()")
    standby.stop()


def administer(server: Server, statement: str) -> list[tuple[int, ...]]:
    with psycopg.connect(server.embedded.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        cursor = admin.execute(statement.encode())
        return cursor.fetchall() if cursor.description is not None else []


def in_time(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def version(log: PostgresLog, stream: UUID, seconds: float) -> int:
    return (await log.read(stream, deadline=in_time(seconds))).version


async def test_what_the_standby_lacks_is_neither_acknowledged_nor_told(
    primary: Server, standby: Standby
) -> None:
    async with await open_log(primary.embedded.app_dsn, codec()) as log:
        before, doubtful = new(2), new(2)
        await log.append([before], META)
        assert await version(log, before.stream, 10) == 2
        with standby.frozen():
            with pytest.raises(OutcomeUnknown):
                await log.append([doubtful], META, deadline=in_time(2))
            [(writer,)] = await asyncio.to_thread(administer, primary, WAITING)
            await asyncio.to_thread(administer, primary, f"SELECT pg_terminate_backend({writer})")
            await asyncio.sleep(1)
            assert seen(primary, doubtful.stream) == 2  # whoever asks PostgreSQL itself is shown it
            with pytest.raises((DeadlineExceeded, Unavailable)):
                await version(log, doubtful.stream, 2)
        assert await version(log, doubtful.stream, 20) == 2
        await log.append([new()], META, deadline=in_time(20))
        assert_whole(await everything(log))


async def test_a_wait_for_the_standby_that_was_broken_off_is_no_acknowledgement(
    primary: Server, standby: Standby
) -> None:
    async with await open_log(primary.embedded.app_dsn, codec()) as log:
        await log.append([new()], META)
        write = new(2)
        with standby.frozen():
            patient = asyncio.create_task(log.append([write], META, deadline=in_time(40)))
            await asyncio.sleep(1)
            [(writer,)] = await asyncio.to_thread(administer, primary, WAITING)
            await asyncio.to_thread(administer, primary, f"SELECT pg_cancel_backend({writer})")
            await asyncio.sleep(2)
            assert not patient.done()
        position = (await patient).position
        assert await version(log, write.stream, 10) == 2
        assert (await log.read(write.stream)).position == position


def seen(server: Server, stream: UUID) -> int:
    with psycopg.connect(server.embedded.app_dsn) as connection:
        count = "SELECT count(*) FROM daybook.events WHERE originator_id = %s"
        [(found,)] = connection.execute(count.encode(), (stream,)).fetchall()
    return int(found)
