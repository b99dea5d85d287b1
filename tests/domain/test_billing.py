"""The invoice of a debit memo: what the memo gives it, and what becomes of the memo with it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain import billing, debit_memo, identity, invoice
from domain.decision import Elsewhere
from domain.findings import Findings, Malformed, Rule
from domain.invoice import (
    Content,
    LineReferenceContent,
    LineReferenceKind,
    ReferenceContent,
    ReferenceKind,
    Status,
    TaxStatus,
)
from domain.refusal import Refused

from .examples import INVOICE_DATE, RULES, SETTINGS, a_tax, an_address, an_invoice, on
from .examples import a_line as an_invoice_line
from .test_debit_memo import (
    BILLED,
    CANCELED,
    DRAFT,
    EMPTY,
    FOR_GOOD,
    KEY,
    MEMO_ID,
    NOT_FOR_INVOICES,
    POST,
    POSTED,
    PROCESSED,
    VOIDED,
    Events,
    a_line,
    create,
    happened,
    state,
)

INVOICE_KEY = "of the memo"
INVOICE_ID = identity.invoice(INVOICE_KEY)
BILLED_HERE = (*POSTED, debit_memo.DebitMemoBilled(INVOICE_ID))
REFERENCE = ReferenceContent(ReferenceKind.DEBIT_MEMO, KEY)
RICH = happened(
    create(
        account_name="Ada & Co.",
        order_id="O-1",
        lines=(
            a_line(taxes=(a_tax(description="as filed"),), description="what was missing", product_id="p-1"),
            a_line(name="Postage", charge_amount=Decimal("5.00"), start_date=on(2026, 10, 1)),
        ),
    ),
    POST,
)


def asked(**changes: Any) -> Content:
    good = Content(
        unique_identifier=INVOICE_KEY,
        bill_to_contact_id="con-1",
        invoice_date=INVOICE_DATE,
        reference=REFERENCE,
    )
    return replace(good, **changes)


def rules_with(memo: Events) -> invoice.Rules:
    folded = debit_memo.fold(memo)
    return replace(RULES, memos={MEMO_ID: folded} if folded else {})


def decide(
    content: Content, memo: Events = POSTED, before: tuple[invoice.Event, ...] = ()
) -> invoice.Decision:
    rules, stands = rules_with(memo), invoice.fold(before)
    decision = billing.ingest(invoice.Ingest(content), stands, INVOICE_ID, rules, Findings())
    return billing.following(decision, stands, INVOICE_ID, rules.memos)


def revised(
    content: Content, memo: Events, before: tuple[invoice.Event, ...], request_id: str = ""
) -> invoice.Decision:
    rules, stands = rules_with(memo), invoice.fold(before)
    command = invoice.Revise(content, request_id=request_id)
    decision = billing.revise(command, stands, INVOICE_ID, rules, Findings())
    return billing.following(decision, stands, INVOICE_ID, rules.memos)


def found(content: Content, memo: Events = POSTED) -> dict[str, Rule]:
    with pytest.raises(Malformed) as malformed:
        decide(content, memo)
    return {finding.path: finding.rule for finding in malformed.value.findings}


def becomes(decision: invoice.Decision) -> invoice.Invoice:
    stands = invoice.fold(decision.events)
    assert stands is not None
    return stands


def test_four_hundred_instead_of_five_a_memo_of_one_hundred_is_invoiced() -> None:
    first = an_invoice_line(
        quantity=Decimal(1), unit_price=Decimal("400.00"), charge_amount=Decimal("400.00")
    )
    charged = becomes(decide(an_invoice(lines=(first,))))
    later = becomes(decide(asked()))
    assert charged.totals.total + later.totals.total == Decimal("500.00")


def test_an_invoice_has_from_its_memo_what_it_does_not_say() -> None:
    stands = becomes(decide(asked(), RICH))
    header = stands.header
    assert (header.account_id, header.currency, header.legal_entity_id) == ("acc-1", "EUR", "de")
    assert {"account_id", "currency_code", "legal_entity_id"} <= set(header.defaulted)
    assert stands.status is Status.DRAFT
    assert stands.texts is not None
    assert stands.texts.account_name == "Ada & Co."
    assert header.reference == invoice.Reference(ReferenceKind.DEBIT_MEMO, str(MEMO_ID))
    assert [*stands.addresses] == ["main"]
    assert stands.order_ids == {"O-1"}


def test_a_line_is_one_at_the_charge_of_the_memos_line() -> None:
    first, second = becomes(decide(asked(), RICH)).lines
    assert (first.added.quantity, first.added.unit_price) == (Decimal(1), Decimal("100.00"))
    assert first.added.charge == Decimal("100.00")
    assert (first.added.product_id, first.added.tax_treatment_id) == ("p-1", "standard")
    assert first.added.personal == invoice.LineTexts("what was missing")
    assert first.added.reference == invoice.LineReference(
        LineReferenceKind.DEBIT_MEMO_LINE, f"{MEMO_ID}/1", "O-1"
    )
    assert (second.added.start_date, second.added.end_date) == (on(2026, 10, 1), on(2026, 10, 1))
    assert first.added.accounting_period_id == "de-11"  # of the invoice's date
    assert not first.rows


def test_the_memos_taxes_come_along_where_they_are_called_an_estimate() -> None:
    first, second = becomes(decide(asked(tax_status=TaxStatus.ESTIMATED), RICH)).lines
    assert [row.amount for row in first.rows] == [Decimal("47.50")]
    assert first.row_texts == invoice.TaxTexts(("as filed",))
    assert not second.rows


def test_billing_is_part_of_the_decision() -> None:
    billed = Elsewhere(MEMO_ID, (debit_memo.DebitMemoBilled(INVOICE_ID),))
    assert decide(asked()).elsewhere == (billed,)


def test_a_memo_is_called_by_its_id_or_its_key() -> None:
    by_id = ReferenceContent(ReferenceKind.DEBIT_MEMO, str(MEMO_ID))
    by_key = decide(asked()).events[0]
    said = decide(asked(reference=by_id)).events[0]
    assert isinstance(by_key, invoice.InvoiceDrafted)
    assert isinstance(said, invoice.InvoiceDrafted)
    assert by_key.header == said.header
    assert by_key.fingerprint != said.fingerprint


@pytest.mark.parametrize(
    ("memo", "refusal"),
    [
        (EMPTY, debit_memo.WithoutLines),
        (DRAFT, debit_memo.NotPosted),
        (CANCELED, debit_memo.NotPosted),
        (VOIDED, debit_memo.NotPosted),
        (NOT_FOR_INVOICES, debit_memo.NotInvoiceable),
        (PROCESSED, debit_memo.ProcessedByHand),
        (BILLED, debit_memo.AlreadyBilled),
        (FOR_GOOD, debit_memo.AlreadyBilled),
    ],
)
def test_a_memo_that_is_not_ready_is_not_billed(memo: Events, refusal: type[Refused]) -> None:
    with pytest.raises(refusal):
        decide(asked(), memo)


@pytest.mark.parametrize(
    ("changes", "path", "rule"),
    [
        ({"lines": (an_invoice_line(),)}, "invoice.lines", Rule.MEMO_BRINGS),
        ({"address_groups": (an_address(),)}, "invoice.address_groups", Rule.MEMO_BRINGS),
        ({"billing_address": "main"}, "invoice.billing_address", Rule.MEMO_BRINGS),
        ({"account_id": "acc-2"}, "invoice.account_id", Rule.MEMO_DIFFERS),
        ({"currency_code": "USD"}, "invoice.currency_code", Rule.MEMO_DIFFERS),
        ({"legal_entity_id": "fj"}, "invoice.legal_entity_id", Rule.MEMO_DIFFERS),
        ({"status": Status.POSTED}, "invoice.status", Rule.MEMO_STAYS_DRAFT),
        ({"bill_to_contact_id": ""}, "invoice.bill_to_contact_id", Rule.REQUIRED),
        ({"invoice_date": None}, "invoice.invoice_date", Rule.REQUIRED),
        (
            {"reference": ReferenceContent(ReferenceKind.DEBIT_MEMO, "no")},
            "invoice.reference.id",
            Rule.NO_SUCH_MEMO,
        ),
    ],
)
def test_what_is_wrong_with_an_ingestion_by_memo(changes: dict[str, Any], path: str, rule: Rule) -> None:
    assert found(asked(**changes)) == {path: rule}


def test_saying_what_the_memo_says_is_fine() -> None:
    same = asked(account_id="acc-1", currency_code="EUR", legal_entity_id="de", status=Status.DRAFT)
    assert becomes(decide(same)).header.defaulted == becomes(decide(asked())).header.defaulted[:-3]


def test_the_addresses_of_an_erased_memo_cannot_be_invoiced() -> None:
    erased = tuple(
        replace(event, personal=None) if isinstance(event, debit_memo.DebitMemoAddressAssigned) else event
        for event in POSTED
    )
    with pytest.raises(debit_memo.Erased):
        decide(asked(), erased)


def test_the_same_ingestion_heard_twice_bills_once() -> None:
    first = decide(asked())
    assert decide(asked(), BILLED, first.events) == invoice.NOTHING


def test_other_content_under_the_key_names_only_what_differs() -> None:
    first = decide(asked())
    with pytest.raises(invoice.IngestedDifferently) as refusal:
        decide(asked(description="else", account_id="acc-9"), BILLED, first.events)
    assert refusal.value.facts["fields"] == "invoice.account_id, invoice.description"


def test_a_line_may_refer_to_a_line_of_a_memo_that_is_there() -> None:
    def of(name: str) -> Content:
        reference = LineReferenceContent(LineReferenceKind.DEBIT_MEMO_LINE, name)
        return an_invoice(unique_identifier=INVOICE_KEY, lines=(an_invoice_line(reference=reference),))

    (line,) = becomes(decide(of(f"{KEY}/1"))).lines
    assert line.added.reference is not None
    assert line.added.reference.id == f"{MEMO_ID}/1"
    assert decide(of(f"{MEMO_ID}/1")).elsewhere == ()  # nothing is billed
    for name in (f"{KEY}/2", "no/1", KEY, f"{KEY}/"):
        assert found(of(name)) == {"invoice.lines[0].reference.id": Rule.NO_SUCH_MEMO}


# Afterwards

FIRST = decide(asked()).events


def following(
    *events: invoice.Event, before: tuple[invoice.Event, ...] = FIRST, memo: Events = BILLED_HERE
) -> tuple[Elsewhere, ...]:
    decision = invoice.Decision(events)
    return billing.following(decision, invoice.fold(before), INVOICE_ID, {MEMO_ID: state(memo)}).elsewhere


def test_a_canceled_draft_makes_its_memo_ready_again() -> None:
    (released,) = following(invoice.InvoiceCanceled())
    assert released == Elsewhere(MEMO_ID, (debit_memo.DebitMemoReleased(INVOICE_ID),))
    memo = debit_memo.fold((*BILLED_HERE, debit_memo.DebitMemoReleased(INVOICE_ID)))
    assert memo is not None
    assert memo.ready


def test_a_posted_draft_is_for_good() -> None:
    (posted,) = following(invoice.InvoicePosted("R-1", INVOICE_DATE))
    assert posted == Elsewhere(MEMO_ID, (debit_memo.DebitMemoInvoicePosted(INVOICE_ID),))


def test_an_invoice_of_no_memo_entails_nothing() -> None:
    ordinary = decide(an_invoice(unique_identifier=INVOICE_KEY)).events
    assert following(invoice.InvoiceCanceled(), before=ordinary) == ()


def test_a_revision_keeps_the_memo_and_its_lines() -> None:
    decision = revised(asked(description="better"), BILLED_HERE, FIRST)
    assert isinstance(decision.events[0], invoice.InvoiceRevised)
    assert decision.elsewhere == ()  # it is billed already, by this one
    stands = invoice.fold((*FIRST, *decision.events))
    assert stands is not None
    assert [line.added.charge for line in stands.lines] == [Decimal("100.00")]


def test_a_canceled_invoice_that_comes_back_bills_its_memo_again() -> None:
    canceled = (*FIRST, invoice.InvoiceCanceled())
    released = (*BILLED_HERE, debit_memo.DebitMemoReleased(INVOICE_ID))
    decision = revised(asked(), released, canceled)
    assert decision.elsewhere == (Elsewhere(MEMO_ID, (debit_memo.DebitMemoBilled(INVOICE_ID),)),)
    by_another = (*released, debit_memo.DebitMemoBilled(UUID(int=1)))
    with pytest.raises(debit_memo.AlreadyBilled):
        revised(asked(), by_another, canceled)


@pytest.mark.parametrize(
    ("content", "before"),
    [
        (an_invoice(unique_identifier=INVOICE_KEY), FIRST),
        (asked(reference=ReferenceContent(ReferenceKind.DEBIT_MEMO, "other")), FIRST),
        (asked(), decide(an_invoice(unique_identifier=INVOICE_KEY)).events),
    ],
)
def test_a_revision_neither_takes_nor_leaves_a_memo(
    content: Content, before: tuple[invoice.Event, ...]
) -> None:
    with pytest.raises(Malformed) as malformed:
        revised(content, BILLED_HERE, before)
    assert {f.path: f.rule for f in malformed.value.findings}["invoice.reference"] is Rule.MEMO_STAYS


def test_a_revision_heard_before_is_answered_whatever_it_says() -> None:
    once = revised(asked(description="better"), BILLED_HERE, FIRST, request_id="r")
    again = revised(an_invoice(), BILLED_HERE, (*FIRST, *once.events), request_id="r")
    assert again == invoice.NOTHING


def test_the_lines_of_a_memos_invoice_are_not_replaced_by_others() -> None:
    with pytest.raises(Malformed) as malformed:
        revised(asked(lines=(an_invoice_line(),)), BILLED_HERE, FIRST)
    assert [f.rule for f in malformed.value.findings] == [Rule.MEMO_BRINGS]


def test_the_settings_default_is_not_asked_where_the_memo_says() -> None:
    bare = replace(RULES.reference, settings=replace(SETTINGS, default_legal_entity_id=""))
    rules = replace(rules_with(POSTED), reference=bare)
    decision = billing.ingest(invoice.Ingest(asked()), None, INVOICE_ID, rules, Findings())
    assert becomes(decision).header.legal_entity_id == "de"
