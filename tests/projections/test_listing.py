"""Lists: filters mean what they say, pages are stable, and indexes carry them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import invoice
from projections import invoices, invoices_by_order
from projections.invoice_filter import InvoiceFilter, Today, condition
from projections.invoice_summary import InvoiceSummary
from projections.invoices import INVOICES
from projections.reader import Page

from .book import CANCELED, DAY, POSTED, Book, address, draft, line, order, referred, revise

Status, Settlement = invoice.Status, invoice.Settlement
Meets = Callable[[InvoiceSummary], bool]
WEEK = timedelta(days=7)


async def every(book: Book, filter: InvoiceFilter, size: int = 500) -> list[InvoiceSummary]:  # noqa: A002
    """All pages."""
    found: list[InvoiceSummary] = []
    before: int | None = None
    while True:
        answer = await invoices.list_(book.reader, filter, before=before, size=size)
        assert len(answer.found.items) <= size
        found += answer.found.items
        before = answer.found.next
        if before is None:
            return found


async def write_some_of_everything(book: Book) -> None:
    """Invoices that differ in all that can be asked for."""
    for number in range(48):
        one = uuid4()
        content = draft(
            address(),
            line(1, "-5.00" if number % 11 == 10 else f"{number % 13 + 1}.00"),
            account_id=("acme", "bolt", "core")[number % 3],
            invoice_date=DAY + number % 5 * WEEK,
            due_date=DAY + number % 7 * WEEK,
            reference=(None, order("o1"), invoice.Reference(invoice.ReferenceKind.QUOTE, "o1"))[number % 3],
            source=(None, invoice.Source("old", f"{number % 4}"), invoice.Source("older"))[number % 3],
            purchase_order_number=("", "PO 1")[number % 2],
            legal_entity_id=("house", "annex")[number % 2],
            labels=({}, {"team": "blue"}, {"team": "blue", "tier": 'g"o\\ld'}, {"team": "red"})[number % 4],
            currency=("EUR", "JPY")[number % 5 == 4],
            invoice_number=("", f"N-{number % 6}")[number % 2],
        )
        await book.write(one, 0, *content)
        if number % 4 == 1:
            await book.write(one, 3, CANCELED)
        if number % 4 >= 2:
            await book.write(one, 3, replace(POSTED, posted_date=DAY + number % 3 * WEEK))
    await book.caught_up()


TODAYS = Today(DAY + 3 * WEEK, {"annex": DAY + 5 * WEEK})


def is_overdue(one: InvoiceSummary) -> bool:
    today = DAY + (5 if one.header.legal_entity_id == "annex" else 3) * WEEK
    return one.status is Status.POSTED and one.totals.balance > 0 and one.header.due_date < today


FILTERS: list[tuple[InvoiceFilter, Meets]] = [
    (InvoiceFilter(), lambda _: True),
    (InvoiceFilter(account_id="bolt"), lambda one: one.header.account_id == "bolt"),
    (InvoiceFilter(statuses=frozenset({Status.CANCELED})), lambda one: one.status is Status.CANCELED),
    (
        InvoiceFilter(statuses=frozenset({Status.DRAFT, Status.POSTED})),
        lambda one: one.status in {Status.DRAFT, Status.POSTED},
    ),
    (
        InvoiceFilter(settlements=frozenset({Settlement.NOT_SETTLED})),
        lambda one: one.settlement is Settlement.NOT_SETTLED,
    ),
    (InvoiceFilter(overdue=TODAYS), is_overdue),
    (
        InvoiceFilter(invoice_date_from=DAY + WEEK, invoice_date_to=DAY + 2 * WEEK),
        lambda one: DAY + WEEK <= one.header.invoice_date <= DAY + 2 * WEEK,
    ),
    (
        InvoiceFilter(due_date_from=DAY + WEEK, due_date_to=DAY + 2 * WEEK),
        lambda one: DAY + WEEK <= one.header.due_date <= DAY + 2 * WEEK,
    ),
    (
        InvoiceFilter(posted_date_from=DAY + WEEK, posted_date_to=DAY + WEEK),
        lambda one: one.posted_date == DAY + WEEK,
    ),
    (
        InvoiceFilter(reference_kind=invoice.ReferenceKind.ORDER, reference_id="o1"),
        lambda one: one.header.reference == order("o1"),
    ),
    (InvoiceFilter(reference_id="o1"), lambda one: one.header.reference is not None),
    (
        InvoiceFilter(total_with_tax_min=Decimal("3.00"), total_with_tax_max=Decimal(5), currency="EUR"),
        lambda one: 3 <= one.totals.total_with_tax <= 5 and one.header.currency == "EUR",
    ),
    (InvoiceFilter(total_with_tax_max=Decimal(0)), lambda one: one.totals.total_with_tax <= 0),
    (InvoiceFilter(currency="JPY"), lambda one: one.header.currency == "JPY"),
    (
        InvoiceFilter(source_system="old"),
        lambda one: one.header.source is not None and one.header.source.system == "old",
    ),
    (
        InvoiceFilter(source_id="3"),
        lambda one: one.header.source is not None and one.header.source.id == "3",
    ),
    (InvoiceFilter(labels={"team": "blue"}), lambda one: one.header.labels.get("team") == "blue"),
    (InvoiceFilter(labels={"tier": 'g"o\\ld', "team": "blue"}), lambda one: "tier" in one.header.labels),
    (InvoiceFilter(purchase_order_number="PO 1"), lambda one: one.header.purchase_order_number == "PO 1"),
    (InvoiceFilter(legal_entity_id="annex"), lambda one: one.header.legal_entity_id == "annex"),
    (InvoiceFilter(number="N-3"), lambda one: one.number == "N-3"),
    (
        InvoiceFilter(account_id="core", statuses=frozenset({Status.POSTED}), overdue=TODAYS),
        lambda one: one.header.account_id == "core" and is_overdue(one),
    ),
]


async def test_every_filter_means_what_it_says(book: Book) -> None:
    await write_some_of_everything(book)
    everything = await every(book, InvoiceFilter())
    assert len(everything) == 48
    for asked, meets in FILTERS:
        expected = [one for one in everything if meets(one)]
        assert len(expected) > 0, asked
        assert await every(book, asked) == expected, asked
        assert await every(book, asked, size=4) == expected, asked


@pytest.mark.parametrize("text", ["nobody", "bo\0lt", "'; DROP TABLE x; --", "%(limit)s {table}", "🧾" * 300])
async def test_what_nobody_has_is_not_found(book: Book, text: str) -> None:
    await book.write(uuid4(), 0, *draft())
    await book.caught_up()
    assert await every(book, InvoiceFilter(account_id=text)) == []
    assert await every(book, InvoiceFilter(labels={"team": text})) == []
    assert (await invoices.numbered(book.reader, "house", text)).found == ()
    assert (await invoices_by_order.list_(book.reader, text)).found.items == ()


async def test_a_list_goes_by_when_an_invoice_was_first_recorded(book: Book) -> None:
    ids = [uuid4() for _ in range(5)]
    for one in ids:
        await book.write(one, 0, *draft())
    await book.write(ids[0], 3, CANCELED)
    await book.write(ids[2], 3, *revise())
    await book.caught_up()
    assert [one.id for one in await every(book, InvoiceFilter())] == ids[::-1]


async def list_all(book: Book, before: int | None) -> Page[InvoiceSummary]:
    return (await invoices.list_(book.reader, before=before, size=3)).found


async def list_of_order(book: Book, before: int | None) -> Page[InvoiceSummary]:
    return (await invoices_by_order.list_(book.reader, "o", before=before, size=3)).found


@pytest.mark.parametrize("list_", [list_all, list_of_order])
async def test_pages_stay_as_they_are_while_invoices_come_and_change(
    book: Book, list_: Callable[[Book, int | None], Awaitable[Page[InvoiceSummary]]]
) -> None:
    ids = [uuid4() for _ in range(20)]
    for one in ids:
        await book.write(one, 0, *draft(reference=order("o")))
    await book.caught_up()
    shown: list[UUID] = []
    before: int | None = None
    async with book.running():
        for turn in range(7):
            page = await list_(book, before)
            shown += [one.id for one in page.items]
            before = page.next
            await book.write(uuid4(), 0, *draft(reference=order("o")))
            await book.seen(await book.write(ids[turn], 3, *revise(reference=order("o"))))
    assert before is None
    assert shown == ids[::-1]


async def order_of(book: Book, order_id: str) -> list[UUID]:
    await book.caught_up()
    answer = await invoices_by_order.list_(book.reader, order_id)
    return [one.id for one in answer.found.items]


async def test_an_invoice_is_listed_once_under_every_order_that_it_names(book: Book) -> None:
    one = uuid4()
    lines = line(1, order_id="o1"), line(2, order_id="o2"), line(3, order_id="o1")
    await book.write(one, 0, *draft(address(), *lines, reference=order("o1")))
    assert await order_of(book, "o1") == [one]
    assert await order_of(book, "o2") == [one]
    assert await order_of(book, "O1") == []


async def test_an_invoice_revised_away_from_an_order_leaves_its_list(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft(address(), line(1, order_id="o1"), reference=order("o2")))
    assert await order_of(book, "o1") == await order_of(book, "o2") == [one]
    await book.write(one, 3, *revise(address(), line(1, order_id="o3")))
    assert await order_of(book, "o1") == await order_of(book, "o2") == []
    assert await order_of(book, "o3") == [one]


async def test_a_posted_invoice_moves_to_the_order_that_an_update_names(book: Book) -> None:
    one = uuid4()
    await book.write(one, 0, *draft(address(), line(1, order_id="o1"), POSTED, reference=order("o1")))
    await book.write(one, 4, referred("o2"))
    assert await order_of(book, "o1") == [one]  # a line still names it
    assert await order_of(book, "o2") == [one]
    await book.write(one, 5, referred(""))
    assert await order_of(book, "o1") == [one]
    assert await order_of(book, "o2") == []


async def test_an_order_lists_invoices_of_every_status(book: Book) -> None:
    ids = [uuid4() for _ in range(3)]
    for one in ids:
        await book.write(one, 0, *draft(reference=order("o")))
    await book.write(ids[1], 3, CANCELED)
    await book.write(ids[2], 3, POSTED)
    assert await order_of(book, "o") == ids[::-1]


async def test_a_number_names_whoever_carries_it(book: Book) -> None:
    canceled, first, second, elsewhere = ids = [uuid4() for _ in range(4)]
    for one in ids:
        entity = "annex" if one == elsewhere else "house"
        await book.write(one, 0, *draft(invoice_number="N-1", legal_entity_id=entity))
    await book.write(canceled, 3, CANCELED)
    await book.caught_up()
    assert (await invoices.numbered(book.reader, "house", "N-1")).found == (first, second)
    await book.write(first, 3, CANCELED)
    await book.write(second, 3, CANCELED)
    await book.caught_up()
    assert (await invoices.numbered(book.reader, "house", "N-1")).found == (canceled, first, second)
    assert (await invoices.numbered(book.reader, "annex", "N-1")).found == (elsewhere,)


MANY = 100_000
FILL = """
INSERT INTO projections.invoices_v1_g1 (
    invoice_id, drafted_position, position, version, status, tax_status, settlement, number, legal_entity_id,
    account_id, reference_kind, reference_id, source_system, source_id, purchase_order_number,
    invoice_date, due_date, posted_date, currency, total, total_with_tax, balance, line_count, labels,
    created, updated, header, addresses
)
SELECT
    gen_random_uuid(), n, n, 1, CASE WHEN n %% 50 = 0 THEN 'DRAFT' ELSE 'POSTED' END, 'POSTED',
    CASE WHEN n %% 50 = 1 THEN 'NOT_SETTLED' ELSE 'SETTLED' END, 'R-' || n, 'house',
    'account ' || n %% 5000, 'ORDER', 'order ' || n %% 30000, 'old', 'id ' || n, 'po ' || n %% 30000,
    '2020-01-01'::date + n / 50, '2020-02-01'::date + n / 50, '2020-01-01'::date + n / 50, 'EUR',
    n %% 9973, n %% 9973, CASE WHEN n %% 50 = 1 THEN 10 ELSE 0 END, 1,
    jsonb_build_object('team', 'team ' || n %% 3000), now(), now(), '', ''
FROM generate_series(1, %s) AS n
"""

SELECTIVE = [
    InvoiceFilter(),
    InvoiceFilter(account_id="account 7"),
    InvoiceFilter(statuses=frozenset({Status.DRAFT})),
    InvoiceFilter(settlements=frozenset({Settlement.NOT_SETTLED})),
    InvoiceFilter(settlements=frozenset({Settlement.NOT_SETTLED, Settlement.PARTIALLY_SETTLED})),
    InvoiceFilter(overdue=Today(date(2020, 3, 1))),
    InvoiceFilter(invoice_date_from=date(2021, 1, 1), invoice_date_to=date(2021, 1, 3)),
    InvoiceFilter(due_date_from=date(2021, 1, 1), due_date_to=date(2021, 1, 3)),
    InvoiceFilter(posted_date_from=date(2021, 1, 1), posted_date_to=date(2021, 1, 3)),
    InvoiceFilter(reference_kind=invoice.ReferenceKind.ORDER, reference_id="order 7"),
    InvoiceFilter(source_system="old", source_id="id 77"),
    InvoiceFilter(source_id="id 77"),
    InvoiceFilter(labels={"team": "team 7"}),
    InvoiceFilter(purchase_order_number="po 7"),
    InvoiceFilter(number="R-77"),
    InvoiceFilter(currency="EUR", total_with_tax_min=Decimal(5), total_with_tax_max=Decimal(5)),
    InvoiceFilter(legal_entity_id="house"),
]


async def test_no_list_reads_the_whole_table(book: Book) -> None:
    """Rows touched for a page, out of a hundred thousand: by the plan that PostgreSQL really takes."""
    await book.execute(FILL, MANY)
    await book.execute("VACUUM ANALYZE projections.invoices_v1_g1")
    for asked in SELECTIVE:
        meets, parameters = condition(asked)
        sql = invoices.LIST.format(condition=meets).format(table=INVOICES.table(1))
        plan = await explained(book, sql, {**parameters, "before": 10**9, "limit": 51})
        assert "Seq Scan" not in plan["kinds"], (asked, plan)
        assert plan["touched"] <= 5_000, (asked, plan)


async def explained(book: Book, sql: str, parameters: dict[str, object]) -> dict[str, Any]:
    async with book.pool.connection() as connection:
        cursor = await connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".encode(), parameters)
        [[[found]]] = await cursor.fetchall()
    nodes = list(below(found["Plan"]))
    touched = [node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes]
    return {"kinds": [node["Node Type"] for node in nodes], "touched": max(touched)}


def below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from below(child)
