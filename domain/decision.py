"""What a decision consists of, whatever it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from .numbering import Number

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Events of another stream, decided on the state that was given of it; they come in the same append."""

    stream: UUID
    events: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Decided(Generic[E]):
    """The events of the stream asked about, the number that they take or give back, what else they entail.

    No events: nothing changes.
    """

    events: tuple[E, ...] = ()
    claim: Number | None = None
    release: Number | None = None
    elsewhere: tuple[Elsewhere, ...] = ()
