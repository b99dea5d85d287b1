"""What holds of every content that anybody could send."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import invoice
from domain.findings import Findings, Malformed
from domain.invoice import (
    AddressContent,
    Content,
    Ingest,
    LineContent,
    LineReferenceContent,
    LineReferenceKind,
    ReferenceContent,
    ReferenceKind,
    Revise,
    SourceContent,
    Status,
    TaxContent,
    TaxStatus,
    fingerprint,
)

from .examples import REFERENCE, RULES, a_tax
from .spec import INVOICE_ID, given, state_of, when

some_text = st.one_of(
    st.sampled_from(
        ["", "main", "depot", "de", "fj", "standard", "exempt", "net-30", "EUR", "JPY", "de-11", " "]
    ),
    st.text(max_size=12),
    st.text("x", min_size=254, max_size=257),
)
some_decimal = st.none() | st.decimals(
    min_value=-(10**15) + 1, max_value=10**15 - 1, allow_nan=False, allow_infinity=False, places=3
)
some_date = st.none() | st.dates()


def anything(part: Any) -> st.SearchStrategy[Any]:
    """Any content of this shape, good or bad."""
    return st.builds(part, **{each.name: FIELDS[str(each.type)] for each in fields(part)})


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "str": some_text,
    "bool": st.booleans(),
    "Decimal | None": some_decimal,
    "date | None": some_date,
    "Status | None": st.none() | st.sampled_from(Status),
    "TaxStatus | None": st.none() | st.sampled_from(TaxStatus),
    "ReferenceKind | None": st.none() | st.sampled_from(ReferenceKind),
    "LineReferenceKind | None": st.none() | st.sampled_from(LineReferenceKind),
    "Mapping[str, str]": st.dictionaries(some_text, some_text, max_size=3),
    "ReferenceContent | None": st.none() | st.deferred(lambda: anything(ReferenceContent)),
    "LineReferenceContent | None": st.none() | st.deferred(lambda: anything(LineReferenceContent)),
    "SourceContent | None": st.none() | st.deferred(lambda: anything(SourceContent)),
    "tuple[TaxContent, ...]": st.lists(st.deferred(lambda: anything(TaxContent)), max_size=2).map(tuple),
    "tuple[LineContent, ...]": st.lists(st.deferred(lambda: anything(LineContent)), max_size=3).map(tuple),
    "tuple[AddressContent, ...]": st.lists(st.deferred(lambda: anything(AddressContent)), max_size=3).map(
        tuple
    ),
}


contents = anything(Content)
money = st.decimals(min_value=-(10**6), max_value=10**6, places=2)
days = st.dates(date(2020, 1, 1), date(2030, 1, 1))


@st.composite
def good_lines(draw: st.DrawFn, posted: bool, rows: bool) -> LineContent:
    taxable = draw(st.booleans())
    at_least = 1 if posted and taxable else 0
    at_most = 0 if not rows or (posted and not taxable) else 3
    start = draw(days)
    return LineContent(
        name=draw(st.text("abc é税", min_size=1, max_size=9).filter(str.strip)),
        start_date=start,
        end_date=draw(st.dates(start, date(2031, 1, 1))),
        quantity=draw(money),
        unit_price=draw(money),
        charge_amount=draw(money),
        billing_address=draw(st.sampled_from(["", "a", "b"])),
        shipping_address=draw(st.sampled_from(["", "a", "b"])),
        tax_treatment_id="standard" if taxable else "exempt",
        taxes=tuple(
            a_tax(amount=draw(money)) for _ in range(draw(st.integers(at_least, max(at_least, at_most))))
        ),
    )


@st.composite
def good_contents(draw: st.DrawFn) -> Content:
    posted = draw(st.booleans())
    rows = posted or draw(st.booleans())
    draft_tax = TaxStatus.ESTIMATED if rows else draw(st.sampled_from([None, TaxStatus.PENDING]))
    address = AddressContent("a", "Street", "City", "State", "0", "DE")
    return Content(
        unique_identifier="shop-4711",
        status=Status.POSTED if posted else draw(st.sampled_from([None, Status.DRAFT])),
        tax_status=TaxStatus.POSTED if posted else draft_tax,
        account_id="acc",
        bill_to_contact_id="con",
        invoice_date=draw(days.filter(lambda day: (day.year, day.month) != (2026, 9))),
        currency_code=draw(st.sampled_from(["EUR", "USD", "KWD"])),
        legal_entity_id=draw(st.sampled_from(["", "de", "fj"])),
        invoice_number="R-1" if posted else "",
        address_groups=(address, AddressContent("b", "Street", "City", "State", "0", "DE")),
        billing_address="a",
        shipping_address="b",
        lines=tuple(draw(st.lists(good_lines(posted, rows), min_size=1, max_size=5))),
    )


@for_all(contents)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_sent_is_decided_or_answered_with_findings(content: Content) -> None:
    asked = when(Ingest(content))
    if not asked.found():
        assert asked.decide().events
        return
    with pytest.raises(Malformed) as refusal:
        asked.decide()
    findings = refusal.value.findings
    assert refusal.value.count == len({finding.path for finding in findings})
    assert all(str(finding) and finding.path.startswith("invoice") for finding in findings)


@for_all(good_contents())
def test_a_good_invoice_is_taken_and_says_the_same_again(content: Content) -> None:
    decision = when(Ingest(content)).decide()
    assert decision == when(Ingest(content)).decide()
    given(*decision.events).when(Ingest(content)).then()
    assert state_of(decision.events).fingerprint == fingerprint(content)


@for_all(good_contents())
def test_totals_are_the_sums_of_what_was_sent(content: Content) -> None:
    state = when(Ingest(content)).becomes
    mills = sum(int((line.charge_amount or Decimal(0)) * 1000) for line in content.lines)
    tax = sum(int((row.amount or Decimal(0)) * 1000) for line in content.lines for row in line.taxes)
    assert (int(state.totals.total * 1000), int(state.totals.tax * 1000)) == (mills, tax)
    assert state.totals.total_with_tax * 1000 == state.totals.balance * 1000 == mills + tax
    assert [line.added.number for line in state.lines] == list(range(1, len(content.lines) + 1))
    assert state.version == state.size == len(when(Ingest(content)).decide().events)


@for_all(good_contents(), good_contents())
def test_a_revision_leaves_what_an_ingestion_of_it_would(first: Content, second: Content) -> None:
    if Status.POSTED in (first.status, second.status):
        return
    revised = given(*when(Ingest(first)).decide().events).when(Revise(second)).becomes
    fresh = when(Ingest(second)).becomes
    assert (revised.header, revised.lines, revised.totals) == (fresh.header, fresh.lines, fresh.totals)
    assert (revised.fingerprint, revised.addresses) == (fresh.fingerprint, fresh.addresses)


@for_all(good_contents(), good_contents())
def test_two_contents_are_told_apart_just_when_they_differ(first: Content, second: Content) -> None:
    state = state_of(when(Ingest(first)).decide().events)
    if fingerprint(first) == fingerprint(second):
        assert invoice.ingest(Ingest(second), state, INVOICE_ID, RULES, Findings()) == invoice.NOTHING
        return
    with pytest.raises(invoice.IngestedDifferently) as refusal:
        invoice.ingest(Ingest(second), state, INVOICE_ID, RULES, Findings())
    assert refusal.value.facts["fields"]


@for_all(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.times(timezones=st.just(UTC)))
def test_today_is_within_a_day_of_the_instant(day: date, time: time) -> None:
    now = datetime.combine(day, time)
    for legal_entity in ("de", "fj", "as", "unknown"):
        assert abs((REFERENCE.today(legal_entity, now) - now.date()).days) <= 1
