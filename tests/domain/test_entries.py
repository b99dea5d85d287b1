"""What an invoice takes from reference data: legal entity, accounting period, tax treatment, and defaults."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.findings import Rule
from domain.invoice import Content, Ingest, Rules
from domain.numbering import Number
from domain.reference import ReferenceData

from .examples import (
    REFERENCE,
    RULES,
    a_line,
    a_posted_invoice,
    a_tax,
    an_invoice,
    on,
    rules_with,
    with_line,
)
from .spec import when

# Legal entities


def test_without_a_legal_entity_the_default_issues_the_invoice() -> None:
    header = when(Ingest(an_invoice())).drafted.header
    assert header.legal_entity_id == "de"
    assert "legal_entity_id" in header.defaulted


def test_the_invoices_own_legal_entity_goes_before_the_default() -> None:
    header = when(Ingest(an_invoice(legal_entity_id="fj"))).drafted.header
    assert header.legal_entity_id == "fj"
    assert "legal_entity_id" not in header.defaulted


def test_a_legal_entity_that_a_line_names_issues_the_invoice() -> None:
    content = an_invoice(lines=(a_line(), a_line(legal_entity_id="fj")))
    assert when(Ingest(content)).drafted.header.legal_entity_id == "fj"


def test_lines_may_repeat_the_legal_entity() -> None:
    content = an_invoice(legal_entity_id="fj", lines=(a_line(legal_entity_id="fj"), a_line()))
    when(Ingest(content)).finds_all({})


@pytest.mark.parametrize("of_invoice", ["fj", ""])
def test_one_invoice_has_one_legal_entity(of_invoice: str) -> None:
    lines = (a_line(legal_entity_id="fj"), a_line(), a_line(legal_entity_id="de"))
    asked = when(Ingest(an_invoice(legal_entity_id=of_invoice, lines=lines)))
    asked.finds("invoice.lines[2].legal_entity_id", Rule.MIXED_LEGAL_ENTITY)
    assert asked.says("invoice.lines[2].legal_entity_id") == ("one invoice, one legal entity: 'fj'; is 'de'")


def test_without_any_legal_entity_there_is_no_invoice() -> None:
    when(Ingest(an_invoice()), rules_with(default_legal_entity_id="")).finds(
        "invoice.legal_entity_id", Rule.NO_DEFAULT
    )


@pytest.mark.parametrize(
    ("entity", "rule"),
    [("none such", Rule.NO_SUCH_ENTRY), ("gone", Rule.NOT_ACTIVE), ("DE", Rule.NO_SUCH_ENTRY)],
)
def test_a_legal_entity_is_known_and_active(entity: str, rule: Rule) -> None:
    when(Ingest(an_invoice(legal_entity_id=entity))).finds("invoice.legal_entity_id", rule)
    when(Ingest(with_line(legal_entity_id=entity))).finds("invoice.lines[0].legal_entity_id", rule)


# Tax treatments


def test_a_line_without_a_treatment_has_the_default_stamped_on_it() -> None:
    (line,) = when(Ingest(with_line())).lines
    assert (line.tax_treatment_id, line.taxable) == ("standard", True)


def test_a_lines_own_treatment_goes_before_the_default() -> None:
    (line,) = when(Ingest(with_line(tax_treatment_id="exempt"))).lines
    assert (line.tax_treatment_id, line.taxable) == ("exempt", False)


def test_without_any_treatment_there_is_no_line() -> None:
    rules = rules_with(default_tax_treatment_id="")
    when(Ingest(with_line()), rules).finds("invoice.lines[0].tax_treatment_id", Rule.NO_DEFAULT)
    when(Ingest(with_line(tax_treatment_id="exempt")), rules).finds_all({})


@pytest.mark.parametrize(
    ("treatment", "rule"),
    [("none such", Rule.NO_SUCH_ENTRY), ("old-rate", Rule.NOT_ACTIVE), ("new-rate", Rule.NOT_ACTIVE)],
)
def test_a_treatment_is_known_and_active(treatment: str, rule: Rule) -> None:
    when(Ingest(with_line(tax_treatment_id=treatment))).finds("invoice.lines[0].tax_treatment_id", rule)


# Accounting periods

IN_SEPTEMBER = on(2026, 9, 15)
CLOSED_ALLOWED = rules_with(closed_periods_allowed=True)


def period_of(content: Content, rules: Rules = RULES) -> tuple[str, str, bool]:
    """Of the invoice, of its only line, and whether it was worked out."""
    asked = when(Ingest(content), rules)
    header = asked.drafted.header
    worked_out = "accounting_period_id" in header.defaulted
    return header.accounting_period_id, asked.lines[0].accounting_period_id, worked_out


def test_the_invoice_date_picks_the_period_of_the_legal_entity() -> None:
    assert period_of(an_invoice(invoice_date=on(2026, 12, 1))) == ("de-12", "de-12", True)
    assert period_of(an_invoice(invoice_date=on(2026, 11, 30))) == ("de-11", "de-11", True)
    assert period_of(an_invoice(invoice_date=on(2026, 11, 1), legal_entity_id="fj")) == (
        "fj-11",
        "fj-11",
        True,
    )


@pytest.mark.parametrize("day", [on(2026, 10, 15), on(2026, 8, 31), on(2027, 1, 1)])
def test_where_there_is_no_period_it_stays_empty(day: object) -> None:
    assert period_of(an_invoice(invoice_date=day)) == ("", "", False)


def test_a_posted_date_does_not_pick_the_period() -> None:
    content = a_posted_invoice(posted_date=on(2026, 12, 2))
    assert period_of(content) == ("de-11", "de-11", True)


def test_the_invoices_own_period_goes_before_the_one_of_its_date() -> None:
    assert period_of(an_invoice(accounting_period_id="de-12")) == ("de-12", "de-12", False)


def test_a_lines_own_period_goes_before_the_invoices() -> None:
    assert period_of(with_line(accounting_period_id="de-12")) == ("de-11", "de-12", True)


def test_a_closed_period_is_not_worked_out_for_a_draft() -> None:
    assert period_of(an_invoice(invoice_date=IN_SEPTEMBER)) == ("", "", False)


def test_nothing_is_imported_as_posted_into_a_closed_period() -> None:
    when(Ingest(a_posted_invoice(invoice_date=IN_SEPTEMBER))).finds(
        "invoice.accounting_period_id", Rule.PERIOD_CLOSED
    )


@pytest.mark.parametrize("content", [an_invoice, a_posted_invoice])
def test_a_closed_period_that_is_named_is_refused(content: type[Content]) -> None:
    when(Ingest(content(accounting_period_id="de-09"))).finds(
        "invoice.accounting_period_id", Rule.PERIOD_CLOSED
    )
    line = a_line(accounting_period_id="de-09", taxes=content().lines[0].taxes)
    when(Ingest(content(lines=(line,)))).finds("invoice.lines[0].accounting_period_id", Rule.PERIOD_CLOSED)


@pytest.mark.parametrize("content", [an_invoice, a_posted_invoice])
def test_the_settings_allow_closed_periods(content: type[Content]) -> None:
    assert period_of(content(invoice_date=IN_SEPTEMBER), CLOSED_ALLOWED) == ("de-09", "de-09", True)
    assert period_of(content(accounting_period_id="de-09"), CLOSED_ALLOWED) == ("de-09", "de-09", False)


@pytest.mark.parametrize(
    ("period", "rule"), [("fj-11", Rule.WRONG_LEGAL_ENTITY), ("none such", Rule.NO_SUCH_ENTRY)]
)
def test_a_period_is_known_and_of_the_legal_entity(period: str, rule: Rule) -> None:
    when(Ingest(an_invoice(accounting_period_id=period))).finds("invoice.accounting_period_id", rule)
    when(Ingest(with_line(accounting_period_id=period))).finds("invoice.lines[0].accounting_period_id", rule)


# Numbers


def test_a_posted_import_brings_its_number() -> None:
    when(Ingest(a_posted_invoice(invoice_number=""))).finds("invoice.invoice_number", Rule.NUMBER_MISSING)


def test_the_settings_allow_posted_imports_without_a_number() -> None:
    rules = rules_with(number_required_on_posted_import=False)
    asked = when(Ingest(a_posted_invoice(invoice_number="")), rules)
    asked.then_number()
    assert asked.becomes.number == ""


def test_a_draft_needs_no_number_and_gets_none() -> None:
    asked = when(Ingest(an_invoice()))
    asked.then_number()
    assert asked.becomes.number == ""


@pytest.mark.parametrize(
    "content", [an_invoice(invoice_number="R-9"), a_posted_invoice(invoice_number="R-9")]
)
def test_a_number_that_is_brought_is_claimed_in_its_legal_entity(content: Content) -> None:
    asked = when(Ingest(content))
    asked.then_number(claimed=Number("de", "R-9"))
    assert asked.becomes.number == "R-9"


# On an empty book


def test_on_an_empty_book_everything_must_be_said_and_nothing_is_known() -> None:
    rules = Rules(ReferenceData(), RULES.now)
    when(Ingest(an_invoice()), rules).finds_all(
        {
            "invoice.legal_entity_id": Rule.NO_DEFAULT,
            "invoice.due_date": Rule.NO_DUE_DATE,
            "invoice.lines[0].tax_treatment_id": Rule.NO_DEFAULT,
        }
    )
    when(Ingest(an_invoice(legal_entity_id="de", payment_term_id="net-30")), rules).finds_all(
        {
            "invoice.legal_entity_id": Rule.NO_SUCH_ENTRY,
            "invoice.payment_term_id": Rule.NO_SUCH_ENTRY,
            "invoice.lines[0].tax_treatment_id": Rule.NO_DEFAULT,
        }
    )


def test_defaults_are_told_from_what_was_sent() -> None:
    defaulted = when(Ingest(a_posted_invoice(posted_date=None))).drafted.header.defaulted
    assert defaulted == (
        "due_date",
        "payment_term_id",
        "legal_entity_id",
        "accounting_period_id",
        "posted_date",
    )
    assert when(Ingest(an_invoice())).drafted.header.defaulted[:2] == ("status", "tax_status")


def test_many_periods_are_looked_up_by_date() -> None:
    reference = replace(
        REFERENCE,
        accounting_periods={
            f"{owner}-{year}-{month}": replace(
                REFERENCE.accounting_periods["de-11"],
                id=f"{owner}-{year}-{month}",
                legal_entity_id=owner,
                start_date=on(year, month, 2),
                end_date=on(year, month, 27),
            )
            for owner in ("fj", "de")
            for year in (2027, 2025, 2026)
            for month in range(12, 0, -1)
        },
    )
    for month in range(1, 13):
        period = reference.period_of("de", on(2026, month, 2))
        assert period is not None
        assert period.id == f"de-2026-{month}"
        assert reference.period_of("de", on(2026, month, 27)) is period
        assert reference.period_of("de", on(2026, month, 1)) is None
        assert reference.period_of("de", on(2026, month, 28)) is None
    assert reference.period_of("nobody", on(2026, 6, 6)) is None


def test_an_import_with_everything_wrong_in_its_entries_hears_all_of_it() -> None:
    content = a_posted_invoice(
        legal_entity_id="gone",
        payment_term_id="old",
        accounting_period_id="fj-11",
        currency_code="EURO",
        invoice_number="",
        lines=(a_line(tax_treatment_id="old-rate", legal_entity_id="de", taxes=(a_tax(),)),),
    )
    when(Ingest(content)).finds_all(
        {
            "invoice.legal_entity_id": Rule.NOT_ACTIVE,
            "invoice.payment_term_id": Rule.NOT_ACTIVE,
            "invoice.accounting_period_id": Rule.WRONG_LEGAL_ENTITY,
            "invoice.currency_code": Rule.CURRENCY,
            "invoice.invoice_number": Rule.NUMBER_MISSING,
            "invoice.lines[0].tax_treatment_id": Rule.NOT_ACTIVE,
            "invoice.lines[0].legal_entity_id": Rule.MIXED_LEGAL_ENTITY,
        }
    )
