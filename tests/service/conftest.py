"""A real service on a real PostgreSQL, and the stubs that call it.

`server` is shared by the tests of a module, which keep apart by the keys of their invoices; a test that
changes reference data, counts what is in the log, or stops the service takes `own_server` or `empty_server`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from projections.checkpoint import prepare
from projections.pool import pool
from projections.views import show
from service.bootstrap import READ_MODELS
from tests import postgres as postgresql
from tests.postgres import Database, postgres

from .house import House, at_home
from .messages import apply

if TYPE_CHECKING:  # they exist for type checkers alone
    from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceAsyncStub
    from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub
    from daybook.v1.reference_data_service_pb2_grpc import ReferenceDataServiceAsyncStub

__all__ = ["postgres"]

BOOKS = count(1)


@pytest.fixture(scope="session")
def furnished(postgres: postgresql.Server) -> str:
    """The name of a database to copy: migrated, with the tables of all read models, empty."""
    name = "furnished"
    postgres.run(furnish(postgres.make(name).app_dsn))
    return name


async def furnish(dsn: str) -> None:
    async with pool(dsn) as connections:
        await prepare(connections, READ_MODELS, built=True)
        await show(connections, READ_MODELS)


@pytest.fixture
def database(postgres: postgresql.Server, furnished: str) -> Iterator[Database]:
    """A database of this test's own, gone afterwards."""
    name = f"book_{next(BOOKS)}"
    yield postgres.make(name, furnished)
    postgres.drop(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(postgres: postgresql.Server, furnished: str) -> AsyncIterator[House]:
    """A book that takes invoices."""
    name = f"book_{next(BOOKS)}"
    async with at_home(postgres.make(name, furnished).app_dsn) as house:
        await house.reference.ApplyReferenceData(apply())
        yield house
    postgres.drop(name)


@pytest_asyncio.fixture(loop_scope="module")
async def empty_server(database: Database) -> AsyncIterator[House]:
    """A book without reference data, of this test's own."""
    async with at_home(database.app_dsn) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def own_server(empty_server: House) -> House:
    """A book that takes invoices, of this test's own."""
    await empty_server.reference.ApplyReferenceData(apply())
    return empty_server


@pytest.fixture
def invoices(server: House) -> InvoiceServiceAsyncStub:
    return server.invoices


@pytest.fixture
def queries(server: House) -> InvoiceQueryServiceAsyncStub:
    return server.queries


@pytest.fixture
def reference(server: House) -> ReferenceDataServiceAsyncStub:
    return server.reference
