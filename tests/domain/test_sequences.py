"""Sequences: which policy numbers, which number it gives, and what is frozen with the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import reference, sequence
from domain.findings import Findings, Rule
from domain.reference import EntryStatus, Kind, Restart, SequencePolicy, SequenceTarget
from domain.sequence import (
    PASSED_MAX,
    Fault,
    NumberRequired,
    NumbersTaken,
    Place,
    SeriesExhausted,
    SeriesNotFound,
    SeriesOpened,
)

from .sequences import a_policy, required, unless, where
from .taxes import rules
from .test_reference_data import applying

DAY = date(2026, 11, 27)
ONE, TWO = UUID(int=1), UUID(int=2)


EURO = {"currency_code": "EUR"}
DOLLAR = {"currency_code": "USD"}


def place(*entries: reference.Entry, day: date = DAY, facts: Mapping[str, str] = EURO) -> Place | None:
    data = rules(*entries).reference
    return sequence.place(data, SequenceTarget.INVOICE, "de", day, facts)


def chosen(*policies: SequencePolicy, day: date = DAY, facts: Mapping[str, str] = EURO) -> str | None:
    found = place(*policies, day=day, facts=facts)
    return found.policy.id if found else None


def number(policy: SequencePolicy, nth: int, day: date = DAY) -> str:
    return sequence.assign(sequence.place_in(policy, day), nth - 1, {}, ONE).number


# Which policy


def test_the_only_policy_of_the_legal_entity_numbers() -> None:
    assert chosen(a_policy()) == "invoices"
    assert chosen(a_policy(legal_entity_id="fj")) is None


@pytest.mark.parametrize("status", [EntryStatus.DRAFT, EntryStatus.INACTIVE])
def test_only_an_active_policy_numbers(status: EntryStatus) -> None:
    assert chosen(a_policy(status=status)) is None


def test_a_policy_for_credit_memos_numbers_no_invoice() -> None:
    assert chosen(a_policy(target=SequenceTarget.CREDIT_MEMO)) is None


@pytest.mark.parametrize(
    ("day", "numbers"),
    [
        (date(2026, 10, 31), False),
        (date(2026, 11, 1), True),
        (date(2026, 11, 30), True),
        (date(2026, 12, 1), False),
    ],
)
def test_a_policy_numbers_from_its_first_day_to_its_last(day: date, numbers: bool) -> None:
    policy = a_policy(start_date=date(2026, 11, 1), end_date=date(2026, 11, 30))
    assert chosen(policy, day=day) == ("invoices" if numbers else None)


def test_all_conditions_of_a_policy_must_hold() -> None:
    policy = a_policy(conditions=(where("currency_code", "EUR"), unless("labels.team", "north")))
    assert chosen(policy) == "invoices"
    assert chosen(policy, facts=DOLLAR) is None
    assert chosen(policy, facts={**EURO, "labels.team": "north"}) is None


def test_where_exactly_one_policy_matches_that_one_numbers() -> None:
    home = a_policy("home", conditions=(where("currency_code", "EUR"),))
    abroad = a_policy("abroad", pattern="X-{SequenceValue}", conditions=(unless("currency_code", "EUR"),))
    assert chosen(home, abroad) == "home"
    assert chosen(home, abroad, facts=DOLLAR) == "abroad"


def test_of_several_that_match_none_numbers() -> None:
    assert chosen(a_policy("one"), a_policy("two", pattern="X-{SequenceValue}")) is None


def test_where_a_number_is_required_none_and_several_are_refused() -> None:
    with pytest.raises(NumberRequired) as none:
        place(*required())
    assert none.value.facts["count"] == "0"
    with pytest.raises(NumberRequired) as several:
        place(*required(a_policy("one"), a_policy("two", pattern="X-{SequenceValue}")))
    assert several.value.facts["policies"] == "one, two"
    assert place(*required(a_policy())) is not None


# Which number


def test_numbers_count_from_the_start_by_the_increment() -> None:
    policy = a_policy(pattern="{SequenceValue}", start=100, increment=5, width=0)
    assert [number(policy, nth) for nth in (1, 2, 3)] == ["100", "105", "110"]


def test_a_series_may_begin_with_zero() -> None:
    assert number(a_policy(start=0), 1) == "R-00000"


def test_the_width_fills_up_with_zeros_and_cuts_nothing() -> None:
    policy = a_policy(width=3)
    assert (number(policy, 7), number(policy, 1234)) == ("R-007", "R-1234")


@pytest.mark.parametrize(
    ("pattern", "made"),
    [
        ("{SequenceValue}", "00042"),
        ("R{SequenceValue}/{Date:YYYY}", "R00042/2026"),
        ("{Date:MM-YYYY}-{SequenceValue}", "11-2026-00042"),
        ("{Date:MM-DD-YYYY} {SequenceValue}", "11-27-2026 00042"),
        ("{Date:YY}{Date:MM}{SequenceValue}", "261100042"),
        ("{Date}#{SequenceValue}", "2026-11-27#00042"),
    ],
)
def test_a_pattern_shows_the_value_and_the_day(pattern: str, made: str) -> None:
    assert number(a_policy(pattern=pattern), 42) == made


def test_the_last_number_is_the_maximum() -> None:
    policy = a_policy(maximum=3)
    assert number(policy, 3) == "R-00003"
    with pytest.raises(SeriesExhausted) as exhausted:
        number(policy, 4)
    assert exhausted.value.facts == {"policy_id": "invoices", "maximum": "3", "value": "4"}


def test_a_sequence_that_restarts_has_a_series_for_each_period() -> None:
    days = (date(2026, 11, 27), date(2026, 12, 1), date(2027, 1, 1))
    yearly = a_policy(pattern="{Date:YYYY}-{SequenceValue}", restart=Restart.YEARLY)
    monthly = a_policy(pattern="{Date:YYYY-MM}-{SequenceValue}", restart=Restart.MONTHLY)
    assert [sequence.place_in(yearly, day).period for day in days] == ["2026", "2026", "2027"]
    assert [sequence.place_in(monthly, day).period for day in days] == ["2026-11", "2026-12", "2027-01"]
    assert len({sequence.place_in(monthly, day).series for day in days}) == 3
    assert {sequence.place_in(a_policy(), day).period for day in days} == {""}


def test_a_number_that_another_invoice_brought_is_passed_over_and_said_so() -> None:
    here = sequence.place_in(a_policy(), DAY)
    assigned = sequence.assign(here, 6, {"R-00007": frozenset({TWO}), "R-00008": frozenset({TWO})}, ONE)
    assert assigned.number == "R-00009"
    assert [(each.number, each.invoice_id, each.brought) for each in assigned.events] == [
        ("R-00007", TWO, True),
        ("R-00008", TWO, True),
        ("R-00009", ONE, False),
    ]


def test_a_number_that_was_given_back_is_free_for_a_series() -> None:
    here = sequence.place_in(a_policy(), DAY)
    assert sequence.assign(here, 6, {"R-00007": frozenset()}, ONE).number == "R-00007"


def test_a_series_that_lies_in_the_midst_of_brought_numbers_is_refused() -> None:
    here = sequence.place_in(a_policy(), DAY)
    carried = {here.number(nth): frozenset({TWO}) for nth in range(1, PASSED_MAX + 2)}
    with pytest.raises(NumbersTaken):
        sequence.assign(here, 0, carried, ONE)
    del carried[here.number(PASSED_MAX + 1)]
    assert sequence.assign(here, 0, carried, ONE).number == here.number(PASSED_MAX + 1)


@given(st.integers(0, 10**6), st.integers(1, 1000), st.integers(0, 9), st.sets(st.integers(1, 60)))
def test_a_series_gives_every_value_once_and_in_order(
    start: int, increment: int, width: int, brought: set[int]
) -> None:
    policy = a_policy(start=start, increment=increment, width=width)
    here = sequence.place_in(policy, DAY)
    carried = {here.number(sequence.value_of(policy, nth)): frozenset({TWO}) for nth in brought}
    events: list[sequence.NumberAssigned] = []
    while len(events) < 60:
        events += sequence.assign(here, len(events), carried, ONE).events
    values = [int(each.number.removeprefix("R-")) for each in events]
    assert values == list(range(start, start + increment * len(values), increment))
    assert {n for n, each in enumerate(events, 1) if each.brought} == {n for n in brought if n <= len(events)}


# What a policy may be


@pytest.mark.parametrize(
    ("field", "policy", "rule"),
    [
        ("pattern", a_policy(pattern=""), Rule.REQUIRED),
        ("pattern", a_policy(pattern="R-"), Rule.PATTERN),
        ("pattern", a_policy(pattern="{SequenceValue}{SequenceValue}"), Rule.PATTERN),
        ("pattern", a_policy(pattern="{SequenceValue}{Date:YYYYQ}"), Rule.PATTERN),
        ("pattern", a_policy(pattern="{SequenceValue}{"), Rule.PATTERN),
        ("pattern", a_policy(pattern="{sequencevalue}"), Rule.PATTERN),
        ("pattern", a_policy(pattern="x" * 30 + "{SequenceValue}"), Rule.TOO_LONG),
        ("pattern", a_policy(pattern="R-{SequenceValue}", restart=Restart.YEARLY), Rule.RESTART_WITHOUT_DATE),
        (
            "pattern",
            a_policy(pattern="{Date:YYYY}{SequenceValue}", restart=Restart.MONTHLY),
            Rule.RESTART_WITHOUT_DATE,
        ),
        ("start", a_policy(start=-1), Rule.OUT_OF_RANGE),
        ("increment", a_policy(increment=-1), Rule.OUT_OF_RANGE),
        ("width", a_policy(width=19), Rule.OUT_OF_RANGE),
        ("maximum", a_policy(start=10, maximum=9), Rule.OUT_OF_RANGE),
        ("legal_entity_id", a_policy(legal_entity_id=""), Rule.REQUIRED),
        ("legal_entity_id", a_policy(legal_entity_id="xx"), Rule.NO_SUCH_ENTRY),
        ("conditions[0].field", a_policy(conditions=(where("total", "1"),)), Rule.MASK),
        ("conditions[0].field", a_policy(conditions=(where("labels.", "1"),)), Rule.MASK),
        ("conditions", a_policy(conditions=(where("account_id", "1"),) * 21), Rule.TOO_MANY),
        ("end_date", a_policy(start_date=DAY, end_date=date(2026, 11, 26)), Rule.ENDS_BEFORE_START),
    ],
)
def test_a_policy_that_cannot_number_is_found(field: str, policy: SequencePolicy, rule: Rule) -> None:
    entity = reference.LegalEntity("de", "Daybook GmbH")
    applying(entity, policy).finds(f"data.sequence_policies[0].{field}", rule)


def test_no_two_policies_of_a_legal_entity_make_the_same_numbers() -> None:
    entities = (reference.LegalEntity("de", "Daybook GmbH"), reference.LegalEntity("fj", "Daybook Fiji"))
    applying(*entities, a_policy(), a_policy("other")).finds(
        "data.sequence_policies[1].pattern", Rule.SAME_PATTERN
    )
    assert applying(*entities, a_policy(), a_policy("other", legal_entity_id="fj")).after.sequence_policies


# What is frozen


def frozen(*changed: SequencePolicy, pruned: str = "") -> dict[str, Rule]:
    """What is found wrong with changes to a policy of which a series has begun."""
    begun = sequence.begun([SeriesOpened("", a_policy())])
    assert begun is not None
    changes = [reference.Change(Kind.SEQUENCE_POLICY, each.id, a_policy(), each) for each in changed]
    if pruned:
        changes.append(reference.Change(Kind.SEQUENCE_POLICY, pruned, a_policy(), None))
    findings = Findings()
    sequence.check_frozen(changed, changes, {"invoices": begun}, findings)
    return {each.path: each.rule for each in findings}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pattern", "X-{SequenceValue}"),
        ("target", SequenceTarget.CREDIT_MEMO),
        ("increment", 2),
        ("start", 2),
        ("width", 6),
        ("restart", Restart.YEARLY),
        ("legal_entity_id", "fj"),
    ],
)
def test_what_makes_the_numbers_is_frozen_with_the_first(field: str, value: Any) -> None:
    found = frozen(a_policy(**{field: value}))
    assert found == {f"data.sequence_policies[0].{field}": Rule.SERIES_BEGUN}


def test_what_does_not_make_the_numbers_may_change_at_any_time() -> None:
    changed = a_policy(
        name="Other",
        maximum=99,
        start_date=DAY,
        status=EntryStatus.INACTIVE,
        conditions=(where("owner_id", "1"),),
    )
    assert frozen(changed) == {}


def test_a_policy_of_which_a_series_has_begun_cannot_be_removed() -> None:
    assert frozen(pruned="invoices") == {"data.sequence_policies": Rule.STILL_USED}


def test_before_the_first_number_everything_may_change() -> None:
    assert sequence.begun([]) is None


# Proof


def proved(nth: int = 1, number: str = "R-00001", **changes: Any) -> sequence.Proved:
    assigned = sequence.NumberAssigned("invoices", "", number, ONE, DAY)
    evidence = sequence.Evidence({number: frozenset({ONE})}, {ONE: number})
    return sequence.prove(nth, assigned, a_policy(), replace(evidence, **changes))


def test_a_number_is_proved_by_its_place_its_claim_and_its_invoice() -> None:
    assert proved().faults == ()


def test_what_is_wrong_with_a_number_is_said() -> None:
    assert sequence.prove(3, None, a_policy(), sequence.Evidence({}, {})).faults == (Fault.MISSING,)
    assert proved(nth=2).faults == (Fault.OTHER_NUMBER,)
    assert proved(claimed={"R-00001": frozenset({TWO})}).faults == (Fault.NOT_CLAIMED,)
    assert proved(carried={ONE: "R-7"}).faults == (Fault.NOT_CARRIED,)
    assert proved(claimed={}, carried={}).faults == (Fault.NOT_CLAIMED, Fault.NOT_CARRIED)


def test_a_series_that_has_not_begun_is_refused_in_words() -> None:
    refusal = SeriesNotFound(policy_id="'invoices'", period=" in '2026'")
    assert str(refusal) == "sequence policy 'invoices' has given no number in '2026'"
