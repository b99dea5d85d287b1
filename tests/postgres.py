"""A real PostgreSQL for tests: one embedded server per run, a fresh migrated database per test."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from store.embedded import APPLICATION, DATABASE, OWNER, SUPERUSER, Embedded

T = TypeVar("T")
NUMBERS = count(1)
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4_000_000_000


@dataclass(frozen=True, slots=True)
class Database:
    """One database, and how its roles reach it."""

    owner_dsn: str
    app_dsn: str
    admin_dsn: str


class Server:
    """An embedded PostgreSQL on an event loop of its own, so that tests of any kind can share it."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.embedded = Embedded(folder)
        self.run(self.embedded.start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        self.run(self.embedded.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def make(self, name: str, template: str = DATABASE) -> Database:
        with psycopg.connect(self.embedded.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}".encode())
        of = self.embedded.dsn
        return Database(of(OWNER, name), of(APPLICATION, name), of(SUPERUSER, name))

    def drop(self, name: str) -> None:
        with psycopg.connect(self.embedded.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def roomy() -> Path:
    """Where databases are kept that are made and dropped by the hundred: in memory, where there is enough."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return Path("/tmp")
    free = found.f_bavail * found.f_frsize
    return MEMORY if free > ROOM_BYTES and os.access(MEMORY, os.W_OK) else Path("/tmp")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server of this run."""
    folder = Path(tempfile.mkdtemp(prefix="daybook-", dir=roomy()))
    server = Server(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def database(postgres: Server) -> Iterator[Database]:
    """A database of this test's own: migrated, empty, gone afterwards."""
    name = f"test_{next(NUMBERS)}"
    yield postgres.make(name)
    postgres.drop(name)
