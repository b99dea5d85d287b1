"""Payments, writing off and voiding: what closes a posted invoice, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from domain import credit_memo, crediting, invoice
from domain.crediting import Converted, Settled, Void, WriteOff, WrittenOff
from domain.findings import Rule
from domain.invoice import (
    CreditOrigin,
    MoreThanBalance,
    MoreThanPaid,
    NothingOwed,
    NotPosted,
    OtherCurrency,
    PaymentNotFound,
    PeriodClosed,
    RequestDiffers,
    ReversePayment,
    Settlement,
    Status,
)

from .examples import SEPTEMBER, TODAY, an_invoice, rules_with
from .settling import Book, pay

NOBODY = UUID(int=9)
EARLIER, LATER = date(2026, 11, 5), date(2026, 11, 12)
IN_SEPTEMBER = date(2026, 9, 15)


def settled(book: Book, invoice_id: UUID) -> tuple[str, str, date | None]:
    """Balance, settlement, and when it was settled in full."""
    state = book.invoice(invoice_id)
    return str(state.totals.balance), state.settlement, state.full_settlement_date


# Payments


def test_a_posted_invoice_owes_its_total_with_tax() -> None:
    book = Book()
    owed = book.posted("100.00", "50.00", tax="0.19")
    assert settled(book, owed) == ("178.50", Settlement.NOT_SETTLED, None)


def test_a_payment_of_a_part_leaves_the_rest_open() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.do(pay("40.00"), owed)
    assert settled(book, owed) == ("60.00", Settlement.PARTIALLY_SETTLED, None)


def test_with_the_last_payment_it_is_settled_on_the_day_of_the_latest() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.do(pay("40.00", "p-1", effective_date=LATER), owed)
    book.do(pay("60.00", "p-2", effective_date=EARLIER), owed)
    assert settled(book, owed) == ("0.00", Settlement.SETTLED, LATER)


def test_a_payment_is_of_today_unless_it_says_otherwise_and_keeps_what_it_is_called() -> None:
    book = Book()
    owed = book.posted("100.00")
    [event] = book.do(pay("40.00", reference="SEPA 77"), owed)
    assert (event.effective_date, event.reference, event.amount) == (TODAY, "SEPA 77", Decimal("40.00"))


def test_a_payment_heard_twice_is_recorded_once_even_after_the_invoice_is_settled() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.do(pay("100.00"), owed)
    assert book.do(pay("100.00"), owed) == []
    assert book.do(pay("100"), owed) == [], "the same amount"
    assert book.do(pay("100.00", effective_date=TODAY), owed) == [], "the same day"


@pytest.mark.parametrize(
    "other",
    [pay("39.00"), pay("40.00", reference="else"), pay("40.00", effective_date=EARLIER)],
    ids=["amount", "reference", "day"],
)
def test_another_payment_under_the_same_request_is_refused(other: invoice.RecordPayment) -> None:
    book = Book()
    owed = book.posted("100.00")
    book.do(pay("40.00"), owed)
    book.refuses(other, owed, RequestDiffers)


def test_a_request_that_stood_for_a_payment_cannot_stand_for_its_reversal() -> None:
    book = Book()
    owed = book.posted("100.00")
    [paid] = book.do(pay("40.00", "r"), owed)
    book.refuses(ReversePayment(paid.payment_id, "r"), owed, RequestDiffers)


def test_no_more_is_paid_than_is_owed() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.refuses(pay("100.01"), owed, MoreThanBalance, amount="100.01", balance="100.00", currency="EUR")
    book.do(pay("100.00"), owed)
    book.refuses(pay("0.01", "p-2"), owed, NothingOwed, balance="0.00")


def test_nothing_is_paid_on_a_credit() -> None:
    book = Book()
    book.refuses(pay("1.00"), book.posted("-100.00"), NothingOwed, balance="-100.00")


def test_a_payment_is_in_the_currency_of_the_invoice() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.refuses(pay("10.00", currency="USD"), owed, OtherCurrency, said="USD", currency="EUR")


@pytest.mark.parametrize("status", [Status.DRAFT, Status.CANCELED, Status.VOIDED])
def test_only_a_posted_invoice_is_paid(status: Status) -> None:
    book = Book()
    if status is Status.VOIDED:
        owed = book.posted("100.00")
        book.do(Void(), owed)
    else:
        owed = book.ingested(an_invoice())
        if status is Status.CANCELED:
            book.invoices[owed].append(invoice.InvoiceCanceled())
    book.refuses(pay("1.00"), owed, NotPosted, status=status.lower(), verb="paid")


def test_everything_wrong_with_a_payment_is_said_at_once() -> None:
    book = Book()
    owed = book.posted("100.00")
    wrong = invoice.RecordPayment(None, "", " ", date(3000, 1, 1), "a\x00b")
    expected = {
        "request_id": Rule.REQUIRED,
        "reference": Rule.CHARACTERS,
        "amount": Rule.REQUIRED,
        "amount.currency_code": Rule.REQUIRED,
        "effective_date": Rule.OUT_OF_RANGE,
    }
    book.finds(wrong, owed, expected)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0.00", "EUR", {"amount": Rule.NOT_POSITIVE}),
        ("-1.00", "EUR", {"amount": Rule.NOT_POSITIVE}),
        ("0.001", "EUR", {"amount": Rule.FINER_THAN_CURRENCY}),
        ("1.5", "JPY", {"amount": Rule.FINER_THAN_CURRENCY}),
        ("1000000000000000", "EUR", {"amount": Rule.TOO_LARGE}),
        ("1.00", "XYZ", {"amount.currency_code": Rule.CURRENCY}),
    ],
)
def test_an_amount_is_money_and_more_than_zero(amount: str, currency: str, expected: dict[str, Rule]) -> None:
    book = Book()
    book.finds(pay(amount, currency=currency), book.posted("100.00"), expected)


def test_nothing_is_booked_on_a_day_to_come() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.finds(pay("1.00", effective_date=date(2026, 11, 24)), owed, {"effective_date": Rule.AFTER_TODAY})


def test_nothing_is_booked_into_a_closed_period_unless_the_settings_allow_it() -> None:
    book = Book()
    owed = book.posted("100.00")
    late = pay("1.00", effective_date=IN_SEPTEMBER)
    book.refuses(late, owed, PeriodClosed, period="de-09", legal_entity_id="de", day="2026-09-15")
    book.rules = rules_with(closed_periods_allowed=True)
    [event] = book.do(late, owed)
    assert event.effective_date == IN_SEPTEMBER


# Payments taken back


def test_a_payment_is_taken_back_in_parts_until_nothing_is_left() -> None:
    book = Book()
    owed = book.posted("100.00")
    [paid] = book.do(pay("100.00"), owed)
    part = ReversePayment(paid.payment_id, "v-1", Decimal("30.00"), "EUR")
    book.do(part, owed)
    assert settled(book, owed) == ("30.00", Settlement.PARTIALLY_SETTLED, None)
    assert book.do(part, owed) == [], "heard twice"
    book.do(ReversePayment(paid.payment_id, "v-2"), owed)
    assert settled(book, owed) == ("100.00", Settlement.NOT_SETTLED, None)
    book.refuses(ReversePayment(paid.payment_id, "v-3"), owed, MoreThanPaid, left="0.00")


def test_no_more_is_taken_back_than_is_left_of_the_payment() -> None:
    book = Book()
    owed = book.posted("100.00")
    [paid] = book.do(pay("40.00"), owed)
    book.do(pay("60.00", "p-2"), owed)
    too_much = ReversePayment(paid.payment_id, "v-1", Decimal("40.01"), "EUR")
    book.refuses(too_much, owed, MoreThanPaid, amount="40.01", left="40.00")


def test_only_a_payment_of_this_invoice_is_taken_back() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.refuses(ReversePayment(NOBODY, "v"), owed, PaymentNotFound, payment_id=str(NOBODY))


def test_a_reversal_is_in_the_currency_of_the_invoice_and_has_a_request_id() -> None:
    book = Book()
    owed = book.posted("100.00")
    [paid] = book.do(pay("40.00"), owed)
    foreign = ReversePayment(paid.payment_id, "v", Decimal("1.00"), "USD")
    book.refuses(foreign, owed, OtherCurrency)
    book.finds(ReversePayment(paid.payment_id, ""), owed, {"request_id": Rule.REQUIRED})


def test_another_reversal_under_the_same_request_is_refused() -> None:
    book = Book()
    owed = book.posted("100.00")
    [paid] = book.do(pay("40.00"), owed)
    book.do(ReversePayment(paid.payment_id, "v", Decimal("10.00"), "EUR"), owed)
    book.refuses(ReversePayment(paid.payment_id, "v", Decimal("20.00"), "EUR"), owed, RequestDiffers)


def test_what_was_paid_and_taken_back_may_be_paid_again() -> None:
    book = Book()
    owed = book.posted("100.00")
    [paid] = book.do(pay("100.00", effective_date=EARLIER), owed)
    book.do(ReversePayment(paid.payment_id, "v"), owed)
    [again] = book.do(pay("100.00", "p-2", effective_date=LATER), owed)
    assert again.payment_id != paid.payment_id
    assert settled(book, owed) == ("0.00", Settlement.SETTLED, LATER), "the first one does not count"


# Voiding


def test_voiding_mirrors_every_line_with_its_tax_and_leaves_nothing_owed() -> None:
    book = Book()
    owed = book.posted("100.00", "-20.00", "50.00", tax="0.19", invoice_number="R-1")
    [voided] = book.do(Void(), owed)
    state, memo = book.invoice(owed), book.memo(book.only_memo)
    assert (state.status, state.settlement, state.number) == (
        Status.VOIDED,
        Settlement.NOT_APPLICABLE,
        "R-1",
    )
    assert (str(state.totals.balance), str(memo.totals.balance)) == ("0.00", "0.00")
    assert (memo.totals.credit, memo.totals.tax) == (state.charge, state.tax)
    assert [(line.invoice_line, line.credit, line.rows) for line in memo.lines] == [
        (line.added.number, line.added.charge, line.rows) for line in state.lines
    ]
    assert voided.credit.credit_memo_id == book.only_memo
    assert memo.header.invoice_id == owed
    assert (memo.header.origin, memo.posted_date) == (CreditOrigin.VOID, TODAY)
    assert memo.header.accounting_period_id == "de-11"


def test_voiding_is_one_event_on_the_invoice_and_says_how_long_the_memo_is() -> None:
    book = Book()
    owed = book.posted("100.00", "50.00")
    assert book.names(book.do(Void(), owed)) == ["InvoiceVoided"]
    events = book.credit_memos[book.only_memo]
    assert book.names(events) == [
        "CreditMemoPosted",
        "CreditMemoLineAdded",
        "CreditMemoLineAdded",
        "CreditMemoApplied",
    ]
    assert events[0].size == len(events)


@pytest.mark.parametrize("charges", [("-100.00",), ("100.00", "-100.00")], ids=["negative", "zero"])
def test_an_invoice_that_owes_nothing_is_voided_as_well(charges: tuple[str, ...]) -> None:
    book = Book()
    owed = book.posted(*charges)
    book.do(Void(), owed)
    assert book.invoice(owed).status is Status.VOIDED
    assert not book.invoice(owed).totals.balance
    assert not book.memo(book.only_memo).totals.balance


def test_voiding_again_changes_nothing() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.do(Void(), owed)
    assert book.do(Void(), owed) == []


def test_what_is_paid_or_credited_is_voided_only_after_that_is_taken_back() -> None:
    book = Book()
    owed = book.posted("100.00")
    [paid] = book.do(pay("10.00"), owed)
    book.refuses(Void(), owed, Settled, invoice_id=str(owed))
    book.do(ReversePayment(paid.payment_id, "v"), owed)
    book.do(Void(), owed)
    assert book.invoice(owed).status is Status.VOIDED


def test_a_draft_is_canceled_and_not_voided() -> None:
    book = Book()
    book.refuses(Void(), book.ingested(an_invoice()), NotPosted, status="draft", verb="voided")


def test_what_is_written_off_or_converted_is_not_voided() -> None:
    book = Book()
    lost, changed = book.posted("100.00"), book.posted("100.00", "-1.00", key="b")
    book.do(WriteOff("insolvent"), lost)
    book.refuses(Void(), lost, WrittenOff)
    book.do(crediting.Convert(), changed)
    book.refuses(Void(), changed, Converted)


def test_nothing_is_voided_while_today_is_in_a_closed_period() -> None:
    book = Book()
    owed = book.posted("100.00")
    reference = book.rules.reference
    closed = replace(SEPTEMBER, id="de-11", start_date=date(2026, 11, 1), end_date=date(2026, 11, 30))
    periods = {**reference.accounting_periods, "de-11": closed}
    book.rules = replace(book.rules, reference=replace(reference, accounting_periods=periods))
    book.refuses(Void(), owed, PeriodClosed, period="de-11")


# Writing off


def test_writing_off_closes_what_is_open_with_a_memo_without_tax() -> None:
    book = Book()
    owed = book.posted("100.00", tax="0.19", invoice_number="R-1")
    book.do(pay("19.00", effective_date=EARLIER), owed)
    [event] = book.do(WriteOff("insolvent", effective_date=LATER), owed)
    assert (event.reason_code, event.credit.amount) == ("insolvent", Decimal("100.00"))
    assert settled(book, owed) == ("0.00", Settlement.SETTLED, LATER)
    memo = book.memo(book.only_memo)
    assert memo.header.origin is CreditOrigin.WRITE_OFF
    assert memo.header.reason_code == "insolvent"
    assert [(line.name, line.credit, line.rows) for line in memo.lines] == [
        ("Write-off of R-1", Decimal("100.00"), ())
    ]
    assert not memo.totals.balance


def test_writing_off_heard_twice_writes_off_once() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.do(WriteOff("insolvent", "w"), owed)
    assert book.do(WriteOff("insolvent", "w"), owed) == []
    book.refuses(WriteOff("vanished", "w"), owed, RequestDiffers)
    book.refuses(WriteOff("insolvent", "w-2"), owed, WrittenOff)


def test_writing_off_needs_a_reason_and_something_that_is_owed() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.finds(WriteOff(" "), owed, {"reason_code": Rule.REQUIRED})
    book.do(pay("100.00"), owed)
    book.refuses(WriteOff("insolvent"), owed, NothingOwed)
    book.refuses(WriteOff("x"), book.ingested(an_invoice()), NotPosted, verb="written off")


def test_what_was_written_off_is_neither_paid_nor_credited() -> None:
    book = Book()
    owed = book.posted("100.00")
    book.do(WriteOff("insolvent"), owed)
    book.refuses(pay("1.00"), owed, NothingOwed)


def test_the_credit_of_what_was_voided_or_written_off_stays() -> None:
    book = Book()
    for key, command in (("a", Void()), ("b", WriteOff("insolvent"))):
        owed = book.posted("100.00", key=key)
        [event] = book.do(command, owed)
        credit = event.credit
        unapply = credit_memo.Unapply(credit.application_id)
        book.refuses(unapply, credit.credit_memo_id, credit_memo.CreditStays)
