"""The feed into your own database, each event exactly once: your transaction, our position.

with connect("127.0.0.1:50051") as channel, sqlite3.connect("mine.db") as mine:

    def write(cursor, batch):
        for event in batch.events:
            cursor.execute("INSERT INTO happened VALUES (?, ?)", (event.position, event.sentence))

    consume(channel, mine, write, name="happened")

`consume` goes on for ever: it subscribes again when the connection or the server is lost. What `write`
does and how far it has come are one transaction: after any crash it goes on just where your database stands.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from .client import Explanation, explain
from .v1.audit_service_pb2 import EventFilter, SubscribeEventsRequest, SubscribeEventsResponse
from .v1.audit_service_pb2_grpc import AuditServiceStub
from .v1.event_pb2 import Event

PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0

PASSING = frozenset(("SHUTTING_DOWN", "STORE_UNAVAILABLE", "OVERLOADED", "DEADLINE"))
"""Reasons for which it is worth subscribing again."""
LASTING = frozenset(
    (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    )
)
"""What the network or another program may say without a reason, and would say again."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the feed: events in the order in which to work them off, and where to go on after them."""

    events: Sequence[Event]
    token: str
    """Whoever writes it down together with what the events made him do has each event exactly once."""
    caught_up: bool
    """Set once a subscription: what follows happens from now on."""


def batches(
    channel: grpc.Channel,
    after: str = "",
    filter: EventFilter | None = None,  # noqa: A002
) -> Iterator[Batch]:
    """The feed after a token, for ever; subscribes again by itself. Without events, a batch is a checkpoint.

    Raises grpc.RpcError where it is no use to ask again: a filter that cannot be, or a log that was restored
    from a backup (`explain(error).reason` is LOG_RESTORED) and has to be read from its beginning.
    """
    pause = PAUSE_SECONDS_MIN
    stub = AuditServiceStub(channel)
    while True:
        call = stub.SubscribeEvents(SubscribeEventsRequest(after=after, filter=filter))
        try:
            for answer in call:
                pause, after = PAUSE_SECONDS_MIN, answer.resume_token
                yield _batch(answer)
        except grpc.RpcError as error:
            said = explain(error)
            if not passes(said):
                raise
            after = said.facts.get("resume_token") or after
            pause = _wait(pause, said)
        finally:
            call.cancel()


def passes(said: Explanation) -> bool:
    """Whether it is worth subscribing again after an error."""
    return said.reason in PASSING if said.reason else said.code not in LASTING


def _batch(answer: SubscribeEventsResponse) -> Batch:
    return Batch((*answer.earlier, *answer.events), answer.resume_token, answer.caught_up)


def _wait(pause: float, said: Explanation) -> float:
    """Waits a little, and answers how long to wait the next time."""
    least = said.retry_after.total_seconds() if said.retry_after else 0.0
    time.sleep(max(least, pause * random.uniform(0.5, 1.0)))
    return min(2 * pause, PAUSE_SECONDS_MAX)


class Cursor(Protocol):
    """What every database driver of Python has (PEP 249)."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def fetchone(self) -> Any: ...


class Connection(Protocol):
    """A connection to your database, in transactions, by any driver of PEP 249."""

    def cursor(self) -> Any: ...
    def commit(self) -> Any: ...
    def rollback(self) -> Any: ...


Write = Callable[[Any, Batch], None]
"""Works a batch off, with a cursor in whose transaction everything has to be done. It must not commit."""


class Overtaken(Exception):
    """Somebody else consumes the feed under the same name, and is ahead."""


class OtherFilter(Exception):
    """Under this name the feed was consumed with another filter; what that left out would be missing."""


def consume(
    channel: grpc.Channel,
    connection: Connection,
    write: Write,
    *,
    name: str,
    filter: EventFilter | None = None,  # noqa: A002
    until: Callable[[Batch], bool] = lambda batch: False,
) -> None:
    """Works the feed off into a database, from where it stands on, until `until` says so of a batch.

    How far it has come lies in the table `daybook_feed` there, under `name`, which it makes itself. Raises
    what `batches` and `write` raise, Overtaken, and OtherFilter.
    """
    ledger = Ledger(connection, name, filter)
    for batch in batches(channel, ledger.token, filter):
        ledger.take(batch, write)
        if until(batch):
            return


class Ledger:
    """How far a database has come under a name, in a table of its own."""

    def __init__(
        self,
        connection: Connection,
        name: str,
        filter: EventFilter | None = None,  # noqa: A002
    ) -> None:
        self._connection = connection
        self._name = name
        self._filter = (filter or EventFilter()).SerializeToString(deterministic=True).hex()
        self._mark = _parameter(connection)
        self.token = self._begin()

    def take(self, batch: Batch, write: Write) -> None:
        """A batch and its token, both or neither."""
        cursor = self._connection.cursor()
        try:
            moved = "UPDATE daybook_feed SET token = ? WHERE name = ? AND token = ?"
            self._execute(cursor, moved, batch.token, self._name, self.token)
            if cursor.rowcount != 1:
                raise Overtaken(self._name)
            if batch.events:
                write(cursor, batch)
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise
        self.token = batch.token

    def _begin(self) -> str:
        cursor = self._connection.cursor()
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS daybook_feed"
            " (name varchar(255) PRIMARY KEY, filter text NOT NULL, token varchar(255) NOT NULL)"
        )
        self._execute(cursor, "SELECT filter, token FROM daybook_feed WHERE name = ?", self._name)
        found = cursor.fetchone()
        if found is None:
            begun = "INSERT INTO daybook_feed (name, filter, token) VALUES (?, ?, ?)"
            self._execute(cursor, begun, self._name, self._filter, "")
            found = self._filter, ""
        self._connection.commit()
        if found[0] != self._filter:
            raise OtherFilter(self._name)
        return str(found[1])

    def _execute(self, cursor: Cursor, sql: str, *parameters: str) -> None:
        cursor.execute(sql.replace("?", self._mark), parameters)


def _parameter(connection: Connection) -> str:
    """How the connection's driver marks a parameter; refuses a connection that commits by itself."""
    driver = type(connection).__module__.partition(".")[0]
    by_itself = getattr(connection, "autocommit", False) is True
    if by_itself or (driver == "sqlite3" and getattr(connection, "isolation_level", "") is None):
        raise ValueError("the connection commits by itself: there would be no transaction")
    style = getattr(sys.modules[driver], "paramstyle", "")
    match style:
        case "qmark":
            return "?"
        case "format" | "pyformat":
            return "%s"
        case _:
            raise ValueError(f"parameters of the style {style!r} are not known here")
