"""Events to bytes and back: JSON under a stable name and a schema version, readable with psql alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from . import chain
from .log import Event, Meta, Recorded, Stored, Unreadable, Who
from .making import maker_of
from .shape import Shape, finite_in, twin_of

T = TypeVar("T")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
Draw = Callable[[int], bytes]

SALT_BYTES = 16
COMMITTED = b'"personal":"'  # stands last in the data, before 64 hex digits
COMMITTED_BYTES = len(COMMITTED) + 64 + len(b'"}}')
DATA = b',"data":'
DATA_BYTES = len(DATA)
PREV = b',"prev":"'  # stands last in `meta`, before 64 hex digits
PREV_BYTES = len(PREV) + 64 + len(b'"')
BEHIND_META = b'},"data":'
END = b"}}"  # of the data, and of all
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


class Told(NamedTuple):
    """What the events of an append have in common: how they begin, up to the link, and what is read of it."""

    version: int
    text: bytes
    recorded: datetime
    meta: Meta


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


NOTHING_TOLD = Told(0, b"", datetime.min.replace(tzinfo=UTC), Meta(Who("", "")))


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
        self._last_told = NOTHING_TOLD

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
            return self._decoded(form, stored)
        except (msgspec.MsgspecError, KeyError, ValueError, TypeError) as error:
            raise Unreadable(f"position {stored.position}, {stored.topic}: {error}") from error

    def _decoded(self, form: _Form, stored: Stored) -> Recorded:
        """Of an event as it is written today, what it has in common with the one before is not read again."""
        state, told = stored.state, self._last_told
        if not state.startswith(told.text) or told.version != form.version:
            return self._decoded_anyhow(form, stored)
        link = len(told.text)
        linked = state.startswith(PREV, link)
        begin = (link + PREV_BYTES if linked else link) + len(BEHIND_META)
        if not state.startswith(BEHIND_META, begin - len(BEHIND_META)) or not state.endswith(END):
            return self._decoded_anyhow(form, stored)
        event = form.make(form.data(stored, begin))
        form.require_finite(event)
        prev = state[link + len(PREV) : link + PREV_BYTES - 1].decode() if linked else ""
        return Recorded(event, told.recorded, told.meta, prev, stored)

    def _decoded_anyhow(self, form: _Form, stored: Stored) -> Recorded:
        state = form.whole(stored)
        today = state.startswith(form.today)
        envelope = form.decoder.decode(state) if today else self._upcasted(form, state)
        form.require_finite(envelope.data)
        told = envelope.meta
        meta = Meta(told.who, told.correlation, told.causation, told.reason, told.trace)
        if today:
            self._remember(form, state, told, meta)
        return Recorded(envelope.data, told.recorded, meta, told.prev, stored)

    def _remember(self, form: _Form, state: bytes, told: StoredMeta, meta: Meta) -> None:
        """What the next event begins with, if it is of the same append and written as we write."""
        end = state.find(BEHIND_META)
        link = end - PREV_BYTES if told.prev else end
        if link > 0 and (not told.prev or state.startswith(PREV, link)):
            self._last_told = Told(form.version, state[:link], told.recorded, meta)

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
        self.make = maker_of(entry.type)
        self._is_finite = finite_in(entry.type)

    def encode(self, event: Event, draw: Draw) -> Encoded:
        twin = self._twin(event)
        salt = body = None
        if self._has_personal:
            salt, body = self._kept_apart(event, twin.personal, draw)
            twin.personal = chain.commitment(salt, body) if salt and body else None
        self.require_finite(event)
        return Encoded(self.name, self.opening, _ENCODER.encode(twin), salt, body)

    def require_finite(self, event: Event) -> None:
        """msgspec takes "NaN" and the infinities for numbers."""
        if self._is_finite is not None and not self._is_finite(event):
            raise ValueError("an amount is not a finite number")

    def whole(self, stored: Stored) -> bytes:
        """The state with the text in place of the commitment to it, null where it was erased."""
        state = stored.state
        cut = len(state) - COMMITTED_BYTES
        if not self._has_personal or not state.startswith(COMMITTED, cut):
            return state
        return b"".join((state[:cut], b'"personal":', stored.personal or b"null", b"}}"))

    def data(self, stored: Stored, begin: int) -> bytes:
        """The data of a state, where they begin there, with the text in its place."""
        state = stored.state
        cut = len(state) - COMMITTED_BYTES
        if not self._has_personal or not state.startswith(COMMITTED, cut):
            return state[begin:-1]
        return b"".join((state[begin:cut], b'"personal":', stored.personal or b"null", b"}"))

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
