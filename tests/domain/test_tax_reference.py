"""Engines, treatments and rates as reference data: what must hold of them before anything rests on them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain import reference
from domain.findings import Findings, Malformed, Rule
from domain.reference import Apply, Entry, Kind, ReferenceData, TreatmentItem, check_rates, plan

from .examples import GERMANY, NOW, on
from .taxes import ENGINE, FAR, TAXED, UNTAXED, a_rate, flat


def applied(
    *entries: Entry, prune: frozenset[Kind] = frozenset(), to: ReferenceData | None = None
) -> ReferenceData:
    before = to or ReferenceData()
    made = plan(Apply(entries, prune=prune), before, Findings())
    at = reference.At(1, 1, NOW)
    return reference.fold(before, [(change.event, at) for change in made.changes])


def found(
    *entries: Entry, prune: frozenset[Kind] = frozenset(), to: ReferenceData | None = None
) -> dict[str, Rule]:
    with pytest.raises(Malformed) as malformed:
        applied(*entries, prune=prune, to=to)
    return {finding.path: finding.rule for finding in malformed.value.findings}


def test_engines_treatments_and_rates_are_merged_by_id_like_everything_else() -> None:
    data = applied(ENGINE, FAR, TAXED, UNTAXED, a_rate("a", "19"), flat("b", "1"))
    assert (len(data.tax_engines), len(data.tax_treatments), len(data.tax_rates)) == (2, 2, 2)
    assert len(data.rate_table) == 2
    again = plan(Apply((ENGINE, a_rate("a", "19"), flat("b", "2"))), data, Findings())
    assert ([change.id for change in again.changes], again.unchanged) == (["b"], 2)


def test_rates_that_are_not_mentioned_are_pruned_on_request() -> None:
    data = applied(a_rate("a", "19"), a_rate("b", "7"))
    pruned = applied(a_rate("a", "19"), prune=frozenset({Kind.TAX_RATE}), to=data)
    assert [rate.id for rate in pruned.rate_table.by_age()] == ["a"]


@pytest.mark.parametrize(
    ("engine", "path", "rule"),
    [
        (replace(FAR, endpoint=""), "endpoint", Rule.ENDPOINT),
        (replace(FAR, endpoint="no port"), "endpoint", Rule.ENDPOINT),
        (replace(ENGINE, endpoint="a:1"), "endpoint", Rule.ENDPOINT),
        (replace(FAR, timeout_ms=-1), "timeout_ms", Rule.OUT_OF_RANGE),
        (replace(FAR, timeout_ms=60_001), "timeout_ms", Rule.OUT_OF_RANGE),
        (replace(FAR, seller_code="x" * 256), "seller_code", Rule.TOO_LONG),
    ],
)
def test_an_engine(engine: reference.TaxEngine, path: str, rule: Rule) -> None:
    assert found(engine) == {f"data.tax_engines[0].{path}": rule}


@pytest.mark.parametrize(
    ("changes", "path", "rule"),
    [
        ({"engine_id": "none"}, "engine_id", Rule.NO_SUCH_ENTRY),
        ({"taxable": False}, "engine_id", Rule.NAMES_ENGINE),
        ({"items": (TreatmentItem(" "),)}, "items[0].product_id", Rule.REQUIRED),
        ({"items": (TreatmentItem("p", tax_code="x" * 81),)}, "items[0].tax_code", Rule.TOO_LONG),
        ({"items": (TreatmentItem("p"), TreatmentItem("p"))}, "items[1].product_id", Rule.DUPLICATE),
        ({"items": (TreatmentItem("p"),) * 1001}, "items", Rule.TOO_MANY),
    ],
)
def test_a_treatment(changes: dict[str, Any], path: str, rule: Rule) -> None:
    assert found(ENGINE, replace(TAXED, **changes)) == {f"data.tax_treatments[0].{path}": rule}


@pytest.mark.parametrize(
    ("changes", "path", "rule"),
    [
        ({"country": "Germany"}, "country", Rule.COUNTRY),
        ({"country": "de"}, "country", Rule.COUNTRY),
        ({"tax_code": " "}, "tax_code", Rule.REQUIRED),
        ({"currency": "EURO"}, "currency", Rule.CURRENCY),
        ({"legal_entity_id": "none"}, "legal_entity_id", Rule.NO_SUCH_ENTRY),
        ({"percentage": None}, "percentage", Rule.PERCENT_OR_FLAT),
        ({"flat_amount": Decimal(1)}, "percentage", Rule.PERCENT_OR_FLAT),
        ({"percentage": Decimal("1000.01")}, "percentage", Rule.OUT_OF_RANGE),
        ({"priority": 1_000_001}, "priority", Rule.OUT_OF_RANGE),
        ({"start_date": on(2026, 2, 1), "end_date": on(2026, 1, 31)}, "end_date", Rule.ENDS_BEFORE_START),
        ({"start_date": on(1899, 1, 1)}, "start_date", Rule.OUT_OF_RANGE),
    ],
)
def test_a_rate(changes: dict[str, Any], path: str, rule: Rule) -> None:
    assert found(replace(a_rate("a", "19"), **changes)) == {f"data.tax_rates[0].{path}": rule}


def test_what_a_treatment_or_a_rate_names_cannot_go() -> None:
    data = applied(ENGINE, FAR, TAXED, GERMANY, a_rate("a", "1", legal_entity_id="de"))
    assert found(FAR, prune=frozenset({Kind.TAX_ENGINE}), to=data) == {"data.tax_engines": Rule.STILL_USED}
    other = replace(GERMANY, id="at")
    gone = found(other, prune=frozenset({Kind.LEGAL_ENTITY}), to=data)
    assert gone == {"data.legal_entities": Rule.STILL_USED}


def test_codes_of_a_product_take_the_place_of_the_treatments() -> None:
    items = (TreatmentItem("p", "R"), TreatmentItem("q", product_code="BOOK"))
    treatment = replace(TAXED, product_code="ANY", items=items)
    assert [treatment.codes(each) for each in ("p", "q", "r")] == [("R", "ANY"), ("T", "BOOK"), ("T", "ANY")]


def test_rates_of_a_question_what_if_stand_for_themselves() -> None:
    findings = Findings()
    check_rates([a_rate("a", "1"), a_rate("a", "2"), a_rate("", "1")], "rates", findings)
    assert {each.path: each.rule for each in findings} == {
        "rates[1].id": Rule.DUPLICATE,
        "rates[2].id": Rule.REQUIRED,
    }
    check_rates([a_rate("a", "1")] * 10_001, "many", findings)
    assert "many" in findings
