"""Whatever is sent, work and answers stay bounded: counted in calls and characters, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest

from domain import invoice
from domain.findings import (
    COUNTED_MAX,
    KEPT_MAX,
    SHOWN_MAX,
    Finding,
    Findings,
    Have,
    Malformed,
    Rule,
    listed,
    shown,
)
from domain.invoice import Content, Ingest, LineContent, Rules, TaxContent
from domain.reference import TaxTreatment

from .examples import FULL, REFERENCE, RULES, a_line, a_posted_invoice, a_tax, an_address, an_invoice, ingest
from .spec import happened, state_of, when

TEXT_MAX = 2_000  # characters of one finding


def malformed(content: Content, rules: Rules = RULES) -> Malformed:
    with pytest.raises(Malformed) as refusal:
        when(Ingest(content), rules).decide()
    return refusal.value


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, Python's own included."""
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def many(count: int) -> Content:
    return a_posted_invoice(lines=tuple(a_line(name=f"line {n}", taxes=(a_tax(),)) for n in range(count)))


def test_deciding_takes_calls_in_proportion_to_the_lines() -> None:
    small, large = many(100), many(1000)
    one = calls(lambda: when(Ingest(small)).decide())
    ten = calls(lambda: when(Ingest(large)).decide())
    assert ten < 10.1 * one


def test_folding_takes_calls_in_proportion_to_the_lines() -> None:
    small, large = happened(Ingest(many(1000))), happened(Ingest(many(10_000)))
    one, ten = calls(lambda: invoice.fold(small)), calls(lambda: invoice.fold(large))
    assert ten < 10.1 * one


def test_folding_copies_no_lines() -> None:
    events = happened(Ingest(many(20)))
    state = state_of(events[:2])
    lines, addresses = state.lines, state.addresses
    after = invoice.fold(events[2:], since=state)
    assert after is state
    assert after.lines is lines
    assert after.addresses is addresses
    assert len(lines) == 20


def test_comparing_with_what_stands_is_bounded_by_what_is_told() -> None:
    state = state_of(happened(Ingest(many(2000))))
    content = replace(many(2000), lines=tuple(a_line(name="other") for _ in range(2000)))
    said = calls(lambda: invoice.differences.told_differences(content, state))
    assert said < 2000


def test_an_invoice_of_ten_thousand_lines_works() -> None:
    content = an_invoice(lines=(a_line(),) * 10_000)
    state = when(Ingest(content)).becomes
    assert (len(state.lines), state.totals.total) == (10_000, Decimal(2_500_000))


def test_an_invoice_has_as_many_lines_as_the_limits_say() -> None:
    limited = replace(RULES, limits=invoice.Limits(lines_max=3))
    when(ingest(lines=(a_line(),) * 3), limited).finds_all({})
    asked = when(ingest(lines=(a_line(),) * 4), limited)
    asked.finds("invoice.lines", Rule.TOO_MANY)
    assert asked.says("invoice.lines") == "at most 3; has 4"
    when(ingest(lines=(a_line(name=""),) * 20_001)).finds("invoice.lines", Rule.TOO_MANY)


def test_of_many_findings_a_thousand_are_told_and_all_are_counted() -> None:
    refusal = malformed(an_invoice(lines=(a_line(name="", quantity=None),) * 20_000))
    assert (len(refusal.findings), refusal.count) == (KEPT_MAX, 40_000)
    assert [finding.path for finding in refusal.findings[:2]] == [
        "invoice.lines[0].name",
        "invoice.lines[0].quantity",
    ]


def test_where_everything_is_wrong_nobody_looks_at_all_of_it() -> None:
    nothing = LineContent(taxes=(TaxContent(),) * 100)
    content = a_posted_invoice(lines=(nothing,) * 20_000)
    findings: list[Malformed] = []
    made = calls(lambda: findings.append(malformed(content)))
    assert (len(findings[0].findings), findings[0].count) == (KEPT_MAX, COUNTED_MAX)
    assert made < 30 * COUNTED_MAX


class Walked(dict[str, TaxTreatment]):
    walks = 0

    def __iter__(self) -> Iterator[str]:
        self.walks += 1
        return super().__iter__()


def test_the_names_that_were_right_are_listed_once_for_all_lines() -> None:
    treatments = Walked({f"t{n}": REFERENCE.tax_treatments["standard"] for n in range(10_000)})
    reference = replace(REFERENCE, tax_treatments=treatments)
    content = an_invoice(lines=tuple(a_line(tax_treatment_id=f"x{n}") for n in range(2000)))
    refusal = malformed(content, replace(RULES, reference=reference))
    assert refusal.count == 2000
    assert treatments.walks <= 2


def test_the_keys_that_were_right_are_listed_once_for_all_lines() -> None:
    groups = tuple(an_address(key=f"g{n}") for n in range(10_000))
    lines = (a_line(billing_address="none such"),) * 5000
    content = an_invoice(address_groups=groups, billing_address="g1", shipping_address="g1", lines=lines)
    made = calls(lambda: malformed(content))
    assert made < 1_000_000
    assert "(have: g0, g1, g10, g100" in str(malformed(content).findings[0])


HUGE = "🙈\x00" * 1_000_000


def grown(content: Content) -> Content:
    """Every text of it is huge."""
    return enlarged(content)  # type: ignore[no-any-return]


def enlarged(part: Any) -> Any:
    match part:
        case str() if type(part) is str:
            return HUGE
        case tuple():
            return tuple(map(enlarged, part))
        case dict():
            return {HUGE: HUGE}
        case _ if hasattr(part, "__dataclass_fields__"):
            return replace(
                part, **{name: enlarged(getattr(part, name)) for name in part.__dataclass_fields__}
            )
        case _:
            return part


def test_findings_stay_short_whatever_they_are_about() -> None:
    refusal = malformed(grown(FULL))
    assert len(refusal.findings) > 30
    for finding in refusal.findings:
        assert len(finding.path) < TEXT_MAX
        assert len(str(finding)) < TEXT_MAX
    assert len(str(refusal)) < 2 * TEXT_MAX


def test_findings_stay_short_in_a_book_of_long_names() -> None:
    long = {"x" * 200 + str(n): REFERENCE.tax_treatments["standard"] for n in range(100)}
    rules = replace(RULES, reference=replace(REFERENCE, tax_treatments=long))
    for finding in malformed(an_invoice(), rules).findings:
        assert len(str(finding)) < TEXT_MAX


# The parts


def test_a_path_is_told_once() -> None:
    findings = Findings()
    findings.add("a", Rule.REQUIRED)
    findings.add("a", Rule.CHARACTERS)
    assert list(findings) == [Finding("a", Rule.REQUIRED, {})]
    assert ("a" in findings, "b" in findings, findings.count, bool(findings)) == (True, False, 1, True)
    assert not Findings()


def test_a_copy_of_findings_goes_its_own_way() -> None:
    findings = Findings()
    findings.add("a", Rule.REQUIRED)
    copied = findings.copy()
    copied.add("b", Rule.REQUIRED)
    copied.add("a", Rule.CHARACTERS)
    assert (findings.count, copied.count) == (1, 2)


def test_a_callers_text_is_shown_quoted_and_short() -> None:
    assert shown("a'b\n") == '"a\'b\\n"'
    assert shown("x" * 81) == f"'{'x' * SHOWN_MAX}'…"
    assert shown(12) == "'12'"


def test_names_are_listed_in_order_and_not_all_of_them() -> None:
    assert listed([]) == "none"
    assert listed(["b", "a"]) == "a, b"
    assert listed(str(n) for n in range(100, 120)) == ", ".join(map(str, range(100, 112))) + ", …"
    assert str(Have(iter(["b", "a"]))) == "a, b"


@pytest.mark.parametrize("rule", Rule)
def test_a_rule_says_what_would_be_right(rule: Rule) -> None:
    assert rule.name.isupper()
    assert rule.value
    assert not rule.value.endswith(".")
