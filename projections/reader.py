"""Asks read models: rows and the position that they stand for, from one snapshot of the live generation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import psycopg

from store.log import DeadlineExceeded, Unavailable

from .caught_up import Tidings
from .editions import ASKED, Edition, NoSuchEdition
from .gathered import Gathered, plain
from .projection import LOST, Connection, NotCaughtUp, NotReady, Pool, Projection, surfacing

QUERY_SECONDS_MAX = 10.0  # when the caller sets no deadline of its own
GENERATIONS_MAX = 3  # that may have gone while one question was asked
PAUSE_SECONDS = 0.005  # between looks, when word of a position runs ahead of it

T = TypeVar("T")
Rows = list[tuple[Any, ...]]
Parameters = Mapping[str, object]

LIVE = "SELECT generation FROM projections.live WHERE projection = %(name)s AND code = %(code)s"
# `found` never has a null in its first column, so a null there is the absence of rows.
SNAPSHOT = """
SELECT live.generation, checkpoint.position, found.*
FROM projections.live
JOIN projections.checkpoints AS checkpoint USING (projection, code, generation)
LEFT JOIN LATERAL ({query}) AS found ON live.generation = {generation}
WHERE live.projection = '{name}' AND live.code = {code}
"""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a read model says, and the position that it had seen."""

    found: T
    position: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list; `next` asks for what follows, None at the end."""

    items: tuple[T, ...]
    next: int | None


class Reader:
    """Asks the live generations. Deadlines are instants of the running loop's clock."""

    def __init__(self, pool: Pool, tidings: Tidings, gathered: Gathered | None = None) -> None:
        self._pool = pool
        self._gathered = gathered  # asks what is prepared; without, everything is asked by itself
        self._tidings = tidings
        self._generations: dict[Projection, int] = {}

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
        """The rows of a query on `{table}`, once the read model has seen `min_position`.

        A query that is not prepared is planned for its parameters each time. Raises NotCaughtUp, NotReady,
        Unavailable, DeadlineExceeded or Faulty.
        """
        loop = asyncio.get_running_loop()
        until = min(float("inf") if deadline is None else deadline, loop.time() + QUERY_SECONDS_MAX)
        if (edition := ASKED.get()) is not None:
            return await self._of(edition, projection, query, parameters, until)
        together = prepare and self._gathered is not None and plain(parameters)
        seen = self._heard(projection) if min_position else 0
        try:
            if together and seen >= min_position:  # nobody need wait, and who is asked keeps the time
                answer = await self._look(projection, query, parameters, until)
                if answer.position >= min_position:
                    return answer
                seen = answer.position
            async with asyncio.timeout_at(until):
                while True:
                    seen = max(seen, await self._told(projection, min_position))
                    answer = await self._look(
                        projection, query, parameters, until, together=together, prepare=prepare
                    )
                    if answer.position >= min_position:
                        return answer
                    seen = answer.position
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError as error:
            if seen < min_position:
                raise NotCaughtUp(projection.wire_name, seen, min_position) from error
            if deadline is not None and loop.time() >= deadline:
                raise DeadlineExceeded() from error
            raise Unavailable("the read models do not answer") from error

    async def _of(
        self, edition: Edition, projection: Projection, query: str, parameters: Parameters, until: float
    ) -> Answer[Rows]:
        """The rows of a query on a read model as it was; that of an edition does not change."""
        sql = query.format(table=edition.table(projection))
        try:
            async with asyncio.timeout_at(until):
                return Answer(await self._rows(sql, parameters, prepare=False), edition.position)
        except psycopg.errors.UndefinedTable as missing:
            raise NoSuchEdition(name=edition.name, needed=projection.wire_name) from missing
        except TimeoutError as error:
            raise DeadlineExceeded() from error

    async def wait_until(self, projection: Projection, position: int, deadline: float | None = None) -> int:
        """The position that the read model has seen, once that is at least this one; raises as `ask` does."""
        answer = await self.ask(projection, "SELECT 1", {}, min_position=position, deadline=deadline)
        return answer.position

    def _heard(self, projection: Projection) -> int:
        """The position that the read model is known to have seen."""
        generation = self._generations.get(projection)
        return self._tidings.heard(projection.table(generation)) if generation else 0

    async def _told(self, projection: Projection, position: int) -> int:
        """Wait until the position is told, or it is time to look; answers the one that was told."""
        if not position:
            return 0
        table = projection.table(self._generations.get(projection) or await self._live(projection))
        await self._tidings.wait(table, position)
        return self._tidings.heard(table)

    async def _look(
        self,
        projection: Projection,
        query: str,
        parameters: Parameters,
        until: float,
        *,
        together: bool = True,
        prepare: bool = True,
    ) -> Answer[Rows]:
        """Ask the generation that was live last, and ask again where it no longer is."""
        generation = self._generations.get(projection) or await self._live(projection)
        for _ in range(GENERATIONS_MAX):
            sql = _sql(projection, query, generation)
            try:
                if together:
                    rows = await self._together(sql, parameters, until)
                else:
                    rows = await self._rows(sql, parameters, prepare)
            except psycopg.errors.UndefinedTable:
                generation = await self._live(projection)
                continue
            if not rows:
                raise NotReady(projection.wire_name)
            live, position = rows[0][:2]
            if live == generation:
                self._generations[projection] = live
                self._tidings.tell(projection.table(live), position)
                return Answer([row[2:] for row in rows if row[2] is not None], position)
            generation = live
        raise NotReady(projection.wire_name)

    async def _live(self, projection: Projection) -> int:
        try:
            rows = await self._rows(LIVE, {"name": projection.name, "code": projection.code}, prepare=True)
        except psycopg.errors.UndefinedTable:
            rows = []
        if not rows:
            raise NotReady(projection.wire_name)
        return int(rows[0][0])

    async def _together(self, sql: str, parameters: Parameters, until: float) -> Rows:
        assert self._gathered is not None
        try:
            return await self._gathered.ask(sql, parameters, until)
        except psycopg.Error as error:
            with surfacing(but=psycopg.errors.UndefinedTable):
                raise error

    async def _rows(self, sql: str, parameters: Parameters, prepare: bool) -> Rows:
        """A question whose connection was lost, while it was idle perhaps, is asked again on another."""
        with surfacing(but=psycopg.errors.UndefinedTable):
            for _ in range(self._pool.max_size):
                connection: Connection | None = None
                try:
                    async with self._pool.connection() as connection:
                        cursor = connection.cursor(binary=True)
                        await cursor.execute(sql.encode(), parameters, prepare=prepare)
                        return await cursor.fetchall()
                except LOST:
                    if connection is None or not connection.closed:
                        raise
        raise Unavailable("every connection to the read models was lost")


@lru_cache(maxsize=1024)
def _sql(projection: Projection, query: str, generation: int) -> str:
    return SNAPSHOT.format(
        query=query.format(table=projection.table(generation)),
        generation=generation,
        name=projection.name,
        code=projection.code,
    )
