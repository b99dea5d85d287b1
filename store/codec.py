"""Events to bytes and back: JSON under a stable name and a schema version, readable with psql alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from . import chain
from .log import Event, Meta, Recorded, Stored, Unreadable, Who
from .shape import Shape, twin_of

T = TypeVar("T")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
Draw = Callable[[int], bytes]

SALT_BYTES = 16
COMMITTED = b'"personal":"'  # stands last in the data, before 64 hex digits
COMMITTED_BYTES = len(COMMITTED) + 64 + len(b'"}}')
DATA = b',"data":'
DATA_BYTES = len(DATA)
NOT_A_NUMBER = re.compile(rb'"[-+]?(?:s?nan|inf)', re.IGNORECASE)
_ENCODER = msgspec.json.Encoder(decimal_format="string", order=None)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the registry knows of a stored name: today's class and the schema version it writes."""

    type: type
    version: int = 1


class Encoded(msgspec.Struct, frozen=True):
    """An event before its turn: its data, and the text that is kept apart, if it has any."""

    topic: str
    opening: bytes
    data: bytes
    salt: bytes | None = None
    body: bytes | None = None

    def state(self, recorded: bytes, accompanying: bytes, prev: str) -> bytes:
        """The stored form, spliced from parts of which most were encoded before."""
        link = b',"prev":"' + prev.encode() + b'"' if prev else b""
        return b"".join((self.opening, recorded, b'"', accompanying, link, b'},"data":', self.data, b"}"))


class StoredMeta(msgspec.Struct):
    """`meta` of the stored form; what is empty is left out."""

    recorded: datetime
    who: Who
    correlation: str = ""
    causation: str = ""
    reason: str = ""
    trace: str = ""
    prev: str = ""


class Envelope(msgspec.Struct, Generic[T]):
    """The stored form of an event."""

    v: int
    meta: StoredMeta
    data: T


class Accompanying(msgspec.Struct, omit_defaults=True):
    """The part of `meta` that an append knows before its turn."""

    who: Who
    correlation: str = ""
    causation: str = ""
    reason: str = ""
    trace: str = ""


def accompanying(meta: Meta) -> bytes:
    """The part of the stored `meta` that is the same for all events of an append, ready to be spliced."""
    told = Accompanying(meta.who, meta.correlation, meta.causation, meta.reason, meta.trace)
    return b"," + _ENCODER.encode(told)[1:-1]


class Codec:
    """Encodes and decodes the events of a closed registry: stored name -> class and schema version.

    A field is left out of the stored form when it holds the nothing (None, False, empty) that is its default.
    """

    def __init__(
        self,
        registry: Mapping[str, Entry],
        upcasts: Mapping[tuple[str, int], Upcast] | None = None,
        draw: Draw = os.urandom,
    ) -> None:
        self._forms = {name: _Form(name, entry) for name, entry in registry.items()}
        self._form_of = {form.type: form for form in self._forms.values()}
        if len(self._form_of) != len(self._forms):
            raise TypeError("a class stands under two names in the registry")
        self._upcasts = upcasts or {}
        self._draw = draw

    def encode(self, event: Event) -> Encoded:
        form = self._form_of.get(type(event))
        if form is None:
            raise TypeError(f"{type(event).__qualname__} is not in the registry of events")
        return form.encode(event, self._draw)

    def decode(self, stored: Stored) -> Recorded:
        form = self._forms.get(stored.topic)
        if form is None:
            raise Unreadable(f"position {stored.position}: the registry knows no {stored.topic!r}")
        try:
            envelope = self._envelope(form, stored)
        except (msgspec.MsgspecError, KeyError, ValueError, TypeError) as error:
            raise Unreadable(f"position {stored.position}, {stored.topic}: {error}") from error
        told = envelope.meta
        meta = Meta(told.who, told.correlation, told.causation, told.reason, told.trace)
        return Recorded(envelope.data, told.recorded, meta, told.prev, stored)

    def _envelope(self, form: _Form, stored: Stored) -> Envelope[Any]:
        state = form.whole(stored)
        today = state.startswith(form.today)
        envelope = form.decoder.decode(state) if today else self._upcasted(form, state)
        if _looks_not_finite(state):
            _require_finite(envelope.data)
        return envelope

    def _upcasted(self, form: _Form, state: bytes) -> Envelope[Any]:
        raw = msgspec.json.decode(state)
        for version in range(raw["v"], form.version):
            raw["data"] = self._upcasts[form.name, version](raw["data"])
        if raw["v"] > form.version:
            raise Unreadable(f"{form.name} is of version {raw['v']}, newer than this program")
        envelope: Envelope[Any] = msgspec.convert(raw, form.envelope)
        return envelope


class _Form:
    """How one event looks in the log."""

    def __init__(self, name: str, entry: Entry) -> None:
        shape = Shape.of(entry.type)
        self.name = name
        self.type: type = entry.type
        self.version = entry.version
        self.today = b'{"v":%d,' % entry.version
        self.opening = self.today + b'"meta":{"recorded":"'
        self._twin = twin_of(entry.type)
        self._has_personal = shape.personal is not None
        self._nobody = shape.nobody
        self.envelope: Any = Envelope[entry.type]  # type: ignore[name-defined]
        self.decoder = msgspec.json.Decoder(self.envelope)

    def encode(self, event: Event, draw: Draw) -> Encoded:
        twin = self._twin(event)
        salt = body = None
        if self._has_personal:
            salt, body = self._kept_apart(event, twin.personal, draw)
            twin.personal = chain.commitment(salt, body) if salt and body else None
        data = _ENCODER.encode(twin)
        if _holds_not_finite(data) or (body and _holds_not_finite(body)):
            _require_finite(event)
        return Encoded(self.name, self.opening, data, salt, body)

    def whole(self, stored: Stored) -> bytes:
        """The state with the text in place of the commitment to it, null where it was erased."""
        state = stored.state
        cut = len(state) - COMMITTED_BYTES
        if not self._has_personal or not state.startswith(COMMITTED, cut):
            return state
        return b"".join((state[:cut], b'"personal":', stored.personal or b"null", b"}}"))

    def _kept_apart(self, event: Event, twin: Any, draw: Draw) -> tuple[bytes | None, bytes | None]:
        if event.personal is None or event.personal == self._nobody:
            return None, None
        return draw(SALT_BYTES), _ENCODER.encode(twin)


def is_committed(state: bytes) -> bool:
    """Whether text is kept apart from an event of today's version, or was, before it was erased."""
    return state.startswith(COMMITTED, len(state) - COMMITTED_BYTES)


def data_of(state: bytes, personal: bytes | None) -> bytes:
    """The data of an event of today's version as JSON, with the text that is kept apart in its place.

    No text before it can look like where it begins: in a JSON string, quotation marks are escaped.
    """
    start, cut = state.index(DATA) + DATA_BYTES, len(state) - COMMITTED_BYTES
    if not state.startswith(COMMITTED, cut):
        return state[start:-1]
    return b"".join((state[start:cut], b'"personal":', personal or b"null", b"}"))


def _holds_not_finite(written: bytes) -> bool:
    """Whether what we wrote may hold a Decimal that is not a number; a name may look so, too."""
    return b"NaN" in written or b"Infinity" in written


def _looks_not_finite(text: bytes) -> bool:
    """Whether "NaN" or an infinity may stand for a number: msgspec takes them. A text may look so, too."""
    small = text.lower()
    return (b"nan" in small or b"inf" in small) and NOT_A_NUMBER.search(small) is not None


def _require_finite(value: Any) -> None:
    if not all(number.is_finite() for number in _decimals(value)):
        raise ValueError("an amount is not a finite number")


def _decimals(value: Any) -> Iterator[Decimal]:
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _decimals(each)
    elif isinstance(value, dict):
        yield from _decimals(list(value.values()))
    elif not isinstance(value, type | UUID):
        names = getattr(value, "__dataclass_fields__", getattr(value, "__struct_fields__", ()))
        yield from _decimals([getattr(value, name) for name in names])
