"""A book for the tests: the log in PostgreSQL, its read models, and invoices to write down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg

from domain import identity, invoice
from projections.caught_up import Tidings
from projections.checkpoint import prepare, standings
from projections.gathered import Gathered
from projections.invoices import INVOICES
from projections.invoices_by_order import INVOICES_BY_ORDER
from projections.leases import Leases
from projections.pool import pool
from projections.projection import Pool
from projections.reader import Reader
from projections.runner import Runner
from store import schema
from store.log import Meta, Who, Write
from store.postgres import PostgresLog, open_log
from tests.postgres import Database

ALL = (INVOICES, INVOICES_BY_ORDER)
TABLES = (
    "projections.invoices_v1_g1",
    "projections.invoices_v1_g1_lines",
    "projections.invoices_by_order_v1_g1",
    "projections.invoices_by_order_v1_g1_headers",
)
META = Meta(Who("local", "tester"))
DAY = date(2026, 11, 23)
CODEC = schema.codec()


@dataclass(frozen=True, slots=True)
class Book:
    """One database with its log and read models."""

    database: Database
    log: PostgresLog
    pool: Pool
    reader: Reader
    runners: list[Runner] = field(default_factory=list)

    def runner(
        self, batch: int = 2000, projections: Sequence[Any] = ALL, leases: Leases | None = None
    ) -> Runner:
        return Runner(
            self.log,
            CODEC.decode,
            self.pool,
            projections,
            known=schema.REGISTRY.keys(),
            batch=batch,
            leases=leases,
        )

    @asynccontextmanager
    async def running(self, batch: int = 2000, projections: Sequence[Any] = ALL) -> AsyncIterator[Runner]:
        runner = self.runner(batch, projections)
        task = asyncio.create_task(runner.run())
        self.runners.append(runner)
        try:
            yield runner
        finally:
            runner.stop()
            await task
            self.runners.remove(runner)

    async def caught_up(self, batch: int = 2000) -> int:
        """Project all there is."""
        async with self.running(batch):
            head = await self.log.head()
            await self.seen(head)
        return head

    async def seen(self, position: int) -> None:
        """Wait until every read model has seen this position."""
        deadline = asyncio.get_running_loop().time() + 60
        for projection in ALL:
            while await self.reader.wait_until(projection, 0) < position:
                late = asyncio.get_running_loop().time() > deadline
                assert not late, (await standings(self.pool), [each.progress for each in self.runners])
                await asyncio.sleep(0.01)

    async def write(self, invoice_id: UUID, version: int, *events: invoice.Event) -> int:
        return (await self.log.append([Write(invoice_id, version, events)], META)).position

    async def execute(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """As the application role, whose tables the read models are."""
        return await execute(self.database.app_dsn, sql, *parameters)

    async def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every read model."""
        return {table: await self.execute(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}

    async def forget(self) -> None:
        """Empty the generation, as if nothing had been projected."""
        await self.execute(f"TRUNCATE {', '.join(TABLES)}")
        await self.execute("UPDATE projections.checkpoints SET position = 0")


async def execute(dsn: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute(sql.encode(), parameters or None)
        return await cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def open_book(database: Database) -> AsyncIterator[Book]:
    dsn = database.app_dsn
    async with pool(dsn) as connections, Tidings(dsn) as tidings, Gathered(dsn) as gathered:
        await prepare(connections, ALL)
        async with await open_log(dsn, CODEC) as log:
            yield Book(database, log, connections, Reader(connections, tidings, gathered))


# Invoices


def header(**differing: Any) -> invoice.Header:
    ordinary = invoice.Header(
        account_id="acme",
        bill_to_contact_id="contact",
        invoice_date=DAY,
        due_date=DAY + timedelta(days=30),
        currency="EUR",
        legal_entity_id="house",
        tax_status=invoice.TaxStatus.PENDING,
    )
    return replace(ordinary, **differing)


def line(number: int, charge: str = "10.00", order_id: str = "", text: str = "") -> invoice.LineAdded:
    return invoice.LineAdded(
        number=number,
        name=f"line {number}",
        start_date=DAY,
        end_date=DAY,
        quantity=Decimal(1),
        unit_price=Decimal(charge),
        charge=Decimal(charge),
        billing_address="a",
        shipping_address="a",
        tax_treatment_id="standard",
        taxable=True,
        tax_status=invoice.TaxStatus.PENDING,
        reference=invoice.LineReference(order_id=order_id) if order_id else None,
        personal=invoice.LineTexts(text),
    )


def tax(line: int, amount: str) -> invoice.TaxImported:
    row = invoice.TaxRow("t", Decimal(amount), Decimal("0.19"), "VAT", "V19", DAY, "d")
    return invoice.TaxImported(line, (row, row), invoice.TaxTexts(("first", "")))


def address(group: str = "a") -> invoice.AddressGroupAssigned:
    return invoice.AddressGroupAssigned(group, "BY", "DE", invoice.Place("1 Street", "Town", "12345"))


def draft(*body: invoice.Event, key: str = "", **differing: Any) -> tuple[invoice.Event, ...]:
    """The first append of an invoice; with one line, unless there are others."""
    content = body or (address(), line(1))
    texts = invoice.HeaderTexts("Acme", "Jo", "Ada", "what it is for")
    drafted = invoice.InvoiceDrafted(key, header(**differing), "f1:0", DAY, 7, 1 + len(content), texts)
    return (drafted, *content)


def revise(*body: invoice.Event, **differing: Any) -> tuple[invoice.Event, ...]:
    content = body or (address(), line(1))
    texts = invoice.HeaderTexts(description="said anew")
    revised = invoice.InvoiceRevised(header(**differing), "f1:1", DAY, 8, 1 + len(content), "", texts)
    return (revised, *content)


POSTED = invoice.InvoicePosted("R-1", DAY)
CANCELED = invoice.InvoiceCanceled()


def relabeled(**labels: str) -> invoice.InvoiceUpdated:
    return invoice.InvoiceUpdated(("labels",), labels=labels)


def referred(order_id: str) -> invoice.InvoiceUpdated:
    reference = invoice.Reference(invoice.ReferenceKind.ORDER, order_id) if order_id else None
    return invoice.InvoiceUpdated(("reference",), reference=reference)


def order(order_id: str) -> invoice.Reference:
    return invoice.Reference(invoice.ReferenceKind.ORDER, order_id)


class Chance:
    """Random histories of invoices, appended as the service would."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._states: dict[UUID, invoice.Invoice] = {}

    def next(self) -> Write:
        """What happens next to some invoice."""
        if not self._states or self._random.random() < 0.4:
            return self._begin()
        invoice_id = self._random.choice(list(self._states))
        return self._write(invoice_id, self._change(self._states[invoice_id]))

    def _begin(self) -> Write:
        key = f"key-{uuid4()}"
        content = draft(*self._content(), key=key, **self._header())
        return self._write(identity.invoice(key), content)

    def _write(self, invoice_id: UUID, events: Sequence[invoice.Event]) -> Write:
        before = self._states.get(invoice_id)
        version = before.version if before else 0
        after = invoice.fold(events, before)
        assert after is not None
        self._states[invoice_id] = after
        return Write(invoice_id, version, events)

    def _change(self, state: invoice.Invoice) -> Sequence[invoice.Event]:
        label = relabeled(**{self._pick("abc"): self._pick("xyz")})
        described = invoice.InvoiceUpdated(
            ("description",), personal=invoice.DescriptionTexts(self._pick(["", "new", "newer"]))
        )
        if state.status is invoice.Status.POSTED:
            return [self._pick([label, described, referred(self._pick(["", "o1", "o2"]))])]
        if state.status is invoice.Status.CANCELED or self._random.random() < 0.4:
            return revise(*self._content(), **self._header())
        return [self._pick([label, described, CANCELED, POSTED])]

    def _content(self) -> list[invoice.Event]:
        lines = self._random.choice([1, 2, 3, 3, 120])
        content: list[invoice.Event] = [address(group) for group in self._pick(["a", "ab"])]
        content += [
            line(n, f"{self._random.randint(-99, 999)}.50", self._pick(["", "", "o1", "o2", "o3"]), "text")
            for n in range(1, lines + 1)
        ]
        if self._random.random() < 0.3:
            content += [tax(n, "1.90") for n in range(1, lines + 1)]
        if self._random.random() < 0.2:
            content.append(replace(POSTED, number=self._pick(["R-1", "R-2"])))
        return content

    def _header(self) -> dict[str, Any]:
        return {
            "account_id": self._pick(["acme", "bolt"]),
            "reference": self._pick([None, order("o1"), order("o4")]),
            "source": self._pick([None, invoice.Source("old", "1"), invoice.Source("old")]),
            "labels": self._pick([{}, {"a": "x"}, {"a": "x", "ü": "\u2028 \"'"}]),
            "purchase_order_number": self._pick(["", "po"]),
            "invoice_number": self._pick(["", "N-1"]),
        }

    def _pick(self, choices: Sequence[Any]) -> Any:
        return self._random.choice(choices)
