"""Decimals as callers write them, currencies and their smallest units."""

from __future__ import annotations

from decimal import Decimal

import iso4217
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.findings import Rule
from domain.invoice import Ingest, LineContent
from domain.money import CURRENCIES, NotDecimal, Rounding, decimal, normal, plain

from .examples import a_line, an_invoice, with_line, with_tax
from .spec import when

# Decimals


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "1",
        "-1",
        "+1",
        "007",
        "1234.50",
        "0.000000000001",
        "-0.5",
        "999999999999999.999999999999",
        "000000000000000000000000000000000000000",
    ],
)
def test_a_decimal_is_read_as_it_is_written(text: str) -> None:
    assert decimal(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 ",
        " 1",
        "1\n",
        "1e3",
        "1E3",
        "1e999999",
        "1e-999999",
        "1e99999999999999999999",
        "NaN",
        "nan",
        "sNaN",
        "Infinity",
        "-inf",
        "٣",
        "３",
        "1٣",
        "²",
        "½",
        ".5",
        "5.",
        ".",
        "+",
        "--1",
        "+-1",
        "1.2.3",
        "1,5",
        "1_000",
        "1'000",
        "1 000",
        "0x10",
        "0b1",
        "€5",
        "5%",
        "1\x00",
        "−1",
        "1.٣",
        "1" * 41,
        "0." + "0" * 39,
        "1" * 1_000_000,
    ],
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(NotDecimal) as fault:
        decimal(text)
    assert fault.value.rule is Rule.DECIMAL
    assert len(str(fault.value)) < 500


@pytest.mark.parametrize("text", ["-0", "-0.00", "+0", "-000.0"])
def test_there_is_no_negative_zero(text: str) -> None:
    assert str(decimal(text)).lstrip("0.") == ""
    assert not decimal(text).is_signed()


@pytest.mark.parametrize("text", ["1000000000000000", "-1000000000000000", "9" * 40])
def test_a_decimal_has_at_most_15_digits_before_its_point(text: str) -> None:
    with pytest.raises(NotDecimal) as fault:
        decimal(text)
    assert fault.value.rule is Rule.TOO_LARGE


@pytest.mark.parametrize(("text", "most"), [("0.1234567890123", 12), ("1.0000000000000", 12), ("0.1234", 3)])
def test_a_decimal_has_at_most_so_many_decimals(text: str, most: int) -> None:
    with pytest.raises(NotDecimal) as fault:
        decimal(text, most)
    assert fault.value.rule is Rule.TOO_FINE
    assert f"at most {most} decimals" in str(fault.value)


def test_coordinates_have_15_decimals() -> None:
    assert decimal("49.123456789012345", 15) == Decimal("49.123456789012345")


@for_all(st.text(max_size=60))
def test_any_text_is_a_decimal_or_refused(text: str) -> None:
    try:
        value = decimal(text)
    except NotDecimal:
        return
    assert value.is_finite()
    assert abs(value) < Decimal(10) ** 15
    assert decimal(plain(value), 40) == value


@for_all(st.decimals(min_value=-(10**14), max_value=10**14, places=12))
def test_a_decimal_survives_being_written_and_read(value: Decimal) -> None:
    assert decimal(plain(value)) == value
    assert decimal(normal(value)) == value


@for_all(st.decimals(allow_nan=False, allow_infinity=False, places=6), st.integers(0, 6))
def test_one_value_has_one_normal_text(value: Decimal, zeros: int) -> None:
    padded = value.quantize(Decimal(1).scaleb(-6 - zeros)) if abs(value) < 10**12 else value
    assert normal(padded) == normal(value)
    assert Decimal(normal(value)) == value


# Currencies


def test_currencies_are_those_of_iso_4217() -> None:
    listed = {each.code: each.exponent for each in iso4217.Currency if each.exponent is not None}
    assert {code: currency.decimals for code, currency in CURRENCIES.items()} == listed


def test_no_metal_or_test_code_is_a_currency() -> None:
    assert not {"XAU", "XAG", "XTS", "XXX", "XDR"} & CURRENCIES.keys()


@pytest.mark.parametrize("code", ["eur", "EURO", "EU", "€", "XXX", "DEM", "978", " EUR", "ΕUR"])
def test_an_invoice_is_in_an_iso_4217_currency(code: str) -> None:
    when(Ingest(an_invoice(currency_code=code))).finds("invoice.currency_code", Rule.CURRENCY)


@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("EUR", "1234.56"),
        ("EUR", "1234.5"),
        ("EUR", "1234.500000"),
        ("JPY", "1234"),
        ("JPY", "1234.000"),
        ("KWD", "1234.567"),
        ("CLF", "1234.5678"),
        ("EUR", "0"),
        ("EUR", "-0.01"),
        ("EUR", "999999999999999.99"),
        ("CLF", "999999999999999.9999"),
    ],
)
def test_amounts_are_kept_in_units_of_the_currency(currency: str, amount: str) -> None:
    (line,) = when(Ingest(an_invoice(currency_code=currency, lines=(charged(amount),)))).lines
    assert line.charge == Decimal(amount)
    assert -int(line.charge.as_tuple().exponent) == CURRENCIES[currency].decimals


@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("EUR", "0.001"),
        ("EUR", "1234.565"),
        ("JPY", "0.5"),
        ("KWD", "0.0001"),
        ("CLF", "0.00001"),
        ("EUR", "-0.001"),
        ("EUR", "999999999999999.999"),
    ],
)
def test_amounts_finer_than_the_currencys_unit_are_refused_and_never_rounded(
    currency: str, amount: str
) -> None:
    asked = when(Ingest(an_invoice(currency_code=currency, lines=(charged(amount),))))
    asked.finds("invoice.lines[0].charge_amount", Rule.FINER_THAN_CURRENCY)
    decimals = CURRENCIES[currency].decimals
    said = asked.says("invoice.lines[0].charge_amount")
    assert said == f"{currency} has {decimals} decimals and nothing is rounded; is {amount}"


@pytest.mark.parametrize("name", ["amount", "exempt_amount"])
def test_taxes_are_in_units_of_the_currency_too(name: str) -> None:
    asked = when(Ingest(with_tax(**{name: Decimal("0.005")})))
    asked.finds(f"invoice.lines[0].taxes[0].{name}", Rule.FINER_THAN_CURRENCY)


def test_quantity_price_and_rate_are_as_fine_as_they_like() -> None:
    fine = Decimal("0.123456789012")
    when(Ingest(with_line(quantity=fine, unit_price=fine, usage_overage_quantity=fine))).finds_all({})
    when(Ingest(with_tax(rate=fine))).finds_all({})


def charged(amount: str) -> LineContent:
    return a_line(charge_amount=Decimal(amount))


# Rounding


@pytest.mark.parametrize(
    ("amount", "away", "even"),
    [
        ("0.005", "0.01", "0.00"),
        ("-0.005", "-0.01", "0.00"),
        ("0.015", "0.02", "0.02"),
        ("2.675", "2.68", "2.68"),
        ("0.0049", "0.00", "0.00"),
    ],
)
def test_the_caller_says_how_the_last_unit_falls(amount: str, away: str, even: str) -> None:
    euro = CURRENCIES["EUR"]
    assert euro.rounded(Decimal(amount), Rounding.HALF_AWAY_FROM_ZERO) == Decimal(away)
    assert euro.rounded(Decimal(amount), Rounding.HALF_EVEN) == Decimal(even)
