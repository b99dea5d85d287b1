"""The one text of a content, and the fingerprint that is taken of it; docs/rules.md says what is in it."""

from __future__ import annotations

import hashlib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
from json.encoder import encode_basestring_ascii as text
from typing import Any

from .money import normal

FINGERPRINT_VERSION = "f1"

Said = Callable[[Any], str]


class Canonical:
    """Tells contents that consist of these parts from one another; what a part holds stands before it.

    The text is JSON of what was set, names in order. It is put together by a function that is written for
    each part, field by field, as dataclasses write their own: a loop over the fields takes twice as long.
    """

    def __init__(self, *parts: type) -> None:
        known: dict[str, Any] = {"text": text, "normal": normal, "labels": _labels}
        for part in parts:
            exec(_function(part, parts), known)
        self._said: Said = known[_name(parts[-1])]

    def text(self, content: object) -> str:
        return self._said(content)

    def fingerprint(self, content: object) -> str:
        return f"{FINGERPRINT_VERSION}:{hashlib.sha256(self._said(content).encode()).hexdigest()}"


def _name(part: type) -> str:
    return f"_said_{part.__name__}"


def _function(part: type, parts: tuple[type, ...]) -> str:
    hints = typing.get_type_hints(part)
    lines = (
        line
        for name in sorted(each.name for each in fields(part))
        for line in _field(name, hints[name], parts)
    )
    body = "\n    ".join(("said = []", *lines, "return '{' + ','.join(said) + '}'"))
    return f"def {_name(part)}(part):\n    {body}\n"


def _field(name: str, hint: Any, parts: tuple[type, ...]) -> Iterator[str]:
    kind = _kind(hint)
    unset = " is not None" if kind is Decimal else ""  # a zero was set
    yield f"if (value := part.{name}){unset}:"
    yield f"    said.append('\"{name}\":' + {_written(hint, kind, parts)})"


def _kind(hint: Any) -> Any:
    """The type of what is set; None stands for what is not."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        [hint] = (each for each in typing.get_args(hint) if each is not types.NoneType)
    return hint


def _written(hint: Any, kind: Any, parts: tuple[type, ...]) -> str:
    """How a value becomes JSON. A name tells its type, so that texts suffice."""
    if kind in parts:
        return f"{_name(kind)}(value)"
    if typing.get_origin(kind) is tuple:
        [part, _] = typing.get_args(kind)
        return f"'[' + ','.join([{_name(part)}(each) for each in value]) + ']'"
    if typing.get_origin(kind) is Mapping:
        return "labels(value)"
    if kind is Decimal:
        return "'\"' + normal(value) + '\"'"
    if kind is date:
        return "'\"' + value.isoformat() + '\"'"
    if kind is bool:
        return "'true'"
    if kind is str or issubclass(kind, StrEnum):
        return "text(value)"
    raise TypeError(f"the canonical text has no {hint}")


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join([f"{text(key)}:{text(value)}" for key, value in sorted(labels.items())]) + "}"
