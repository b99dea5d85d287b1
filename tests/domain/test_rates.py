"""Rates and what they make of a charge: which match, in which order, how each row is rounded."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import reference, tax
from domain.money import CURRENCIES
from domain.reference import At, Kind, ReferenceEntryRemoved, TaxRate, set_event

from .examples import NOW
from .taxes import DAY, a_rate, flat, net, taxes


def test_the_worked_example_comes_out() -> None:
    rates = (a_rate("a", "7.25", priority=1), net("b", "2", priority=2), flat("c", "5.00", priority=3))
    assert taxes("1000.00", *rates, net("d", "1")) == ["72.50", "21.45", "5.00", "10.99"]


def test_the_worked_example_with_its_first_two_swapped() -> None:
    rates = (a_rate("a", "7.25", priority=2), net("b", "2", priority=1), flat("c", "5.00", priority=3))
    assert taxes("1000.00", *rates)[:2] == ["20.00", "72.50"]


def test_rates_without_priority_come_last_and_equal_ones_by_age() -> None:
    rates = (a_rate("blank", "1"), a_rate("late", "2", priority=5), a_rate("first", "3", priority=-1))
    assert taxes("100", *rates, a_rate("later", "4", priority=5)) == ["3.00", "2.00", "4.00", "1.00"]


@pytest.mark.parametrize(
    ("charge", "percentage", "currency", "tax"),
    [
        ("0.10", "5", "EUR", "0.01"),  # 0.005 falls away from zero
        ("-0.10", "5", "EUR", "-0.01"),
        ("0.09", "5", "EUR", "0.00"),  # 0.0045 does not
        ("-0.09", "5", "EUR", "0.00"),
        ("0.30", "5", "EUR", "0.02"),  # 0.015: not to even
        ("5", "10", "JPY", "1"),
        ("4", "10", "JPY", "0"),
        ("-5", "10", "JPY", "-1"),
        ("0.050", "1", "KWD", "0.001"),
        ("0.049", "1", "KWD", "0.000"),
        ("999999999999999.99", "999.999999999999", "EUR", "9999999999999989.90"),
    ],
)
def test_a_row_is_rounded_to_the_smallest_unit_half_away_from_zero(
    charge: str, percentage: str, currency: str, tax: str
) -> None:
    assert taxes(charge, a_rate("a", percentage), currency=currency) == [tax]


def test_a_flat_amount_follows_the_sign_of_the_charge_and_is_rounded_too() -> None:
    assert taxes("-10", flat("a", "1.50")) == ["-1.50"]
    assert taxes("0", flat("a", "1.50")) == ["1.50"]
    assert taxes("10", flat("a", "1.50"), currency="JPY") == ["2"]


def test_no_rate_no_tax() -> None:
    assert taxes("10") == []


def matched(
    *rates: TaxRate, criteria: tuple[str, str, str, str] = ("by", "p", "de", "EUR"), day: date = DAY
) -> str:
    found = reference.table(rates).matching("T", "DE", criteria, day)
    return " ".join(each.rate.id for each in found)


def test_blank_matches_everything_but_for_tax_code_and_country() -> None:
    alike = (
        a_rate("blank", "1"),
        a_rate("state", "1", state="BY"),
        a_rate("product", "1", product_code="p"),
        a_rate("entity", "1", legal_entity_id="de"),
        a_rate("currency", "1", currency="EUR"),
        a_rate("all", "1", state="By", product_code="p", legal_entity_id="de", currency="EUR"),
    )
    other = (
        a_rate("no-1", "1", state="BE"),
        a_rate("no-2", "1", product_code="q"),
        a_rate("no-3", "1", legal_entity_id="fj"),
        a_rate("no-4", "1", currency="USD"),
        a_rate("no-5", "1", country="AT"),
        a_rate("no-6", "1", tax_code="U"),
    )
    assert matched(*other, *alike) == "blank state product entity currency all"


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
def test_a_rate_holds_from_its_first_day_to_its_last(many: bool) -> None:
    others = [a_rate(f"old-{n}", "1", end_date=date(2000, 1, n)) for n in range(1, 31)] if many else []
    rate = a_rate("a", "1", start_date=date(2026, 1, 1), end_date=date(2026, 6, 30))
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1)]
    assert [matched(rate, *others, day=day) for day in days] == ["", "a", "a", ""]


def recorded(*events: reference.Event) -> reference.ReferenceData:
    at = (At(number, number, NOW) for number in range(1, len(events) + 1))
    return reference.fold(reference.ReferenceData(), zip(events, at, strict=True))


def ages(data: reference.ReferenceData) -> list[str]:
    return [rate.id for rate in data.rate_table.by_age()]


def test_a_rate_keeps_its_age_when_it_changes_and_loses_it_when_it_goes() -> None:
    one, two = set_event(a_rate("a", "1")), set_event(a_rate("b", "1"))
    again = set_event(a_rate("a", "2"))
    assert ages(recorded(one, two, again)) == ["a", "b"]
    removed = ReferenceEntryRemoved(Kind.TAX_RATE, "a")
    assert ages(recorded(one, two, removed, again)) == ["b", "a"]
    assert ages(recorded(one, two, removed)) == ["b"]


def test_a_table_that_is_followed_by_another_stays_as_it_was() -> None:
    before = recorded(set_event(a_rate("a", "1")))
    assert before.rate_table.matching("T", "DE", ("", "", "", ""), DAY)
    after = reference.fold(before, [(set_event(a_rate("b", "2")), At(1, 9, NOW))])
    for data, expected in ((before, ["a"]), (after, ["a", "b"])):
        found = data.rate_table.matching("T", "DE", ("", "", "", ""), DAY)
        assert [each.rate.id for each in found] == expected


RATES = st.lists(
    st.builds(
        a_rate,
        st.uuids().map(str),
        st.sampled_from(["0", "-3", "7.25", "19", "0.333333333333"]),
        state=st.sampled_from(["", "BY", "BE"]),
        product_code=st.sampled_from(["", "p", "q"]),
        legal_entity_id=st.sampled_from(["", "de"]),
        currency=st.sampled_from(["", "EUR", "USD"]),
        country=st.sampled_from(["DE", "AT"]),
        priority=st.sampled_from([None, 1, 2]),
        basis=st.sampled_from(reference.Basis),
        start_date=st.none() | st.integers(-3, 3).map(lambda n: DAY + timedelta(days=n)),
        end_date=st.none() | st.integers(-3, 3).map(lambda n: DAY + timedelta(days=n)),
    ),
    max_size=40,
)
CRITERIA = st.tuples(*(st.sampled_from(each) for each in (["by", "be", "x"], ["p", "z"], ["de"], ["EUR"])))


@settings(deadline=None)
@given(rates=RATES, criteria=CRITERIA, days=st.integers(-5, 5))
def test_what_is_found_is_what_looking_at_every_rate_would_find(
    rates: list[TaxRate], criteria: tuple[str, str, str, str], days: int
) -> None:
    day = DAY + timedelta(days=days)

    def matches(rate: TaxRate) -> bool:
        said = (rate.state.casefold(), rate.product_code, rate.legal_entity_id, rate.currency)
        return (
            (rate.tax_code, rate.country) == ("T", "DE")
            and all(not mine or mine == theirs for mine, theirs in zip(said, criteria, strict=True))
            and (rate.start_date or day) <= day <= (rate.end_date or day)
        )

    expected = sorted(
        (n for n, rate in enumerate(rates) if matches(rate)),
        key=lambda n: (rates[n].priority is None, rates[n].priority or 0, n),
    )
    found = reference.table(rates).matching("T", "DE", criteria, day)
    assert [each.rate for each in found] == [rates[n] for n in expected]


@settings(deadline=None)
@given(rates=RATES, units=st.integers(-(10**15), 10**15), currency=st.sampled_from(["JPY", "EUR", "KWD"]))
def test_rows_are_in_whole_units_and_mirror_their_charge(
    rates: list[TaxRate], units: int, currency: str
) -> None:
    of = CURRENCIES[currency]
    charge = Decimal(units).scaleb(-of.decimals)
    table = reference.table(rates)
    matching = table.matching("T", "DE", ("by", "p", "de", currency), DAY)
    rows, mirrored = tax.rows(charge, matching, of), tax.rows(-charge, matching, of)
    assert all(row.amount == row.amount.quantize(of.unit) for row in rows)
    assert [row.amount for row in rows] == [-row.amount for row in mirrored]
