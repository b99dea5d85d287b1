"""What a decision consists of, whatever it is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from uuid import UUID

from .numbering import Number
from .sequence import Place

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Events of another stream, decided on the state that was given of it; they come in the same append."""

    stream: UUID
    events: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Decided(Generic[E]):
    """The events of the stream asked about, the number that they take or give back, what else they entail.

    No events: nothing changes. Where there is a `place`, the event at `place_at` takes the number that its
    series gives: see `numbered`.
    """

    events: tuple[E, ...] = ()
    claim: Number | None = None
    release: Number | None = None
    elsewhere: tuple[Elsewhere, ...] = ()
    place: Place | None = None
    place_at: int = 0

    def numbered(self, number: str) -> tuple[E, ...]:
        """The events, with the number in its place."""
        events = list(self.events)
        events[self.place_at] = replace(events[self.place_at], number=number)  # type: ignore[type-var]
        return tuple(events)
