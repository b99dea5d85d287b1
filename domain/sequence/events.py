"""What happens to sequences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from ..reference import SequencePolicy


@dataclass(frozen=True, slots=True)
class SeriesOpened:
    """A series has given its first number; with it everything that makes its numbers is settled for good.

    Stands in a stream of the sequence policy, one for each of its series.
    """

    period: str  # such as 2026 or 2026-11; empty where the sequence never begins anew
    policy: SequencePolicy  # as it was then


@dataclass(frozen=True, slots=True)
class NumberAssigned:
    """The next number of a series; nothing else stands in its stream.

    An invoice may have brought a number before the series came to it; then the series passes it over, and
    `brought` says so.
    """

    policy_id: str
    period: str
    number: str
    invoice_id: UUID
    day: date  # where the legal entity is
    brought: bool = False


EVENTS: tuple[type, ...] = (SeriesOpened, NumberAssigned)
