"""What the read models say of settlement is the fold of the log, whatever happened and however it was cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest

from domain import credit_memo, crediting, identity, invoice
from domain.findings import Malformed
from domain.refusal import Refused
from projections import credit_memos, invoices, receivables
from projections.checkpoint import prepare
from projections.credit_memos import CREDIT_MEMOS, CreditMemoFilter
from projections.invoice_filter import Today
from projections.invoices import INVOICES
from projections.receivables import RECEIVABLES, Receivable, ReceivablesFilter
from store.log import Write
from tests.domain import settling
from tests.domain.examples import INVOICE_DATE, an_invoice, rules_with

from .book import META, Book

MODELS = (INVOICES, CREDIT_MEMOS, RECEIVABLES)
TABLES = ("credit_memos_v1_g1", "credit_memos_v1_g1_lines", "receivables_v1_g1")
DUE = INVOICE_DATE + timedelta(days=30)
LATER = Today(elsewhere=DUE + timedelta(days=1))


@pytest.fixture
async def settled(book: Book) -> Book:
    await prepare(book.pool, MODELS)
    return book


class Settling:
    """Random settlements of a few invoices, as the service would write them."""

    def __init__(self, book: Book, random: Random) -> None:
        self.domain = settling.Book(rules_with(negative_lines_converted=random.random() < 0.5))
        self.random = random
        self._log = book.log
        self._written: dict[UUID, int] = defaultdict(int)

    async def begin(self, count: int) -> None:
        for number in range(count):
            charges = [f"{self.random.randint(-99, 300)}.50" for _ in range(self.random.randint(1, 3))]
            account, currency = self.random.choice("ab"), self.random.choice(["EUR", "USD"])
            said = {"account_id": account, "currency_code": currency, "due_date": DUE}
            self.domain.posted(*charges, key=f"k-{number}", tax="0.19", **said)
            await self._write()
        self.domain.ingested(an_invoice(unique_identifier="draft", account_id="a"))
        await self._write()

    async def step(self) -> None:
        command, subject = self._command()
        try:
            self.domain.do(command, subject)
        except (Refused, Malformed):
            return
        await self._write()

    async def _write(self) -> None:
        """What is new on any stream, in one append; an invoice comes after its credit memos."""
        streams = self.domain.credit_memos | self.domain.invoices
        writes = [
            Write(stream, self._written[stream], events[self._written[stream] :])
            for stream, events in streams.items()
            if len(events) > self._written[stream]
        ]
        if writes:
            await self._log.append(writes, META)
        self._written |= {stream: len(events) for stream, events in streams.items()}

    def _command(self) -> tuple[settling.Command, UUID]:
        owed, request = self.random.choice(list(self.domain.invoices)), str(self.random.random())
        state, memos = self.domain.invoice(owed), list(self.domain.credit_memos)
        applied = [each for each in memos if self.domain.memo(each).applications]
        currency, kind = state.header.currency, self.random.randrange(9)
        if kind == 0 and state.ledger.payments:
            payment = self.random.choice(state.ledger.payments).recorded
            return invoice.ReversePayment(payment.payment_id, request), owed
        if kind == 1:
            return crediting.Convert(request_id=request), owed
        if kind in (2, 3) and memos:
            return credit_memo.Apply(owed, request), self.random.choice(memos)
        if kind == 4 and applied:
            memo = self.random.choice(applied)
            application = self.random.choice(self.domain.memo(memo).applications)
            return credit_memo.Unapply(application.applied.application_id, request), memo
        if kind == 5:
            return crediting.Void(), owed
        if kind == 6:
            return crediting.WriteOff("lost", request), owed
        amount = f"{self.random.randint(1, 200)}.25"
        return settling.pay(amount, request, currency=currency), owed


async def assert_is_fold(book: Book, domain: settling.Book) -> None:
    position = await book.log.head()
    for owed in domain.invoices:
        found = (await invoices.find(book.reader, owed, min_position=position)).found
        state = domain.invoice(owed)
        assert found is not None
        summary = found.summary
        assert (summary.totals, summary.status, summary.settlement) == (
            state.totals,
            state.status,
            state.settlement,
        )
        assert (summary.ledger or invoice.UNTOUCHED) == state.ledger
        assert summary.full_settlement_date == state.full_settlement_date
    for memo_id in domain.credit_memos:
        memo = (await credit_memos.find(book.reader, memo_id, min_position=position)).found
        assert memo is not None
        assert memo.state == domain.memo(memo_id)
        assert memo.line_count == len(memo.state.lines)
    listed = (await credit_memos.list_(book.reader, size=500, min_position=position)).found.items
    assert {each.id for each in listed} == set(domain.credit_memos)
    answer = await receivables.list_(book.reader, LATER, size=500, min_position=position)
    assert list(answer.found[0]) == owed_by(domain)


def owed_by(domain: settling.Book) -> list[Receivable]:
    """What the domain alone says that everybody owes."""
    found: dict[tuple[str, str], Receivable] = {}
    for owed in domain.invoices:
        state = domain.invoice(owed)
        balance = state.totals.balance
        if state.status is not invoice.Status.POSTED or not balance:
            continue
        key = (state.header.account_id, state.header.currency)
        late = balance if balance > 0 else Decimal(0)
        found[key] = added(found.get(key), *key, 1, balance, int(balance > 0), late, Decimal(0))
    for memo_id in domain.credit_memos:
        memo = domain.memo(memo_id)
        if left := memo.totals.balance:
            key = (memo.header.account_id, memo.header.currency)
            found[key] = added(found.get(key), *key, 0, Decimal(0), 0, Decimal(0), left)
    return [found[key] for key in sorted(found)]


def added(
    before: Receivable | None,
    account: str,
    currency: str,
    count: int,
    balance: Decimal,
    late_count: int,
    late: Decimal,
    credit: Decimal,
) -> Receivable:
    was = before or Receivable(account, currency, 0, Decimal(0), 0, Decimal(0), None, Decimal(0))
    return Receivable(
        account,
        currency,
        was.open_invoices + count,
        was.balance + balance,
        was.overdue_invoices + late_count,
        was.overdue + late,
        DUE if late_count else was.oldest_due_date,
        was.unapplied_credit + credit,
    )


@pytest.mark.parametrize(("seed", "batch"), [(1, 1), (2, 3), (3, 7), (4, 2000), (5, 2)])
async def test_whatever_is_settled_the_read_models_are_the_fold_of_the_log(
    settled: Book, seed: int, batch: int
) -> None:
    chance = Settling(settled, Random(seed))
    async with settled.running(batch, MODELS):
        await chance.begin(6)
        for _ in range(40):
            await chance.step()
        await assert_is_fold(settled, chance.domain)
    before = await content(settled)
    assert all(before.values())
    await forget(settled)
    async with settled.running(2000, MODELS):
        await assert_is_fold(settled, chance.domain)
    assert await content(settled) == before, "made anew from the log alone, they are the same"


async def content(book: Book) -> dict[str, Sequence[tuple[object, ...]]]:
    return {each: await book.execute(f"SELECT * FROM projections.{each} ORDER BY 1") for each in TABLES}


async def forget(book: Book) -> None:
    await book.execute(f"TRUNCATE {', '.join(f'projections.{each}' for each in TABLES)}")
    await book.execute("UPDATE projections.checkpoints SET position = 0 WHERE projection <> 'invoices'")


async def test_a_credit_memo_of_many_lines_shows_the_first_and_counts_all(settled: Book) -> None:
    domain = settling.Book()
    owed = domain.posted(*["1.00"] * 700)
    domain.do(crediting.Void(), owed)
    memo_id = domain.only_memo
    async with settled.running(2000, MODELS):
        events = domain.credit_memos[memo_id]
        await settled.log.append([Write(memo_id, 0, events), Write(owed, 0, domain.invoices[owed])], META)
        head = await settled.log.head()
        found = (await credit_memos.find(settled.reader, memo_id, min_position=head)).found
        assert found is not None
        assert (found.line_count, len(found.state.lines)) == (700, credit_memos.LINES_SHOWN_MAX)
        assert found.state.totals.total_with_tax == 700


async def test_a_page_of_credit_memos_and_of_receivables_goes_on_where_it_ended(settled: Book) -> None:
    domain = settling.Book()
    for number in range(3):
        owed = domain.posted("10.00", "-5.00", key=str(number), account_id=f"acc-{number}")
        domain.do(crediting.Convert(), owed)
    writes = [Write(each, 0, events) for each, events in (domain.credit_memos | domain.invoices).items()]
    async with settled.running(2000, MODELS):
        await settled.log.append(writes, META)
        head = await settled.log.head()
        first = (await credit_memos.list_(settled.reader, size=2, min_position=head)).found
        rest = (await credit_memos.list_(settled.reader, before=first.next, size=2)).found
        memos = [each.id for each in (*first.items, *rest.items)]
        assert memos == [identity.credit_memo(identity.invoice(str(n)), 1) for n in (2, 1, 0)]
        assert rest.next is None
        [one], more = (await receivables.list_(settled.reader, LATER, size=1, min_position=head)).found
        assert (one.account_id, more) == ("acc-0", True)
        after = (one.account_id, one.currency)
        two, more = (await receivables.list_(settled.reader, LATER, after=after, size=2)).found
        assert ([each.account_id for each in two], more) == (["acc-1", "acc-2"], False)
        nothing = ReceivablesFilter(account_id="\0")
        assert (await receivables.list_(settled.reader, LATER, nothing)).found == ((), False)
        none = CreditMemoFilter(account_id="\0")
        assert (await credit_memos.list_(settled.reader, none)).found.items == ()
        early = Today(elsewhere=date(2026, 1, 1))
        overdue = ReceivablesFilter(overdue=True)
        assert (await receivables.list_(settled.reader, early, overdue)).found == ([], False)
