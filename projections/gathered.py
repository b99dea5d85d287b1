"""Look-ups of many callers, asked together: what comes while others are answered goes with the next."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from store.session import INT8, TEXT, UUID_, Call, Lost, Refused, Rows, Session, Statement, int8

SESSIONS = 2  # one is read from while the other is worked for
TOGETHER_MAX = 64
ANSWER_SECONDS_MAX = 10.0
SETTINGS = """
    SET application_name = 'daybook';
    SET default_transaction_read_only = on;
    SET tcp_keepalives_idle = 5;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
"""

_NAMED = re.compile(r"%\((\w+)\)s")


class Asked(NamedTuple):
    """A question and where its answer is waited for."""

    call: Call
    answer: asyncio.Future[Rows]


class Gathered:
    """A few connections, on each of which many questions make one round trip.

    Only for what an index answers at once: nobody's answer comes before those that it is asked with.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: list[Asked] = []
        self._idle: list[Session] = []
        self._rounds: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Gathered:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ask(self, sql: str, parameters: Mapping[str, object]) -> Rows:
        """The rows; raises what psycopg raises."""
        answer: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._waiting.append(Asked(_call(sql, parameters), answer))
        if len(self._rounds) < SESSIONS:
            task = asyncio.create_task(self._run(), name="look-ups")
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)
        return await answer

    async def close(self) -> None:
        for task in list(self._rounds):
            task.cancel()
        await asyncio.gather(*self._rounds, return_exceptions=True)
        while self._idle:
            self._idle.pop().close()

    async def _run(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
            asked = [each for each in asked if not each.answer.done()]
            try:
                if asked:
                    await self._answer(asked)
            except (Lost, Refused) as error:
                _fail(asked, psycopg.OperationalError(str(error)))
            except Exception as error:  # whatever it is, those who come after are answered
                _fail(asked, error)
            except asyncio.CancelledError:
                _fail([*asked, *self._waiting], psycopg.OperationalError("closing"))
                raise

    async def _answer(self, asked: Sequence[Asked]) -> None:
        try:
            rows = await self._exchange([each.call for each in asked])
        except Refused:  # one of them, and so all that come after it
            for each in asked:
                await self._answer_one(each)
        else:
            for each, found in zip(asked, rows, strict=True):
                if not each.answer.done():
                    each.answer.set_result(found)

    async def _answer_one(self, asked: Asked) -> None:
        try:
            [rows] = await self._exchange([asked.call])
        except Refused as refused:
            _fail([asked], _error(refused))
        else:
            if not asked.answer.done():
                asked.answer.set_result(rows)

    async def _exchange(self, calls: Sequence[Call]) -> list[Rows]:
        """A connection that was lost while it was idle is made anew: a question may be asked again."""
        while self._idle:
            session = self._idle.pop()
            try:
                return await self._on(session, calls)
            except Lost:
                continue
        return await self._on(await Session.open(self._dsn, SETTINGS), calls)

    async def _on(self, session: Session, calls: Sequence[Call]) -> list[Rows]:
        try:
            rows = await session.exchange(*calls, seconds=ANSWER_SECONDS_MAX)
        except BaseException:
            session.close()  # who was refused may know statements that the session does not know of
            raise
        self._idle.append(session)
        return rows


def _fail(asked: Sequence[Asked], error: Exception) -> None:
    for each in asked:
        if not each.answer.done():
            each.answer.set_exception(error)


def _error(refused: Refused) -> psycopg.Error:
    try:
        return psycopg.errors.lookup(refused.sqlstate)(str(refused))
    except KeyError:
        return psycopg.OperationalError(str(refused))


def _call(sql: str, parameters: Mapping[str, object]) -> Call:
    names, text = _numbered(sql)
    values = [_BINARY[type(value)](value) for value in map(parameters.__getitem__, names)]
    return Call(_statement(text, tuple([of for of, _ in values])), [value for _, value in values])


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> tuple[tuple[str, ...], str]:
    """The names of the parameters, and the text with their numbers in their places."""
    names = tuple(dict.fromkeys(_NAMED.findall(sql)))
    return names, _NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", sql)


@lru_cache(maxsize=1024)
def _statement(sql: str, types: tuple[int, ...]) -> Statement:
    mark = hashlib.sha256(f"{types} {sql}".encode()).hexdigest()[:16]
    return Statement(f"look_up_{mark}", sql, types)


def plain(parameters: Mapping[str, object]) -> bool:
    """Whether a look-up can take these."""
    return all(type(value) in _BINARY for value in parameters.values())


_BINARY: Mapping[type, Callable[[Any], tuple[int, bytes]]] = {
    UUID: lambda value: (UUID_, value.bytes),
    str: lambda value: (TEXT, value.encode()),
    int: lambda value: (INT8, int8(value)),
}
