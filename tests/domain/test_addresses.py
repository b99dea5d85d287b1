"""Address groups: keyed, shared, inherited from the invoice, named by role on the lines."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.findings import Rule
from domain.invoice import Ingest

from .examples import a_line, an_address, an_invoice, with_address
from .spec import when

HQ, DEPOT, PLANT = an_address(key="hq"), an_address(key="depot"), an_address(key="plant")
GROUPS = (HQ, DEPOT, PLANT)


def test_a_line_without_addresses_has_the_invoices() -> None:
    content = an_invoice(
        address_groups=GROUPS, billing_address="hq", shipping_address="depot", ship_from_address="plant"
    )
    (line,) = when(Ingest(content)).lines
    assert (line.billing_address, line.shipping_address, line.ship_from_address) == ("hq", "depot", "plant")


def test_a_lines_own_addresses_go_before_the_invoices() -> None:
    own = a_line(billing_address="depot", shipping_address="plant", ship_from_address="hq")
    content = an_invoice(
        address_groups=GROUPS,
        billing_address="hq",
        shipping_address="depot",
        ship_from_address="plant",
        lines=(own, a_line()),
    )
    first, second = when(Ingest(content)).lines
    assert (first.billing_address, first.shipping_address, first.ship_from_address) == (
        "depot",
        "plant",
        "hq",
    )
    assert second.billing_address == "hq"


def test_all_roles_may_be_filled_by_one_group() -> None:
    one = a_line(billing_address="hq", shipping_address="hq", ship_from_address="hq")
    content = an_invoice(address_groups=(HQ,), billing_address="", shipping_address="", lines=(one, one))
    when(Ingest(content)).finds_all({})


def test_every_line_is_billed_and_shipped_somewhere_but_need_not_come_from_anywhere() -> None:
    when(Ingest(an_invoice(billing_address="", shipping_address=""))).finds_all(
        {
            "invoice.lines[0].billing_address": Rule.REQUIRED,
            "invoice.lines[0].shipping_address": Rule.REQUIRED,
        }
    )


@pytest.mark.parametrize("role", ["billing_address", "shipping_address", "ship_from_address"])
def test_a_line_names_a_group_that_is_there(role: str) -> None:
    line = a_line(**{role: "elsewhere"})
    asked = when(Ingest(an_invoice(address_groups=(an_address(), DEPOT), lines=(line,))))
    asked.finds(f"invoice.lines[0].{role}", Rule.NO_SUCH_ADDRESS_GROUP)
    said = "no address group 'elsewhere' in this invoice (have: depot, main)"
    assert asked.says(f"invoice.lines[0].{role}") == said


@pytest.mark.parametrize("role", ["billing_address", "shipping_address", "ship_from_address"])
def test_an_invoice_names_a_group_that_is_there_once_told_for_all_lines(role: str) -> None:
    content = an_invoice(**{role: "elsewhere"}, lines=(a_line(), a_line()))
    when(Ingest(content)).finds(f"invoice.{role}", Rule.NO_SUCH_ADDRESS_GROUP)


def test_an_address_of_the_invoice_dangles_even_where_every_line_has_its_own() -> None:
    line = a_line(billing_address="main", shipping_address="main")
    content = an_invoice(billing_address="elsewhere", lines=(line,))
    when(Ingest(content)).finds("invoice.billing_address", Rule.NO_SUCH_ADDRESS_GROUP)


def test_keys_are_compared_byte_for_byte() -> None:
    when(Ingest(an_invoice(billing_address="Main"))).finds(
        "invoice.billing_address", Rule.NO_SUCH_ADDRESS_GROUP
    )


def test_a_group_that_nobody_names_is_kept() -> None:
    when(Ingest(an_invoice(address_groups=(an_address(), PLANT)))).finds_all({})


def test_a_key_stands_once() -> None:
    asked = when(Ingest(an_invoice(address_groups=(an_address(), DEPOT, an_address(city="Bonn")))))
    asked.finds("invoice.address_groups[2].key", Rule.DUPLICATE)
    assert asked.says("invoice.address_groups[2].key") == (
        "'main' stands here already, at invoice.address_groups[0].key"
    )


def test_a_group_has_a_key() -> None:
    when(Ingest(an_invoice(address_groups=(an_address(), an_address(key=""))))).finds(
        "invoice.address_groups[1].key", Rule.REQUIRED
    )


@pytest.mark.parametrize("key", ["a", "7", "HQ-1", "a.b_c-d", "0", "k" * 80])
def test_a_key_is_made_of_letters_digits_and_a_few_marks(key: str) -> None:
    when(Ingest(an_invoice(address_groups=(an_address(), an_address(key=key))))).finds_all({})


@pytest.mark.parametrize("key", ["-a", ".a", "_a", "a b", "ä", "a/b", "a\n", " a", "a@b", "٣"])
def test_a_key_is_made_of_nothing_else(key: str) -> None:
    when(Ingest(an_invoice(address_groups=(an_address(), an_address(key=key))))).finds(
        "invoice.address_groups[1].key", Rule.KEY_CHARACTERS
    )


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [("90", "180"), ("-90", "-180"), ("0", "0"), ("78.910", "123.456"), ("49.123456789012345", "9.9")],
)
def test_coordinates_are_kept(latitude: str, longitude: str) -> None:
    when(Ingest(with_address(latitude=Decimal(latitude), longitude=Decimal(longitude)))).finds_all({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latitude", "90.000000000000001"),
        ("latitude", "-91"),
        ("longitude", "180.1"),
        ("longitude", "-999999999999999"),
    ],
)
def test_coordinates_lie_on_the_earth(name: str, value: str) -> None:
    place = {"latitude": Decimal(1), "longitude": Decimal(1)} | {name: Decimal(value)}
    when(Ingest(with_address(**place))).finds(f"invoice.address_groups[0].{name}", Rule.OUT_OF_RANGE)


@pytest.mark.parametrize(("given", "missing"), [("latitude", "longitude"), ("longitude", "latitude")])
def test_coordinates_go_together(given: str, missing: str) -> None:
    when(Ingest(with_address(**{given: Decimal(0)}))).finds(
        f"invoice.address_groups[0].{missing}", Rule.BOTH_COORDINATES
    )


def test_streets_have_several_lines_and_countries_are_free_text() -> None:
    when(Ingest(with_address(street="Hof 1\nBuilding B", country="Vereinigte Staaten"))).finds_all({})


def test_an_invoice_has_at_most_ten_thousand_groups() -> None:
    groups = tuple(an_address(key=f"g{number}") for number in range(10_001))
    content = an_invoice(address_groups=groups, billing_address="g1", shipping_address="g1")
    when(Ingest(content)).finds("invoice.address_groups", Rule.TOO_MANY)
