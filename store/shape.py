"""The shape of events: which fields a class has, what may be left out, what is kept apart."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

LEAVES = (str, int, bool, Decimal, date, datetime, UUID)
PERSONAL = "personal"

Convert = Callable[[Any], Any]
Holds = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of an event's class; `personal` is what is kept apart, `nobody` the empty value of that."""

    fields: tuple[Field[Any], ...]
    hints: dict[str, Any]
    personal: type | None
    nobody: Any

    @classmethod
    def of(cls, event: type) -> Shape:
        hints = typing.get_type_hints(event)
        kept_apart = next((f for f in fields(event) if f.name == PERSONAL), None)
        if kept_apart is None:
            return cls(fields(event), hints, None, None)
        nobody = _default(kept_apart)
        if not is_dataclass(nobody) or isinstance(nobody, type):
            raise TypeError(f"{event.__qualname__}.personal needs an empty default of its class")
        return cls(fields(event), hints, type(nobody), nobody)


def twin_of(event: type) -> Convert:
    """A function from an event to a Struct that msgspec encodes without the fields that hold nothing."""
    shape = Shape.of(event)
    members = sorted(shape.fields, key=lambda field: (field.name == PERSONAL, _is_optional(field)))
    twin = msgspec.defstruct(
        event.__name__,
        [(f.name, Any, _nothing(f)) if _is_optional(f) else (f.name, Any) for f in members],
        omit_defaults=True,
    )
    known: dict[str, Any] = {"twin": twin}
    arguments = []
    for field in members:
        argument = f"event.{field.name}"
        if convert := _convert(shape.hints[field.name]):
            known[f"convert_{field.name}"] = convert
            argument = f"convert_{field.name}({argument})"
        arguments.append(argument)
    twin_from: Convert = eval(f"lambda event: twin({', '.join(arguments)})", known)
    return twin_from


def finite_in(event: type) -> Holds | None:
    """A function that tells whether all numbers of an event are finite; None where it has none."""
    known: dict[str, Any] = {}
    tests = []
    for name, hint in Shape.of(event).hints.items():
        if hint is Decimal:
            tests.append(f"event.{name}.is_finite()")
        elif test := _finite(hint):
            known[f"test_{name}"] = test
            tests.append(f"test_{name}(event.{name})")
    if not tests:
        return None
    test_all: Holds = eval(f"lambda event: {' and '.join(tests)}", known)
    return test_all


def _finite(hint: Any) -> Holds | None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        test = _finite(next(each for each in arguments if each is not types.NoneType))
        return test and _unless_none(test)
    if origin is tuple:
        test = _finite(arguments[0])
        return test and _of_each(test)
    if is_dataclass(hint) and isinstance(hint, type):
        return finite_in(hint)
    return Decimal.is_finite if hint is Decimal else None


def _unless_none(test: Holds) -> Holds:
    return lambda value: value is None or test(value)


def _of_each(test: Holds) -> Holds:
    return lambda values: all(map(test, values))


def _convert(hint: Any) -> Convert | None:
    """How a field's value becomes encodable, None when it is; refuses what the stored form does not know."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_optional(hint, arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:  # noqa: PLR2004
        return _convert_each(arguments[0])
    if origin is dict and arguments == (str, str):
        return None
    if is_dataclass(hint) and isinstance(hint, type):
        return twin_of(hint)
    if isinstance(hint, type) and (hint in LEAVES or issubclass(hint, Enum)):
        return None
    raise TypeError(f"the stored form has no {hint}")


def _convert_optional(hint: Any, arguments: tuple[Any, ...]) -> Convert | None:
    some = [argument for argument in arguments if argument is not types.NoneType]
    if len(some) != 1:
        raise TypeError(f"the stored form has no union {hint}")
    convert = _convert(some[0])
    return convert and (lambda value: None if value is None else convert(value))


def _convert_each(hint: Any) -> Convert | None:
    convert = _convert(hint)
    return convert and (lambda values: values and [convert(value) for value in values])


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _is_optional(field: Field[Any]) -> bool:
    if field.name == PERSONAL:
        return True
    default = _default(field)
    return default is None or default is False or (isinstance(default, str | tuple | dict) and not default)


def _nothing(field: Field[Any]) -> Any:
    default = _default(field)
    if field.name == PERSONAL:
        return None
    return msgspec.field(default_factory=dict) if isinstance(default, dict) else default
