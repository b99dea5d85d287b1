"""A seal: what is stated of a segment of the log, in words that are signed to the byte.

A statement is one line of JSON with its members in this order and nothing between them. It covers what lies
after the position `after` up to `last`; `prev` is the digest of the statement before it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

FORM = "daybook-seal-1"
EVENTS_MAX = 10_000


class NoSeal(Exception):
    """A text is not the statement of a seal."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What a statement says. Digests and keys are in hex; without a key nobody has signed it."""

    log: str
    epoch: int
    number: int
    after: int
    last: int
    events: int
    root: str
    prev: str
    sealed: str
    key: str

    @property
    def statement(self) -> str:
        return json.dumps({"form": FORM, **asdict(self)}, separators=(",", ":"))

    @property
    def digest(self) -> str:
        return digest(self.statement)


def digest(statement: str) -> str:
    return sha256(statement.encode()).hexdigest()


def stated(statement: str) -> Seal:
    """The seal of a statement; raises NoSeal where it is not to the byte as this form has it."""
    try:
        told: dict[str, Any] = json.loads(statement)
        form = told.pop("form")
        seal = Seal(**told)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise NoSeal(f"not the statement of a seal: {fault}") from fault
    if form != FORM or seal.statement != statement:
        raise NoSeal(f"not a statement in the form {FORM}")
    return seal


@dataclass(frozen=True, slots=True)
class Sealed:
    """A statement with its signatures, in hex: by its own key, and where that is new by the key before it."""

    statement: str
    signature: str = ""
    countersignature: str = ""

    @property
    def digest(self) -> str:
        return digest(self.statement)
