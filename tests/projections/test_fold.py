"""The read models are the fold of the log, whatever happened and however the runner was interrupted."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daybook.v1 import invoice_pb2 as pb
from domain import invoice
from projections import invoices, invoices_by_order
from projections.invoice_summary import InvoiceSummary
from projections.stored import read_summary
from service.wire import spelled
from service.wire.invoices import write_invoice
from service.wire.spelling import parsed
from service.wire.summaries import days_open, days_overdue
from store.log import History

from .book import DAY, META, Book, Chance, address, draft, execute, line, relabeled, revise, tax

RANDOM = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def histories(book: Book) -> dict[UUID, History]:
    events = await book.log.feed(0, 1_000_000)
    streams = {event.stream for event in events}
    return dict(await book.log.read_many(streams))


def folded(history: History) -> tuple[InvoiceSummary, invoice.Invoice]:
    """An invoice as the domain alone makes it of all its events."""
    state = invoice.fold(history.events)
    assert state is not None
    first, last = history.recorded[0], history.recorded[-1]
    summary = InvoiceSummary(
        id=history.stream,
        unique_identifier=state.unique_identifier,
        version=history.version,
        status=state.status,
        tax_status=state.tax_status,
        settlement=state.settlement,
        number=state.number,
        posted_date=state.posted_date,
        header=state.header,
        texts=state.texts,
        totals=state.totals,
        line_count=len(state.lines),
        reference_position=state.reference_position,
        created=first.recorded,
        updated=last.recorded,
        drafted_position=first.position,
        position=last.position,
        ledger=None if state.ledger == invoice.UNTOUCHED else state.ledger,
        full_settlement_date=state.full_settlement_date,
    )
    return summary, state


async def assert_is_fold(book: Book, only: Iterable[UUID] | None = None) -> None:
    """Every answer is what the log says, and there is nothing else."""
    by_order: dict[str, list[InvoiceSummary]] = defaultdict(list)
    all_histories = await histories(book)
    for invoice_id, history in all_histories.items():
        summary, state = folded(history)
        for order_id in state.order_ids:
            by_order[order_id].append(summary)
        if only is None or invoice_id in only:
            found = (await invoices.find(book.reader, invoice_id, lines=100_000)).found
            assert found == invoices.FoundInvoice(
                summary, tuple(state.addresses.values()), tuple(state.lines)
            )
            await assert_is_spelled(book, summary, state)
    [[rows]] = await book.execute("SELECT count(*) FROM projections.invoices_v1_g1")
    assert rows == len(all_histories)
    [[listed]] = await book.execute("SELECT count(*) FROM projections.invoices_by_order_v1_g1")
    assert listed == sum(map(len, by_order.values()))
    for order_id, summaries in by_order.items():
        answer = await invoices_by_order.list_(book.reader, order_id, size=10_000)
        assert list(answer.found.items) == sorted(summaries, key=_drafted, reverse=True)


async def assert_is_spelled(book: Book, summary: InvoiceSummary, state: invoice.Invoice) -> None:
    """What is answered, whatever way the rows came about, is the message of the invoice."""
    stored = (await invoices.look_up(book.reader, summary.id)).found
    assert stored is not None
    said = spelled.full(read_summary(stored.header), stored, str, lambda _: DAY)
    expected = write_invoice(summary.id, state, str, summary.created, summary.updated, full=True)
    expected.days_open, expected.days_overdue = days_open(state, DAY), days_overdue(state, DAY)
    assert parsed(said, pb.Invoice) == expected


def _drafted(summary: InvoiceSummary) -> int:
    return summary.drafted_position


@RANDOM
@given(seed=st.integers(0, 2**32), batch=st.sampled_from([1, 2, 7, 50, 2000]))
async def test_after_any_history_and_any_restarts_the_read_models_are_the_fold_of_the_log(
    book: Book, seed: int, batch: int
) -> None:
    random = Random(seed)
    chance = Chance(random)
    written: set[UUID] = set()
    for _ in range(random.randint(1, 4)):
        task = asyncio.create_task(book.runner(batch).run())
        for _ in range(random.randint(1, 8)):
            write = chance.next()
            written.add(write.stream)
            await book.log.append([write], META)
        await asyncio.sleep(random.random() * 0.05)
        task.cancel()
        await asyncio.wait([task])
    await book.caught_up(batch)
    await assert_is_fold(book, written)


@pytest.mark.long
async def test_two_runners_fighting_do_no_harm(book: Book) -> None:
    chance = Chance(Random(7))
    async with book.running(3), book.running(5), book.running(20):
        for _ in range(120):
            await book.log.append([chance.next()], META)
        await book.seen(await book.log.head())
    await assert_is_fold(book)


async def test_a_rebuild_from_zero_gives_the_same_rows(book: Book) -> None:
    chance = Chance(Random(11))
    async with book.running(4):
        for _ in range(60):
            await book.log.append([chance.next()], META)
        await book.seen(await book.log.head())
    before = await book.content()
    assert all(before.values())
    await book.forget()
    await book.caught_up()
    assert await book.content() == before


@pytest.mark.parametrize("lines", [500, pytest.param(10_000, marks=pytest.mark.long)])
async def test_a_long_invoice_is_projected_whole(book: Book, lines: int) -> None:
    one = uuid4()
    body = [line(number, order_id=f"o{number % 7}") for number in range(1, lines + 1)]
    taxes = [tax(number, "1.90") for number in range(1, lines + 1)]
    position = await book.write(one, 0, *draft(address(), *body, *taxes))
    await book.write(one, 2 * lines + 2, relabeled(a="b"))
    await book.caught_up()
    await assert_is_fold(book)
    pages, after = 0, 0
    while True:
        answer = await invoices.list_lines(book.reader, one, after=after, size=333, min_position=position)
        assert answer.found is not None
        numbers = [each.added.number for each in answer.found.lines]
        assert numbers == list(range(after + 1, min(after + 333, lines) + 1))
        pages += 1
        if answer.found.next is None:
            break
        after = answer.found.next
    assert pages == -(-lines // 333)


async def test_an_invoice_cut_by_the_end_of_a_batch_is_never_half_visible(book: Book) -> None:
    """Batches of three events, invoices of up to twenty: whoever looks sees all lines or no invoice."""
    ids = [uuid4() for _ in range(12)]
    looks = 0

    async def look() -> None:
        nonlocal looks
        while True:
            answer = await invoices.list_(book.reader, size=500)
            for summary in answer.found.items:
                found = (await invoices.find(book.reader, summary.id, lines=500)).found
                assert found is not None
                assert (
                    len(found.lines) == found.summary.line_count == int(found.summary.header.labels["lines"])
                )
                looks += 1

    looking = asyncio.create_task(look())
    async with book.running(3):
        for number, one in enumerate(ids):
            lines = [line(n) for n in range(1, number + 9)]
            await book.write(one, 0, *draft(address(), *lines, labels={"lines": str(len(lines))}))
            shorter = lines[: number + 2]
            await book.write(
                one, len(lines) + 2, *revise(address(), *shorter, labels={"lines": str(len(shorter))})
            )
        await book.seen(await book.log.head())
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert looks > 0
    await assert_is_fold(book)


async def test_lines_stay_untouched_by_what_does_not_concern_them(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft(address(), *(line(n) for n in range(1, 251))))
    await book.caught_up()
    rows = "SELECT ctid::text, xmin::text FROM projections.invoices_v1_g1_lines ORDER BY chunk"
    before = await book.execute(rows)
    await book.write(one, 252, relabeled(a="b"))
    await book.write(one, 253, invoice.InvoiceCanceled())
    await book.caught_up()
    assert len(before) == 3
    assert await book.execute(rows) == before
    await assert_is_fold(book)


async def test_what_was_erased_stays_away(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft(address(), line(1, text="Ada's"), tax(1, "1.90")))
    await execute(book.database.admin_dsn, "SELECT daybook.erase_personal(%s)", one)
    update = invoice.InvoiceUpdated(("description",), personal=invoice.DescriptionTexts("new"))
    await book.write(one, 4, update)
    await book.caught_up()
    found = (await invoices.find(book.reader, one)).found
    assert found is not None
    assert found.summary.texts == invoice.HeaderTexts(description="new"), "what was written since is there"
    assert found.addresses[0].personal is None
    assert found.lines[0].added.personal is None
    assert found.lines[0].row_texts is None
    await assert_is_fold(book)


async def test_a_summary_folds_on_without_its_lines(book: Book) -> None:
    """What the summary keeps of lines is what they said when they were written."""
    one = uuid4()
    estimated = replace(line(1), tax_status=invoice.TaxStatus.ESTIMATED)
    await book.write(one, 0, *draft(address(), estimated, tax(1, "1.90")))
    await book.caught_up()
    await book.write(one, 4, invoice.InvoicePosted("R-9", revise()[0].today))  # type: ignore[union-attr]
    await book.caught_up()
    await assert_is_fold(book)
