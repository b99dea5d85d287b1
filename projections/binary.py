"""Values as PostgreSQL's binary COPY has them, and its arrays: each after its length.

psycopg does the same row by row, and it was most of what writing cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import call
from struct import Struct
from typing import Any
from uuid import UUID

import msgspec
from psycopg import adapters
from psycopg.adapt import PyFormat

Encode = Callable[[Any], bytes]

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EPOCH_DAY = date(2000, 1, 1).toordinal()
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
KEPT_MAX = 1_000  # encoded values of one column
KEPT_BYTES_MAX = 64

_count = Struct(">h").pack
_length = Struct(">i").pack
_int4 = Struct(">ii").pack
_array = Struct(">iiIii").pack
_int8 = Struct(">iq").pack
_numeric = adapters.get_dumper(Decimal, PyFormat.BINARY)(Decimal).dump
_json = msgspec.json.Encoder().encode


def _bytes(value: bytes | None) -> bytes:
    return NULL if value is None else _length(len(value)) + value


def _text(value: str | None) -> bytes:
    if value is None:
        return NULL
    text = value.encode()
    return _length(len(text)) + text


def _uuid(value: UUID | None) -> bytes:
    return NULL if value is None else b"\0\0\0\x10" + value.bytes


def _integer(value: int | None) -> bytes:
    return NULL if value is None else _int4(4, value)


def _long(value: int | None) -> bytes:
    return NULL if value is None else _int8(8, value)


def _truth(value: bool | None) -> bytes:
    return NULL if value is None else b"\0\0\0\1\1" if value else b"\0\0\0\1\0"


def _decimal(value: Decimal | None) -> bytes:
    return NULL if value is None else _bytes(bytes(_numeric(value) or b""))


def _day(value: date | None) -> bytes:
    return NULL if value is None else _int4(4, value.toordinal() - EPOCH_DAY)


def _instant(value: datetime | None) -> bytes:
    return NULL if value is None else _int8(8, (value - EPOCH) // MICROSECOND)


def _object(value: Mapping[str, Any] | None) -> bytes:
    return NULL if value is None else _bytes(b"\x01" + _json(value))


class Kept(dict[Any, bytes]):
    """The first values of a column with their encoding: where there are few of them, they come again."""

    def __init__(self, encode: Encode) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, value: Any) -> bytes:
        encoded = self._encode(value)
        if len(self) < KEPT_MAX and len(encoded) <= KEPT_BYTES_MAX:
            self[value] = encoded
        return encoded


class KeptByText(dict[str, bytes]):
    """The same of amounts, by their text: those that are equal need not have the same zeros.

    What is nothing comes again, and so do rates.
    """

    def encode(self, value: Decimal | None) -> bytes:
        if value is None:
            return NULL
        text = str(value)
        encoded = self.get(text)
        if encoded is None:
            encoded = _decimal(value)
            if len(self) < KEPT_MAX and len(encoded) <= KEPT_BYTES_MAX:
                self[text] = encoded
        return encoded


ENCODE: Mapping[str, Encode] = {
    "bytea": _bytes,
    "text": _text,
    "uuid": _uuid,
    "bool": _truth,
    "int4": _integer,
    "int8": _long,
    "numeric": _decimal,
    "date": _day,
    "timestamptz": _instant,
    "jsonb": _object,
}
OIDS = {
    "bool": 16,
    "bytea": 17,
    "int8": 20,
    "int4": 23,
    "text": 25,
    "date": 1082,
    "timestamptz": 1184,
    "numeric": 1700,
    "uuid": 2950,
    "jsonb": 3802,
}
OFTEN_ALIKE = frozenset(("text", "date"))


def encoders(types: Iterable[str]) -> Sequence[Encode]:
    return [_kept(each) for each in types]


def _kept(type_: str) -> Encode:
    if type_ == "numeric":
        return KeptByText().encode
    return Kept(ENCODE[type_]).__getitem__ if type_ in OFTEN_ALIKE else ENCODE[type_]


def rows(encode: Sequence[Encode], values: Iterable[Sequence[object]]) -> bytes:
    """Rows of columns of these types, without what goes before the first and after the last."""
    head = _count(len(encode))
    parts: list[bytes] = []
    for row in values:
        parts.append(head)
        parts += map(call, encode, row)
    return b"".join(parts)


def array(type_: str, encoded: Sequence[bytes]) -> bytes:
    """An array of one dimension."""
    return b"".join((_array(1, 1, OIDS[type_], len(encoded), 1), *encoded))


def array_of(type_: str, values: Iterable[object]) -> bytes:
    return array(type_, list(map(ENCODE[type_], values)))


def long(value: int) -> bytes:
    """One number for itself, without its length."""
    return _int8(8, value)[4:]


def arrays(
    types: Iterable[str], encode: Sequence[Encode], values: Sequence[Sequence[object]]
) -> Sequence[bytes]:
    """The same rows, of which there is at least one, as an array for each column."""
    columns = zip(*values, strict=True)
    return [array(each[0], list(map(each[1], each[2]))) for each in zip(types, encode, columns, strict=True)]
