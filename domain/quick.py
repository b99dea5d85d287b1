"""Frozen dataclasses that are made a third as dear: an invoice is some forty of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

T = TypeVar("T")

_set_class = object.__dict__["__class__"].__set__  # past a frozen class's own __setattr__


def quick(cls: type[T]) -> type[T]:
    """The same frozen dataclass with slots and without heirs, whose `__init__` stores its fields directly.

    The one that dataclasses write passes every field through `object.__setattr__`. This one lends the object
    a class that is open until all fields are stored; from then on it is frozen like any other.
    """
    slots = [each.name for each in fields(cls)]  # type: ignore[arg-type]
    open_ = type(f"{cls.__name__}InTheMaking", cls.__bases__, {"__slots__": slots})
    before: Any = cls.__init__
    init: Any = _init(cls, open_, before.__globals__)
    init.__annotations__ = before.__annotations__
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = init  # type: ignore[method-assign]
    return cls


def _init(cls: type, open_: type, module: dict[str, Any]) -> Callable[..., None]:
    known = {"_cls": cls, "_open": open_, "_set_class": _set_class, "_MISSING": MISSING}
    parameters, stores = [], []
    for each in fields(cls):
        parameters.append(each.name + "".join(_default(each, known)))
        stores.append(_store(each, known))
    text = "\n        ".join(
        (
            f"def __init__(self, {', '.join(parameters)}):",
            "    _set_class(self, _open)",
            *(f"    {store}" for store in stores),
            "    self.__class__ = _cls",
        )
    )
    made: dict[str, Any] = {}
    exec(
        f"def make({', '.join(known)}):\n        {text}\n        return __init__",
        module,
        made,
    )
    init: Callable[..., None] = made["make"](**known)
    return init


def _default(field: Field[Any], known: dict[str, Any]) -> Iterator[str]:
    if field.default is not MISSING:
        known[f"_default_{field.name}"] = field.default
        yield f"=_default_{field.name}"
    elif field.default_factory is not MISSING:
        known[f"_make_{field.name}"] = field.default_factory
        yield "=_MISSING"


def _store(field: Field[Any], known: dict[str, Any]) -> str:
    name = field.name
    if field.default_factory is not MISSING:
        return f"self.{name} = _make_{name}() if {name} is _MISSING else {name}"
    return f"self.{name} = {name}"
