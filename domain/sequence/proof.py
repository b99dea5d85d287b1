"""Proves a series: each number is there, is what its policy makes, is claimed and carried by its invoice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from ..numbering import Holders
from ..reference import SequencePolicy
from ..refusal import Refused
from .choice import Place
from .events import NumberAssigned
from .series import value_of


class SeriesNotFound(Refused):
    reason = "SERIES_NOT_FOUND"
    because = "sequence policy {policy_id} has given no number{period}"


class Fault(StrEnum):
    """What is wrong with a number of a series."""

    MISSING = "MISSING"
    OTHER_NUMBER = "OTHER_NUMBER"
    NOT_CLAIMED = "NOT_CLAIMED"
    NOT_CARRIED = "NOT_CARRIED"


@dataclass(frozen=True, slots=True)
class Proved:
    """The n-th number of a series, and what is wrong with it."""

    nth: int
    assigned: NumberAssigned | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the book says elsewhere: who claims which number, and which number an invoice carries."""

    claimed: Mapping[str, Holders]
    carried: Mapping[UUID, str]


def prove(nth: int, assigned: NumberAssigned | None, policy: SequencePolicy, evidence: Evidence) -> Proved:
    if assigned is None:
        return Proved(nth, None, (Fault.MISSING,))
    made = Place(policy, assigned.period, assigned.day).number(value_of(policy, nth))
    wrong = {
        Fault.OTHER_NUMBER: assigned.number != made,
        Fault.NOT_CLAIMED: assigned.invoice_id not in evidence.claimed.get(assigned.number, frozenset()),
        Fault.NOT_CARRIED: evidence.carried.get(assigned.invoice_id) != assigned.number,
    }
    return Proved(nth, assigned, tuple(fault for fault, is_so in wrong.items() if is_so))
