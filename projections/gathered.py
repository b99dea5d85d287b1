"""Look-ups of many callers, asked together: what comes while others are answered goes with the next.

Those that differ in their parameters alone make one statement, which is given all of them as arrays: to start
a statement costs PostgreSQL several times as much as to look a row up.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from store.deadlines import NEVER, Deadlines
from store.session import Call, Lost, Refused, Rows, Session, Statement, int8s, texts, uuids

SESSIONS = 2  # one is read from while the other is worked for
TOGETHER_MAX = 64
ANSWER_SECONDS_MAX = 10.0
SETTINGS = """
    SET application_name = 'daybook';
    SET default_transaction_read_only = on;
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET tcp_keepalives_idle = 5;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
"""
# What is asked, row by row, and the answer to each. Rows of one answer stay in its order: there is nothing to
# do for the planner but to take what is asked one by one, as an index answers each.
TOGETHER = """
SELECT asked."#", answer.*
FROM unnest({arrays}) AS asked ("#"{names}) CROSS JOIN LATERAL ({sql}) AS answer
"""

_NAMED = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What questions have in common that are asked in one statement."""

    names: tuple[str, ...]
    types: tuple[type, ...]
    statement: Statement

    def call(self, asked: Sequence[Mapping[str, object]]) -> Call:
        arrays = [int8s(range(len(asked)))]
        for name, kind in zip(self.names, self.types, strict=True):
            arrays.append(_BINARY[kind][1]([each[name] for each in asked]))
        return Call(self.statement, arrays)


class Asked(NamedTuple):
    """A question and where its answer is waited for."""

    form: Form
    parameters: Mapping[str, object]
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
        self._deadlines: Deadlines[asyncio.Future[Rows]] = Deadlines(_late)

    async def __aenter__(self) -> Gathered:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ask(self, sql: str, parameters: Mapping[str, object], until: float = NEVER) -> Rows:
        """The rows; raises what psycopg raises, and TimeoutError at that instant of the loop's clock."""
        answer: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._deadlines.add(answer, until)
        form = _form(sql, tuple(parameters), tuple(map(type, parameters.values())))
        self._waiting.append(Asked(form, parameters, answer))
        if len(self._rounds) < SESSIONS:
            task = asyncio.create_task(self._run(), name="look-ups")
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)
        try:
            return await answer
        finally:
            self._deadlines.discard(answer)

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
            except Refused as refused:
                _fail(asked, _error(refused))
            except Lost as error:
                _fail(asked, psycopg.OperationalError(str(error)))
            except Exception as error:  # whatever it is, those who come after are answered
                _fail(asked, error)
            except asyncio.CancelledError:
                _fail([*asked, *self._waiting], psycopg.OperationalError("closing"))
                raise

    async def _answer(self, asked: Sequence[Asked]) -> None:
        forms: dict[Form, list[Asked]] = {}
        for each in asked:
            forms.setdefault(each.form, []).append(each)
        calls = [form.call([each.parameters for each in those]) for form, those in forms.items()]
        try:
            answers = await self._exchange(calls)
        except Refused:  # one of them, and so all that come after it
            if len(asked) > 1:
                for each in asked:
                    await self._answer_one(each)
                return
            raise
        for those, rows in zip(forms.values(), answers, strict=True):
            _tell(those, rows)

    async def _answer_one(self, asked: Asked) -> None:
        try:
            await self._answer([asked])
        except Refused as refused:
            _fail([asked], _error(refused))

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


def _tell(asked: Sequence[Asked], rows: Rows) -> None:
    """To each its rows."""
    found: list[Rows] = [[] for _ in asked]
    for row in rows:
        found[row[0]].append(row[1:])
    for each, those in zip(asked, found, strict=True):
        if not each.answer.done():
            each.answer.set_result(those)


def _late(answer: asyncio.Future[Rows]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def _fail(asked: Sequence[Asked], error: Exception) -> None:
    for each in asked:
        if not each.answer.done():
            each.answer.set_exception(error)


def _error(refused: Refused) -> psycopg.Error:
    try:
        return psycopg.errors.lookup(refused.sqlstate)(str(refused))
    except KeyError:
        return psycopg.OperationalError(str(refused))


@lru_cache(maxsize=1024)
def _form(sql: str, names: tuple[str, ...], types: tuple[type, ...]) -> Form:
    arrays = ", ".join(f"${n}::{_BINARY[kind][0]}" for n, kind in enumerate((int, *types), 1))
    columns = "".join(f', "{name}"' for name in names)
    together = TOGETHER.format(arrays=arrays, names=columns, sql=_NAMED.sub(r'asked."\1"', sql))
    mark = hashlib.sha256(together.encode()).hexdigest()[:16]
    return Form(names, types, Statement(f"look_up_{mark}", together))


def plain(parameters: Mapping[str, object]) -> bool:
    """Whether a look-up can take these."""
    return all(type(value) in _BINARY for value in parameters.values())


_BINARY: Mapping[type, tuple[str, Callable[[Any], bytes]]] = {
    UUID: ("uuid[]", uuids),
    str: ("text[]", texts),
    int: ("int8[]", int8s),
}
