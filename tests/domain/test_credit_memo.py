"""Credit memos: negative lines become one, and what one holds is applied and taken back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from domain import credit_memo, invoice
from domain.credit_memo import (
    ApplicationNotFound,
    Apply,
    CreditElsewhere,
    MoreThanCredit,
    NotFound,
    Unapply,
    UsedUp,
)
from domain.crediting import Convert, NotConvertible, Settled, concerned
from domain.findings import Rule
from domain.invoice import (
    CreditOrigin,
    MoreThanBalance,
    NothingOwed,
    NotPosted,
    OtherCurrency,
    PeriodClosed,
    RequestDiffers,
    Settlement,
)

from .examples import INVOICE_DATE, TODAY, an_invoice, rules_with
from .settling import Book, pay

NOBODY = UUID(int=9)
EARLIER = date(2026, 11, 5)


def converted(*charges: str, tax: str = "0.00") -> tuple[Book, UUID, UUID]:
    """A book, an invoice whose negative lines were converted, and the memo."""
    book = Book()
    owed = book.posted(*charges, tax=tax)
    book.do(Convert(), owed)
    return book, owed, book.only_memo


# Converting


def test_converting_raises_the_balance_and_applying_brings_it_back() -> None:
    """400 and -100 are 300; converted they are 400, and once the credit of 100 is applied 300 again."""
    book = Book()
    owed = book.posted("400.00", "-100.00")
    assert book.balance(owed) == "300.00"
    book.do(Convert(), owed)
    assert (book.balance(owed), str(book.memo(book.only_memo).totals.balance)) == ("400.00", "100.00")
    assert book.invoice(owed).settlement is Settlement.NOT_SETTLED
    book.do(Apply(owed, "a-1"), book.only_memo)
    assert (book.balance(owed), str(book.memo(book.only_memo).totals.balance)) == ("300.00", "0.00")
    assert book.invoice(owed).settlement is Settlement.PARTIALLY_SETTLED


def test_the_converted_amounts_are_summed_up() -> None:
    book, owed, memo_id = converted("100.00", "-10.00", "-15.00")
    assert str(book.invoice(owed).totals.converted_negative) == "-25.00"
    assert [(line.invoice_line, str(line.credit)) for line in book.memo(memo_id).lines] == [
        (2, "10.00"),
        (3, "15.00"),
    ]


def test_the_tax_of_a_negative_line_is_converted_with_it() -> None:
    book, owed, memo_id = converted("400.00", "-100.00", tax="0.19")
    memo = book.memo(memo_id)
    assert (str(memo.totals.credit), str(memo.totals.tax)) == ("100.00", "19.00")
    assert [str(row.amount) for row in memo.lines[0].rows] == ["19.00"]
    assert book.balance(owed) == "476.00"
    assert memo.header.origin is CreditOrigin.CONVERSION


def test_lines_are_converted_one_by_one_or_all_that_are_left() -> None:
    book = Book()
    owed = book.posted("100.00", "-10.00", "-15.00")
    [first] = book.do(Convert((3,)), owed)
    [second] = book.do(Convert(effective_date=EARLIER), owed)
    assert (first.lines, second.lines) == ((3,), (2,))
    assert first.credit_memo_id != second.credit_memo_id
    assert second.effective_date == EARLIER
    assert [str(book.memo(each).totals.balance) for each in book.credit_memos] == ["15.00", "10.00"]


@pytest.mark.parametrize(
    ("lines", "told"), [((1,), "1"), ((2, 3), "3"), ((0,), "0")], ids=["positive", "none such", "zero"]
)
def test_only_negative_lines_are_converted(lines: tuple[int, ...], told: str) -> None:
    book = Book()
    owed = book.posted("100.00", "-10.00")
    book.refuses(Convert(lines), owed, NotConvertible, lines=told)


def test_a_line_that_its_tax_makes_positive_is_not_negative() -> None:
    book = Book()
    book.refuses(Convert(), book.posted("100.00", "-10.00", tax="-1.50"), NotConvertible, lines="at all")


def test_no_line_is_converted_twice() -> None:
    book, owed, _ = converted("100.00", "-10.00")
    book.refuses(Convert(), owed, NotConvertible, lines="at all")
    book.refuses(Convert((2,)), owed, NotConvertible, lines="2")


def test_a_conversion_heard_twice_is_one() -> None:
    book = Book()
    owed = book.posted("100.00", "-10.00", "-1.00")
    book.do(Convert((2,), request_id="c"), owed)
    assert book.do(Convert((2,), request_id="c"), owed) == []
    assert book.do(Convert(request_id="c"), owed) == []
    book.refuses(Convert((3,), request_id="c"), owed, RequestDiffers)


def test_what_is_settled_in_part_is_not_converted() -> None:
    book = Book()
    owed = book.posted("100.00", "-10.00")
    book.do(pay("1.00"), owed)
    book.refuses(Convert(), owed, Settled)


def test_only_a_posted_invoice_is_converted_on_a_day_that_is_open_and_has_come() -> None:
    book = Book()
    book.refuses(Convert(), book.ingested(an_invoice()), NotPosted, verb="converted")
    owed = book.posted("100.00", "-10.00")
    book.refuses(Convert(effective_date=date(2026, 9, 1)), owed, PeriodClosed)
    book.finds(Convert(effective_date=date(2026, 12, 1)), owed, {"effective_date": Rule.AFTER_TODAY})
    book.finds(Convert((2, 2)), owed, {"line_numbers": Rule.DUPLICATE})


def test_an_invoice_of_nothing_but_credit_is_settled_by_converting_it() -> None:
    book, owed, memo_id = converted("-100.00")
    state = book.invoice(owed)
    assert (book.balance(owed), state.settlement) == ("0.00", Settlement.SETTLED)
    assert state.full_settlement_date == TODAY
    assert str(book.memo(memo_id).totals.balance) == "100.00"


# Converting by itself


AUTOMATIC = rules_with(negative_lines_converted=True)


@pytest.mark.parametrize(
    ("charges", "applied", "balance", "left"),
    [
        (("400.00", "-100.00"), "100.00", "300.00", "0.00"),
        (("100.00", "-400.00"), "100.00", "0.00", "300.00"),
        (("-400.00",), None, "0.00", "400.00"),
        (("100.00", "-100.00"), "100.00", "0.00", "0.00"),
    ],
    ids=["less", "more", "all", "even"],
)
def test_a_posted_import_is_converted_by_itself_and_credited_as_far_as_it_owes(
    charges: tuple[str, ...], applied: str | None, balance: str, left: str
) -> None:
    book = Book(AUTOMATIC)
    owed = book.posted(*charges)
    state, memo = book.invoice(owed), book.memo(book.only_memo)
    [conversion] = state.ledger.conversions
    assert conversion.automatic
    assert (str(conversion.applied.amount) if conversion.applied else None) == applied
    assert (book.balance(owed), str(memo.totals.balance)) == (balance, left)
    assert memo.posted_date == INVOICE_DATE, "the day on which it was posted"
    assert state.first_totals == state.totals
    assert state.version == state.size


def test_nothing_is_converted_by_itself_without_negative_lines_on_a_draft_or_against_the_settings() -> None:
    automatic, by_hand = Book(AUTOMATIC), Book()
    automatic.posted("100.00")
    automatic.ingested(an_invoice())
    by_hand.posted("100.00", "-1.00")
    assert automatic.credit_memos == by_hand.credit_memos == {}


def test_what_was_applied_by_itself_can_be_taken_back() -> None:
    book = Book(AUTOMATIC)
    owed = book.posted("400.00", "-100.00")
    [application] = book.memo(book.only_memo).applications
    book.do(Unapply(application.applied.application_id), book.only_memo)
    assert (book.balance(owed), str(book.memo(book.only_memo).totals.balance)) == ("400.00", "100.00")


# Applying


def test_credit_is_applied_to_any_invoice_of_the_account_in_parts() -> None:
    book, _, memo_id = converted("400.00", "-100.00")
    other = book.posted("70.00", key="b")
    [first] = book.do(Apply(other, "a-1", Decimal("30.00"), "EUR"), memo_id)
    [second] = book.do(Apply(other, "a-2", effective_date=EARLIER), memo_id)
    assert (str(first.amount), str(second.amount)) == ("30.00", "40.00"), "as much as it owes"
    assert first.application_id != second.application_id
    assert second.effective_date == EARLIER
    state = book.invoice(other)
    assert (book.balance(other), state.settlement) == ("0.00", Settlement.SETTLED)
    assert state.full_settlement_date == TODAY
    assert str(book.memo(memo_id).totals.balance) == "30.00"
    [lineage, _] = [each.applied for each in state.ledger.credits]
    assert (lineage.credit_memo_id, lineage.origin) == (memo_id, CreditOrigin.CONVERSION)
    assert lineage.of_invoice_id == book.memo(memo_id).header.invoice_id


def test_an_application_heard_twice_is_one() -> None:
    book, owed, memo_id = converted("400.00", "-100.00")
    book.do(Apply(owed, "a", Decimal("30.00"), "EUR"), memo_id)
    assert book.do(Apply(owed, "a", Decimal("30.00"), "EUR"), memo_id) == []
    assert book.do(Apply(owed, "a"), memo_id) == []
    book.refuses(Apply(owed, "a", Decimal("31.00"), "EUR"), memo_id, RequestDiffers)
    book.refuses(Apply(book.posted("1.00", key="b"), "a"), memo_id, RequestDiffers)


def test_no_more_is_applied_than_the_memo_has_or_the_invoice_owes() -> None:
    book, owed, memo_id = converted("400.00", "-100.00")
    small = book.posted("20.00", key="b")
    book.refuses(Apply(owed, "a", Decimal("100.01"), "EUR"), memo_id, MoreThanCredit, balance="100.00")
    book.refuses(Apply(small, "a", Decimal("20.01"), "EUR"), memo_id, MoreThanBalance, balance="20.00")
    book.do(pay("20.00"), small)
    book.refuses(Apply(small, "a"), memo_id, NothingOwed)
    book.do(Apply(owed, "b"), memo_id)
    book.refuses(Apply(owed, "c"), memo_id, UsedUp)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"account_id": "acc-2"}, "account"),
        ({"legal_entity_id": "fj"}, "legal entity"),
        ({"currency_code": "USD"}, "currency"),
    ],
    ids=["account", "legal entity", "currency"],
)
def test_credit_stays_with_its_account_its_legal_entity_and_its_currency(
    changes: dict[str, str], kind: str
) -> None:
    book, _, memo_id = converted("400.00", "-100.00")
    other = book.posted("100.00", key="b", **changes)
    book.refuses(Apply(other, "a"), memo_id, CreditElsewhere, kind=kind)


def test_an_amount_that_is_applied_names_its_currency() -> None:
    book, owed, memo_id = converted("400.00", "-100.00")
    book.refuses(Apply(owed, "a", Decimal("1.00"), "USD"), memo_id, OtherCurrency)
    book.finds(
        Apply(owed, "", Decimal("1.00"), ""),
        memo_id,
        {"request_id": Rule.REQUIRED, "amount.currency_code": Rule.REQUIRED},
    )


def test_credit_is_applied_only_where_something_is_posted() -> None:
    book, owed, memo_id = converted("400.00", "-100.00")
    draft = book.ingested(an_invoice(unique_identifier="b"))
    book.refuses(Apply(draft, "a"), memo_id, NotPosted, verb="credited")
    book.refuses(Apply(NOBODY, "a"), memo_id, invoice.NotFound)
    book.refuses(Apply(owed, "a"), NOBODY, NotFound, key=str(NOBODY))
    book.refuses(Apply(owed, "a", effective_date=date(2026, 9, 1)), memo_id, PeriodClosed)


# Taking it back


def test_an_application_that_is_taken_back_leaves_everything_as_it_was() -> None:
    book, owed, memo_id = converted("400.00", "-100.00")
    [applied] = book.do(Apply(owed, "a"), memo_id)
    [taken] = book.do(Unapply(applied.application_id, "u", EARLIER), memo_id)
    assert (taken.amount, taken.effective_date) == (applied.amount, EARLIER)
    assert (book.balance(owed), str(book.memo(memo_id).totals.balance)) == ("400.00", "100.00")
    assert book.invoice(owed).settlement is Settlement.NOT_SETTLED
    assert book.do(Unapply(applied.application_id, "u"), memo_id) == [], "it is taken back already"
    [again] = book.do(Apply(owed, "a-2"), memo_id)
    assert again.application_id != applied.application_id


def test_only_what_was_applied_is_taken_back() -> None:
    book, owed, memo_id = converted("400.00", "-100.00")
    book.refuses(Unapply(NOBODY), memo_id, ApplicationNotFound, application_id=str(NOBODY))
    book.refuses(Unapply(NOBODY), NOBODY, NotFound)
    [applied] = book.do(Apply(owed, "a"), memo_id)
    book.refuses(Unapply(applied.application_id, "a"), memo_id, RequestDiffers)
    book.finds(Unapply(applied.application_id, "\x00"), memo_id, {"request_id": Rule.CHARACTERS})


def test_taking_back_concerns_the_invoice_of_the_application() -> None:
    book, owed, memo_id = converted("400.00", "-100.00")
    [applied] = book.do(Apply(owed, "a"), memo_id)
    assert concerned(book.memo(memo_id), applied.application_id) == {owed}
    assert concerned(book.memo(memo_id), NOBODY) == concerned(None, NOBODY) == frozenset()


def test_a_credit_memo_is_posted_once() -> None:
    book, _, memo_id = converted("400.00", "-100.00")
    posted = book.credit_memos[memo_id][0]
    with pytest.raises(AssertionError, match="posted once"):
        credit_memo.fold([posted, posted])
