"""Whatever is paid, credited, converted and taken back: what one side loses the other gains."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import credit_memo, crediting, invoice
from domain.findings import Malformed
from domain.refusal import Refused

from .examples import rules_with
from .settling import Book, Command, pay

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

cents = st.integers(-50_000, 50_000).map(lambda units: Decimal(units).scaleb(-2))
charges = st.lists(cents.map(str), min_size=1, max_size=4)
amounts = st.integers(1, 60_000).map(lambda units: str(Decimal(units).scaleb(-2)))
taxes = st.sampled_from(["0.00", "0.19", "-0.05"])


def a_command(data: st.DataObject, book: Book, number: int) -> tuple[Command, UUID]:
    """Something that somebody might ask for, possible or not."""
    owed = data.draw(st.sampled_from(sorted(book.invoices)))
    state, request = book.invoice(owed), f"r-{data.draw(st.integers(0, number))}"
    kind = data.draw(
        st.sampled_from(["pay", "pay", "reverse", "convert", "apply", "apply", "unapply", "end"])
    )
    memos = sorted(book.credit_memos)
    match kind:
        case "reverse" if state.ledger.payments:
            payment = data.draw(st.sampled_from(state.ledger.payments)).recorded.payment_id
            part = data.draw(st.none() | amounts.map(Decimal))
            return invoice.ReversePayment(payment, request, part, "EUR" if part else ""), owed
        case "convert":
            return crediting.Convert(request_id=request), owed
        case "apply" if memos:
            part = data.draw(st.none() | amounts.map(Decimal))
            command = credit_memo.Apply(owed, request, part, "EUR" if part else "")
            return command, data.draw(st.sampled_from(memos))
        case "unapply" if any(book.memo(each).applications for each in memos):
            memo = data.draw(st.sampled_from([each for each in memos if book.memo(each).applications]))
            application = data.draw(st.sampled_from(book.memo(memo).applications))
            return credit_memo.Unapply(application.applied.application_id, request), memo
        case "end":
            ends: list[Any] = [crediting.Void(), crediting.WriteOff("lost", request)]
            return data.draw(st.sampled_from(ends)), owed
        case _:
            pass
    return pay(data.draw(amounts), request), owed


def happened(book: Book) -> list[tuple[UUID, int]]:
    """How long every stream is."""
    streams = book.invoices | book.credit_memos
    return [(stream, len(events)) for stream, events in sorted(streams.items())]


def sums_up(book: Book) -> None:
    """Both sides agree, nothing is owed twice, and no balance is anything but the sum of what happened."""
    states = {each: book.invoice(each) for each in book.invoices}
    memos = {each: book.memo(each) for each in book.credit_memos}
    credited = sum((each.totals.credits_applied for each in states.values()), Decimal(0))
    applied = sum((each.totals.applied for each in memos.values()), Decimal(0))
    assert credited == applied
    for state in states.values():
        balances(state)
    for memo in memos.values():
        lines = sum((line.credit + credit_memo.tax_of(line) for line in memo.lines), Decimal(0))
        standing = [each.applied.amount for each in memo.applications if not each.unapplied]
        assert memo.totals.total_with_tax == lines
        assert memo.totals.balance == lines - sum(standing, Decimal(0))
        assert memo.totals.balance >= 0
        made_of = states[memo.header.invoice_id]
        assert memo.header.account_id == made_of.header.account_id
    converted = sum((each.totals.converted_negative for each in states.values()), Decimal(0))
    of_conversions = (m for m in memos.values() if m.header.origin is invoice.CreditOrigin.CONVERSION)
    assert converted + sum((memo.totals.total_with_tax for memo in of_conversions), Decimal(0)) == 0


def balances(state: invoice.Invoice) -> None:
    totals, ledger = state.totals, state.ledger
    paid = sum((each.left for each in ledger.payments), Decimal(0))
    credited = sum((each.applied.amount for each in ledger.credits if not each.unapplied), Decimal(0))
    converted = sum((each.amount for each in ledger.conversions), Decimal(0))
    assert (totals.payments_applied, totals.credits_applied) == (paid, credited)
    assert totals.converted_negative == converted
    assert totals.balance == totals.charge + totals.tax - converted - paid - credited
    assert all(each.left >= 0 for each in ledger.payments)
    if paid or credited:
        assert totals.balance >= 0, "nobody pays more than is owed"
    assert (state.full_settlement_date is None) == (state.settlement is not invoice.Settlement.SETTLED)
    if state.status is invoice.Status.VOIDED or ledger.written_off:
        assert not totals.balance


@MANY
@given(st.data(), st.booleans())
def test_whatever_happens_both_sides_sum_up(data: st.DataObject, automatic: bool) -> None:
    book = Book(rules_with(negative_lines_converted=automatic))
    for key in "ab":
        book.posted(*data.draw(charges), key=key, tax=data.draw(taxes))
    sums_up(book)
    for number in range(data.draw(st.integers(0, 14))):
        command, subject = a_command(data, book, number)
        before = happened(book)
        try:
            book.do(command, subject)
        except (Refused, Malformed):
            assert happened(book) == before, "a refusal writes nothing"
        sums_up(book)


@MANY
@given(st.data())
def test_whatever_is_asked_twice_is_done_once(data: st.DataObject) -> None:
    book = Book()
    for key in "ab":
        book.posted(*data.draw(charges), key=key)
    for number in range(data.draw(st.integers(1, 10))):
        command, subject = a_command(data, book, number)
        try:
            first = book.do(command, subject)
        except (Refused, Malformed):
            continue
        heard = getattr(command, "request_id", "v")
        if heard and first:
            assert book.do(command, subject) == []


@MANY
@given(charges, taxes)
def test_voiding_takes_back_exactly_what_was_charged(lines: list[str], tax: str) -> None:
    book = Book()
    owed = book.posted(*lines, tax=tax)
    state = book.invoice(owed)
    book.do(crediting.Void(), owed)
    memo = book.memo(book.only_memo)
    assert (memo.totals.credit, memo.totals.tax) == (state.charge, state.tax)
    assert not memo.totals.balance
    assert not book.invoice(owed).totals.balance
