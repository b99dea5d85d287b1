"""Nothing is a rule without a test that names it and a line in the book of rules."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import domain
from domain.findings import Rule
from domain.refusal import Refused

HERE = Path(__file__).parent
BOOK = HERE.parents[1] / "docs" / "rules.md"
EDGE = {
    Rule.UNKNOWN_FIELD,
    Rule.ENUM,
    Rule.DATE,
    Rule.UUID_TEXT,
    Rule.INSTANT,
    Rule.HEX_TEXT,
    Rule.EDITION_NAME,
    Rule.EITHER,
    Rule.NO_VERSION,
    Rule.POSITION,
    Rule.PAGE_TOKEN,
    Rule.MASK,
    Rule.DRY_RUN_ONLY,
    Rule.SET_FOR_ALL,
}  # found where messages are read, before the domain sees them


def named_in_tests() -> set[str]:
    texts = [path.read_text() for path in HERE.glob("test_*.py") if path != Path(__file__)]
    return {name for text in texts for name in re.findall(r"\bRule\.([A-Z_]+)", text)}


def refusals(kind: type[Refused] = Refused) -> set[type[Refused]]:
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        importlib.import_module(module.name)
    found = set(kind.__subclasses__())
    return found.union(*(refusals(each) for each in found)) if found else found


OURS = sorted(
    (each for each in refusals() if each.__module__.startswith("domain.")), key=lambda each: each.reason
)


@pytest.mark.parametrize("rule", [rule for rule in Rule if rule not in EDGE], ids=lambda rule: rule.name)
def test_a_rule_has_a_test_that_names_it(rule: Rule) -> None:
    assert rule.name in named_in_tests()


@pytest.mark.parametrize("refusal", OURS, ids=lambda refusal: refusal.reason)
def test_a_refusal_has_a_test_that_names_it(refusal: type[Refused]) -> None:
    assert any(re.search(rf"\b{refusal.__name__}\b", path.read_text()) for path in HERE.glob("test_*.py"))
    assert re.fullmatch(r"[A-Z][A-Z_]+[A-Z]", refusal.reason)


def test_no_two_refusals_have_one_reason() -> None:
    reasons = [refusal.reason for refusal in OURS]
    assert len(set(reasons)) == len(reasons)


def catalogue(title: str) -> set[str]:
    """The names in the first column of the table under this title."""
    _, _, rest = BOOK.read_text().partition(f"## {title}\n")
    section = rest.partition("\n## ")[0]
    return set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))


def test_the_book_of_rules_lists_every_rule() -> None:
    assert catalogue("Findings") == {rule.name for rule in Rule}


def test_the_book_of_rules_lists_every_refusal() -> None:
    assert catalogue("Refusals") == {refusal.reason for refusal in OURS}
