"""Business numbers: one invoice each, unless the settings say otherwise."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain import numbering
from domain.numbering import Number, NumberClaimed, NumberReleased, NumberTaken, claim, release

NUMBER = Number("de", "R-100")
ONE, TWO, THREE = (UUID(int=n) for n in (1, 2, 3))


def claimed(*invoices: UUID) -> list[NumberClaimed]:
    return [NumberClaimed("de", "R-100", each) for each in invoices]


def released(*invoices: UUID) -> list[NumberReleased]:
    return [NumberReleased("de", "R-100", each) for each in invoices]


def test_a_free_number_is_claimed() -> None:
    assert claim(NUMBER, ONE, False, numbering.fold([])) == claimed(ONE)


def test_a_number_is_not_claimed_twice_by_one_invoice() -> None:
    for duplicates_allowed in (False, True):
        assert claim(NUMBER, ONE, duplicates_allowed, numbering.fold(claimed(ONE))) == []


def test_a_number_that_another_invoice_carries_is_taken() -> None:
    with pytest.raises(NumberTaken) as refusal:
        claim(NUMBER, TWO, False, numbering.fold(claimed(ONE)))
    assert refusal.value.facts == {"number": "R-100", "legal_entity_id": "de", "invoice_id": str(ONE)}


def test_the_settings_allow_duplicates() -> None:
    assert claim(NUMBER, TWO, True, numbering.fold(claimed(ONE))) == claimed(TWO)
    assert numbering.fold(claimed(ONE, TWO)) == {ONE, TWO}


def test_without_the_setting_a_number_with_several_carriers_is_not_claimed_by_a_further_one() -> None:
    with pytest.raises(NumberTaken):
        claim(NUMBER, THREE, False, numbering.fold(claimed(ONE, TWO)))


def test_a_number_that_was_given_back_is_free() -> None:
    history: list[NumberClaimed | NumberReleased] = [*claimed(ONE), *released(ONE)]
    assert numbering.fold(history) == frozenset()
    assert claim(NUMBER, TWO, False, numbering.fold(history)) == claimed(TWO)


def test_a_number_is_given_back_once_and_only_by_a_carrier() -> None:
    assert release(NUMBER, ONE, numbering.fold(claimed(ONE))) == released(ONE)
    assert release(NUMBER, TWO, numbering.fold(claimed(ONE))) == []
    assert release(NUMBER, ONE, numbering.fold([])) == []
