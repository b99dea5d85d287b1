"""A debit memo: charged later, and invoiced once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain import debit_memo, identity, invoice
from domain.debit_memo import (
    AlreadyBilled,
    CreatedDifferently,
    DebitMemoBilled,
    DebitMemoCanceled,
    DebitMemoInvoicePosted,
    DebitMemoPosted,
    DebitMemoProcessed,
    DebitMemoReleased,
    DebitMemoVoided,
    Generation,
    NotInvoiceable,
    NotPosted,
    ProcessedByHand,
    Status,
    WithoutLines,
)
from domain.findings import Findings, Malformed, Rule
from domain.refusal import Refused

from .examples import RULES, TODAY, a_tax, an_address, on

KEY = "memo-1"
MEMO_ID = identity.debit_memo(KEY)
INVOICE_ID = identity.invoice("its invoice")
Events = tuple[debit_memo.Event, ...]
Ask = Callable[[debit_memo.DebitMemo | None], Events]


def a_line(**changes: Any) -> debit_memo.LineContent:
    return replace(debit_memo.LineContent("Support", Decimal("100.00")), **changes)


def a_memo(**changes: Any) -> debit_memo.Content:
    good = debit_memo.Content(
        unique_identifier=KEY,
        account_id="acc-1",
        currency_code="EUR",
        address_groups=(an_address(),),
        billing_address="main",
        shipping_address="main",
        lines=(a_line(),),
    )
    return replace(good, **changes)


def create(**changes: Any) -> Ask:
    command = debit_memo.Create(a_memo(**changes))
    return lambda memo: debit_memo.create(command, memo, MEMO_ID, RULES, Findings()).events


def update(expected_version: int = 0, request_id: str = "", **changes: Any) -> Ask:
    command = debit_memo.Update(a_memo(**changes), expected_version, request_id)
    return lambda memo: debit_memo.update(command, memo, MEMO_ID, RULES, Findings()).events


def processed(reason: str = "by hand") -> Ask:
    command = debit_memo.MarkProcessed(reason)
    return lambda memo: debit_memo.mark_processed(command, memo, MEMO_ID, Findings()).events


def bill(invoice_id: UUID = INVOICE_ID) -> Ask:
    return lambda memo: debit_memo.bill(there(memo), MEMO_ID, invoice_id)


def there(memo: debit_memo.DebitMemo | None) -> debit_memo.DebitMemo:
    assert memo is not None
    return memo


POST: Ask = lambda memo: debit_memo.post(debit_memo.Post(), memo, MEMO_ID, RULES).events  # noqa: E731
CANCEL: Ask = lambda memo: debit_memo.cancel(debit_memo.Cancel(), memo, MEMO_ID).events  # noqa: E731
VOID: Ask = lambda memo: debit_memo.void(debit_memo.Void(), memo, MEMO_ID).events  # noqa: E731
RELEASE: Ask = lambda memo: debit_memo.release(there(memo), INVOICE_ID)  # noqa: E731
INVOICE_POSTED: Ask = lambda memo: debit_memo.invoice_posted(there(memo), INVOICE_ID)  # noqa: E731


def happened(*asked: Ask) -> Events:
    events: Events = ()
    for ask in asked:
        events += ask(debit_memo.fold(events))
    return events


def state(events: Events) -> debit_memo.DebitMemo:
    return there(debit_memo.fold(events))


DRAFT = happened(create())
EMPTY = happened(create(lines=()))
POSTED = happened(create(), POST)
CANCELED = happened(create(), CANCEL)
VOIDED = happened(create(), POST, VOID)
PROCESSED = happened(create(), POST, processed())
NOT_FOR_INVOICES = happened(create(not_invoiceable=True), POST)
BILLED = happened(create(), POST, bill())
FOR_GOOD = happened(create(), POST, bill(), INVOICE_POSTED)


@pytest.mark.parametrize(
    ("given", "ask", "event"),
    [
        (DRAFT, POST, DebitMemoPosted(TODAY)),
        (DRAFT, CANCEL, DebitMemoCanceled()),
        (POSTED, VOID, DebitMemoVoided()),
        (PROCESSED, VOID, DebitMemoVoided()),
        (POSTED, processed("why"), DebitMemoProcessed(debit_memo.ProcessedTexts("why"))),
        (POSTED, bill(), DebitMemoBilled(INVOICE_ID)),
        (BILLED, RELEASE, DebitMemoReleased(INVOICE_ID)),
        (BILLED, INVOICE_POSTED, DebitMemoInvoicePosted(INVOICE_ID)),
        (happened(create(), POST, bill(), RELEASE), bill(UUID(int=1)), DebitMemoBilled(UUID(int=1))),
    ],
)
def test_what_may_be_asked_happens(given: Events, ask: Ask, event: debit_memo.Event) -> None:
    assert ask(state(given)) == (event,)


@pytest.mark.parametrize(
    ("given", "ask"),
    [
        (DRAFT, create()),
        (POSTED, create()),
        (DRAFT, update()),
        (POSTED, POST),
        (CANCELED, CANCEL),
        (VOIDED, VOID),
        (PROCESSED, processed("again")),
        (BILLED, bill()),
        (POSTED, RELEASE),
        (FOR_GOOD, RELEASE),
        (FOR_GOOD, INVOICE_POSTED),
        (happened(create(), POST, bill(UUID(int=1))), RELEASE),
    ],
)
def test_what_stands_already_is_not_written_again(given: Events, ask: Ask) -> None:
    assert ask(state(given)) == ()


@pytest.mark.parametrize(
    ("given", "ask", "refusal"),
    [
        (DRAFT, create(account_id="other"), CreatedDifferently),
        (POSTED, update(account_id="other"), debit_memo.NotDraft),
        (DRAFT, update(expected_version=9, account_id="x"), debit_memo.VersionMoved),
        (EMPTY, POST, WithoutLines),
        (CANCELED, POST, debit_memo.NotDraft),
        (VOIDED, POST, debit_memo.NotDraft),
        (POSTED, CANCEL, debit_memo.NotDraft),
        (DRAFT, VOID, NotPosted),
        (CANCELED, VOID, NotPosted),
        (BILLED, VOID, AlreadyBilled),
        (FOR_GOOD, VOID, AlreadyBilled),
        (DRAFT, processed(), NotPosted),
        (VOIDED, processed(), NotPosted),
        (BILLED, processed(), AlreadyBilled),
        (NOT_FOR_INVOICES, processed(), NotInvoiceable),
        (EMPTY, bill(), WithoutLines),
        (DRAFT, bill(), NotPosted),
        (CANCELED, bill(), NotPosted),
        (VOIDED, bill(), NotPosted),
        (NOT_FOR_INVOICES, bill(), NotInvoiceable),
        (PROCESSED, bill(), ProcessedByHand),
        (BILLED, bill(UUID(int=1)), AlreadyBilled),
        (FOR_GOOD, bill(UUID(int=1)), AlreadyBilled),
    ],
)
def test_what_may_not_be_asked_is_refused(given: Events, ask: Ask, refusal: type[Refused]) -> None:
    with pytest.raises(refusal):
        ask(state(given))


@pytest.mark.parametrize("ask", [update(), POST, CANCEL, VOID, processed()])
def test_a_memo_that_is_not_there_is_not_found(ask: Ask) -> None:
    with pytest.raises(debit_memo.NotFound):
        ask(None)


@pytest.mark.parametrize(
    ("events", "status", "generation", "ready"),
    [
        (DRAFT, Status.DRAFT, Generation.NONE, False),
        (POSTED, Status.POSTED, Generation.READY, True),
        (CANCELED, Status.CANCELED, Generation.NONE, False),
        (VOIDED, Status.VOID, Generation.NONE, False),
        (PROCESSED, Status.POSTED, Generation.READY, False),
        (NOT_FOR_INVOICES, Status.POSTED, Generation.NOT_APPLICABLE, False),
        (BILLED, Status.POSTED, Generation.DRAFT_INVOICE_GENERATED, False),
        (happened(create(), POST, bill(), RELEASE), Status.POSTED, Generation.READY, True),
        (FOR_GOOD, Status.POSTED, Generation.POSTED_INVOICE_GENERATED, False),
    ],
)
def test_where_a_memo_stands(events: Events, status: Status, generation: Generation, ready: bool) -> None:
    memo = state(events)
    assert (memo.status, memo.generation, memo.ready) == (status, generation, ready)


def test_a_line_takes_todays_date_and_the_default_treatment() -> None:
    (line,) = state(DRAFT).lines
    assert (line.added.start_date, line.added.end_date) == (TODAY, TODAY)
    assert line.added.tax_treatment_id == "standard"
    assert line.added.accounting_period_id == ""
    assert state(DRAFT).header.legal_entity_id == "de"
    assert state(DRAFT).header.defaulted == ("legal_entity_id",)


def test_a_line_with_one_date_has_it_at_both_ends() -> None:
    (line,) = state(happened(create(lines=(a_line(end_date=on(2026, 10, 3)),)))).lines
    assert (line.added.start_date, line.added.end_date) == (on(2026, 10, 3), on(2026, 10, 3))


def test_a_memo_comes_to_the_sum_of_its_lines_and_taxes() -> None:
    memo = state(happened(create(lines=(a_line(taxes=(a_tax(),)), a_line(charge_amount=Decimal("-30.00"))))))
    assert memo.totals == debit_memo.Totals(Decimal("70.00"), Decimal("47.50"))
    assert memo.totals.total_with_tax == Decimal("117.50")


def test_an_update_replaces_the_content_of_a_draft_once() -> None:
    events = happened(create(), update(request_id="r", lines=(a_line(charge_amount=Decimal("7.00")),)))
    assert state(events).totals.total == Decimal("7.00")
    assert len(state(events).lines) == 1
    assert update(request_id="r", account_id="whatever")(state(events)) == ()
    assert create()(state(events)) == ()


@pytest.mark.parametrize(
    ("changes", "path", "rule"),
    [
        ({"unique_identifier": ""}, "memo.unique_identifier", Rule.REQUIRED),
        ({"account_id": ""}, "memo.account_id", Rule.REQUIRED),
        ({"currency_code": ""}, "memo.currency_code", Rule.REQUIRED),
        ({"currency_code": "EURO"}, "memo.currency_code", Rule.CURRENCY),
        ({"reason_code": "x" * 256}, "memo.reason_code", Rule.TOO_LONG),
        ({"order_id": "\x00"}, "memo.order_id", Rule.CHARACTERS),
        ({"legal_entity_id": "gone"}, "memo.legal_entity_id", Rule.NOT_ACTIVE),
        ({"billing_address": "x"}, "memo.billing_address", Rule.NO_SUCH_ADDRESS_GROUP),
        ({"address_groups": (an_address(), an_address())}, "memo.address_groups[1].key", Rule.DUPLICATE),
        ({"lines": (a_line(name=""),)}, "memo.lines[0].name", Rule.REQUIRED),
        ({"lines": (a_line(charge_amount=None),)}, "memo.lines[0].charge_amount", Rule.REQUIRED),
        (
            {"lines": (a_line(charge_amount=Decimal("0.001")),)},
            "memo.lines[0].charge_amount",
            Rule.FINER_THAN_CURRENCY,
        ),
        (
            {"lines": (a_line(start_date=on(2026, 2, 2), end_date=on(2026, 2, 1)),)},
            "memo.lines[0].end_date",
            Rule.ENDS_BEFORE_START,
        ),
        ({"lines": (a_line(legal_entity_id="fj"), a_line(legal_entity_id="de"))}, None, None),
        ({"lines": (a_line(tax_treatment_id="no"),)}, "memo.lines[0].tax_treatment_id", Rule.NO_SUCH_ENTRY),
        ({"lines": (a_line(taxes=(a_tax(name=""),)),)}, "memo.lines[0].taxes[0].name", Rule.REQUIRED),
    ],
)
def test_a_memo_is_held_against_the_rules_of_its_invoice(
    changes: dict[str, Any], path: str | None, rule: Rule | None
) -> None:
    with pytest.raises(Malformed) as malformed:
        create(**changes)(None)
    found = {finding.path: finding.rule for finding in malformed.value.findings}
    if path is None:
        assert Rule.MIXED_LEGAL_ENTITY in found.values()
    else:
        assert found == {path: rule}


def test_a_second_finding_about_one_key_names_the_first_in_the_memo() -> None:
    with pytest.raises(Malformed) as malformed:
        create(address_groups=(an_address(), an_address()))(None)
    assert malformed.value.findings[0].facts["first"] == "memo.address_groups[0].key"


def test_an_update_under_another_key_is_a_finding() -> None:
    with pytest.raises(Malformed) as malformed:
        update(unique_identifier="other")(state(DRAFT))
    assert malformed.value.findings[0].rule is Rule.UNIQUE_IDENTIFIER_DIFFERS


def test_marking_as_processed_takes_a_reason() -> None:
    with pytest.raises(Malformed) as malformed:
        processed(" ")(state(POSTED))
    assert malformed.value.findings[0].path == "reason"


def test_a_refusal_names_what_differs() -> None:
    with pytest.raises(CreatedDifferently) as refusal:
        create(account_id="other", currency_code="USD", not_invoiceable=True, lines=(), labels={"a": "b"})(
            state(DRAFT)
        )
    assert set(refusal.value.facts["fields"].split(", ")) == {
        "memo.account_id",
        "memo.currency_code",
        "memo.invoiceable",
        "memo.labels",
        "memo.lines",
    }


def test_a_treatment_of_no_tax_can_be_charged() -> None:
    (line,) = state(happened(create(lines=(a_line(tax_treatment_id="exempt"),)))).lines
    assert line.added.tax_treatment_id == "exempt"
    assert line.rows == ()


def test_the_memo_of_an_invoice_does_not_lend_its_events() -> None:
    assert not set(debit_memo.EVENTS) & set(invoice.EVENTS)
