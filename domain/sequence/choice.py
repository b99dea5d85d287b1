"""Which sequence policy numbers what is posted: exactly one that matches does; of several, none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from .. import identity
from ..findings import listed
from ..reference import (
    Comparison,
    EntryStatus,
    ReferenceData,
    Restart,
    SequenceCondition,
    SequencePolicy,
    SequenceTarget,
    written_number,
)
from ..refusal import Refused

Facts = Mapping[str, str]  # what conditions may ask for, by the names of fields


class NumberRequired(Refused):
    reason = "NUMBER_REQUIRED"
    because = (
        "a number is required, and {count} sequence policies of legal entity {legal_entity_id} match:"
        " {policies}"
    )


@dataclass(frozen=True, slots=True)
class Place:
    """The series that the next number comes from, and the day that it is given on."""

    policy: SequencePolicy
    period: str
    day: date

    @property
    def series(self) -> UUID:
        return identity.series(self.policy.id, self.period)

    def number(self, value: int) -> str:
        return written_number(self.policy.pattern, value, self.policy.width, self.day)


def place(
    reference: ReferenceData, target: SequenceTarget, legal_entity_id: str, day: date, facts: Facts
) -> Place | None:
    """Where the number comes from; None: there is none. Refuses where the settings require one."""
    matching = [
        policy
        for policy in reference.policies_of(legal_entity_id)
        if policy.target is target and _matches(policy, day, facts)
    ]
    if len(matching) == 1:
        return place_in(matching[0], day)
    if reference.settings.number_required_at_posting:
        names = listed(policy.id for policy in matching)
        raise NumberRequired(count=len(matching), legal_entity_id=legal_entity_id, policies=names)
    return None


def place_in(policy: SequencePolicy, day: date) -> Place:
    return Place(policy, _period(policy.restart, day), day)


def _period(restart: Restart, day: date) -> str:
    match restart:
        case Restart.NONE:
            return ""
        case Restart.YEARLY:
            return f"{day.year:04}"
        case Restart.MONTHLY:
            return f"{day.year:04}-{day.month:02}"


def _matches(policy: SequencePolicy, day: date, facts: Facts) -> bool:
    if policy.status is not EntryStatus.ACTIVE:
        return False
    if (policy.start_date and day < policy.start_date) or (policy.end_date and day > policy.end_date):
        return False
    return _hold(policy.conditions, facts)


def _hold(conditions: Iterable[SequenceCondition], facts: Facts) -> bool:
    return all(
        (facts.get(each.field, "") == each.value) is (each.comparison is Comparison.EQUALS)
        for each in conditions
    )
