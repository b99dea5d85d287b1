"""A read model as of a position, in tables of its own beside all generations: asked, and dropped again.

    source = Source(dsn, codec.decode, schema.REGISTRY.keys(), upto=position)
    async with aside(pool, source, INVOICES, "projections.invoices_as_of_x1") as reader:
        found = await invoices.find(reader, invoice_id)

The tables' name is the caller's, and must be new; a position is the last of an append. For an instant, take
the last position before the first event that was recorded after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

from .bulk import Source, fill
from .generations import tables
from .projection import Connection, Pool, Projection, surfacing
from .reader import Answer, Parameters, Reader, Rows


class AsideReader(Reader):
    """Asks the tables that stand aside, whatever is live."""

    def __init__(self, pool: Pool, table: str, position: int) -> None:
        self._pool = pool
        self._table = table
        self._position = position

    async def ask(
        self,
        projection: Projection,
        query: str,
        parameters: Parameters,
        *,
        min_position: int = 0,
        deadline: float | None = None,
        prepare: bool = True,
    ) -> Answer[Rows]:
        """The rows of a query on `{table}`; the position is the one they were built up to."""
        with surfacing():
            async with self._pool.connection() as connection:
                cursor = connection.cursor(binary=True)
                await cursor.execute(query.format(table=self._table).encode(), parameters, prepare=False)
                return Answer(await cursor.fetchall(), self._position)


@contextlib.asynccontextmanager
async def aside(pool: Pool, source: Source, projection: Projection, table: str) -> AsyncIterator[AsideReader]:
    """Build the read model up to `source.upto` into tables of this name, and drop them in the end."""
    try:
        async with pool.connection() as connection:
            await connection.execute(projection.create.format(table=table).encode())
            await fill(connection, source, projection, table, _nothing)
            if projection.index.strip():
                await connection.execute(projection.index.format(table=table).encode())
        yield AsideReader(pool, table, source.upto)
    finally:
        async with pool.connection() as connection:
            for name in await tables(connection, table):
                await connection.execute(f"DROP TABLE {name}".encode())


async def _nothing(connection: Connection, stream: UUID, events: int) -> None:
    """It is not gone on with after an interruption."""
