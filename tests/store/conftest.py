"""The logs under test: the one in PostgreSQL and its twin in memory keep the same contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from store.log import Log
from store.memory import MemoryLog
from store.postgres import PostgresLog, open_log
from tests.postgres import Database, database, postgres

from .events import codec

__all__ = ["database", "postgres"]


@pytest.fixture(params=["memory", "postgres"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    if request.param == "memory":
        yield MemoryLog(codec())
    else:
        async with await open_log(request.getfixturevalue("database").app_dsn, codec()) as log:
            yield log


@pytest.fixture
async def postgres_log(database: Database) -> AsyncIterator[PostgresLog]:
    async with await open_log(database.app_dsn, codec()) as log:
        yield log
