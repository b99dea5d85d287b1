"""Payments, credits, voiding and receivables through the real wire."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import grpc
import pytest
import pytest_asyncio
from google.type.money_pb2 import Money

from daybook.client import explain
from daybook.v1 import credit_memo_pb2 as credit_pb
from daybook.v1 import credit_memo_service_pb2 as credit_service_pb
from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import settlement_pb2
from service import positions

from .house import House, at_home, refused
from .messages import (
    a_line,
    a_policy,
    a_posted_invoice,
    a_tax,
    an_invoice,
    apply,
    by_id,
    day,
    get,
    ingest,
    post,
    postable,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode


def today_in_germany() -> date:
    """Today where the legal entity is."""
    return datetime.now(ZoneInfo("Europe/Berlin")).date()


def euros(text: str, currency: str = "EUR") -> Money:
    amount = Decimal(text)
    units = int(amount)
    return Money(currency_code=currency, units=units, nanos=int((amount - units) * 10**9))


def plain(money: Money) -> str:
    return str(Decimal(money.units) + (Decimal(money.nanos) / 10**9).quantize(Decimal("0.01")))


async def posted(house: House, *charges: str, **changes: Any) -> str:
    """The id of a posted import whose lines come with one tax of nothing each."""
    lines = [a_line(charge, taxes=[a_tax("0.00")]) for charge in charges or ("100.00",)]
    said = {"lines": lines, "account_id": f"acc-{uuid4()}"} | changes
    content = a_posted_invoice(None, f"R-{uuid4()}", **said)
    return (await house.invoices.IngestInvoice(ingest(content))).invoice_id


def payment(invoice_id: str, amount: str, request_id: str = "p-1", **said: Any) -> Any:
    currency = said.pop("currency", "EUR")
    return service_pb.RecordPaymentRequest(
        key=by_id(invoice_id), amount=euros(amount, currency), request_id=request_id, **said
    )


async def newest(house: House, invoice_id: str) -> str:
    """The position of what happened to an invoice last."""
    history = await house.log.read(UUID(invoice_id))
    return positions.token(house.log.identity, history.position)


async def shown(house: House, invoice_id: str, position: str) -> query_pb.GetInvoiceResponse:
    position = position or await newest(house, invoice_id)
    return await house.queries.GetInvoice(get(by_id(invoice_id), min_position=position))


async def test_an_invoice_is_paid_in_parts_and_taken_back_and_every_answer_says_how_it_stands(
    server: House,
) -> None:
    owed = await posted(server)
    first = await server.invoices.RecordPayment(payment(owed, "40.00", reference="SEPA 1"))
    again = await server.invoices.RecordPayment(payment(owed, "40.00", reference="SEPA 1"))
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.position, again.payment_id) == (first.position, first.payment_id)
    assert plain(first.invoice.totals.balance) == "60.00"
    assert first.invoice.settlement_status == pb.SETTLEMENT_STATUS_PARTIALLY_SETTLED
    last = await server.invoices.RecordPayment(payment(owed, "60.00", "p-2"))
    assert last.invoice.settlement_status == pb.SETTLEMENT_STATUS_SETTLED
    assert last.invoice.HasField("full_settlement_date")
    found = await shown(server, owed, last.position)
    assert found.invoice.full_settlement_date == last.invoice.full_settlement_date
    assert found.invoice.settlement == last.invoice.settlement
    assert [(each.reference, plain(each.amount)) for each in found.invoice.settlement.payments] == [
        ("SEPA 1", "40.00"),
        ("", "60.00"),
    ]
    back = await server.invoices.ReversePayment(
        service_pb.ReversePaymentRequest(
            key=by_id(owed), payment_id=first.payment_id, amount=euros("15.00"), request_id="v-1"
        )
    )
    assert plain(back.invoice.totals.balance) == "15.00"
    paid = back.invoice.settlement.payments[0]
    assert (plain(paid.left), plain(paid.reversals[0].amount)) == ("25.00", "15.00")
    assert not back.invoice.HasField("full_settlement_date")


async def test_a_voided_invoice_keeps_its_number_and_its_mirror_can_be_read(server: House) -> None:
    content = a_posted_invoice(None, f"R-{uuid4()}")
    ingested = await server.invoices.IngestInvoice(ingest(content))
    voided = await server.invoices.VoidInvoice(
        service_pb.VoidInvoiceRequest(key=by_id(ingested.invoice_id), reason="entered twice")
    )
    again = await server.invoices.VoidInvoice(service_pb.VoidInvoiceRequest(key=by_id(ingested.invoice_id)))
    assert (again.replayed, again.credit_memo_id) == (True, voided.credit_memo_id)
    found = await shown(server, ingested.invoice_id, voided.position)
    assert found.invoice.status == pb.INVOICE_STATUS_VOIDED
    assert found.invoice.invoice_number == content.invoice_number
    assert plain(found.invoice.totals.balance) == "0.00"
    [memo] = found.lineage.credit_memos
    assert (memo.credit_memo_id, memo.origin) == (
        voided.credit_memo_id,
        settlement_pb2.CREDIT_ORIGIN_VOID,
    )
    whole = await server.credits.GetCreditMemo(
        credit_service_pb.GetCreditMemoRequest(credit_memo_id=voided.credit_memo_id)
    )
    [line] = whole.credit_memo.lines
    assert (line.credit_amount.value, line.tax_amount.value) == ("250.00", "47.50")
    assert line.taxes == found.invoice.lines[0].content.taxes
    assert (memo.line_count, list(memo.lines)) == (1, [])
    assert plain(whole.credit_memo.totals.total_with_tax) == "297.50"
    assert plain(whole.credit_memo.totals.balance) == "0.00"
    history = await server.log.read(UUID(ingested.invoice_id))
    assert (history.recorded[-1].name, history.recorded[-1].meta.reason) == ("InvoiceVoided", "entered twice")
    of_memo = await server.log.read(UUID(voided.credit_memo_id))
    assert of_memo.position < history.position, "one append, the invoice last"


async def test_negative_lines_become_credit_that_is_applied_and_taken_back(server: House) -> None:
    account = f"acc-{uuid4()}"
    owed = await posted(server, "400.00", "-100.00", account_id=account)
    other = await posted(server, "70.00", account_id=account)
    convert = service_pb.ConvertNegativeLinesRequest(key=by_id(owed), request_id="c-1")
    converted = await server.invoices.ConvertNegativeLines(convert)
    assert plain(converted.invoice.totals.balance) == "400.00"
    assert plain(converted.invoice.totals.total_converted_negative) == "-100.00"
    assert (await server.invoices.ConvertNegativeLines(convert)).credit_memo_id == converted.credit_memo_id
    request = credit_service_pb.ApplyCreditMemoRequest(
        credit_memo_id=converted.credit_memo_id, invoice=by_id(other), request_id="a-1"
    )
    applied = await server.credits.ApplyCreditMemo(request)
    assert plain(applied.application.amount) == "70.00"
    assert plain(applied.credit_memo.totals.balance) == "30.00"
    assert (await server.credits.ApplyCreditMemo(request)).replayed
    found = await shown(server, other, applied.position)
    [credit] = found.invoice.settlement.credits
    assert credit == applied.application
    assert (credit.origin, credit.origin_invoice_id) == (settlement_pb2.CREDIT_ORIGIN_CONVERSION, owed)
    assert found.invoice.settlement_status == pb.SETTLEMENT_STATUS_SETTLED
    back = await server.credits.UnapplyCreditMemo(
        credit_service_pb.UnapplyCreditMemoRequest(
            credit_memo_id=converted.credit_memo_id, application_id=credit.application_id
        )
    )
    assert plain(back.credit_memo.totals.balance) == "100.00"
    assert (
        (await shown(server, other, back.position)).invoice.settlement.credits[0].HasField("unapplied_date")
    )


async def test_what_nobody_will_pay_is_written_off(server: House) -> None:
    owed = await posted(server)
    await server.invoices.RecordPayment(payment(owed, "30.00"))
    request = service_pb.WriteOffInvoiceRequest(key=by_id(owed), reason_code="insolvent", request_id="w")
    done = await server.invoices.WriteOffInvoice(request)
    assert (await server.invoices.WriteOffInvoice(request)).credit_memo_id == done.credit_memo_id
    assert done.invoice.settlement_status == pb.SETTLEMENT_STATUS_SETTLED
    assert plain(done.invoice.settlement.write_off.amount) == "70.00"
    error = await refused(server.invoices.RecordPayment(payment(owed, "1.00", "p-2")))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NOTHING_OWED")


async def listed(house: House, position: str = "", **conditions: Any) -> list[credit_pb.CreditMemo]:
    request = credit_service_pb.ListCreditMemosRequest(
        filter=credit_service_pb.CreditMemoFilter(**conditions), page_size=1, min_position=position
    )
    memos: list[credit_pb.CreditMemo] = []
    while True:
        page = await house.credits.ListCreditMemos(request)
        memos += page.credit_memos
        if not page.next_page_token:
            return memos
        request.page_token = page.next_page_token


async def test_credit_memos_are_listed_newest_first_by_every_condition(server: House) -> None:
    account = f"acc-{uuid4()}"
    first, second = [await posted(server, "9.00", "-5.00", account_id=account) for _ in range(2)]
    void = await server.invoices.VoidInvoice(service_pb.VoidInvoiceRequest(key=by_id(first)))
    free = await server.invoices.ConvertNegativeLines(
        service_pb.ConvertNegativeLinesRequest(key=by_id(second))
    )
    both = [free.credit_memo_id, void.credit_memo_id]

    async def ids(**conditions: Any) -> list[str]:
        found = await listed(server, free.position, account_id=account, **conditions)
        return [each.credit_memo_id for each in found]

    assert await ids() == both
    assert await ids(open=True) == await ids(invoice_id=second) == both[:1]
    assert await ids(origins=[settlement_pb2.CREDIT_ORIGIN_VOID]) == both[1:]
    assert await ids(legal_entity_id="de", currency_code="EUR") == both
    assert await ids(legal_entity_id="us") == await ids(currency_code="USD") == []
    assert await listed(server, account_id="\0") == []


async def test_every_refusal_has_its_status_and_writes_nothing(server: House) -> None:
    owed, nobody = await posted(server), str(uuid4())
    await server.invoices.RecordPayment(payment(owed, "10.00"))
    head = await server.head()
    refusals: list[tuple[Any, Code, str]] = [
        (payment(owed, "90.01", "p-2"), Code.FAILED_PRECONDITION, "MORE_THAN_BALANCE"),
        (payment(owed, "1.00", "p-2", currency="USD"), Code.FAILED_PRECONDITION, "OTHER_CURRENCY"),
        (payment(owed, "11.00"), Code.ALREADY_EXISTS, "REQUEST_DIFFERS"),
        (payment(owed, "1.00", ""), Code.INVALID_ARGUMENT, "BROKEN_RULES"),
        (payment(nobody, "1.00"), Code.NOT_FOUND, "INVOICE_NOT_FOUND"),
    ]
    for request, code, reason in refusals:
        error = await refused(server.invoices.RecordPayment(request))
        assert (error.code, error.reason) == (code, reason)
    error = await refused(
        server.invoices.ReversePayment(
            service_pb.ReversePaymentRequest(key=by_id(owed), payment_id=nobody, request_id="v")
        )
    )
    assert (error.code, error.reason) == (Code.NOT_FOUND, "PAYMENT_NOT_FOUND")
    error = await refused(server.invoices.VoidInvoice(service_pb.VoidInvoiceRequest(key=by_id(owed))))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "INVOICE_SETTLED")
    unknown = credit_service_pb.ApplyCreditMemoRequest(
        credit_memo_id=nobody, invoice=by_id(owed), request_id="a"
    )
    error = await refused(server.credits.ApplyCreditMemo(unknown))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "CREDIT_MEMO_NOT_FOUND")
    error = await refused(
        server.credits.GetCreditMemo(credit_service_pb.GetCreditMemoRequest(credit_memo_id=nobody))
    )
    assert (error.code, error.reason) == (Code.NOT_FOUND, "CREDIT_MEMO_NOT_FOUND")
    assert await server.head() == head


async def test_an_invoice_refers_to_a_credit_memo_of_this_book_and_to_no_other(server: House) -> None:
    origin = await posted(server)
    void = await server.invoices.VoidInvoice(service_pb.VoidInvoiceRequest(key=by_id(origin)))
    for named, found in ((void.credit_memo_id, True), (origin, False), (str(uuid4()), False)):
        reference = pb.Reference(kind=pb.REFERENCE_KIND_CREDIT_MEMO, id=named)
        call = server.invoices.IngestInvoice(ingest(an_invoice(reference=reference)))
        if found:
            assert (await call).status == pb.INVOICE_STATUS_DRAFT
        else:
            assert [each.rule for each in (await refused(call)).findings] == ["NO_SUCH_MEMO"]


async def test_what_is_no_invoice_or_no_credit_memo_is_not_found_as_one(server: House) -> None:
    origin = await posted(server)
    void = await server.invoices.VoidInvoice(service_pb.VoidInvoiceRequest(key=by_id(origin)))
    memo = void.credit_memo_id
    crossed = credit_service_pb.ApplyCreditMemoRequest(
        credit_memo_id=memo, invoice=by_id(memo), request_id="a"
    )
    swapped = credit_service_pb.ApplyCreditMemoRequest(
        credit_memo_id=origin, invoice=by_id(origin), request_id="a"
    )
    calls = [
        (server.invoices.RecordPayment(payment(memo, "1.00")), "INVOICE_NOT_FOUND"),
        (
            server.invoices.CancelInvoice(service_pb.CancelInvoiceRequest(key=by_id(memo))),
            "INVOICE_NOT_FOUND",
        ),
        (server.credits.ApplyCreditMemo(crossed), "INVOICE_NOT_FOUND"),
        (server.credits.ApplyCreditMemo(swapped), "CREDIT_MEMO_NOT_FOUND"),
    ]
    for call, reason in calls:
        assert (await refused(call)).reason == reason


@pytest.mark.parametrize(
    ("money", "path"),
    [
        (Money(currency_code="EUR", units=1, nanos=-1), "amount.nanos"),
        (Money(currency_code="EUR", units=1, nanos=1_000_000_000), "amount.nanos"),
        (Money(currency_code="EUR", units=2**63 - 1), "amount"),
        (Money(currency_code="EUR", nanos=1), "amount"),
        (Money(units=1), "amount.currency_code"),
        (Money(), "amount.currency_code"),
    ],
    ids=["mixed signs", "a whole unit", "too much", "too fine", "no currency", "nothing"],
)
async def test_money_that_is_none_is_a_finding(server: House, money: Money, path: str) -> None:
    owed = await posted(server)
    request = service_pb.RecordPaymentRequest(key=by_id(owed), amount=money, request_id="p")
    error = await refused(server.invoices.RecordPayment(request))
    assert error.code is Code.INVALID_ARGUMENT
    assert path in {each.path for each in error.findings}


# By itself, when it is posted


async def test_a_posted_import_is_converted_by_itself_where_the_settings_say_so(own_server: House) -> None:
    settings = reference_pb.Settings(negative_lines_converted=True)
    await own_server.reference.ApplyReferenceData(apply(reference_pb.ReferenceData(settings=settings)))
    content = a_posted_invoice(
        "auto", "R-1", lines=[a_line(charge, taxes=[a_tax("0.00")]) for charge in ("100.00", "-400.00")]
    )
    answer = await own_server.invoices.IngestInvoice(ingest(content))
    again = await own_server.invoices.IngestInvoice(ingest(content))
    assert (again.replayed, again.totals, again.position) == (True, answer.totals, answer.position)
    assert plain(answer.totals.balance) == "0.00"
    found = await shown(own_server, answer.invoice_id, answer.position)
    [conversion] = found.invoice.settlement.conversions
    assert conversion.automatic
    [memo] = await listed(own_server, answer.position, open=True)
    assert (plain(memo.totals.balance), memo.invoice_id) == ("300.00", answer.invoice_id)


async def test_a_draft_is_converted_in_the_append_that_posts_it_and_voided_it_keeps_its_number(
    own_server: House,
) -> None:
    data = postable(a_policy())
    data.settings.CopyFrom(reference_pb.Settings(negative_lines_converted=True))
    await own_server.reference.ApplyReferenceData(apply(data))
    lines = [a_line(charge, tax_treatment_id="exempt") for charge in ("400.00", "-100.00")]
    for key, charges in (("mixed", lines), ("plain", lines[:1])):
        await own_server.invoices.IngestInvoice(ingest(an_invoice(key, charges)))
    done = await own_server.invoices.PostInvoice(post("mixed"))
    assert (done.invoice.invoice_number, plain(done.invoice.totals.balance)) == ("INV-0001", "300.00")
    assert done.invoice.settlement_status == pb.SETTLEMENT_STATUS_PARTIALLY_SETTLED
    names = await own_server.happened("mixed")
    assert names[-2:] == ["InvoicePosted", "NegativeLinesConverted"]
    found = await shown(own_server, done.invoice.invoice_id, done.position)
    [memo] = found.lineage.credit_memos
    assert (plain(memo.totals.total_with_tax), plain(memo.totals.balance)) == ("100.00", "0.00")
    other = await own_server.invoices.PostInvoice(post("plain"))
    void = service_pb.VoidInvoiceRequest(key=by_id(other.invoice.invoice_id))
    assert (await own_server.invoices.VoidInvoice(void)).invoice.invoice_number == "INV-0002"
    [owed] = await owed_by(own_server, "acc-1", (await own_server.invoices.VoidInvoice(void)).position)
    assert (owed.open_invoices, plain(owed.net)) == (1, "300.00")


# What is owed


async def owed_by(house: House, account: str, position: str, **said: Any) -> list[query_pb.Receivable]:
    answer = await house.queries.ListReceivables(
        query_pb.ListReceivablesRequest(
            filter=query_pb.ReceivablesFilter(account_id=account, **said), min_position=position
        )
    )
    return list(answer.receivables)


async def test_receivables_are_what_an_account_owes_and_has_in_each_currency(server: House) -> None:
    account, today = f"acc-{uuid4()}", today_in_germany()
    late, soon = day(today - timedelta(days=3)), day(today + timedelta(days=30))
    overdue = await posted(server, "100.00", account_id=account, due_date=late)
    await posted(server, "40.00", account_id=account, due_date=soon)
    credit = await posted(server, "10.00", "-25.00", account_id=account, due_date=soon)
    await posted(server, "7.00", account_id=account, currency_code="USD", due_date=soon)
    await server.invoices.RecordPayment(payment(overdue, "30.00"))
    done = await server.invoices.ConvertNegativeLines(
        service_pb.ConvertNegativeLinesRequest(key=by_id(credit))
    )
    [dollars] = await owed_by(server, account, done.position, currency_code="USD")
    assert (dollars.open_invoices, plain(dollars.net), dollars.overdue_invoices) == (1, "7.00", 0)
    both = await owed_by(server, account, done.position)
    assert [each.currency_code for each in both] == ["EUR", "USD"]
    euro = both[0]
    assert (euro.open_invoices, plain(euro.balance)) == (3, "120.00")
    assert (euro.overdue_invoices, plain(euro.overdue)) == (1, "70.00")
    assert (plain(euro.unapplied_credit), plain(euro.net)) == ("25.00", "95.00")
    assert euro.oldest_due_date == late
    assert [each.currency_code for each in await owed_by(server, account, done.position, overdue=True)] == [
        "EUR"
    ]
    assert await owed_by(server, account, done.position, legal_entity_id="us") == []


async def test_receivables_come_in_pages_by_account_and_currency(own_server: House) -> None:
    for account, currency in [("b", "EUR"), ("a", "USD"), ("a", "EUR"), ("c", "EUR")]:
        await posted(own_server, "1.00", account_id=account, currency_code=currency)
    settled = await posted(own_server, "1.00", account_id="d")
    done = await own_server.invoices.RecordPayment(payment(settled, "1.00"))
    request = query_pb.ListReceivablesRequest(page_size=1, min_position=done.position)
    seen = []
    while True:
        page = await own_server.queries.ListReceivables(request)
        seen += [(each.account_id, each.currency_code) for each in page.receivables]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [("a", "EUR"), ("a", "USD"), ("b", "EUR"), ("c", "EUR")]
    for token in ("x", "AAAA", request.page_token[:-8]):
        request.page_token = token
        error = await refused(own_server.queries.ListReceivables(request))
        assert error.reason == "PAGE_TOKEN"


async def test_invoices_are_listed_by_settlement_and_overdue(server: House) -> None:
    account, today = f"acc-{uuid4()}", today_in_germany()
    late = day(today - timedelta(days=3))
    open_, part, paid, void = [
        await posted(server, "100.00", account_id=account, due_date=late) for _ in range(4)
    ]
    await server.invoices.RecordPayment(payment(part, "1.00"))
    await server.invoices.RecordPayment(payment(paid, "100.00"))
    done = await server.invoices.VoidInvoice(service_pb.VoidInvoiceRequest(key=by_id(void)))

    async def ids(**conditions: Any) -> list[str]:
        answer = await server.queries.ListInvoices(
            query_pb.ListInvoicesRequest(
                filter=query_pb.InvoiceFilter(account_id=account, **conditions), min_position=done.position
            )
        )
        return [each.invoice_id for each in answer.invoices]

    assert await ids(overdue=True) == [part, open_]
    assert await ids(settlement_statuses=[pb.SETTLEMENT_STATUS_NOT_SETTLED]) == [open_]
    assert await ids(settlement_statuses=[pb.SETTLEMENT_STATUS_PARTIALLY_SETTLED]) == [part]
    assert await ids(settlement_statuses=[pb.SETTLEMENT_STATUS_SETTLED]) == [paid]
    assert await ids(settlement_statuses=[pb.SETTLEMENT_STATUS_NOT_APPLICABLE]) == [void]
    assert (await shown(server, part, done.position)).invoice.days_overdue == 3


async def test_what_was_paid_late_was_open_and_overdue_until_it_was_settled(server: House) -> None:
    today = today_in_germany()
    before = {days: day(today - timedelta(days=days)) for days in (4, 10, 20)}
    owed = await posted(server, due_date=before[10], posted_date=before[20])
    open_ = await shown(server, owed, "")
    assert (open_.invoice.days_open, open_.invoice.days_overdue) == (20, 10)
    paid = await server.invoices.RecordPayment(payment(owed, "100.00", effective_date=before[4]))
    settled = await shown(server, owed, paid.position)
    assert settled.invoice.full_settlement_date == before[4]
    assert (settled.invoice.days_open, settled.invoice.days_overdue) == (16, 6)


# Races


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def second(server: House) -> AsyncIterator[House]:
    """Another service on the same book."""
    async with at_home(server.dsn) as second:
        yield second


AGAIN = ("CONTENDED", "OVERLOADED", "STORE_UNAVAILABLE")  # what a busy machine may answer, for now
PATIENCE = 50


async def insisted(method: Any, request: Any) -> Any:
    """The answer to a call that is made again where the service asks for that, as a client does."""
    for _ in range(PATIENCE):
        try:
            return await method(request)
        except grpc.aio.AioRpcError as error:
            if explain(error).reason not in AGAIN:
                raise
            await asyncio.sleep(0.1)
    raise AssertionError("it is asked for again and again")


async def outcome(call: tuple[Any, Any]) -> str:
    """What became of a call: its reason, or what it was."""
    try:
        await insisted(*call)
    except grpc.aio.AioRpcError as error:
        return explain(error).reason
    return "DONE"


async def test_payments_at_once_never_take_more_than_is_owed(server: House, second: House) -> None:
    owed = await posted(server)
    houses = [server, second]
    calls = [(houses[n % 2].invoices.RecordPayment, payment(owed, "30.00", f"p-{n}")) for n in range(12)]
    outcomes = Counter(await asyncio.gather(*map(outcome, calls)))
    assert outcomes == {"DONE": 3, "MORE_THAN_BALANCE": 9}
    history = await server.log.read(UUID(owed))
    assert [each.name for each in history.recorded].count("PaymentRecorded") == 3


async def test_the_same_payment_at_once_is_recorded_once(server: House, second: House) -> None:
    owed = await posted(server)
    houses = [server, second]
    answers = await asyncio.gather(
        *(insisted(houses[n % 2].invoices.RecordPayment, payment(owed, "30.00")) for n in range(12))
    )
    assert [each.replayed for each in answers].count(False) == 1
    assert {plain(each.invoice.totals.balance) for each in answers} == {"70.00"}


async def test_voiding_against_payment_at_once_leaves_one_of_them(server: House, second: House) -> None:
    won: Counter[str] = Counter()
    for n in range(12):
        owed = await posted(server)
        void = service_pb.VoidInvoiceRequest(key=by_id(owed))
        pay = payment(owed, "1.00")
        calls = [(second.invoices.VoidInvoice, void), (server.invoices.RecordPayment, pay)]
        if n % 2:
            calls.reverse()
        outcomes = sorted(await asyncio.gather(*map(outcome, calls)))
        names = [each.name for each in (await server.log.read(UUID(owed))).recorded]
        since = names[names.index("InvoicePosted") + 1 :]
        assert (outcomes, since) in (
            (["DONE", "INVOICE_SETTLED"], ["PaymentRecorded"]),
            (["DONE", "INVOICE_NOT_POSTED"], ["InvoiceVoided"]),
        )
        won.update(since)
    assert sum(won.values()) == 12


async def test_credit_applied_at_once_is_applied_no_further_than_it_goes(
    server: House, second: House
) -> None:
    account = f"acc-{uuid4()}"
    origin = await posted(server, "10.00", "-100.00", account_id=account)
    memo = await server.invoices.ConvertNegativeLines(
        service_pb.ConvertNegativeLinesRequest(key=by_id(origin))
    )
    invoices = [await posted(server, "40.00", account_id=account) for _ in range(4)]
    houses = [server, second]
    calls = [
        (
            houses[n % 2].credits.ApplyCreditMemo,
            credit_service_pb.ApplyCreditMemoRequest(
                credit_memo_id=memo.credit_memo_id, invoice=by_id(each), request_id=f"a-{n}"
            ),
        )
        for n, each in enumerate(invoices * 2)
    ]
    outcomes = Counter(await asyncio.gather(*map(outcome, calls)))
    assert set(outcomes) <= {"DONE", "CREDIT_USED_UP", "NOTHING_OWED"}
    position = await newest(server, memo.credit_memo_id)
    whole = await server.credits.GetCreditMemo(
        credit_service_pb.GetCreditMemoRequest(
            credit_memo_id=memo.credit_memo_id,
            min_position=position,
        )
    )
    applied = sum(Decimal(plain(each.amount)) for each in whole.credit_memo.applications)
    taken = [await shown(server, each, whole.position) for each in invoices]
    credited = sum(Decimal(plain(each.invoice.totals.net_credits_applied)) for each in taken)
    assert applied == credited == Decimal("100.00") - Decimal(plain(whole.credit_memo.totals.balance))
    assert credited <= 100
