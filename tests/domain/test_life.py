"""What may be asked of an invoice after its ingestion: revise, update, cancel."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain import invoice
from domain.findings import Findings, Malformed, Rule
from domain.invoice import (
    Cancel,
    Content,
    Ingest,
    MemoReference,
    NotDraft,
    NotFound,
    Reference,
    ReferenceContent,
    ReferenceKind,
    ReferenceOfDraft,
    Revise,
    Status,
    TaxStatus,
    Update,
    VersionMoved,
)
from domain.numbering import Number

from .examples import KEY, a_line, a_posted_invoice, a_tax, an_address, an_invoice, ingest, with_line
from .spec import INVOICE_ID, decide, given, happened, state_of, when

DRAFTED = happened(ingest())
POSTED = happened(Ingest(a_posted_invoice()))
CANCELED = (*DRAFTED, invoice.InvoiceCanceled())
NUMBERED = happened(ingest(invoice_number="R-1"))
OTHER = an_invoice(description="other", lines=(a_line(charge_amount=Decimal(7)), a_line(name="second")))

# Revise


def test_a_revision_replaces_the_whole_content() -> None:
    content = an_invoice(
        account_id="acc-2",
        address_groups=(an_address(key="hq"),),
        billing_address="hq",
        shipping_address="hq",
        tax_status=TaxStatus.ESTIMATED,
        lines=(a_line(charge_amount=Decimal(7), taxes=(a_tax(amount=Decimal(1)),)),),
    )
    state = given(*DRAFTED).when(Revise(content)).becomes
    assert (state.header.account_id, list(state.addresses), len(state.lines)) == ("acc-2", ["hq"], 1)
    assert (state.totals.total, state.totals.tax) == (Decimal(7), Decimal(1))
    assert state.version == len(DRAFTED) + 4


def test_a_revision_is_written_like_an_ingestion() -> None:
    given(*DRAFTED).when(Revise(OTHER)).then(
        invoice.InvoiceRevised, invoice.AddressGroupAssigned, invoice.LineAdded, invoice.LineAdded
    )


def test_a_revision_that_changes_nothing_is_not_written() -> None:
    given(*DRAFTED).when(Revise(an_invoice())).then()
    given(*DRAFTED).when(Revise(an_invoice(unique_identifier=""))).then()


def test_a_revision_heard_twice_changes_nothing() -> None:
    revised = (*DRAFTED, *given(*DRAFTED).when(Revise(OTHER, request_id="r-1")).decide().events)
    third = given(*revised).when(Revise(an_invoice(), request_id="r-2")).decide().events
    history = given(*revised, *third)
    history.when(Revise(OTHER, request_id="r-1")).then()
    history.when(Revise(OTHER, request_id="r-3")).then(
        invoice.InvoiceRevised, invoice.AddressGroupAssigned, invoice.LineAdded, invoice.LineAdded
    )


def test_a_revision_brings_a_canceled_draft_back_to_life() -> None:
    for content in (an_invoice(), OTHER):
        state = given(*CANCELED).when(Revise(content)).becomes
        assert state.status is Status.DRAFT
        assert state.unique_identifier == KEY


def test_a_posted_invoice_is_not_revised() -> None:
    given(*POSTED).when(Revise(OTHER)).refused(NotDraft, status="posted", verb="revised")


def test_a_revised_invoice_stays_a_draft() -> None:
    given(*DRAFTED).when(Revise(a_posted_invoice(tax_status=TaxStatus.ESTIMATED, posted_date=None))).finds(
        "invoice.status", Rule.STAYS_DRAFT
    )
    given(*DRAFTED).when(Revise(an_invoice(status=Status.VOIDED))).finds("invoice.status", Rule.STAYS_DRAFT)


def test_a_revised_invoice_keeps_its_key() -> None:
    asked = given(*DRAFTED).when(Revise(an_invoice(unique_identifier="shop-4712")))
    asked.finds("invoice.unique_identifier", Rule.UNIQUE_IDENTIFIER_DIFFERS)
    assert asked.says("invoice.unique_identifier") == "the invoice has 'shop-4711'; is 'shop-4712'"


def test_a_keyless_invoice_gets_no_key_by_a_revision() -> None:
    keyless = happened(ingest(unique_identifier=""))
    given(*keyless).when(Revise(an_invoice())).finds(
        "invoice.unique_identifier", Rule.UNIQUE_IDENTIFIER_DIFFERS
    )
    given(*keyless).when(Revise(an_invoice(unique_identifier="", description="new"))).finds_all({})


def test_a_revision_is_held_against_all_rules() -> None:
    given(*DRAFTED).when(Revise(with_line(name="", quantity=None))).finds_all(
        {"invoice.lines[0].name": Rule.REQUIRED, "invoice.lines[0].quantity": Rule.REQUIRED}
    )


def test_what_could_not_be_read_refuses_a_revision_that_says_the_same() -> None:
    findings = Findings()
    findings.add("invoice.due_date", Rule.DATE, value="'2026-02-30'")
    with pytest.raises(Malformed):
        given(*DRAFTED).when(Revise(an_invoice())).decide(findings)


def test_nobody_revises_what_he_has_not_seen() -> None:
    version = len(DRAFTED)
    given(*DRAFTED).when(Revise(OTHER, expected_version=version)).finds_all({})
    given(*DRAFTED).when(Revise(OTHER, expected_version=version - 1)).refused(
        VersionMoved, version=str(version), expected=str(version - 1)
    )


# The number of a draft


def test_a_draft_that_brought_its_number_holds_it() -> None:
    when(ingest(invoice_number="R-1")).then_number(claimed=Number("de", "R-1"))


def test_a_revision_that_keeps_the_number_leaves_it_alone() -> None:
    given(*NUMBERED).when(Revise(an_invoice(invoice_number="R-1", description="x"))).then_number()


def test_a_revision_changes_one_number_for_another() -> None:
    given(*NUMBERED).when(Revise(an_invoice(invoice_number="R-2"))).then_number(
        claimed=Number("de", "R-2"), released=Number("de", "R-1")
    )


def test_a_revision_gives_a_number_back() -> None:
    given(*NUMBERED).when(Revise(an_invoice())).then_number(released=Number("de", "R-1"))


def test_a_revision_to_another_legal_entity_takes_the_number_there() -> None:
    given(*NUMBERED).when(Revise(an_invoice(invoice_number="R-1", legal_entity_id="fj"))).then_number(
        claimed=Number("fj", "R-1"), released=Number("de", "R-1")
    )


def test_a_canceled_draft_gives_its_number_back_and_must_claim_it_again() -> None:
    given(*NUMBERED).when(Cancel()).then_number(released=Number("de", "R-1"))
    canceled = (*NUMBERED, invoice.InvoiceCanceled())
    given(*canceled).when(Revise(an_invoice(invoice_number="R-1"))).then_number(claimed=Number("de", "R-1"))
    given(*canceled).when(Revise(an_invoice())).then_number()


# Cancel


def test_a_draft_is_canceled_once() -> None:
    given(*DRAFTED).when(Cancel()).then(invoice.InvoiceCanceled())
    given(*CANCELED).when(Cancel()).then()
    assert state_of(CANCELED).status is Status.CANCELED


def test_a_posted_invoice_is_not_canceled() -> None:
    given(*POSTED).when(Cancel()).refused(NotDraft, status="posted", verb="canceled")


@pytest.mark.parametrize(
    "command",
    [Revise(an_invoice()), Update(frozenset({"description"})), Cancel()],
    ids=lambda c: type(c).__name__,
)
def test_what_was_never_ingested_is_not_found(command: Any) -> None:
    given().when(command).refused(NotFound, key=str(INVOICE_ID))


# Update


def update(**values: Any) -> Update:
    return Update(frozenset(values), **values)


def test_the_description_changes_at_any_time() -> None:
    for history in (DRAFTED, POSTED, CANCELED):
        asked = given(*history).when(update(description="new"))
        asked.then(
            invoice.InvoiceUpdated(("description",), personal=invoice.DescriptionTexts("new")),
        )
        assert asked.becomes.texts == invoice.HeaderTexts(description="new")


def test_labels_change_as_a_whole_at_any_time() -> None:
    labeled = happened(ingest(labels={"a": "1", "b": "2"}))
    for history in (labeled, (*labeled, invoice.InvoiceCanceled())):
        assert given(*history).when(update(labels={"c": "3"})).becomes.header.labels == {"c": "3"}
    given(*labeled).when(update(labels={"b": "2", "a": "1"})).then()


def test_an_update_leaves_alone_what_is_not_meant() -> None:
    history = happened(ingest(description="old", labels={"a": "1"}))
    changed = Update(frozenset({"labels"}), description="ignored", labels={})
    state = given(*history).when(changed).becomes
    assert state.texts is not None
    assert (state.texts.description, state.header.labels) == ("old", {})


def test_an_update_that_changes_nothing_is_not_written() -> None:
    history = happened(ingest(description="old", labels={"a": "1"}))
    given(*history).when(update(description="old", labels={"a": "1"})).then()


def test_only_what_really_changes_is_written() -> None:
    history = happened(ingest(description="old", labels={"a": "1"}))
    given(*history).when(update(description="old", labels={})).then(invoice.InvoiceUpdated(("labels",)))


def test_an_update_heard_twice_changes_nothing() -> None:
    first = Update(frozenset({"description"}), description="one", request_id="r-1")
    history = happened(ingest(), first, update(description="two"))
    given(*history).when(first).then()
    assert state_of(history).texts == invoice.HeaderTexts(description="two")


def test_nobody_updates_what_he_has_not_seen() -> None:
    stale = Update(frozenset({"description"}), description="x", expected_version=2)
    given(*DRAFTED).when(stale).refused(VersionMoved, expected="2")


def test_an_update_means_something() -> None:
    given(*DRAFTED).when(Update(frozenset())).finds("update_mask", Rule.REQUIRED)


@pytest.mark.parametrize("name", ["tax_treatment_id", "lines", "invoice_number", "Description", ""])
def test_nothing_else_is_changeable(name: str) -> None:
    asked = given(*DRAFTED).when(Update(frozenset({name, "labels"})))
    asked.finds("update_mask", Rule.NOT_CHANGEABLE)
    assert asked.says("update_mask") == f"only description, labels, reference can be changed; is {name!r}"


@pytest.mark.parametrize(
    ("command", "path", "rule"),
    [
        (update(description="x" * 256), "change.description", Rule.TOO_LONG),
        (update(description="\x00"), "change.description", Rule.CHARACTERS),
        (update(labels={"": "x"}), "change.labels['']", Rule.REQUIRED),
        (update(labels={str(n): "" for n in range(65)}), "change.labels", Rule.TOO_MANY),
        (update(reference=ReferenceContent(ReferenceKind.ORDER)), "change.reference.id", Rule.REQUIRED),
        (update(reference=ReferenceContent(id="x")), "change.reference.kind", Rule.REQUIRED),
        (
            update(reference=ReferenceContent(ReferenceKind.DEBIT_MEMO, "M-1")),
            "change.reference.id",
            Rule.NO_SUCH_MEMO,
        ),
        (Update(frozenset({"labels"}), request_id="r" * 256), "request_id", Rule.TOO_LONG),
    ],
)
def test_an_update_is_held_against_the_rules(command: Update, path: str, rule: Rule) -> None:
    given(*POSTED).when(command).finds(path, rule)


def test_a_request_id_is_short() -> None:
    given(*DRAFTED).when(Revise(OTHER, request_id="r" * 256)).finds("request_id", Rule.TOO_LONG)


ORDER = ReferenceContent(ReferenceKind.ORDER, "O-1")


def test_the_reference_changes_once_the_invoice_is_posted() -> None:
    asked = given(*POSTED).when(update(reference=ORDER))
    asked.then(invoice.InvoiceUpdated(("reference",), reference=Reference(ReferenceKind.ORDER, "O-1")))
    assert asked.becomes.order_ids == {"O-1"}
    given(*POSTED, *asked.decide().events).when(update(reference=ORDER)).then()


def test_the_reference_of_a_posted_invoice_can_be_taken_away() -> None:
    history = happened(Ingest(a_posted_invoice(reference=ORDER)))
    assert given(*history).when(update(reference=None)).becomes.header.reference is None


@pytest.mark.parametrize(("history", "status"), [(DRAFTED, "draft"), (CANCELED, "canceled")])
def test_the_reference_of_a_draft_stays(history: tuple[invoice.Event, ...], status: str) -> None:
    given(*history).when(update(reference=ORDER)).refused(ReferenceOfDraft, status=status)


def test_saying_a_drafts_own_reference_again_is_no_change() -> None:
    given(*happened(ingest(reference=ORDER))).when(update(reference=ORDER)).then()


def test_a_memo_is_not_taken_away_from_its_invoice() -> None:
    drafted, *others = POSTED
    assert isinstance(drafted, invoice.InvoiceDrafted)
    memo = Reference(ReferenceKind.DEBIT_MEMO, "M-1")
    history = (with_reference(drafted, memo), *others)
    given(*history).when(update(reference=ORDER)).refused(MemoReference)
    given(*history).when(update(reference=None)).refused(MemoReference)
    same = ReferenceContent(ReferenceKind.DEBIT_MEMO, "M-1")
    given(*history).when(update(reference=same)).then()


def with_reference(drafted: invoice.InvoiceDrafted, reference: Reference) -> invoice.InvoiceDrafted:
    return replace(drafted, header=replace(drafted.header, reference=reference))


# Erased texts


def test_a_description_is_written_again_after_the_texts_were_erased() -> None:
    drafted, *others = DRAFTED
    assert isinstance(drafted, invoice.InvoiceDrafted)
    history = (replace(drafted, personal=None), *others)
    asked = given(*history).when(update(description="new"))
    assert asked.becomes.texts == invoice.HeaderTexts(description="new")
    given(*history, *asked.decide().events).when(update(description="new")).then()


# Folding


def test_folding_step_by_step_is_folding_at_once() -> None:
    history = happened(ingest(), Revise(OTHER), update(labels={"a": "b"}), Cancel(), Revise(an_invoice()))
    for cut in range(1, len(history)):
        assert invoice.fold(history[cut:], since=state_of(history[:cut])) == state_of(history)


def test_a_version_is_the_count_of_events() -> None:
    history = happened(ingest(), Revise(OTHER), Cancel())
    assert [state_of(history[: n + 1]).version for n in range(len(history))] == [*range(1, len(history) + 1)]


def test_an_invoice_begins_by_being_drafted() -> None:
    with pytest.raises(AssertionError):
        invoice.fold([invoice.InvoiceCanceled()])
    with pytest.raises(AssertionError):
        invoice.fold([*DRAFTED, DRAFTED[0]])


@pytest.mark.parametrize(
    "command",
    [ingest(), Revise(OTHER), update(description="x"), Cancel()],
    ids=lambda command: type(command).__name__,
)
def test_deciding_leaves_the_state_as_it_is(command: Any) -> None:
    state, untouched = state_of(DRAFTED), state_of(DRAFTED)
    decide(command, state, given().rules, Findings())
    assert state == untouched


def test_every_content_can_be_revised_to_any_other() -> None:
    contents: list[Content] = [an_invoice(), OTHER, an_invoice(invoice_number="R-3"), with_line(name="x")]
    for one in contents:
        for other in contents:
            state = state_of(happened(Ingest(one), Revise(other)))
            assert state.fingerprint == invoice.fingerprint(other)
