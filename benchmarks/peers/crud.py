"""A peer: plain tables, one row each for invoice, address, line and tax, one transaction, no history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from daybook.v1 import invoice_service_pb2 as service_pb
from domain import invoice

from .rules import decided
from .serving import Request, answer, arguments, run, serve

CONNECTIONS = 16

TABLES = """
    CREATE TABLE IF NOT EXISTS invoices (
        invoice_id uuid PRIMARY KEY,
        status text NOT NULL,
        tax_status text NOT NULL,
        account_id text NOT NULL,
        account_name text NOT NULL,
        bill_to_contact_id text NOT NULL,
        bill_to_contact_name text NOT NULL,
        invoice_date date NOT NULL,
        due_date date NOT NULL,
        currency_code text NOT NULL,
        legal_entity_id text NOT NULL,
        accounting_period_id text NOT NULL,
        payment_term_id text NOT NULL,
        order_id text NOT NULL,
        source_system text NOT NULL,
        source_id text NOT NULL,
        purchase_order_number text NOT NULL,
        labels jsonb NOT NULL,
        description text NOT NULL,
        total_charge numeric NOT NULL,
        created timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX IF NOT EXISTS invoices_of_order ON invoices (order_id, created DESC);
    CREATE TABLE IF NOT EXISTS address_groups (
        invoice_id uuid NOT NULL REFERENCES invoices,
        key text NOT NULL,
        street text NOT NULL,
        city text NOT NULL,
        state text NOT NULL,
        postal_code text NOT NULL,
        country text NOT NULL,
        PRIMARY KEY (invoice_id, key)
    );
    CREATE TABLE IF NOT EXISTS lines (
        invoice_id uuid NOT NULL REFERENCES invoices,
        number integer NOT NULL,
        name text NOT NULL,
        start_date date NOT NULL,
        end_date date NOT NULL,
        quantity numeric NOT NULL,
        unit_price numeric NOT NULL,
        charge numeric NOT NULL,
        billing_address text NOT NULL,
        shipping_address text NOT NULL,
        tax_treatment_id text NOT NULL,
        taxable boolean NOT NULL,
        product_id text NOT NULL,
        product_name text NOT NULL,
        unit_of_measure_id text NOT NULL,
        description text NOT NULL,
        reference_id text NOT NULL,
        order_id text NOT NULL,
        PRIMARY KEY (invoice_id, number)
    );
    CREATE TABLE IF NOT EXISTS tax_rows (
        invoice_id uuid NOT NULL,
        line integer NOT NULL,
        number integer NOT NULL,
        transaction_number text NOT NULL,
        amount numeric NOT NULL,
        rate numeric NOT NULL,
        name text NOT NULL,
        code text NOT NULL,
        effective_date date NOT NULL,
        document_number text NOT NULL,
        PRIMARY KEY (invoice_id, line, number),
        FOREIGN KEY (invoice_id, line) REFERENCES lines
    );
"""
INVOICE = """
    INSERT INTO invoices (
        invoice_id, status, tax_status, account_id, account_name, bill_to_contact_id, bill_to_contact_name,
        invoice_date, due_date, currency_code, legal_entity_id, accounting_period_id, payment_term_id,
        order_id, source_system, source_id, purchase_order_number, labels, description, total_charge
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
ADDRESS = """
    INSERT INTO address_groups (invoice_id, key, street, city, state, postal_code, country)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
LINE = """
    INSERT INTO lines (
        invoice_id, number, name, start_date, end_date, quantity, unit_price, charge, billing_address,
        shipping_address, tax_treatment_id, taxable, product_id, product_name, unit_of_measure_id,
        description, reference_id, order_id
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
TAX = """
    INSERT INTO tax_rows (
        invoice_id, line, number, transaction_number, amount, rate, name, code, effective_date,
        document_number
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

Row = tuple[Any, ...]


class Invoices:
    """Writes an invoice's rows in one transaction, on a connection of the pool."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def ingest(self, request: Request, _: Any) -> service_pb.IngestInvoiceResponse:
        invoice_id = uuid4()
        events = decided(request.invoice, invoice_id)
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.execute(INVOICE, _invoice(invoice_id, events))
            await cursor.executemany(ADDRESS, list(_addresses(invoice_id, events)))
            await cursor.executemany(LINE, list(_lines(invoice_id, events)))
            await cursor.executemany(TAX, list(_taxes(invoice_id, events)))
        return answer(invoice_id)


def _invoice(invoice_id: UUID, events: Iterable[invoice.Event]) -> Row:
    drafted, *body = events
    assert isinstance(drafted, invoice.InvoiceDrafted)
    header, texts = drafted.header, drafted.personal
    assert header.reference
    assert header.source
    assert texts
    return (
        invoice_id,
        "DRAFT",
        header.tax_status,
        header.account_id,
        texts.account_name,
        header.bill_to_contact_id,
        texts.bill_to_contact_name,
        header.invoice_date,
        header.due_date,
        header.currency,
        header.legal_entity_id,
        header.accounting_period_id,
        header.payment_term_id,
        header.reference.id,
        header.source.system,
        header.source.id,
        header.purchase_order_number,
        Jsonb(header.labels),
        texts.description,
        sum(each.charge for each in body if isinstance(each, invoice.LineAdded)),
    )


def _addresses(invoice_id: UUID, events: Iterable[invoice.Event]) -> Iterable[Row]:
    for each in events:
        if isinstance(each, invoice.AddressGroupAssigned):
            place = each.personal
            assert place
            yield (
                invoice_id,
                each.group,
                place.street,
                place.city,
                each.state,
                place.postal_code,
                each.country,
            )


def _lines(invoice_id: UUID, events: Iterable[invoice.Event]) -> Iterable[Row]:
    for line in events:
        if isinstance(line, invoice.LineAdded):
            assert line.personal
            assert line.reference
            yield (
                invoice_id,
                line.number,
                line.name,
                line.start_date,
                line.end_date,
                line.quantity,
                line.unit_price,
                line.charge,
                line.billing_address,
                line.shipping_address,
                line.tax_treatment_id,
                line.taxable,
                line.product_id,
                line.product_name,
                line.unit_of_measure_id,
                line.personal.description,
                line.reference.id,
                line.reference.order_id,
            )


def _taxes(invoice_id: UUID, events: Iterable[invoice.Event]) -> Iterable[Row]:
    for tax in events:
        if isinstance(tax, invoice.TaxImported):
            for number, row in enumerate(tax.rows, 1):
                yield (
                    invoice_id,
                    tax.line,
                    number,
                    row.transaction_number,
                    row.amount,
                    row.rate,
                    row.name,
                    row.code,
                    row.effective_date,
                    row.document_number,
                )


async def crud(listen: str, dsn: str) -> None:
    async with AsyncConnectionPool[AsyncConnection[Any]](
        dsn, min_size=CONNECTIONS, max_size=CONNECTIONS
    ) as pool:
        async with pool.connection() as connection:
            await connection.execute(TABLES)
        await serve(listen, Invoices(pool).ingest, service_pb.IngestInvoiceResponse.SerializeToString)


def main(listen: str, dsn: str) -> None:
    run(lambda: crud(listen, dsn))


if __name__ == "__main__":
    main(*arguments())
