"""How an event is made from its data: msgspec reads a Struct in half the time that a dataclass takes it."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any

import msgspec

from .log import Event

Make = Callable[[Any], Any]


def maker_of(event: type) -> Callable[[bytes], Event]:
    """A function from data in JSON to the event; raises msgspec's errors."""
    twin, make = _twin(event)
    read = msgspec.json.Decoder(twin).decode
    return lambda data: make(read(data))


@cache
def _twin(event: type) -> tuple[Any, Make]:
    """A Struct with the fields of a dataclass, and what makes the dataclass of it."""
    hints = typing.get_type_hints(event)
    known: dict[str, Any] = {"event": event, "UNSET": msgspec.UNSET}
    members, arguments = [], []
    for field in fields(event):
        form, make = _read(hints[field.name])
        members.append((field.name, form | msgspec.UnsetType if _is_held(field) else form, *_default(field)))
        known |= {f"make_{field.name}": make, f"held_{field.name}": field.default}
        arguments.append(_argument(field, make, is_optional=types.NoneType in typing.get_args(form)))
    make_all: Make = eval(f"lambda twin: event({', '.join(arguments)})", known)
    return msgspec.defstruct(event.__name__, members, gc=False), make_all


def _argument(field: Field[Any], make: Make | None, *, is_optional: bool) -> str:
    """How the dataclass gets a field: as the Struct has it, or made; what it holds by default, as it is."""
    value = f"twin.{field.name}"
    if make is None:
        return value
    made = f"make_{field.name}({value})"
    if is_optional:
        made = f"None if {value} is None else {made}"
    return f"(held_{field.name} if {value} is UNSET else {made})" if _is_held(field) else f"({made})"


def _read(hint: Any) -> tuple[Any, Make | None]:
    """What msgspec is told to read for a field, and what is made of it; None where it is right as it is."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        form, make = _read(next(each for each in arguments if each is not types.NoneType))
        return form | None, make
    if origin is tuple:
        form, make = _read(arguments[0])
        return tuple.__class_getitem__((form, ...)), make and _of_each(make)
    if is_dataclass(hint) and isinstance(hint, type):
        return _twin(hint)
    return hint, None


def _is_held(field: Field[Any]) -> bool:
    return is_dataclass(field.default)


def _default(field: Field[Any]) -> tuple[Any, ...]:
    if field.default_factory is not MISSING:
        return (msgspec.field(default_factory=field.default_factory),)
    if field.default is MISSING:
        return ()
    return (msgspec.UNSET if _is_held(field) else field.default,)


def _of_each(make: Make) -> Make:
    return lambda values: tuple(map(make, values))
