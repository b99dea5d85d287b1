"""Estimating the tax of a draft: whole or not at all, and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import identity, invoice, reference, tax
from domain.findings import Findings
from domain.invoice import (
    AskAgain,
    EngineFailed,
    Estimate,
    FailureCode,
    Ingest,
    Said,
    TaxEstimated,
    TaxEstimationFailed,
    TaxEstimationRequested,
    TaxOutcome,
    TaxSkipped,
    TaxStatus,
    tax_outcome,
)
from domain.reference import EntryStatus

from .examples import KEY, a_line, a_posted_invoice, a_tax, on
from .spec import happened, state_of, when
from .taxes import ENGINE, a_draft, a_rate, flat, net, rules

RATES = rules(
    a_rate("a", "7.25", priority=1),
    net("b", "2", priority=2),
    flat("c", "5.00", priority=3),
    net("d", "1"),
    a_rate("u", "10", tax_code="U"),
)
INVOICE_ID = identity.invoice(KEY)


def a(treatment: str, charge: str = "1000.00", **changes: Any) -> invoice.LineContent:
    return a_line(tax_treatment_id=treatment, charge_amount=Decimal(charge), **changes)


def amounts(state: invoice.Invoice) -> list[list[str]]:
    return [[str(row.amount) for row in line.rows] for line in state.lines]


def estimate(
    events: tuple[invoice.Event, ...], rules: invoice.Rules = RATES, said: Said | None = None
) -> tuple[invoice.Event, ...]:
    return invoice.estimate(Estimate(), state_of(events), INVOICE_ID, rules, said or Said()).events


# At ingestion


def test_a_draft_that_asks_for_its_tax_has_it_in_the_same_append() -> None:
    decided = when(Ingest(a_draft(a("taxed"))), RATES)
    state = decided.becomes
    assert amounts(state) == [["72.50", "21.45", "5.00", "10.99"]]
    assert (state.totals.tax, state.totals.total_with_tax) == (Decimal("109.94"), Decimal("1109.94"))
    assert (state.tax_status, tax_outcome(state)) == (TaxStatus.ESTIMATED, TaxOutcome.ESTIMATED)
    assert state.first_totals == state.totals
    assert decided.drafted.size == len(decided.decide().events)


def test_every_row_says_what_it_was_worked_out_of() -> None:
    estimated = when(Ingest(a_draft(a("taxed"))), RATES).becomes.lines[0].estimate
    assert estimated is not None
    assert (estimated.engine_id, estimated.engine_version) == ("rates", "rate-table/1")
    assert (estimated.rounding, estimated.effective_date) == ("HALF_AWAY_FROM_ZERO", on(2026, 11, 20))
    assert estimated.reference_position == RATES.reference.position
    told = [
        (row.rate_id, row.rate_version, row.basis.value, str(row.taxable_amount)) for row in estimated.rows
    ]
    assert told == [
        ("a", 1, "GROSS", "1000.00"),
        ("b", 1, "NET", "1072.50"),
        ("c", 1, "FLAT", "1000.00"),
        ("d", 1, "NET", "1098.95"),
    ]


def test_mixed_treatments_and_two_engines_on_one_invoice() -> None:
    content = a_draft(a("taxed"), a("untaxed"), a("taxed-2", "20.00"), a("taxed", "100.00"))
    decided = when(Ingest(content), RATES)
    kinds = [type(event) for event in decided.decide().events[-3:]]
    assert kinds == [TaxEstimated, TaxEstimated, TaxSkipped]
    state = decided.becomes
    assert amounts(state)[1:3] == [[], ["2.00"]]
    assert state.totals.tax == Decimal("109.94") + Decimal("2.00") + Decimal("15.54")
    assert {line.tax_status for line in state.lines} == {TaxStatus.ESTIMATED}


def test_where_no_rate_matches_there_is_no_tax_and_that_is_no_failure() -> None:
    state = when(Ingest(a_draft(a("taxed"))), rules()).becomes
    assert (amounts(state), tax_outcome(state)) == ([[]], TaxOutcome.ESTIMATED)


def test_imported_rows_stay_on_nontaxable_lines_and_are_replaced_on_taxable_ones() -> None:
    lines = (a("taxed-2", "20.00", taxes=(a_tax(),)), a("untaxed", taxes=(a_tax(amount=Decimal("3.00")),)))
    state = when(Ingest(a_draft(*lines, tax_status=TaxStatus.ESTIMATED)), RATES).becomes
    assert amounts(state) == [["2.00"], ["3.00"]]
    assert state.totals.tax == Decimal("5.00")


def test_who_does_not_ask_is_not_answered() -> None:
    state = when(Ingest(replace(a_draft(a("taxed")), should_calculate_tax=False)), RATES).becomes
    assert (amounts(state), tax_outcome(state), state.tax_asked) == ([[]], TaxOutcome.NOT_REQUESTED, False)


def test_a_posted_import_is_never_estimated() -> None:
    state = when(Ingest(a_posted_invoice()), RATES).becomes
    assert state.lines[0].estimate is None
    with pytest.raises(invoice.NotDraft):
        invoice.estimate(Estimate(), state, INVOICE_ID, RATES)


def test_what_is_deferred_waits_for_the_background() -> None:
    events = happened(Ingest(a_draft(a("taxed")), defer_tax=True), rules=RATES)
    assert isinstance(events[-1], TaxEstimationRequested)
    assert tax_outcome(state_of(events)) is TaxOutcome.PENDING
    state = state_of((*events, *estimate(events)))
    assert (state.totals.tax, tax_outcome(state)) == (Decimal("109.94"), TaxOutcome.ESTIMATED)
    assert state.first_totals == state.totals


def test_a_negative_invoice_has_negative_tax() -> None:
    assert when(Ingest(a_draft(a("taxed-2", "-20.00"))), RATES).becomes.totals.tax == Decimal("-2.00")


def test_a_revision_has_its_tax_worked_out_anew() -> None:
    drafted = happened(Ingest(a_draft(a("taxed"))), rules=RATES)
    revised = invoice.revise(
        invoice.Revise(a_draft(a("taxed-2", "20.00"))),
        state_of(drafted),
        INVOICE_ID,
        RATES,
        Findings(),
    )
    assert amounts(state_of((*drafted, *revised.events))) == [["2.00"]]


def test_the_same_content_again_is_a_replay_and_other_content_is_told_apart() -> None:
    drafted = happened(Ingest(a_draft(a("taxed"))), rules=RATES)
    again = when(Ingest(a_draft(a("taxed"))), RATES)
    assert replace(again, events=drafted).decide().events == ()
    other = replace(when(Ingest(a_draft(a("taxed", name="Other"))), RATES), events=drafted)
    other.refused(invoice.IngestedDifferently, fields="invoice.lines[0].name")


# Again


def test_an_estimate_again_changes_nothing() -> None:
    events = happened(Ingest(a_draft(a("taxed"), a("untaxed"))), rules=RATES)
    assert estimate(events) == ()


def test_an_estimate_again_changes_only_the_engine_whose_rates_have_changed() -> None:
    events = happened(Ingest(a_draft(a("taxed"), a("taxed-2", "20.00"), a("untaxed"))), rules=RATES)
    moved = rules(*RATES.reference.tax_rates.values(), a_rate("u", "20", tax_code="U"))
    (changed,) = estimate(events, moved)
    assert isinstance(changed, TaxEstimated)
    assert (changed.engine_id, [line.number for line in changed.lines]) == ("rates-2", [2])
    state = state_of((*events, changed))
    assert state.totals.tax == Decimal("113.94")


def test_another_date_or_other_rates_answer_what_would_be() -> None:
    old = rules(a_rate("a", "5", end_date=on(2025, 12, 31)), a_rate("b", "6", start_date=on(2026, 1, 1)))
    state = state_of(happened(Ingest(a_draft(a("taxed"))), rules=old))
    assert state.totals.tax == Decimal("60.00")
    then = invoice.estimate(Estimate(on(2025, 12, 31)), state, INVOICE_ID, old).events
    assert total(then) == Decimal("50.00")
    others = Estimate(rates=reference.table([a_rate("x", "1")]))
    assert total(invoice.estimate(others, state, INVOICE_ID, old).events) == Decimal("10.00")


def total(events: tuple[invoice.Event, ...]) -> Decimal:
    (event,) = events
    assert isinstance(event, TaxEstimated)
    return event.total_tax


# Failure


@pytest.mark.parametrize(
    ("treatment", "entries", "code"),
    [
        ("standard", (), FailureCode.NO_ENGINE),
        ("taxed", (replace(ENGINE, status=EntryStatus.INACTIVE),), FailureCode.ENGINE_NOT_ACTIVE),
    ],
)
def test_where_no_engine_can_be_asked_the_draft_stands_with_the_reason(
    treatment: str, entries: tuple[reference.Entry, ...], code: FailureCode
) -> None:
    content = a_draft(a("taxed-2", taxes=(a_tax(),)), a(treatment), tax_status=TaxStatus.ESTIMATED)
    state = when(Ingest(content), rules(*entries)).becomes
    assert (tax_outcome(state), amounts(state)) == (TaxOutcome.FAILED, [["47.50"], []])
    assert state.tax_failure is not None
    assert state.tax_failure.code == code


def test_a_failure_that_stands_is_not_written_again_and_success_ends_it() -> None:
    events = happened(Ingest(a_draft(a("taxed"))), rules=rules(replace(ENGINE, status=EntryStatus.DRAFT)))
    assert estimate(events, rules(replace(ENGINE, status=EntryStatus.DRAFT))) == ()
    state = state_of((*events, *estimate(events)))
    assert (tax_outcome(state), state.tax_failure) == (TaxOutcome.ESTIMATED, None)


def test_more_tax_than_can_be_summed_up_is_a_failure() -> None:
    state = when(
        Ingest(a_draft(*[a("taxed", "999999999999999.99")] * 200)), rules(a_rate("a", "1000"))
    ).becomes
    assert state.tax_failure is not None
    assert state.tax_failure.code == FailureCode.TOO_LARGE


# Engines elsewhere


def far(events: tuple[invoice.Event, ...], *lines: tax.EstimatedLine) -> Said:
    return said(events, tax.Answer("far/1", lines))


def said(events: tuple[invoice.Event, ...], answer: tax.Answer | EngineFailed) -> Said:
    with pytest.raises(AskAgain) as again:
        estimate(events)
    (asked,) = again.value.asked
    call = invoice.TaxEngineCalled("far", asked.request.document_code, "estimate", 1, 1, "SUCCESS", "d")
    return Said({"far": (asked.request, answer)}, (call,))


def a_row(amount: str) -> tax.EstimatedRow:
    return tax.EstimatedRow(Decimal(amount), Decimal(1), "Far", Decimal("1000.00"), tax.RowBasis.ENGINE)


def test_the_draft_is_written_before_an_engine_elsewhere_is_asked() -> None:
    state = when(Ingest(a_draft(a("taxed-far"), a("taxed"))), RATES).becomes
    assert (tax_outcome(state), amounts(state)) == (TaxOutcome.PENDING, [[], []])


def test_what_an_engine_elsewhere_says_is_recorded_with_its_call() -> None:
    events = happened(Ingest(a_draft(a("taxed-far"), a("taxed-2", "20.00"))), rules=RATES)
    new = estimate(events, said=far(events, tax.EstimatedLine(1, "F", (a_row("7.77"),))))
    assert [type(each) for each in new] == [invoice.TaxEngineCalled, TaxEstimated, TaxEstimated]
    state = state_of((*events, *new))
    assert (amounts(state), state.totals.tax) == ([["7.77"], ["2.00"]], Decimal("9.77"))
    again = estimate((*events, *new), said=far((*events, *new), tax.EstimatedLine(1, "F", (a_row("7.77"),))))
    assert [type(each) for each in again] == [invoice.TaxEngineCalled]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (tax.EstimatedLine(2, "F"),),
        (tax.EstimatedLine(1, "F"), tax.EstimatedLine(1, "F")),
        (tax.EstimatedLine(1, "F", (a_row("0.001"),)),),
        (tax.EstimatedLine(1, "F", (replace(a_row("1"), exempt_amount=Decimal("0.001")),)),),
        (tax.EstimatedLine(1, "F", (a_row("1"),) * 101),),
    ],
    ids=["no lines", "another line", "a line twice", "finer than a cent", "exempt too fine", "too many rows"],
)
def test_nonsense_from_an_engine_changes_no_line(lines: tuple[tax.EstimatedLine, ...]) -> None:
    content = a_draft(a("taxed-far"), a("taxed-2", taxes=(a_tax(),)), tax_status=TaxStatus.ESTIMATED)
    events = happened(Ingest(content), rules=RATES)
    new = estimate(events, said=far(events, *lines))
    assert [type(each) for each in new] == [invoice.TaxEngineCalled, TaxEstimationFailed]
    state = state_of((*events, *new))
    assert (amounts(state), state.totals.tax) == ([[], ["47.50"]], Decimal("47.50"))
    assert state.tax_failure is not None
    assert (state.tax_failure.engine_id, state.tax_failure.code) == ("far", "NONSENSE")


def test_an_answer_to_what_is_no_longer_asked_is_not_taken() -> None:
    events = happened(Ingest(a_draft(a("taxed-far"))), rules=RATES)
    old = far(events, tax.EstimatedLine(1, "F", (a_row("7.77"),)))
    changed = happened(Ingest(a_draft(a("taxed-far", "2.00"))), rules=RATES)
    with pytest.raises(AskAgain):
        estimate(changed, said=old)


# Sums


LINES = st.lists(
    st.builds(
        lambda treatment, units: a(treatment, str(Decimal(units).scaleb(-2))),
        st.sampled_from(["taxed", "taxed-2", "untaxed"]),
        st.integers(-(10**11), 10**11),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(lines=LINES, data=st.data())
def test_sums_are_exact_and_the_order_of_lines_does_not_matter(
    lines: list[invoice.LineContent], data: st.DataObject
) -> None:
    state = when(Ingest(a_draft(*lines)), RATES).becomes
    assert state.totals.tax == sum((row.amount for line in state.lines for row in line.rows), Decimal(0))
    assert all(line.tax == sum((row.amount for row in line.rows), Decimal(0)) for line in state.lines)
    shuffled = data.draw(st.permutations(lines))
    other = when(Ingest(a_draft(*shuffled)), RATES).becomes
    assert other.totals == state.totals
    assert sorted(amounts(other)) == sorted(amounts(state))
