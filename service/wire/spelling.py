"""Messages spelled out: functions from what is stored to the bytes of a message, without the message.

To make messages of an invoice and to serialize them takes several times as long. What is spelled is text that
has one character for each byte (Latin-1), like the texts that it is made of: lengths are those on the wire,
and one expression puts a message together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar, cast

from google.protobuf.message import Message

from domain.money import plain

from .values import EPOCH, NANOS, SECONDS_A_DAY

M = TypeVar("M", bound=Message)

BYTES = "latin-1"
KNOWN_MAX = 4096  # lengths and other numbers whose bytes are kept
NUMBER, TEXT = 0, 2  # what follows a tag: a number, or a length and so many bytes
MORE = 1 << 7  # in a byte: another follows
WHOLE = 1 << 64  # what a number below zero is short of

Spell: TypeAlias = Callable[..., str]
Field: TypeAlias = Any  # a descriptor, of which there are two kinds


class Numbers(dict[int, str]):
    """Numbers as the wire has them."""

    def __missing__(self, number: int) -> str:
        if number < 0:
            return self[number + WHOLE]
        return chr(number) if number < MORE else chr(number % MORE + MORE) + self[number // MORE]


NUMBERS = Numbers()
NUMBERS.update({number: NUMBERS[number] for number in range(KNOWN_MAX)})


class Decimals(dict[int, str]):
    """What stands before a decimal of so many characters."""

    def __missing__(self, characters: int) -> str:
        head = "\x0a" + NUMBERS[characters]
        return NUMBERS[len(head) + characters] + head


DECIMALS = Decimals()
DECIMALS.update({characters: DECIMALS[characters] for characters in range(100)})


def spelling(message: type[Message], parameters: str, /, known: Mapping[str, object], **fields: str) -> Spell:
    """A function of these parameters that spells a message.

    For each field it is said how to come by what it holds: a value as it is stored, what is spelled already
    where it is a message of our own, or a list of those; nothing where it stays empty.
    """
    theirs = message.DESCRIPTOR.fields_by_name
    if set(fields) != set(theirs):
        raise TypeError(f"{message.DESCRIPTOR.full_name}: {sorted(set(fields) ^ set(theirs))}")
    names: dict[str, Any] = {**known, **_ALWAYS}
    parts = [_part(theirs[name], said, names) for name, said in fields.items() if said]
    spell: Spell = eval(f"lambda {parameters}: ''.join(({', '.join(parts)},))", names)
    return spell


def alike(message: type[Message], source: str) -> dict[str, str]:
    """Fields that are called the same where they are stored."""
    return {field.name: f"{source}.{field.name}" for field in message.DESCRIPTOR.fields}


def tag(message: type[Message], name: str) -> str:
    """What stands before a field that is a text or a message."""
    return _tag(message.DESCRIPTOR.fields_by_name[name], TEXT)


def one(before: str, spelled: str) -> str:
    """A text or message in a message, behind its tag."""
    return f"{before}{NUMBERS[len(spelled)]}{spelled}"


def several(before: str, spelled: Iterable[str]) -> str:
    return "".join([f"{before}{NUMBERS[len(each)]}{each}" for each in spelled])


def made(message: Message) -> str:
    """A message that was made, to stand among what is spelled."""
    return message.SerializeToString().decode(BYTES)


def ready(spelled: str, kind: type[M]) -> M:
    """An answer that is spelled already: who surrounds a method takes its bytes for the message."""
    return cast(M, spelled.encode(BYTES))


def parsed(spelled: str, kind: type[M]) -> M:
    return kind.FromString(spelled.encode(BYTES))


def _tag(field: Field, follows: int) -> str:
    return NUMBERS[field.number << 3 | follows]


def _part(field: Field, said: str, names: dict[str, Any]) -> str:
    """The expression of one field; what is not set, or holds its default, is left out."""
    text, number = (_in_text(_tag(field, follows)) for follows in (TEXT, NUMBER))
    value, length = f"(v := {said})", "{numbers[len(v)]}{v}"
    if field.message_type is not None and (kind := _VALUES.get(field.message_type.full_name)):
        return f"'' if {value} is None else {kind.format(tag=text)}"
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return f"'' if not {value} else entries('{text}', v)"
    if field.is_repeated:
        return f"'' if not {value} else several('{text}', v)"
    if field.message_type is not None:
        return f"'' if {value} is None else f'{text}{length}'"
    if field.enum_type is not None:
        names[(table := f"named_{field.name}")] = _named(field)
        return f"{table}[{said}]"
    if field.type == field.TYPE_STRING:
        return f"f'{text}{length}' if {value} else ''"
    if field.type == field.TYPE_BOOL:
        return f"'{number}\\x01' if {said} else ''"
    return f"f'{number}{{numbers[v]}}' if {value} else ''"


def _in_text(tag: str) -> str:
    return "".join(f"\\x{ord(each):02x}" for each in tag)


def _named(field: Field) -> Mapping[str | None, str]:
    """The values of an enum, by what they are called in the domain."""
    [unset, *values] = field.enum_type.values
    prefix = unset.name.removesuffix("UNSPECIFIED")
    before = _tag(field, NUMBER)
    return {None: "", **{each.name.removeprefix(prefix): before + NUMBERS[each.number] for each in values}}


@lru_cache(maxsize=KNOWN_MAX)
def day(value: date) -> str:
    """A date, behind its length."""
    return one("", "".join((
        f"\x08{NUMBERS[value.year]}", f"\x10{NUMBERS[value.month]}", f"\x18{NUMBERS[value.day]}",
    )))  # fmt: skip


def decimal(stored: str) -> str:
    """A decimal, behind its length: without exponent."""
    if "E" in stored:
        stored = plain(Decimal(stored))
    return f"{DECIMALS[len(stored)]}{stored}"


def instant(value: datetime) -> str:
    """A timestamp, behind its length."""
    since = value - EPOCH
    seconds = since.days * SECONDS_A_DAY + since.seconds
    spelled = f"\x08{NUMBERS[seconds]}" if seconds else ""
    if since.microseconds:
        spelled += f"\x10{NUMBERS[since.microseconds * 1000]}"
    return f"{NUMBERS[len(spelled)]}{spelled}"


def money(amount: Decimal, currency: str) -> str:
    """An amount; `currency` is what stands before it in each."""
    if not amount:
        return currency
    units = int(amount)
    spelled = f"{currency}\x10{NUMBERS[units]}" if units else currency
    if units == amount:
        return spelled
    return f"{spelled}\x18{NUMBERS[int((amount - units) * NANOS)]}"


def _entries(before: str, entries: Mapping[str, str]) -> str:
    return several(before, [one("\x0a", key) + one("\x12", value) for key, value in entries.items()])


# Messages that are not ours, and one value to us. Nearly every decimal is on the wire as it is stored.
_VALUES = {
    "google.type.Decimal": ("f'{tag}{{decimals[len(v)]}}{{v}}' if 'E' not in v else f'{tag}{{decimal(v)}}'"),
    "google.type.Date": "f'{tag}{{day(v)}}'",
    "google.protobuf.Timestamp": "f'{tag}{{instant(v)}}'",
}
_ALWAYS = {
    "numbers": NUMBERS,
    "decimals": DECIMALS,
    "decimal": decimal,
    "day": day,
    "instant": instant,
    "several": several,
    "entries": _entries,
}
