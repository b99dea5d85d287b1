"""A series gives its next number: the n-th is start + (n - 1) * increment, and n is its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from ..numbering import Holders
from ..reference import SequencePolicy
from ..refusal import Refused
from .choice import Place
from .events import NumberAssigned

PASSED_MAX = 100  # numbers in a row that invoices have brought, and that one posting passes over

Carried = Mapping[str, Holders]  # by their numbers, which invoices are known to carry them


class SeriesExhausted(Refused):
    reason = "SERIES_EXHAUSTED"
    because = "sequence policy {policy_id} gives numbers up to {maximum}; the next would be {value}"


class NumbersTaken(Refused):
    reason = "NUMBERS_TAKEN"
    because = (
        "the next {count} numbers of sequence policy {policy_id}, from {number} on, are carried by invoices"
    )


@dataclass(frozen=True, slots=True)
class Assigned:
    """A number, and the events of its series that it takes: those that were passed over, and its own."""

    number: str
    events: tuple[NumberAssigned, ...]


def value_of(policy: SequencePolicy, nth: int) -> int:
    return policy.start + (nth - 1) * policy.increment


def assign(place: Place, head: int, carried: Carried, invoice_id: UUID) -> Assigned:
    """The number that follows the head of the series."""
    events: list[NumberAssigned] = []
    first = ""
    for nth in range(head + 1, head + PASSED_MAX + 2):
        number = _number(place, nth)
        first = first or number
        others = carried.get(number, frozenset()) - {invoice_id}
        holder = min(others) if others else invoice_id
        events.append(
            NumberAssigned(place.policy.id, place.period, number, holder, place.day, brought=bool(others))
        )
        if not others:
            return Assigned(number, tuple(events))
    raise NumbersTaken(count=PASSED_MAX, policy_id=place.policy.id, number=first)


def _number(place: Place, nth: int) -> str:
    policy, value = place.policy, value_of(place.policy, nth)
    if policy.maximum is not None and value > policy.maximum:
        raise SeriesExhausted(policy_id=policy.id, maximum=policy.maximum, value=value)
    return place.number(value)
