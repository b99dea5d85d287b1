"""Messages that somebody could send, made from the descriptors: anything at all, and good ones gone wrong."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from .contract import below, new

Field = FieldDescriptor

KNOWN = [
    "main",
    "depot",
    "de",
    "us",
    "net-30",
    "net-60",
    "standard",
    "exempt",
    "EUR",
    "JPY",
    "de-2026",
    "R-1",
]
NUMBERS = [
    "0",
    "-0.0",
    "1",
    "250.00",
    "-1.005",
    "0.1234567890123",
    "9" * 15,
    "9" * 16,
    "1e999999",
    "NaN",
    "-",
    "٣",
]
TEXTS = [
    "",
    " ",
    "\x00",
    "\n",
    "x" * 255,
    "x" * 256,
    "𝔉" * 64,
    "\u202e",
    "null",
    "'; --",
    "description",
    "labels",
]
WHOLE = [0, 1, -1, 2, 12, 31, 32, 255, 1900, 2026, 9999, 10_000, 2**31 - 1, -(2**31)]

texts = st.sampled_from(KNOWN + NUMBERS + TEXTS) | st.text(max_size=20) | st.uuids().map(str)
bounded = st.sampled_from(WHOLE) | st.integers(-(2**31), 2**31 - 1)
VALUES: dict[int, st.SearchStrategy[Any]] = {
    Field.TYPE_STRING: texts,
    Field.TYPE_BYTES: st.binary(max_size=20),
    Field.TYPE_BOOL: st.booleans(),
    Field.TYPE_INT32: bounded,
    Field.TYPE_INT64: bounded | st.integers(-(2**63), 2**63 - 1),
    Field.TYPE_DOUBLE: st.floats(),
}


def values(field: Field, depth: int) -> st.SearchStrategy[Any]:
    """One value of a field."""
    if field.type == Field.TYPE_ENUM:
        assert field.enum_type is not None
        return st.sampled_from([value.number for value in field.enum_type.values]) | st.just(99)
    if field.type == Field.TYPE_MESSAGE:
        assert field.message_type is not None
        return messages(field.message_type, depth - 1)
    return VALUES[field.type]


@st.composite
def messages(draw: st.DrawFn, kind: Descriptor, depth: int = 4) -> Message:
    """Any message of a kind, good or bad."""
    some = [each for each in kind.fields if depth > 0 or below(each) is None]
    said = {each.name: draw(content(each, depth)) for each in some if draw(st.booleans())}
    return type(new(kind))(**said)


def content(field: Field, depth: int) -> st.SearchStrategy[Any]:
    """What a field can hold, repeated or not."""
    if field.message_type is not None and below(field) is None:
        return st.dictionaries(texts, texts, max_size=3)
    return st.lists(values(field, depth), max_size=3) if field.is_repeated else values(field, depth)


@st.composite
def gone_wrong(draw: st.DrawFn, good: Message) -> Message:
    """A good message in which a few things are otherwise."""
    message = type(good)()
    message.CopyFrom(good)
    for _ in range(draw(st.integers(0, 4))):
        change(draw, message)
    return message


def change(draw: st.DrawFn, message: Any) -> None:
    """Somewhere in the message a field is emptied or holds something else."""
    field: Field = draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
    held = getattr(message, field.name)
    inside = list(held) if field.is_repeated else [held]
    deeper = below(field) is not None and bool(inside)
    if deeper and draw(st.booleans()):
        change(draw, draw(st.sampled_from(inside)))
        return
    message.ClearField(field.name)
    if draw(st.booleans()):
        message.MergeFrom(type(message)(**{field.name: draw(content(field, 2))}))


HARM = st.sampled_from(["cut", "lose", "insert", "flip", "repeat"])


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """The bytes of a good message after a bad journey."""
    raw = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        match draw(HARM):
            case "cut":
                del raw[at:]
            case "lose":
                del raw[at : at + draw(st.integers(1, 8))]
            case "insert":
                raw[at:at] = draw(st.binary(max_size=8))
            case "flip":
                raw[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case _:
                raw[at:at] = raw[: draw(st.integers(0, 200))]
    return bytes(raw)
