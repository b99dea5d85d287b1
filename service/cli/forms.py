"""Between messages and what people write: `250.00`, `2026-04-01`, `posted`.

The contract's canonical JSON is read as well. What a field is comes from the contract's own descriptors;
whether its value is right is for the service to say.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage

from .trees import Plain, Tree

PROBLEMS_MAX = 1_000
SHOWN_MAX = 80
NAMES_SHOWN_MAX = 12

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})").fullmatch
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?").fullmatch
_WHOLE = re.compile(r"-?[0-9]{1,19}").fullmatch
_DATE_NAME, _DECIMAL_NAME = Date.DESCRIPTOR.full_name, DecimalMessage.DESCRIPTOR.full_name


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that cannot be said in the contract: where, which rule, and what would be right."""

    path: str
    rule: str
    description: str


M = TypeVar("M", bound=Message)


def message(kind: type[M], tree: Tree, path: str = "") -> tuple[M, list[Problem]]:
    """The message that a tree says, and everything in it that no message can say."""
    said = kind()
    reader = Reader()
    reader.fill(said, tree, path)
    return said, reader.problems


@dataclass(slots=True)
class Reader:
    """Fills messages from trees; knows what went wrong on the way."""

    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: str, rule: str, description: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(path, rule, description))

    def fill(self, said: Message, tree: Tree, path: str) -> None:
        name = said.DESCRIPTOR.full_name
        if name == _DECIMAL_NAME and isinstance(tree, str):
            self.assign(said, "value", str(tree), path)
        elif name == _DATE_NAME and isinstance(tree, str):
            self.fill_date(said, tree, path)
        elif isinstance(tree, dict):
            self.fill_fields(said, tree, path)
        else:
            self.problem(path, "FORM", f"{wanted(name)}; is {kind_of(tree)}")

    def fill_fields(self, said: Message, tree: Mapping[str, Tree], path: str) -> None:
        known = names(said.DESCRIPTOR)
        seen: dict[str, str] = {}
        for key, value in tree.items():
            if len(self.problems) >= PROBLEMS_MAX:
                return
            each = known.get(key)
            if each is None:
                self.problem(below(path, key[:SHOWN_MAX]), "UNKNOWN_FIELD", unknown(key, known))
            elif each.name in seen:
                text = f"{key!r} and {seen[each.name]!r} are the same field"
                self.problem(below(path, each.name), "DUPLICATE", text)
            elif value is not None:
                seen[each.name] = key
                self.set(said, each, value, below(path, each.name))

    def set(self, said: Message, each: FieldDescriptor, value: Tree, path: str) -> None:
        how = form(each)
        if how is Form.TEXT and isinstance(value, str):
            self.assign(said, each.name, str(value), path)
        elif how is Form.MESSAGE:
            holder = getattr(said, each.name)
            holder.SetInParent()
            self.fill(holder, value, path)
        elif how is Form.LIST:
            self.set_list(getattr(said, each.name), each, value, path)
        elif how is Form.MAP:
            self.set_map(getattr(said, each.name), value, path)
        elif (scalar := self.scalar(each, value, path)) is not None:
            self.assign(said, each.name, scalar, path)

    def set_map(self, holder: MutableMapping[str, str], value: Tree, path: str) -> None:
        if not isinstance(value, dict):
            self.problem(path, "FORM", f"names and their values; is {kind_of(value)}")
            return
        for key, text in value.items():
            if isinstance(text, str):
                try:
                    holder[key] = str(text)
                except ValueError:
                    self.problem(f"{path}[{shown(key)}]", "CHARACTERS", LONE_SURROGATE)
            elif text is not None:
                self.problem(f"{path}[{shown(key)}]", "FORM", f"a text; is {kind_of(text)}")

    def set_list(self, holder: Any, each: FieldDescriptor, value: Tree, path: str) -> None:
        if not isinstance(value, list):
            self.problem(path, "FORM", f"a list; is {kind_of(value)}")
            return
        for index, entry in enumerate(value):
            at = f"{path}[{index}]"
            if each.message_type is not None:
                self.fill(holder.add(), entry, at)
            elif entry is None:
                self.problem(at, "FORM", "empty")
            elif (scalar := self.scalar(each, entry, at)) is not None:
                holder.append(scalar)

    def scalar(self, each: FieldDescriptor, value: Tree, path: str) -> str | int | bool | None:
        if each.enum_type is not None:
            return self.enum(each.enum_type, value, path)
        if each.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return self.truth(value, path)
        if each.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            if isinstance(value, str):
                return str(value)
            self.problem(path, "FORM", f"a text; is {kind_of(value)}")
            return None
        if isinstance(value, str) and _WHOLE(value):
            return int(value)
        self.problem(path, "FORM", f"a whole number; is {shown(value)}")
        return None

    def truth(self, value: Tree, path: str) -> bool | None:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        self.problem(path, "FORM", f"true or false; is {shown(value)}")
        return None

    def enum(self, kind: EnumDescriptor, value: Tree, path: str) -> int | None:
        known = choices(kind)
        if isinstance(value, str):
            number = known.get(re.sub(r"[ -]", "_", value.strip().upper()))
            if number is not None:
                return number
            if _WHOLE(value) and int(value) in kind.values_by_number:
                return int(value)
        self.problem(path, "ENUM", f"one of {', '.join(short_names(kind))}; is {shown(value)}")
        return None

    def fill_date(self, said: Message, text: str, path: str) -> None:
        found = _DATE(text.strip())
        if found is None:
            self.problem(path, "DATE", f"a date such as 2026-04-01; is {shown(text)}")
            return
        for name, part in zip(("year", "month", "day"), found.groups(), strict=True):
            setattr(said, name, int(part))

    def assign(self, said: Message, name: str, value: str | int | bool, path: str) -> None:
        try:
            setattr(said, name, value)
        except UnicodeEncodeError:
            self.problem(path, "CHARACTERS", LONE_SURROGATE)
        except ValueError:
            self.problem(path, "OUT_OF_RANGE", f"too large; is {shown(str(value))}")


LONE_SURROGATE = "half a character: a lone surrogate"


def below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def wanted(full_name: str) -> str:
    match full_name:
        case "google.type.Decimal":
            return "a decimal such as 1234.50"
        case "google.type.Date":
            return "a date such as 2026-04-01"
        case _:
            return "fields and their values"


def kind_of(tree: Tree) -> str:
    match tree:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case str():
            return f"the text {shown(tree)}"
        case list():
            return "a list"
        case _:
            return "fields and their values"


def shown(tree: Tree) -> str:
    if not isinstance(tree, str):
        return str(tree).lower() if isinstance(tree, bool) else kind_of(tree)
    return repr(str(tree)) if len(tree) <= SHOWN_MAX else f"{str(tree)[:SHOWN_MAX]!r}…"


def unknown(key: str, known: Mapping[str, FieldDescriptor]) -> str:
    """What a field that nobody knows may have been meant to be."""
    close = difflib.get_close_matches(key[:SHOWN_MAX], [*known], n=1, cutoff=0.7)
    if close:
        return f"unknown field {shown(key)}; did you mean {known[close[0]].name}?"
    right = list(dict.fromkeys(each.name for each in known.values()))
    have = ", ".join(right[:NAMES_SHOWN_MAX]) + (", …" if len(right) > NAMES_SHOWN_MAX else "")
    return f"unknown field {shown(key)} (have: {have})"


class Form(Enum):
    """How a field is filled."""

    TEXT = auto()
    SCALAR = auto()
    MESSAGE = auto()
    LIST = auto()
    MAP = auto()


@cache
def form(each: FieldDescriptor) -> Form:
    """Looked for once: it is asked of every field of every invoice of a file."""
    assert each.containing_type is not None
    match getattr(GetMessageClass(each.containing_type)(), each.name):
        case MutableMapping():
            return Form.MAP
        case MutableSequence():
            return Form.LIST
        case Message():
            return Form.MESSAGE
        case str():
            return Form.TEXT
        case _:
            return Form.SCALAR


@cache
def names(kind: Descriptor) -> dict[str, FieldDescriptor]:
    """The fields by both of their names."""
    return {name: each for each in kind.fields for name in (each.json_name, each.name)}


def prefix(kind: EnumDescriptor) -> str:
    return kind.values[0].name.removesuffix("UNSPECIFIED")


@cache
def choices(kind: EnumDescriptor) -> dict[str, int]:
    """The numbers of an enum's values by their full names and their short ones."""
    full = {value.name: value.number for value in kind.values}
    return full | {name.removeprefix(prefix(kind)): number for name, number in full.items()}


def short_names(kind: EnumDescriptor) -> list[str]:
    return [value.name.removeprefix(prefix(kind)).lower() for value in kind.values if value.number]


# The other way


def tree(said: Message) -> dict[str, Tree]:
    """A message as a person would write it; only what is set."""
    return {each.name: written(value, each) for each, value in said.ListFields()}


def written(value: Any, each: FieldDescriptor) -> Tree:
    if isinstance(value, Mapping):
        return {key: value[key] for key in sorted(value)}
    if isinstance(value, MutableSequence):
        return [one(entry, each) for entry in value]
    return one(value, each)


def one(value: Any, each: FieldDescriptor) -> Tree:
    if each.enum_type is not None:
        return Plain(choice(each.enum_type, value))
    if isinstance(value, DecimalMessage):
        return Plain(value.value)
    if isinstance(value, Date):
        return Plain(day(value))
    if isinstance(value, Message):
        return tree(value)
    return value if isinstance(value, bool | str) else Plain(value)


def choice(kind: EnumDescriptor, number: int) -> str:
    """The short name of an enum's value; its number where this version does not know it."""
    value = kind.values_by_number.get(number)
    return value.name.removeprefix(prefix(kind)).lower() if value else str(number)


def day(date: Date) -> str:
    return f"{date.year:04}-{date.month:02}-{date.day:02}"


def content_key(said: str, occurrence: int) -> str:
    """The key of an invoice that has none: its digest, and which of those that say the same it is."""
    return f"file:{said}:{occurrence}"


def digest(said: Message) -> str:
    """SHA-256 of the content: the same for the same invoice in whatever form it was written."""
    text = json.dumps(normal(tree(said)), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def normal(said: Tree) -> Tree:
    """Decimals by value: `1.0` and `1.00` are the same."""
    match said:
        case dict():
            return {key: normal(value) for key, value in said.items()}
        case list():
            return [normal(entry) for entry in said]
        case Plain() if _DECIMAL(said):
            value = Decimal(said)
            text = format(value, "f") if value else "0"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case _:
            return said
