"""Posting a draft: its taxes for good, its number, and from then on it is final."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain import identity, invoice, tax
from domain.invoice import (
    AskAgain,
    Cancel,
    Ingest,
    InvoiceCanceled,
    InvoicePosted,
    InvoiceRevised,
    NotDraft,
    NotFound,
    PeriodClosed,
    Post,
    PostingFailed,
    PostingTaxRequested,
    Revise,
    Said,
    Settlement,
    Status,
    TaxDocument,
    TaxPosted,
    TaxStatus,
    TaxVoided,
    TaxVoidFailed,
    TaxVoidRequested,
)
from domain.reference import EntryStatus, PeriodStatus
from domain.sequence import NumberRequired

from .examples import KEY, NOVEMBER, SEPTEMBER, SETTINGS, TODAY, a_posted_invoice, a_tax, on
from .sequences import a_policy, required, where
from .spec import given, happened, state_of, when
from .taxes import ENGINE, FAR, TAXED, a_draft, a_rate, rules
from .test_estimates import a, a_row, amounts

INVOICE_ID = identity.invoice(KEY)
RATES = rules(a_rate("a", "19"), a_rate("u", "10", tax_code="U"), a_policy())
DRAFT = happened(Ingest(a_draft(a("taxed"))), rules=RATES)
FAR_DRAFT = happened(Ingest(a_draft(a("taxed-far"), a("taxed"))), rules=RATES)
POST = Post()


def posted(events: tuple[invoice.Event, ...] = DRAFT, rules: invoice.Rules = RATES) -> invoice.Invoice:
    return given(*events, rules=rules).when(POST).becomes


def decide(
    events: tuple[invoice.Event, ...], said: Said | None = None, rules: invoice.Rules = RATES
) -> invoice.Decision:
    return invoice.post(POST, state_of(events), INVOICE_ID, rules, said or Said())


# What becomes of a draft


def test_a_draft_is_posted_today_with_all_its_taxes() -> None:
    given(*DRAFT, rules=RATES).when(POST).then(TaxPosted, InvoicePosted)
    state = posted()
    assert (state.status, state.posted_date) == (Status.POSTED, TODAY)
    assert (state.tax_status, state.settlement) == (TaxStatus.POSTED, Settlement.NOT_SETTLED)
    assert {line.tax_status for line in state.lines} == {TaxStatus.POSTED}
    assert state.totals.total_with_tax == state.totals.balance == Decimal("1190.00")


def test_today_is_where_the_legal_entity_is() -> None:
    late = replace(RATES, now=RATES.now.replace(hour=23, minute=30))
    assert posted(rules=late).posted_date == on(2026, 11, 24)


def test_posting_what_is_posted_changes_nothing() -> None:
    given(*DRAFT, *decide(DRAFT).events, rules=RATES).when(POST).then()
    given(*happened(Ingest(a_posted_invoice()))).when(POST).then()


def test_only_a_draft_is_posted() -> None:
    given(*happened(Ingest(a_draft(a("taxed"))), Cancel(), rules=RATES)).when(POST).refused(
        NotDraft, status="canceled", verb="posted"
    )
    when(POST).refused(NotFound)


def test_a_posted_invoice_is_neither_revised_nor_canceled() -> None:
    final = (*DRAFT, *decide(DRAFT).events)
    given(*final, rules=RATES).when(Cancel()).refused(NotDraft, status="posted")
    given(*final, rules=RATES).when(Revise(a_draft(a("taxed")))).refused(NotDraft, status="posted")


def test_the_taxes_are_worked_out_anew_by_the_rates_of_today() -> None:
    higher = rules(a_rate("a", "20"))
    assert amounts(posted(rules=higher)) == [["200.00"]]


def test_what_was_brought_stays_on_nontaxable_lines_and_is_replaced_on_taxable_ones() -> None:
    lines = (a("taxed", taxes=(a_tax(),)), a("untaxed", taxes=(a_tax(amount=Decimal("3.00")),)))
    draft = happened(
        Ingest(a_draft(*lines, should_calculate_tax=False, tax_status=TaxStatus.ESTIMATED)), rules=RATES
    )
    state = posted(draft)
    assert amounts(state) == [["190.00"], ["3.00"]]
    assert state.totals.tax == Decimal("193.00")


def test_a_draft_whose_tax_nobody_asked_for_is_taxed_all_the_same() -> None:
    draft = happened(Ingest(a_draft(a("taxed"), should_calculate_tax=False)), rules=RATES)
    assert posted(draft).totals.tax == Decimal("190.00")


def test_tax_that_was_asked_for_and_is_not_known_is_asked_for_no_more() -> None:
    draft = happened(Ingest(a_draft(a("taxed")), defer_tax=True), rules=RATES)
    assert state_of(draft).tax_asked
    assert not posted(draft).tax_asked


def test_an_invoice_without_taxable_lines_needs_no_engine() -> None:
    draft = happened(Ingest(a_draft(a("untaxed"))), rules=RATES)
    given(*draft, rules=RATES).when(POST).then(InvoicePosted)
    assert posted(draft).tax_status is TaxStatus.POSTED


def test_an_invoice_over_nothing_has_nothing_to_settle() -> None:
    draft = happened(Ingest(a_draft(a("untaxed", "0.00"))), rules=RATES)
    assert posted(draft).settlement is Settlement.NOT_APPLICABLE


@pytest.mark.long
def test_ten_thousand_lines_are_posted() -> None:
    draft = happened(Ingest(a_draft(*(a("taxed", "1.00") for _ in range(10_000)))), rules=RATES)
    assert posted(draft).totals.total_with_tax == Decimal("11900.00")


def test_the_explanation_of_the_taxes_names_the_document_that_they_were_posted_with() -> None:
    line = posted().lines[0]
    assert line.estimate is not None
    assert line.estimate.document_code == line.rows[0].document_number
    assert line.estimate.document_code.startswith(f"{INVOICE_ID}-post-")


# Its period


@pytest.mark.parametrize(
    "content",
    [
        a_draft(a("taxed")),
        a_draft(a("taxed"), accounting_period_id="de-11"),
        a_draft(a("taxed"), a("taxed", accounting_period_id="de-11"), invoice_date=on(2026, 12, 1)),
    ],
)
def test_nothing_is_posted_into_a_closed_period(content: invoice.Content) -> None:
    draft = happened(Ingest(content), rules=RATES)
    closed = replace(NOVEMBER, status=PeriodStatus.CLOSED)
    given(*draft, rules=rules(closed)).when(POST).refused(PeriodClosed, period="de-11")
    allowed = replace(SETTINGS, closed_periods_allowed=True)
    assert posted(draft, rules(closed, allowed)).status is Status.POSTED


def test_a_draft_without_a_period_belongs_to_the_one_that_its_date_lies_in() -> None:
    draft = happened(Ingest(a_draft(a("taxed"), invoice_date=on(2026, 9, 15))), rules=RATES)
    assert not state_of(draft).header.accounting_period_id
    given(*draft, rules=RATES).when(POST).refused(PeriodClosed, period=SEPTEMBER.id)


# Its number


def test_the_one_policy_that_matches_numbers_the_invoice() -> None:
    decision = decide(DRAFT)
    assert decision.place is not None
    assert (decision.place.policy.id, decision.place.period, decision.place.day) == ("invoices", "", TODAY)
    assert decision.numbered("R-00001")[-1] == InvoicePosted("R-00001", TODAY, policy_id="invoices")
    assert state_of((*DRAFT, *decision.numbered("R-00001"))).number == "R-00001"


def test_conditions_are_held_against_the_invoice() -> None:
    labels = {"team": "north"}
    source = invoice.SourceContent("shop")
    draft = happened(Ingest(a_draft(a("taxed"), labels=labels, source=source, owner_id="u-1")), rules=RATES)
    fields = (
        where("account_id", "acc-1"),
        where("bill_to_contact_id", "con-1"),
        where("currency_code", "EUR"),
        where("owner_id", "u-1"),
        where("payment_term_id", "net-30"),
        where("purchase_order_number", ""),
        where("reference_kind", ""),
        where("source_system", "shop"),
        where("labels.team", "north"),
    )
    assert decide(draft, rules=rules(a_policy(conditions=fields))).place is not None
    for each in fields:
        other = a_policy(conditions=(replace(each, value="something else"),))
        assert decide(draft, rules=rules(other)).place is None


def test_a_draft_that_brought_a_number_keeps_it() -> None:
    draft = happened(Ingest(a_draft(a("taxed"), invoice_number="R-7")), rules=RATES)
    decision = decide(draft)
    assert (decision.place, decision.claim) == (None, None)
    assert posted(draft).number == "R-7"
    assert posted(draft, rules(*required())).number == "R-7"


def test_without_a_policy_there_is_no_number_unless_one_is_required() -> None:
    assert posted(rules=rules()).number == ""
    given(*DRAFT, rules=rules(*required())).when(POST).refused(NumberRequired, count="0")


# Where an engine fails


def test_a_draft_whose_engine_is_asleep_stays_a_draft() -> None:
    asleep = rules(replace(ENGINE, status=EntryStatus.INACTIVE))
    given(*DRAFT, rules=asleep).when(POST).then(PostingFailed)
    state = posted(rules=asleep)
    assert state.status is Status.DRAFT
    assert state.posting.failure is not None
    assert (state.posting.failure.engine_id, state.posting.failure.code) == ("rates", "ENGINE_NOT_ACTIVE")
    assert amounts(state) == amounts(state_of(DRAFT))


def test_a_failure_is_recorded_once() -> None:
    asleep = rules(replace(ENGINE, status=EntryStatus.INACTIVE))
    failed = (*DRAFT, *decide(DRAFT, rules=asleep).events)
    given(*failed, rules=asleep).when(POST).then()
    given(*failed, rules=RATES).when(POST).then(TaxPosted, InvoicePosted)


def test_a_revision_forgets_that_a_posting_failed() -> None:
    asleep = rules(replace(ENGINE, status=EntryStatus.INACTIVE))
    failed = (*DRAFT, *decide(DRAFT, rules=asleep).events)
    revised = given(*failed, rules=RATES).when(Revise(a_draft(a("taxed", "5.00")))).becomes
    assert revised.posting.failure is None


# Engines elsewhere

CODE = invoice.document_code(INVOICE_ID, "post", "far")
AGAIN = invoice.document_code(INVOICE_ID, "post-2", "far")
REQUESTED = (*FAR_DRAFT, *decide(FAR_DRAFT).events)


def asked_of(events: tuple[invoice.Event, ...], rules: invoice.Rules = RATES) -> tuple[invoice.Asked, ...]:
    with pytest.raises(AskAgain) as again:
        decide(events, rules=rules)
    return again.value.asked


def answered(
    events: tuple[invoice.Event, ...], amount: str = "7.77", rules: invoice.Rules = RATES
) -> invoice.Decision:
    """What the far engine's answer to just what it is asked makes of the draft."""
    [asked] = asked_of(events, rules)
    answer = tax.Answer("far/1", (tax.EstimatedLine(1, "F", (a_row(amount),)),))
    return decide(events, Said({"far": (asked.request, answer)}), rules)


def test_that_an_engine_is_about_to_file_is_on_record_before_it_is_asked() -> None:
    given(*FAR_DRAFT, rules=RATES).when(POST).then(
        PostingTaxRequested((TaxDocument("far", CODE),), TODAY, RATES.reference.position)
    )
    [asked] = asked_of(REQUESTED)
    assert (asked.request.document_code, asked.request.commit) == (CODE, True)


def test_what_the_engine_answers_is_posted_together_with_the_rates_of_the_book() -> None:
    decision = answered(REQUESTED)
    assert [type(event) for event in decision.events] == [TaxPosted, TaxPosted, InvoicePosted]
    assert [event.following for event in decision.events if isinstance(event, TaxPosted)] == [2, 1]
    state = state_of((*REQUESTED, *decision.events))
    assert amounts(state) == [["7.77"], ["190.00"]]
    assert state.posting.documents == {"far": TaxDocument("far", CODE)}


def test_each_attempt_asks_the_very_same() -> None:
    tomorrow = replace(RATES, now=RATES.now.replace(day=25))
    assert asked_of(REQUESTED) == asked_of(REQUESTED, tomorrow)


def test_an_engine_that_failed_is_asked_for_the_same_document_again() -> None:
    [asked] = asked_of(REQUESTED)
    failure = invoice.EngineFailed("far", invoice.FailureCode.TIMEOUT, "no answer within 5000 ms")
    decision = decide(REQUESTED, Said({"far": (asked.request, failure)}))
    assert [type(event) for event in decision.events] == [PostingFailed]
    failed = (*REQUESTED, *decision.events)
    assert state_of(failed).status is Status.DRAFT
    assert asked_of(failed) == (asked,)
    assert state_of((*failed, *answered(failed).events)).status is Status.POSTED


@pytest.mark.parametrize(
    ("command", "event"), [(Cancel(), InvoiceCanceled), (Revise(a_draft(a("taxed"))), InvoiceRevised)]
)
def test_a_draft_that_is_given_up_voids_what_may_have_been_filed(
    command: Cancel | Revise, event: type[invoice.Event]
) -> None:
    decided = given(*REQUESTED, rules=RATES).when(command)
    kinds = [type(each) for each in decided.decide().events]
    assert kinds[:2] == [TaxVoidRequested, event]
    assert decided.becomes.posting.to_void == (TaxDocument("far", CODE),)
    assert decided.becomes.posting.documents == {}


def test_a_draft_for_which_nothing_was_filed_has_nothing_to_void() -> None:
    given(*FAR_DRAFT, rules=RATES).when(Cancel()).then(InvoiceCanceled)


def test_after_a_posting_was_given_up_the_next_one_files_another_document() -> None:
    revised = happened(Ingest(a_draft(a("taxed-far"), a("taxed"))), rules=RATES)
    revised += decide(revised).events
    revised += given(*revised, rules=RATES).when(Revise(a_draft(a("taxed-far", "5.00")))).decide().events
    given(*revised, rules=RATES).when(POST).then(
        PostingTaxRequested((TaxDocument("far", AGAIN),), TODAY, RATES.reference.position)
    )


def test_a_document_at_an_engine_that_is_asked_no_more_is_voided_with_the_posting() -> None:
    at_home = replace(TAXED, id="taxed-far")
    decision = decide(REQUESTED, rules=rules(a_rate("a", "19"), at_home))
    assert [type(event) for event in decision.events] == [TaxVoidRequested, TaxPosted, InvoicePosted]
    state = state_of((*REQUESTED, *decision.events))
    assert (state.posting.documents, state.posting.to_void) == ({}, (TaxDocument("far", CODE),))


def test_a_posting_that_has_become_impossible_is_given_up() -> None:
    decision = invoice.give_up(state_of(REQUESTED), INVOICE_ID, "its period was closed")
    assert decision.events == (TaxVoidRequested((TaxDocument("far", CODE),), "its period was closed"),)
    assert invoice.give_up(state_of(DRAFT), INVOICE_ID, "its period was closed").events == ()
    after = (*REQUESTED, *answered(REQUESTED).events)
    assert invoice.give_up(state_of(after), INVOICE_ID, "too late").events == ()


def test_an_engine_that_is_asleep_is_not_asked() -> None:
    asleep = rules(a_rate("a", "19"), replace(FAR, status=EntryStatus.INACTIVE))
    given(*FAR_DRAFT, rules=asleep).when(POST).then(PostingFailed)


# Voiding documents

DOCUMENT = TaxDocument("far", CODE)
TO_VOID = (*REQUESTED, *given(*REQUESTED, rules=RATES).when(Cancel()).decide().events)
CALLED = invoice.TaxEngineCalled("far", CODE, "void", 1, 7, "SUCCESS", "")


def test_a_document_that_its_engine_has_voided_is_done_with() -> None:
    decision = invoice.record_void(state_of(TO_VOID), (DOCUMENT,), (CALLED,), None)
    assert decision.events == (CALLED, TaxVoided((DOCUMENT,)))
    done = state_of((*TO_VOID, *decision.events))
    assert done.posting.to_void == ()
    assert invoice.record_void(done, (DOCUMENT,), (CALLED,), None).events == ()


def test_a_document_that_could_not_be_voided_is_still_to_be_voided() -> None:
    failure = invoice.EngineFailed("far", invoice.FailureCode.UNREACHABLE, "out of reach")
    decision = invoice.record_void(state_of(TO_VOID), (DOCUMENT,), (CALLED,), failure)
    assert decision.events == (CALLED, TaxVoidFailed("far", "UNREACHABLE", "out of reach"))
    assert state_of((*TO_VOID, *decision.events)).posting.to_void == (DOCUMENT,)


def test_what_is_to_be_voided_meanwhile_is_asked_for_again() -> None:
    decision = invoice.record_void(state_of(TO_VOID), (), (CALLED,), None)
    assert decision.events == (CALLED,)
