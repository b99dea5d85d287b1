"""What a read model is: a name, tables, and how events become rows of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg_pool import AsyncConnectionPool

from store.log import Recorded, Unavailable

from . import binary
from .exchange import Call

if TYPE_CHECKING:
    from .change import GoOn

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Pool: TypeAlias = AsyncConnectionPool[Connection]
Project: TypeAlias = Callable[[Connection, str, Sequence[Recorded]], Awaitable[None]]
Begin: TypeAlias = "Callable[[Sequence[Sequence[Recorded]]], Sequence[Block]]"
Size: TypeAlias = Callable[[Recorded], int]

SCHEMA = "projections"


@dataclass(frozen=True, slots=True)
class View:
    """What people may read with plain SQL, as `daybook.<name>`: each column with its expression and comment.

    `source` is all that follows FROM; it names the tables by `{table}`. Columns are only ever added, at the
    end: what somebody reads today is there tomorrow.
    """

    name: str
    about: str
    columns: Mapping[str, tuple[str, str]]
    source: str = "{table}"


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """One read model. Raise `code` whenever its tables, or the way they are filled, change.

    `create` and `index` are SQL that names the tables of a generation by `{table}`. `topics` are the stored
    names of the events that it is made of. `openings` are those of them that open an append of several
    events, and how to learn how many: `project` is never given a part of an append. A `lazy` one is given
    events that are decoded only when they are asked for more than their place, and must itself refuse what is
    newer than the program. `begin`, where there is one, makes rows of whole histories without a connection:
    much of a log is then worked through while the database reads and writes. With `go_on`, which says how
    histories are continued that began before, it follows the log together with others.

    So that it can be rebuilt: rows of a stream follow from the events of that stream alone, and each table
    has a primary key. `project` looks nothing up of a stream whose first event is in the batch.
    """

    name: str
    code: int
    topics: frozenset[str]
    create: str
    index: str
    project: Project
    openings: Mapping[str, Size] = field(default_factory=dict)
    lazy: bool = False
    begin: Begin | None = None
    go_on: GoOn | None = None
    views: Sequence[View] = ()

    @property
    def wire_name(self) -> str:
        return self.name.replace("_", "-")

    def table(self, generation: int) -> str:
        return f"{SCHEMA}.{self.name}_v{self.code}_g{generation}"


class Faulty(Exception):
    """PostgreSQL will not do what a read model asks of it: a fault of ours, or of its set-up."""


class Poison(Exception):
    """An event that cannot be projected."""

    def __init__(self, position: int, event: str, because: str) -> None:
        super().__init__(because)
        self.position = position
        self.event = event


class NotReady(Unavailable):
    """This version of a read model has no generation yet that could answer."""

    def __init__(self, projection: str) -> None:
        super().__init__(f"read model {projection} is not ready")


class NotCaughtUp(TimeoutError):
    """The deadline passed before the read model had seen what the caller wants it to have seen."""

    def __init__(self, projection: str, position: int, wanted: int) -> None:
        super().__init__(f"read model {projection} has seen position {position}, not yet {wanted}")
        self.projection = projection
        self.position = position
        self.wanted = wanted


READ_ONLY = psycopg.errors.ReadOnlySqlTransaction
LOST = (psycopg.OperationalError, psycopg.InterfaceError, READ_ONLY, OSError)


@contextmanager
def surfacing(but: type[psycopg.Error] | None = None) -> Iterator[None]:
    """Nothing of the driver leaves this room, but for one error that the caller knows what to make of."""
    try:
        yield
    except LOST as error:
        raise Unavailable(f"the read models are out of reach: {error}".strip()) from error
    except psycopg.Error as error:
        if but is not None and isinstance(error, but):
            raise
        raise Faulty(f"{type(error).__name__}: {error}".strip()) from error


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of a table with their types, so that many rows are written in one go.

    `ending` is what the table's name has after that of the first table.
    """

    columns: Mapping[str, str]
    ending: str = ""
    encode: Sequence[binary.Encode] = field(init=False, repr=False, compare=False)
    inserts: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encode", binary.encoders(self.columns.values()))

    def block(self, rows: Iterable[Sequence[object]]) -> Block:
        return Block(self, [*rows])

    def insert_into(self, table: str) -> bytes:
        """An INSERT whose parameters are the columns, an array for each."""
        if table not in self.inserts:
            arrays = ", ".join(f"${number}::{each}[]" for number, each in enumerate(self.columns.values(), 1))
            names = ", ".join(self.columns)
            sql = f"INSERT INTO {table}{self.ending} ({names}) SELECT * FROM unnest({arrays})"
            self.inserts[table] = sql.encode()
        return self.inserts[table]

    async def write(self, connection: Connection, table: str, rows: Iterable[Sequence[object]]) -> None:
        await write(connection, table, [self.block(rows)])


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one table."""

    rows: Rows
    values: Sequence[Sequence[object]]

    @property
    def body(self) -> bytes:
        return binary.rows(self.rows.encode, self.values)

    def packed(self) -> Packed:
        return Packed(self.rows, self.body)

    def insert(self, table: str) -> Call:
        """All of them in one statement: for a few it costs less than a COPY."""
        rows = self.rows
        return Call(rows.insert_into(table), binary.arrays(rows.columns.values(), rows.encode, self.values))


@dataclass(frozen=True, slots=True)
class Packed:
    """The same, as a COPY takes them."""

    rows: Rows
    body: bytes


async def write(connection: Connection, table: str, blocks: Iterable[Block | Packed]) -> None:
    """Write what is in the blocks, of each table in one COPY."""
    bodies: dict[int, tuple[Rows, list[bytes]]] = {}
    for block in blocks:
        if body := block.body:
            bodies.setdefault(id(block.rows), (block.rows, []))[1].append(body)
    for rows, those in bodies.values():
        sql = f"COPY {table}{rows.ending} ({', '.join(rows.columns)}) FROM STDIN (FORMAT BINARY)"
        async with connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            await copy.write(b"".join((binary.SIGNATURE, *those, binary.TRAILER)))
