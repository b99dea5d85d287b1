"""Every field of an invoice: whether it is required, how long it may be, which characters it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from domain import invoice
from domain.findings import Findings, Malformed, Rule
from domain.invoice import Content, Ingest, LineReferenceKind, ReferenceKind

from .examples import FULL, a_line, a_posted_invoice, a_tax, an_address, an_invoice, with_line, with_tax
from .spec import given, when

Change = Callable[[Any], Content]


@dataclass(frozen=True)
class Field:
    path: str
    limit: int
    change: Change
    lines_allowed: bool = False


def on_header(name: str) -> Change:
    return lambda value: replace(FULL, **{name: value})


def on_line(name: str) -> Change:
    return lambda value: replace(FULL, lines=(replace(FULL.lines[0], **{name: value}),))


def on_tax(name: str) -> Change:
    row = FULL.lines[0].taxes[0]
    return lambda value: replace(
        FULL, lines=(replace(FULL.lines[0], taxes=(replace(row, **{name: value}),)),)
    )


def on_address(name: str) -> Change:
    first, *others = FULL.address_groups
    return lambda value: replace(FULL, address_groups=(replace(first, **{name: value}), *others))


def on_part(part: str, name: str) -> Change:
    return lambda value: replace(FULL, **{part: replace(getattr(FULL, part), **{name: value})})


def on_line_reference(name: str) -> Change:
    reference = FULL.lines[0].reference
    assert reference is not None
    return lambda value: replace(
        FULL, lines=(replace(FULL.lines[0], reference=replace(reference, **{name: value})),)
    )


PARTS: list[tuple[type, str, Callable[[str], Change]]] = [
    (invoice.Content, "invoice", on_header),
    (invoice.LineContent, "invoice.lines[0]", on_line),
    (invoice.TaxContent, "invoice.lines[0].taxes[0]", on_tax),
    (invoice.AddressContent, "invoice.address_groups[0]", on_address),
    (invoice.ReferenceContent, "invoice.reference", lambda name: on_part("reference", name)),
    (invoice.SourceContent, "invoice.source", lambda name: on_part("source", name)),
    (invoice.LineReferenceContent, "invoice.lines[0].reference", on_line_reference),
]
LIMITS: dict[tuple[type, str], int] = {
    (invoice.AddressContent, "key"): 80,
    (invoice.AddressContent, "city"): 40,
    (invoice.AddressContent, "state"): 80,
    (invoice.AddressContent, "postal_code"): 20,
    (invoice.AddressContent, "country"): 80,
}  # all others: 255
FREE = {"description", "street"}  # may have several lines
NAMED_ELSEWHERE = {
    "payment_term_id",
    "currency_code",
    "legal_entity_id",
    "accounting_period_id",
    "tax_treatment_id",
    "billing_address",
    "shipping_address",
    "ship_from_address",
    "key",
}  # what they may hold is settled by what they name


def texts() -> Iterator[Field]:
    for part, path, changing in PARTS:
        for each in fields(part):
            if each.type == "str":
                limit = LIMITS.get((part, each.name), 255)
                yield Field(f"{path}.{each.name}", limit, changing(each.name), each.name in FREE)


TEXTS = list(texts())
OPAQUE = [field for field in TEXTS if field.path.rpartition(".")[2] not in NAMED_ELSEWHERE]


def by_path(field: Field) -> str:
    return field.path


@pytest.mark.parametrize("field", TEXTS, ids=by_path)
def test_a_text_that_is_too_long_is_refused(field: Field) -> None:
    assert when(Ingest(field.change("x" * (field.limit + 1)))).found()[field.path] is Rule.TOO_LONG


@pytest.mark.parametrize("field", OPAQUE, ids=by_path)
def test_a_text_of_just_the_length_is_taken(field: Field) -> None:
    when(Ingest(field.change("ü" * field.limit))).finds_all({})


@pytest.mark.parametrize("field", OPAQUE, ids=by_path)
@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\ud800"])
def test_a_text_with_control_characters_is_refused(field: Field, character: str) -> None:
    when(Ingest(field.change(f"a{character}b"))).finds(field.path, Rule.CHARACTERS)


@pytest.mark.parametrize("field", OPAQUE, ids=by_path)
def test_only_free_text_has_several_lines(field: Field) -> None:
    expected = {} if field.lines_allowed else {field.path: Rule.CHARACTERS}
    when(Ingest(field.change("one\ntwo\tthree"))).finds_all(expected)


@pytest.mark.parametrize("field", OPAQUE, ids=by_path)
@pytest.mark.parametrize("text", ["Ångström & Söhne", "税込", "a\u00a0b", "a\u200db", "👩‍🔧", "'; --", "<b>"])
def test_whatever_is_no_control_character_is_kept_as_sent(field: Field, text: str) -> None:
    when(Ingest(field.change(text))).finds_all({})


def test_a_full_invoice_is_taken() -> None:
    when(Ingest(FULL)).finds_all({})


REQUIRED: list[tuple[str, Change]] = [
    *((f"invoice.{name}", on_header(name)) for name in ("account_id", "bill_to_contact_id", "currency_code")),
    ("invoice.lines[0].name", on_line("name")),
    *(
        (f"invoice.lines[0].taxes[0].{name}", on_tax(name))
        for name in ("transaction_number", "name", "code", "document_number")
    ),
    *(
        (f"invoice.address_groups[0].{name}", on_address(name))
        for name in ("street", "city", "state", "postal_code", "country")
    ),
    ("invoice.reference.id", on_part("reference", "id")),
    ("invoice.source.system", on_part("source", "system")),
]


@pytest.mark.parametrize(("path", "change"), REQUIRED, ids=[path for path, _ in REQUIRED])
def test_a_required_text_is_required(path: str, change: Change) -> None:
    when(Ingest(change(""))).finds(path, Rule.REQUIRED)


@pytest.mark.parametrize(
    ("path", "change"),
    [each for each in REQUIRED if each[0] != "invoice.currency_code"],
    ids=[path for path, _ in REQUIRED if path != "invoice.currency_code"],
)
def test_white_space_is_no_required_text(path: str, change: Change) -> None:
    when(Ingest(change(" \u00a0 "))).finds(path, Rule.REQUIRED)


@pytest.mark.parametrize("name", ["unique_identifier", "invoice_number"])
def test_a_key_is_not_blank(name: str) -> None:
    when(Ingest(on_header(name)("   "))).finds(f"invoice.{name}", Rule.REQUIRED)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("invoice.invoice_date", an_invoice(invoice_date=None)),
        ("invoice.lines[0].start_date", with_line(start_date=None)),
        ("invoice.lines[0].end_date", with_line(end_date=None)),
        ("invoice.lines[0].quantity", with_line(quantity=None)),
        ("invoice.lines[0].unit_price", with_line(unit_price=None)),
        ("invoice.lines[0].charge_amount", with_line(charge_amount=None)),
        ("invoice.lines[0].taxes[0].amount", with_tax(amount=None)),
        ("invoice.lines[0].taxes[0].rate", with_tax(rate=None)),
        ("invoice.lines[0].taxes[0].effective_date", with_tax(effective_date=None)),
        ("invoice.reference.kind", replace(FULL, reference=invoice.ReferenceContent(id="O-1"))),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_required_value_is_required(path: str, content: Content) -> None:
    when(Ingest(content)).finds(path, Rule.REQUIRED)


def test_an_invoice_has_lines() -> None:
    when(Ingest(an_invoice(lines=()))).finds("invoice.lines", Rule.LINES_REQUIRED)


def test_an_empty_invoice_is_answered_with_all_that_it_needs() -> None:
    when(Ingest(Content())).finds_all(
        {
            "invoice.account_id": Rule.REQUIRED,
            "invoice.bill_to_contact_id": Rule.REQUIRED,
            "invoice.invoice_date": Rule.REQUIRED,
            "invoice.currency_code": Rule.REQUIRED,
            "invoice.lines": Rule.LINES_REQUIRED,
        }
    )


def test_an_empty_line_with_an_empty_tax_is_answered_with_all_that_they_need() -> None:
    line = invoice.LineContent(taxes=(invoice.TaxContent(),))
    content = a_posted_invoice(lines=(line,), billing_address="", shipping_address="")
    names = "name start_date end_date quantity unit_price charge_amount billing_address shipping_address"
    of_tax = "transaction_number amount rate name code effective_date document_number"
    when(Ingest(content)).finds_all(
        {f"invoice.lines[0].{name}": Rule.REQUIRED for name in names.split()}
        | {f"invoice.lines[0].taxes[0].{name}": Rule.REQUIRED for name in of_tax.split()}
    )


def test_what_is_optional_may_be_left_out() -> None:
    draft = when(Ingest(with_line())).drafted.header
    assert (draft.reference, draft.source, draft.labels, draft.owner_id) == (None, None, {}, "")


def test_an_invoice_may_have_no_key() -> None:
    assert when(Ingest(an_invoice(unique_identifier=""))).drafted.unique_identifier == ""


# Labels


def test_labels_are_kept() -> None:
    assert when(Ingest(an_invoice(labels={"team": "north"}))).drafted.header.labels == {"team": "north"}


def test_an_invoice_has_at_most_64_labels() -> None:
    labels = {f"label {number}": "x" for number in range(64)}
    when(Ingest(an_invoice(labels=labels))).finds_all({})
    when(Ingest(an_invoice(labels=labels | {"one": "more"}))).finds("invoice.labels", Rule.TOO_MANY)


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("k" * 64, "v", Rule.TOO_LONG),
        ("k", "v" * 256, Rule.TOO_LONG),
        ("", "v", Rule.REQUIRED),
        ("  ", "v", Rule.REQUIRED),
        ("a\nb", "v", Rule.CHARACTERS),
        ("k", "a\x00b", Rule.CHARACTERS),
    ],
)
def test_a_label_has_a_short_key_and_a_value(key: str, value: str, rule: Rule) -> None:
    when(Ingest(an_invoice(labels={key: value}))).finds(f"invoice.labels[{key[:80]!r}]", rule)


def test_a_label_may_have_an_empty_value() -> None:
    when(Ingest(an_invoice(labels={"checked": ""}))).finds_all({})


# What is kept


def test_what_was_sent_is_what_is_kept() -> None:
    drafted, *others = when(Ingest(FULL)).decide().events
    assert isinstance(drafted, invoice.InvoiceDrafted)
    header = drafted.header
    assert header.reference == invoice.Reference(ReferenceKind.OTHER, "O-1", "shop", "web order")
    assert header.source == invoice.Source("legacy", "77")
    assert drafted.personal == invoice.HeaderTexts("Ada & Co.", "Ada L.", "Bob", "as agreed:\n“thanks”")
    line = next(event for event in others if isinstance(event, invoice.LineAdded))
    assert line.reference == invoice.LineReference(LineReferenceKind.OTHER, "oi-1", "O-1", "shop", "item")
    for name in {each.name for each in fields(line)} & {each.name for each in fields(invoice.LineContent)}:
        if name != "reference":
            assert getattr(line, name) == getattr(FULL.lines[0], name), name
    for name in {each.name for each in fields(header)} & {each.name for each in fields(Content)}:
        if name not in ("reference", "source"):
            assert getattr(header, name) == getattr(FULL, name), name
    tax = next(event for event in others if isinstance(event, invoice.TaxImported))
    row, said = tax.rows[0], FULL.lines[0].taxes[0]
    assert all(getattr(row, each.name) == getattr(said, each.name) for each in fields(row))
    assert tax.personal == invoice.TaxTexts(("as filed", ""))


def test_an_address_is_kept_as_it_was_sent() -> None:
    groups = [e for e in when(Ingest(FULL)).decide().events if isinstance(e, invoice.AddressGroupAssigned)]
    for said, kept in zip(FULL.address_groups, groups, strict=True):
        assert (kept.group, kept.state, kept.country) == (said.key, said.state, said.country)
        assert kept.personal == invoice.Place(
            said.street, said.city, said.postal_code, said.latitude, said.longitude
        )


def test_events_stand_in_their_order() -> None:
    content = a_posted_invoice(lines=(a_line(taxes=(a_tax(),)), a_line(tax_treatment_id="exempt")))
    when(Ingest(content)).then(
        invoice.InvoiceDrafted,
        invoice.AddressGroupAssigned,
        invoice.LineAdded,
        invoice.LineAdded,
        invoice.TaxImported,
        invoice.InvoicePosted,
    )


def test_a_drafted_invoice_remembers_what_it_was_decided_with() -> None:
    decision = when(Ingest(an_invoice())).decide()
    drafted = decision.events[0]
    assert isinstance(drafted, invoice.InvoiceDrafted)
    assert (drafted.reference_position, drafted.size) == (42, len(decision.events))


def test_an_unreadable_value_is_told_once() -> None:
    """What the edge could not read is no missing value as well."""
    findings = Findings()
    findings.add("invoice.lines[0].quantity", Rule.DECIMAL, value="'ten'")
    findings.add("invoice.status", Rule.ENUM, have="DRAFT", value=77)
    content = an_invoice(status=None, posted_date=an_invoice().invoice_date, lines=(a_line(quantity=None),))
    with pytest.raises(Malformed) as malformed:
        given().when(Ingest(content)).decide(findings)
    assert [finding.rule for finding in malformed.value.findings] == [Rule.DECIMAL, Rule.ENUM]
    assert findings.count == 2, "the caller's own findings stay as they are"


def test_several_addresses_are_numbered_in_their_paths() -> None:
    groups = (an_address(), an_address(key="depot", city=""))
    when(Ingest(an_invoice(address_groups=groups))).finds("invoice.address_groups[1].city", Rule.REQUIRED)
