"""Patterns of numbers: literal text around the value of a sequence and the date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

PATTERN_MAX = 40
VALUE = "{SequenceValue}"

_PLACE = re.compile(r"(\{[^{}]*\})")
_DATE = re.compile(r"\{Date(?::((?:YYYY|YY|MM|DD|[-./_])+))?\}").fullmatch
_PART = re.compile(r"YYYY|YY|MM|DD")
_WHOLE_DATE = "YYYY-MM-DD"


@lru_cache(maxsize=1024)
def parts(pattern: str) -> tuple[str, ...]:
    """Literal texts and places in turns, a literal first and last."""
    return tuple(_PLACE.split(pattern))


def is_pattern(pattern: str) -> bool:
    """The value stands in it once; every other place is a date, and no brace stands alone."""
    split = parts(pattern)
    literals, places = split[::2], split[1::2]
    if any("{" in each or "}" in each for each in literals):
        return False
    return places.count(VALUE) == 1 and all(each == VALUE or _DATE(each) for each in places)


def date_parts(pattern: str) -> frozenset[str]:
    """Which of YYYY, YY, MM and DD the pattern shows."""
    return frozenset(part for form in _forms(pattern) for part in _PART.findall(form))


def _forms(pattern: str) -> Iterator[str]:
    for place in parts(pattern)[1::2]:
        if found := _DATE(place):
            yield found[1] or _WHOLE_DATE


def written(pattern: str, value: int, width: int, day: date) -> str:
    """The number with this value on this day."""
    return "".join(_filled(each, value, width, day) for each in parts(pattern))


def _filled(part: str, value: int, width: int, day: date) -> str:
    if part == VALUE:
        return str(value).zfill(width)
    if found := _DATE(part):
        return _PART.sub(lambda match: _shown(match[0], day), found[1] or _WHOLE_DATE)
    return part


def _shown(part: str, day: date) -> str:
    match part:
        case "YYYY":
            return f"{day.year:04}"
        case "YY":
            return f"{day.year % 100:02}"
        case "MM":
            return f"{day.month:02}"
        case _:
            return f"{day.day:02}"
