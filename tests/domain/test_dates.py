"""Due dates, payment terms, posted dates, service periods, and what today is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import invoice
from domain.findings import Rule
from domain.invoice import Content, Ingest
from domain.terms import TermType, due_date

from .examples import (
    INVOICE_DATE,
    REFERENCE,
    RULES,
    TODAY,
    a_posted_invoice,
    an_invoice,
    on,
    rules_with,
    with_line,
    with_tax,
)
from .spec import when

NO_TERM = rules_with(default_payment_term_id="")
DAYS = st.dates(min_value=date(1900, 1, 1), max_value=date(2999, 12, 31))


@pytest.mark.parametrize(
    ("kind", "days", "invoice_date", "due"),
    [
        (TermType.PERIOD_BASED, 30, on(2026, 4, 1), on(2026, 5, 1)),
        (TermType.PERIOD_BASED, 30, on(2026, 7, 1), on(2026, 7, 31)),
        (TermType.PERIOD_BASED, 0, on(2026, 7, 1), on(2026, 7, 1)),
        (TermType.PERIOD_BASED, 1, on(2026, 12, 31), on(2027, 1, 1)),
        (TermType.PERIOD_BASED, 1, on(2028, 2, 28), on(2028, 2, 29)),
        (TermType.PERIOD_BASED, 1, on(2027, 2, 28), on(2027, 3, 1)),
        (TermType.PERIOD_BASED, 365, on(2028, 1, 1), on(2028, 12, 31)),
        (TermType.EOM_PLUS_X, 45, on(2026, 4, 15), on(2026, 6, 14)),
        (TermType.EOM_PLUS_X, 0, on(2026, 4, 15), on(2026, 4, 30)),
        (TermType.EOM_PLUS_X, 0, on(2026, 4, 30), on(2026, 4, 30)),
        (TermType.EOM_PLUS_X, 0, on(2026, 2, 3), on(2026, 2, 28)),
        (TermType.EOM_PLUS_X, 0, on(2028, 2, 3), on(2028, 2, 29)),
        (TermType.EOM_PLUS_X, 0, on(2100, 2, 3), on(2100, 2, 28)),
        (TermType.EOM_PLUS_X, 0, on(2000, 2, 3), on(2000, 2, 29)),
        (TermType.EOM_PLUS_X, 10, on(2026, 12, 1), on(2027, 1, 10)),
    ],
)
def test_a_payment_term_gives_the_due_date(kind: TermType, days: int, invoice_date: date, due: date) -> None:
    assert due_date(kind, days, invoice_date) == due


@for_all(day=DAYS, days=st.integers(0, 3650))
def test_the_end_of_the_month_is_the_day_before_the_next_ones_first(day: date, days: int) -> None:
    end = due_date(TermType.EOM_PLUS_X, 0, day)
    assert (end + timedelta(1)).day == 1
    assert timedelta(0) <= end - day < timedelta(31)
    assert due_date(TermType.EOM_PLUS_X, days, day) == due_date(TermType.PERIOD_BASED, days, end)


def test_the_invoices_own_term_goes_before_the_default() -> None:
    header = when(Ingest(an_invoice(payment_term_id="eom-45"))).drafted.header
    assert (header.payment_term_id, header.due_date) == ("eom-45", on(2027, 1, 14))
    assert "payment_term_id" not in header.defaulted


def test_without_a_term_of_its_own_an_invoice_has_the_default() -> None:
    header = when(Ingest(an_invoice())).drafted.header
    assert (header.payment_term_id, header.due_date) == ("net-30", INVOICE_DATE + timedelta(30))
    assert {"payment_term_id", "due_date"} <= set(header.defaulted)


@pytest.mark.parametrize("due", [TODAY, TODAY - timedelta(100), TODAY + timedelta(1), INVOICE_DATE])
@pytest.mark.parametrize("term", ["", "eom-45"])
def test_a_due_date_that_was_sent_is_kept_where_there_is_a_term(due: date, term: str) -> None:
    header = when(Ingest(an_invoice(due_date=due, payment_term_id=term))).drafted.header
    assert header.due_date == due
    assert "due_date" not in header.defaulted


def test_without_any_term_a_due_date_is_needed() -> None:
    when(Ingest(an_invoice()), NO_TERM).finds("invoice.due_date", Rule.NO_DUE_DATE)


@pytest.mark.parametrize("due", [TODAY, TODAY - timedelta(1), INVOICE_DATE])
def test_without_any_term_a_due_date_lies_after_today(due: date) -> None:
    when(Ingest(an_invoice(due_date=due)), NO_TERM).finds("invoice.due_date", Rule.DUE_DATE_NOT_FUTURE)


def test_without_any_term_a_future_due_date_is_kept() -> None:
    header = when(Ingest(an_invoice(due_date=TODAY + timedelta(1))), NO_TERM).drafted.header
    assert (header.payment_term_id, header.due_date) == ("", TODAY + timedelta(1))


@pytest.mark.parametrize(
    ("term", "rule"),
    [("none such", Rule.NO_SUCH_ENTRY), ("old", Rule.NOT_ACTIVE), ("new", Rule.NOT_ACTIVE)],
)
@pytest.mark.parametrize("due", [None, TODAY + timedelta(9)])
def test_a_term_that_is_named_is_known_and_active_whatever_the_default(
    term: str, rule: Rule, due: date | None
) -> None:
    when(Ingest(an_invoice(payment_term_id=term, due_date=due))).finds("invoice.payment_term_id", rule)


def test_a_finding_names_the_terms_that_there_are() -> None:
    said = when(Ingest(an_invoice(payment_term_id="net-31"))).says("invoice.payment_term_id")
    assert said == "no payment term 'net-31' (have: eom-45, net-30, new, old)"


# Today


@pytest.mark.parametrize(
    ("legal_entity", "now", "today"),
    [
        ("de", datetime(2026, 11, 23, 22, 59, tzinfo=UTC), on(2026, 11, 23)),
        ("de", datetime(2026, 11, 23, 23, 0, tzinfo=UTC), on(2026, 11, 24)),
        ("de", datetime(2026, 7, 1, 22, 0, tzinfo=UTC), on(2026, 7, 2)),
        ("fj", datetime(2026, 11, 23, 12, 0, tzinfo=UTC), on(2026, 11, 24)),
        ("as", datetime(2026, 11, 23, 10, 59, tzinfo=UTC), on(2026, 11, 22)),
    ],
)
def test_today_is_the_date_where_the_legal_entity_is(legal_entity: str, now: datetime, today: date) -> None:
    drafted = when(Ingest(an_invoice(legal_entity_id=legal_entity)), replace(RULES, now=now)).drafted
    assert drafted.today == today


def test_where_the_legal_entity_is_unknown_today_is_that_of_utc() -> None:
    assert REFERENCE.today("nobody", datetime(2026, 11, 23, 23, 30, tzinfo=UTC)) == on(2026, 11, 23)


def test_the_future_begins_where_the_legal_entity_is() -> None:
    rules = replace(NO_TERM, now=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    tomorrow = on(2026, 11, 24)
    when(Ingest(an_invoice(legal_entity_id="de", due_date=tomorrow)), rules).finds_all({})
    when(Ingest(an_invoice(legal_entity_id="fj", due_date=tomorrow)), rules).finds(
        "invoice.due_date", Rule.DUE_DATE_NOT_FUTURE
    )


# Posted dates


def test_a_draft_has_no_posted_date() -> None:
    when(Ingest(an_invoice(posted_date=TODAY))).finds("invoice.posted_date", Rule.POSTED_DATE_ON_DRAFT)


@pytest.mark.parametrize(
    "posted", [TODAY, on(2026, 6, 1), INVOICE_DATE - timedelta(100), TODAY + timedelta(9)]
)
def test_a_posted_import_keeps_its_posted_date(posted: date) -> None:
    imported = when(Ingest(a_posted_invoice(posted_date=posted)))
    assert imported.decide().events[-1] == invoice.InvoicePosted("R-100", posted, imported=True)
    assert "posted_date" not in imported.drafted.header.defaulted


def test_a_posted_import_without_a_posted_date_was_posted_today() -> None:
    imported = when(Ingest(a_posted_invoice(posted_date=None)))
    assert imported.decide().events[-1] == invoice.InvoicePosted("R-100", TODAY, imported=True)
    assert "posted_date" in imported.drafted.header.defaulted


def test_an_old_import_keeps_all_its_dates() -> None:
    content = a_posted_invoice(
        invoice_date=on(2026, 6, 1), due_date=on(2026, 7, 1), posted_date=on(2026, 6, 1)
    )
    state = when(Ingest(content), replace(RULES, now=datetime(2026, 6, 25, tzinfo=UTC))).becomes
    assert (state.header.invoice_date, state.header.due_date, state.posted_date) == (
        on(2026, 6, 1),
        on(2026, 7, 1),
        on(2026, 6, 1),
    )


# Dates in general


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("invoice.invoice_date", an_invoice(invoice_date=on(1899, 12, 31))),
        ("invoice.invoice_date", an_invoice(invoice_date=on(3000, 1, 1))),
        ("invoice.due_date", an_invoice(due_date=on(3000, 1, 1))),
        ("invoice.posted_date", a_posted_invoice(posted_date=on(1899, 12, 31))),
        ("invoice.lines[0].start_date", with_line(start_date=on(1, 1, 1))),
        ("invoice.lines[0].end_date", with_line(end_date=on(9999, 12, 31))),
        ("invoice.lines[0].taxes[0].effective_date", with_tax(effective_date=on(1, 1, 1))),
    ],
)
def test_a_date_lies_in_a_range_that_a_book_can_have(path: str, content: Content) -> None:
    when(Ingest(content)).finds(path, Rule.OUT_OF_RANGE)


def test_the_last_day_of_the_range_can_be_due() -> None:
    content = an_invoice(invoice_date=on(2999, 12, 31), payment_term_id="eom-45")
    assert when(Ingest(content)).drafted.header.due_date == on(3000, 2, 14)


def test_a_line_ends_on_the_day_it_starts_or_later() -> None:
    when(Ingest(with_line(start_date=TODAY, end_date=TODAY))).finds_all({})
    when(Ingest(with_line(start_date=TODAY, end_date=TODAY - timedelta(1)))).finds(
        "invoice.lines[0].end_date", Rule.ENDS_BEFORE_START
    )
