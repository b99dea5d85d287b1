"""The same thing said twice is written once; something else under the same key is refused and told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import invoice
from domain.findings import Findings, Malformed, Rule
from domain.invoice import Content, Ingest, IngestedDifferently, Revise, Status, TaxStatus, fingerprint
from domain.money import ZERO

from .examples import (
    FULL,
    REFERENCE,
    RULES,
    a_line,
    a_posted_invoice,
    a_tax,
    an_address,
    an_invoice,
    ingest,
    rules_with,
    with_line,
    with_tax,
)
from .spec import given, happened, state_of, when

# Replay


@pytest.mark.parametrize("content", [an_invoice(), FULL, a_posted_invoice()], ids=["draft", "full", "posted"])
def test_the_same_request_heard_twice_changes_nothing(content: Content) -> None:
    given(*happened(Ingest(content))).when(Ingest(content)).then()


def test_a_replay_is_answered_though_the_reference_data_has_moved_on() -> None:
    drafted = happened(ingest())
    given(*drafted, rules=rules_with(default_tax_treatment_id="")).when(ingest()).then()
    empty = replace(REFERENCE, payment_terms={}, legal_entities={}, tax_treatments={})
    given(*drafted, rules=replace(RULES, reference=empty)).when(ingest()).then()


@pytest.mark.parametrize(
    "since",
    [
        invoice.Cancel(),
        invoice.Update(frozenset({"description"}), description="new"),
        invoice.Update(frozenset({"labels"}), labels={"a": "b"}),
        Revise(an_invoice(description="revised")),
    ],
    ids=lambda command: type(command).__name__,
)
def test_the_first_request_is_answered_whatever_has_happened_since(since: Any) -> None:
    given(*happened(ingest(), since)).when(ingest()).then()


def test_after_a_revision_the_first_and_the_newest_content_are_known() -> None:
    one, two, three = (an_invoice(description=text) for text in ("one", "two", "three"))
    history = given(*happened(Ingest(one), Revise(two), Revise(three)))
    history.when(Ingest(one)).then()
    history.when(Ingest(three)).then()
    history.when(Ingest(two)).refused(IngestedDifferently)


def test_a_revision_without_its_key_is_known_to_an_ingestion_with_it() -> None:
    revised = replace(an_invoice(description="revised"), unique_identifier="")
    history = given(*happened(ingest(), Revise(revised)))
    history.when(ingest(description="revised")).then()


def test_first_totals_stay_those_of_the_first_time() -> None:
    dearer = an_invoice(lines=(a_line(charge_amount=Decimal(999)),))
    state = state_of(happened(ingest(), Revise(dearer)))
    assert state.first_totals is not None
    assert (state.first_totals.total, state.totals.total) == (Decimal(250), Decimal(999))


def test_what_cannot_be_read_is_no_replay() -> None:
    findings = Findings()
    findings.add("invoice.lines[0].quantity", Rule.DECIMAL, value="'ten'")
    with pytest.raises(Malformed):
        given(*happened(ingest())).when(ingest()).decide(findings)


def test_a_refused_attempt_leaves_the_caller_free_to_try_again() -> None:
    findings = Findings()
    with pytest.raises(Malformed):
        when(Ingest(with_line(name=""))).decide(findings)
    assert not findings
    when(Ingest(with_line())).finds_all({})


def test_deciding_is_pure() -> None:
    assert when(Ingest(FULL)).decide() == when(Ingest(FULL)).decide()


# The fingerprint


def test_a_fingerprint_is_the_digest_of_plain_json_that_any_client_can_write() -> None:
    said = (
        '{"account_id":"acc-1","address_groups":[{"city":"W\\u00fcrzburg","country":"DE","key":"main",'
        '"postal_code":"97070","state":"Bayern","street":"Hauptstra\\u00dfe 1"}],'
        '"bill_to_contact_id":"con-1","billing_address":"main","currency_code":"EUR",'
        '"invoice_date":"2026-11-20","lines":[{"charge_amount":"250","end_date":"2026-11-30",'
        '"name":"Support","quantity":"10","start_date":"2026-11-01","unit_price":"25"}],'
        '"shipping_address":"main","unique_identifier":"shop-4711"}'
    )
    assert fingerprint(an_invoice()) == f"f1:{hashlib.sha256(said.encode()).hexdigest()}"


def test_fingerprints_never_change() -> None:
    """They are in the books of the past: if this fails, the code is wrong, and not the test."""
    assert fingerprint(an_invoice()) == "f1:412e6e32ce1e426c43d9ace1c1efe388e97de8e7685d5019dc26128c11a1f5d4"
    assert fingerprint(FULL) == "f1:aaf90ed1acb3eb1d31ab84b7afda4a1b41a12943e5e36c170fb61248cd0baeb0"
    assert (
        fingerprint(a_posted_invoice())
        == "f1:2b3ba92fa6fccf7387f4ffeb839c12bf6da453eea7b007dfabb1c9369fb31f77"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (with_line(quantity=Decimal("1.0")), with_line(quantity=Decimal("1.00"))),
        (with_line(quantity=Decimal(100)), with_line(quantity=Decimal("1E+2"))),
        (with_line(charge_amount=Decimal("0.50")), with_line(charge_amount=Decimal("0.5"))),
        (with_line(charge_amount=Decimal(0)), with_line(charge_amount=Decimal("0.00"))),
        (an_invoice(labels={"a": "1", "b": "2"}), an_invoice(labels={"b": "2", "a": "1"})),
        (an_invoice(labels={"a": "1"}), an_invoice(labels=MappingProxyType({"a": "1"}))),
        (an_invoice(), an_invoice(description="", due_date=None, labels={}, should_calculate_tax=False)),
    ],
)
def test_the_same_content_has_the_same_fingerprint_however_it_is_written(
    one: Content, other: Content
) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (an_invoice(), an_invoice(status=Status.DRAFT)),
        (an_invoice(), an_invoice(tax_status=TaxStatus.PENDING)),
        (an_invoice(), an_invoice(legal_entity_id="de")),
        (with_line(usage_overage_quantity=None), with_line(usage_overage_quantity=Decimal(0))),
        (an_invoice(unique_identifier="k"), an_invoice(unique_identifier="K")),
        (an_invoice(unique_identifier="k"), an_invoice(unique_identifier="k ")),
        (an_invoice(lines=(a_line(name="a"), a_line())), an_invoice(lines=(a_line(), a_line(name="a")))),
        (an_invoice(lines=(a_line(),)), an_invoice(lines=(a_line(), a_line()))),
        (an_invoice(labels={"a": "b"}), an_invoice(labels={"a": "b", "": ""})),
        (an_invoice(labels={"a": "1", "b": "2"}), an_invoice(labels={"a": "2", "b": "1"})),
        (an_invoice(account_id="ab", account_name="c"), an_invoice(account_id="a", account_name="bc")),
        (an_invoice(description='"'), an_invoice(description='\\"')),
        (an_invoice(description="\ud800"), an_invoice(description="\\ud800")),
    ],
)
def test_other_content_has_another_fingerprint(one: Content, other: Content) -> None:
    assert fingerprint(one) != fingerprint(other)


def elsewise(value: object, hint: str) -> Iterator[object]:
    """Other values for a field of this type, among them that of not being set."""
    match value:
        case None:
            yield from SAMPLES.get(hint, [])
        case bool():
            yield not value
        case Status() | TaxStatus() | invoice.ReferenceKind() | invoice.LineReferenceKind():
            yield from (each for each in type(value) if each is not value)
            yield None
        case str():
            yield from (value + "x", value.upper() + "!", "")
        case Decimal():
            yield from (value + 1, -value - 1, None)
        case date():
            yield from (value.replace(year=value.year + 1), None)
        case tuple():
            yield from (value[1:], (*value, *value[:1]))
        case Mapping():
            yield from ({}, {**value, "more": "x"})
        case _:
            yield None


SAMPLES: dict[str, list[object]] = {
    "Decimal | None": [Decimal(1), Decimal(0)],
    "date | None": [date(2026, 1, 2)],
}


def changed_once(part: Any) -> Iterator[tuple[str, Any]]:
    """Every other content that differs in one field, with the path of the field."""
    for each in fields(part):
        value = getattr(part, each.name)
        for other in elsewise(value, str(each.type)):
            if other != value:
                yield each.name, replace(part, **{each.name: other})
        if isinstance(value, tuple):
            for index, item in enumerate(value):
                for path, changed in changed_once(item):
                    items = (*value[:index], changed, *value[index + 1 :])
                    yield f"{each.name}[{index}].{path}", replace(part, **{each.name: items})
        elif hasattr(value, "__dataclass_fields__"):
            for path, changed in changed_once(value):
                yield f"{each.name}.{path}", replace(part, **{each.name: changed})


CHANGES = list(changed_once(FULL))


def test_every_field_is_changed_at_least_once() -> None:
    for part in (FULL, FULL.lines[0], FULL.lines[0].taxes[0], FULL.address_groups[0], FULL.reference):
        for each in fields(part):  # type: ignore[arg-type]
            assert any(f".{path}".endswith(f".{each.name}") for path, _ in CHANGES), each.name
    assert all(getattr(FULL, each.name) for each in fields(FULL) if each.name != "posted_date")
    assert all(getattr(FULL.lines[0], each.name) for each in fields(FULL.lines[0]))


def test_whatever_is_changed_changes_the_fingerprint() -> None:
    told = {fingerprint(content) for _, content in CHANGES} | {fingerprint(FULL)}
    assert len(told) == len({repr(content) for _, content in CHANGES}) + 1


@for_all(st.lists(st.text(max_size=3), min_size=2, max_size=2, unique=True))
def test_no_two_texts_are_told_alike(texts: list[str]) -> None:
    one, other = (fingerprint(Content(description=text)) for text in texts)
    assert one != other


# Other content under the same key


def told(path: str) -> set[str]:
    """The paths that a refusal names for this change."""
    return {"invoice.address_groups" if path.endswith(".key") else f"invoice.{path}"}


ONE_SAYS_IT = " (one says it, the other leaves it to its default)"
SAME_BY_DEFAULT = {
    "lines[0].billing_address",
    "lines[0].shipping_address",
    "lines[0].ship_from_address",
    "lines[0].tax_treatment_id",
    "lines[0].legal_entity_id",
    "lines[0].accounting_period_id",
    "lines[0].taxes[1].exempt_amount",
}  # of these, what a default gives is not told from what was said


@pytest.mark.parametrize(("path", "content"), CHANGES)
def test_other_content_under_the_same_key_is_refused_and_the_fields_are_named(
    path: str, content: Content
) -> None:
    state = state_of(happened(Ingest(FULL)))
    content = replace(content, unique_identifier=FULL.unique_identifier)
    if fingerprint(content) == fingerprint(FULL):
        return
    with pytest.raises(IngestedDifferently) as refusal:
        invoice.ingest(Ingest(content), state, "some id", RULES, Findings())
    named = set(refusal.value.facts["fields"].split(", "))
    if path in SAME_BY_DEFAULT and refusal.value.facts["fields"].endswith(ONE_SAYS_IT):
        return
    assert any(one in each or each in one for one in named for each in told(path)), named


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (an_invoice(), an_invoice(account_id="other"), "invoice.account_id"),
        (an_invoice(), an_invoice(currency_code="USD"), "invoice.currency_code"),
        (an_invoice(), a_posted_invoice(), "invoice.status"),
        (a_posted_invoice(posted_date=None), a_posted_invoice(), "invoice.posted_date"),
        (an_invoice(), an_invoice(due_date=date(2027, 1, 1)), "invoice.due_date"),
        (an_invoice(), an_invoice(lines=(a_line(), a_line())), "invoice.lines"),
        (with_line(), with_line(charge_amount=Decimal(1)), "invoice.lines[0].charge_amount"),
        (with_tax(), with_tax(document_number="TD-2"), "invoice.lines[0].taxes[0].document_number"),
        (with_tax(), with_tax(description="x"), "invoice.lines[0].taxes[0].description"),
        (with_tax(), an_invoice(tax_status=TaxStatus.ESTIMATED), "invoice.lines[0].taxes"),
        (
            an_invoice(),
            an_invoice(address_groups=(an_address(city="Bonn"),)),
            "invoice.address_groups[0].city",
        ),
        (an_invoice(), an_invoice(labels={"a": "b"}), "invoice.labels"),
        (an_invoice(), an_invoice(source=invoice.SourceContent("x")), "invoice.source"),
    ],
)
def test_a_refusal_names_just_what_differs(first: Content, second: Content, named: str) -> None:
    asked = given(*happened(Ingest(first))).when(Ingest(second))
    with pytest.raises(IngestedDifferently) as refusal:
        asked.decide()
    assert named in refusal.value.facts["fields"].split(", ")
    assert refusal.value.facts["unique_identifier"] == "'shop-4711'"


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (an_invoice(), an_invoice(status=Status.DRAFT), "invoice.status"),
        (an_invoice(status=Status.DRAFT), an_invoice(), "invoice.status"),
        (an_invoice(), an_invoice(tax_status=TaxStatus.PENDING), "invoice.tax_status"),
        (
            with_line(),
            with_line(tax_treatment_id="standard", billing_address="main"),
            f"invoice.lines[0].tax_treatment_id, invoice.lines[0].billing_address{ONE_SAYS_IT}",
        ),
        (with_line(billing_address="main"), with_line(), f"what this one leaves to defaults{ONE_SAYS_IT}"),
        (with_tax(), with_tax(exempt_amount=ZERO), f"invoice.lines[0].taxes[0].exempt_amount{ONE_SAYS_IT}"),
    ],
)
def test_what_one_says_and_the_other_leaves_to_its_default_is_named(
    first: Content, second: Content, named: str
) -> None:
    given(*happened(Ingest(first))).when(Ingest(second)).refused(IngestedDifferently, fields=named)


def test_a_refusal_names_the_first_25_fields_in_order() -> None:
    lines = tuple(a_line(name=f"line {number}") for number in range(30))
    asked = given(*happened(ingest(lines=lines))).when(ingest(lines=(a_line(),) * 30))
    with pytest.raises(IngestedDifferently) as refusal:
        asked.decide()
    named = refusal.value.facts["fields"].split(", ")
    assert named == [f"invoice.lines[{number}].name" for number in range(25)] + ["…"]


def test_taxes_are_compared_row_by_row() -> None:
    rows = (a_tax(), a_tax(transaction_number="T-2"))
    first = an_invoice(tax_status=TaxStatus.ESTIMATED, lines=(a_line(taxes=rows),))
    second = an_invoice(tax_status=TaxStatus.ESTIMATED, lines=(a_line(taxes=rows[::-1]),))
    given(*happened(Ingest(first))).when(Ingest(second)).refused(
        IngestedDifferently,
        fields="invoice.lines[0].taxes[0].transaction_number, invoice.lines[0].taxes[1].transaction_number",
    )


def test_what_was_erased_is_not_held_against_a_sender() -> None:
    """Without the texts nobody knows whether they differ; what else differs is told."""
    events = [erased(event) for event in happened(Ingest(FULL))]
    given(*events).when(Ingest(FULL)).then()
    line = replace(FULL.lines[0], description="other", quantity=Decimal(7))
    given(*events).when(Ingest(replace(FULL, description="other", lines=(line, FULL.lines[1])))).refused(
        IngestedDifferently, fields="invoice.lines[0].quantity"
    )


def erased(event: Any) -> Any:
    return replace(event, personal=None) if hasattr(event, "personal") else event
