"""What an invoice comes to: sums of what was sent, whatever quantity and price would say."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.findings import Rule
from domain.invoice import Content, Ingest, LineContent, Settlement, TaxStatus, Totals
from domain.money import CURRENCIES

from .examples import a_line, a_posted_invoice, a_tax, an_invoice, with_line
from .spec import when


def charged(amount: str, *taxes: str) -> LineContent:
    rows = tuple(a_tax(amount=Decimal(tax)) for tax in taxes)
    return a_line(charge_amount=Decimal(amount), taxes=rows)


def estimated(*lines: LineContent) -> Content:
    return an_invoice(tax_status=TaxStatus.ESTIMATED, lines=lines)


def totals(content: Content) -> Totals:
    return when(Ingest(content)).becomes.totals


def test_the_total_is_the_sum_of_the_charges() -> None:
    assert totals(estimated(charged("250"), charged("250"), charged("1200"))).total == Decimal(1700)


def test_a_charge_is_kept_verbatim_where_it_is_not_quantity_times_price() -> None:
    discounted = a_line(quantity=Decimal(4), unit_price=Decimal(25), charge_amount=Decimal(75))
    plain = a_line(quantity=Decimal(2), unit_price=Decimal(25), charge_amount=Decimal(50))
    first, _ = when(Ingest(an_invoice(lines=(discounted, plain)))).lines
    assert (first.quantity, first.unit_price, first.charge) == (Decimal(4), Decimal(25), Decimal(75))
    assert totals(an_invoice(lines=(discounted, plain))).total == Decimal(125)


def test_tax_stands_beside_the_total() -> None:
    taxed = totals(estimated(charged("250", "20"), charged("200", "16"), charged("1")))
    assert (taxed.total, taxed.tax, taxed.total_with_tax) == (Decimal(451), Decimal(36), Decimal(487))


def test_a_line_sums_up_its_tax_rows() -> None:
    (line,) = when(Ingest(estimated(charged("100", "7.25", "10")))).becomes.lines
    assert (line.tax, line.charge_with_tax) == (Decimal("17.25"), Decimal("117.25"))


def test_rates_and_charges_are_not_held_against_the_taxes() -> None:
    line = a_line(taxes=(a_tax(rate=Decimal("0.25"), amount=Decimal("7.25")),))
    assert totals(estimated(line)).tax == Decimal("7.25")


def test_several_rows_may_be_of_one_document() -> None:
    when(Ingest(estimated(charged("100", "1", "2", "3")))).finds_all({})


def test_a_line_has_at_most_a_hundred_tax_rows() -> None:
    when(Ingest(estimated(charged("100", *["1"] * 100)))).finds_all({})
    when(Ingest(estimated(charged("100", *["1"] * 101)))).finds("invoice.lines[0].taxes", Rule.TOO_MANY)


def test_what_is_exempt_is_nothing_unless_it_is_said() -> None:
    (line,) = when(Ingest(estimated(charged("100", "1")))).becomes.lines
    assert line.rows[0].exempt_amount == 0


def test_lines_may_be_negative_and_so_may_the_whole() -> None:
    negative = totals(estimated(charged("100", "19"), charged("-400", "-76")))
    assert (negative.total, negative.tax, negative.balance) == (Decimal(-300), Decimal(-57), Decimal(-357))


@pytest.mark.parametrize("name", ["quantity", "unit_price", "charge_amount", "usage_overage_quantity"])
@pytest.mark.parametrize("value", ["-5", "0"])
def test_any_number_of_a_line_may_be_negative_or_zero(name: str, value: str) -> None:
    when(Ingest(with_line(**{name: Decimal(value)}))).finds_all({})


def test_before_any_settlement_everything_is_open_draft_and_posted_alike() -> None:
    for content in (estimated(charged("100", "19")), a_posted_invoice(lines=(charged("100", "19"),))):
        assert totals(content).balance == Decimal(119)


def test_converting_a_negative_line_raises_the_balance() -> None:
    converted = Totals(charge=Decimal(300), converted_negative=Decimal(-100))
    assert converted.balance == Decimal(400)
    assert replace(converted, credits_applied=Decimal(100)).balance == Decimal(300)


def test_payments_and_credits_lower_the_balance() -> None:
    settled = Totals(Decimal(100), Decimal(19), payments_applied=Decimal(50), credits_applied=Decimal(9))
    assert settled.balance == Decimal(60)


def test_settlement_begins_with_the_posting() -> None:
    assert when(Ingest(an_invoice())).becomes.settlement is Settlement.NOT_APPLICABLE
    assert when(Ingest(a_posted_invoice())).becomes.settlement is Settlement.NOT_SETTLED
    nothing = a_posted_invoice(lines=(charged("10", "-10"),))
    assert when(Ingest(nothing)).becomes.settlement is Settlement.NOT_APPLICABLE


@pytest.mark.parametrize("code", ["JPY", "EUR", "KWD", "CLF"])
def test_the_greatest_sums_are_exact(code: str) -> None:
    most = Decimal(10**15) - CURRENCIES[code].unit
    content = replace(estimated(*[charged(str(most), str(most))] * 499), currency_code=code)
    assert totals(content).total_with_tax == most * 998


def test_sums_are_told_in_64_bits_and_so_are_bounded() -> None:
    most = str(10**15 - 1)
    when(Ingest(estimated(*[charged(most)] * 1000))).finds_all({})
    for too_much in (
        [charged(most)] * 1001,
        [charged(most), charged(f"-{most}")] * 501,
        [charged(most, most)] * 501,
    ):
        when(Ingest(estimated(*too_much))).finds("invoice.lines", Rule.TOTAL_TOO_LARGE)


amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=2)
lines = st.lists(st.tuples(amounts, st.lists(amounts, max_size=4)), min_size=1, max_size=12)


@for_all(lines)
def test_parts_sum_up_to_the_whole(parts: list[tuple[Decimal, list[Decimal]]]) -> None:
    content = estimated(*(charged(str(charge), *map(str, taxes)) for charge, taxes in parts))
    state = when(Ingest(content)).becomes
    cents = sum(int(charge * 100) for charge, _ in parts)
    tax_cents = sum(int(tax * 100) for _, taxes in parts for tax in taxes)
    assert int(state.totals.total * 100) == cents
    assert int(state.totals.tax * 100) == tax_cents
    assert int(state.totals.balance * 100) == cents + tax_cents
    assert sum(int(line.charge_with_tax * 100) for line in state.lines) == cents + tax_cents
    assert state.first_totals == state.totals


def test_the_tax_of_an_invoice_is_as_far_as_its_least_line() -> None:
    assert when(Ingest(an_invoice())).becomes.tax_status is TaxStatus.PENDING
    assert when(Ingest(estimated(charged("1", "1")))).becomes.tax_status is TaxStatus.ESTIMATED
    assert when(Ingest(a_posted_invoice())).becomes.tax_status is TaxStatus.POSTED
    state = when(Ingest(a_posted_invoice(lines=(charged("1", "1"), charged("2", "1"))))).becomes
    state.lines[1].tax_status = TaxStatus.ESTIMATED
    assert state.tax_status is TaxStatus.ESTIMATED
