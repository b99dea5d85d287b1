"""What makes the numbers of a series is frozen with its first number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..findings import Findings, Rule, shown
from ..reference import FIELD_OF, Change, Entry, Kind, SequencePolicy
from .events import SeriesOpened

FROZEN = ("legal_entity_id", "pattern", "target", "start", "increment", "width", "restart")


@dataclass(frozen=True, slots=True)
class Begun:
    """The series of a policy that have given a number: their periods, and the policy as it was."""

    periods: frozenset[str]
    policy: SequencePolicy


def begun(events: Iterable[SeriesOpened]) -> Begun | None:
    opened = list(events)
    return Begun(frozenset(each.period for each in opened), opened[0].policy) if opened else None


def check_frozen(
    entries: Iterable[Entry], changes: Iterable[Change], found: Mapping[str, Begun], findings: Findings
) -> None:
    """Finds what would change though numbers have been given; `entries` are those that were sent."""
    policies = [entry for entry in entries if isinstance(entry, SequencePolicy)]
    paths = {entry.id: f"data.sequence_policies[{index}]" for index, entry in enumerate(policies)}
    for change in changes:
        stands = found.get(change.id) if change.kind is Kind.SEQUENCE_POLICY else None
        if stands is None:
            continue
        if change.after is None:
            path, user = f"data.{FIELD_OF[change.kind]}", "a series that has begun"
            facts = {"kind": "sequence policy", "value": shown(change.id), "user": user}
            findings.add(path, Rule.STILL_USED, **facts)
            continue
        assert isinstance(change.after, SequencePolicy)
        for name, expected, value in _differing(stands.policy, change.after):
            facts = {"expected": shown(expected), "value": shown(value)}
            findings.add(f"{paths[change.id]}.{name}", Rule.SERIES_BEGUN, **facts)


def _differing(frozen: SequencePolicy, policy: SequencePolicy) -> Iterator[tuple[str, object, object]]:
    for name in FROZEN:
        expected, value = getattr(frozen, name), getattr(policy, name)
        if expected != value:
            yield name, expected, value
