"""Answers on paper: tables for people, canonical JSON and CSV for programs; no text is taken as markup."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.type.decimal_pb2 import Decimal
from google.type.money_pb2 import Money

from daybook.v1 import invoice_pb2 as pb
from domain.money import CURRENCIES

from .forms import choice, day
from .options import Shape

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 400  # columns where nobody's window bounds them
NANO_DIGITS = 9


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    plain = Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=False)
    if not plain.is_terminal:
        plain.width = PIPE_WIDTH
    return plain


def print_json(message: Message) -> None:
    """One object, one line."""
    print(MessageToJson(message, indent=None, ensure_ascii=False))


def csv_rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)


# Values


def money(amount: Money) -> str:
    """An amount with all the decimals of its currency and none that it has not."""
    sign = "-" if amount.units < 0 or amount.nanos < 0 else ""
    currency = CURRENCIES.get(amount.currency_code)
    decimals = currency.decimals if currency else 0
    fraction = f"{abs(amount.nanos):0{NANO_DIGITS}}".rstrip("0").ljust(decimals, "0")
    return f"{sign}{abs(amount.units)}{'.' if fraction else ''}{fraction}"


def grouped(text: str) -> str:
    """`1234567.50` as `1,234,567.50`."""
    whole, point, fraction = text.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits or '0'):,}{point}{fraction}" if digits.isdecimal() else text


def amount(value: Money) -> str:
    return grouped(money(value))


def number(value: Decimal) -> str:
    return grouped(value.value)


def status(value: pb.InvoiceStatus.ValueType) -> str:
    return choice(pb.InvoiceStatus.DESCRIPTOR, value)


def tax_status(value: pb.TaxStatus.ValueType) -> str:
    return choice(pb.TaxStatus.DESCRIPTOR, value)


def settlement(value: pb.SettlementStatus.ValueType) -> str:
    return choice(pb.SettlementStatus.DESCRIPTOR, value)


def reference(value: pb.Reference) -> str:
    if not value.id:
        return ""
    return f"{value.kind_name or choice(pb.ReferenceKind.DESCRIPTOR, value.kind)} {value.id}"


def date_of(content: pb.InvoiceContent, name: str) -> str:
    return day(getattr(content, name)) if content.HasField(name) else ""  # type: ignore[arg-type]


# Lists of invoices

COLUMNS: dict[str, Callable[[pb.Invoice], str]] = {
    "invoice_id": lambda i: i.invoice_id,
    "unique_identifier": lambda i: i.content.unique_identifier,
    "invoice_number": lambda i: i.invoice_number,
    "status": lambda i: status(i.status),
    "tax_status": lambda i: tax_status(i.tax_status),
    "settlement_status": lambda i: settlement(i.settlement_status),
    "account_id": lambda i: i.content.account_id,
    "account_name": lambda i: i.content.account_name,
    "legal_entity_id": lambda i: i.content.legal_entity_id,
    "invoice_date": lambda i: date_of(i.content, "invoice_date"),
    "due_date": lambda i: date_of(i.content, "due_date"),
    "posted_date": lambda i: date_of(i.content, "posted_date"),
    "currency_code": lambda i: i.content.currency_code,
    "total": lambda i: money(i.totals.total),
    "total_tax": lambda i: money(i.totals.total_tax),
    "total_with_tax": lambda i: money(i.totals.total_with_tax),
    "balance": lambda i: money(i.totals.balance),
    "reference_kind": lambda i: reference(i.content.reference).partition(" ")[0],
    "reference_id": lambda i: i.content.reference.id,
    "purchase_order_number": lambda i: i.content.purchase_order_number,
    "source_system": lambda i: i.content.source.system,
    "source_id": lambda i: i.content.source.id,
    "line_count": lambda i: str(i.line_count),
    "version": lambda i: str(i.version),
    "create_time": lambda i: i.create_time.ToJsonString() if i.HasField("create_time") else "",
}


def print_invoices(pages: Iterable[Sequence[pb.Invoice]], shape: Shape, title: str = "") -> None:
    """Invoices, page by page as they come."""
    if shape.as_json:
        for page in pages:
            for invoice in page:
                print_json(invoice)
    elif shape.as_csv:
        csv_rows([*COLUMNS], ([get(i) for get in COLUMNS.values()] for page in pages for i in page))
    else:
        print_invoice_tables(pages, title)


def print_invoice_tables(pages: Iterable[Sequence[pb.Invoice]], title: str) -> None:
    screen, count = console(), 0
    for page in pages:
        if page:
            screen.print(invoice_table(page, heading=not count))
        count += len(page)
    screen.print(f"{title}: {invoices(count)}" if title else invoices(count))


def invoices(count: int) -> str:
    return "no invoices" if not count else f"{count} invoice{'s' if count > 1 else ''}"


def invoice_table(page: Sequence[pb.Invoice], *, heading: bool) -> Table:
    table = bare_table(heading=heading)
    for name in ("number", "status", "account", "date", "due", "currency", "total", "tax", "balance"):
        table.add_column(name, justify="right" if name in ("total", "tax", "balance") else "left")
    table.add_column("made from")
    table.add_column("key, or id", overflow="fold")
    for invoice in page:
        content, totals = invoice.content, invoice.totals
        add(
            table,
            invoice.invoice_number or "–",
            status(invoice.status),
            content.account_name or content.account_id,
            date_of(content, "invoice_date"),
            date_of(content, "due_date"),
            content.currency_code,
            amount(totals.total),
            amount(totals.total_tax),
            amount(totals.balance),
            reference(content.reference),
            content.unique_identifier or invoice.invoice_id,
        )
    return table


def bare_table(*, heading: bool = True) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, show_header=heading, pad_edge=False, show_edge=False)


def add(table: Table, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))


# One invoice in full


def print_invoice(invoice: pb.Invoice, shape: Shape) -> None:
    if shape.as_json:
        print_json(invoice)
    elif shape.as_csv:
        csv_rows(LINE_HEAD, line_rows(invoice))
    else:
        print_in_full(invoice)


LINE_HEAD = (
    "line_number",
    "name",
    "start_date",
    "end_date",
    "quantity",
    "unit_price",
    "charge_amount",
    "tax_amount",
    "amount_with_tax",
    "taxable",
    "tax_treatment_id",
    "billing_address",
    "shipping_address",
    "ship_from_address",
    "product_id",
    "order_id",
)


def line_rows(invoice: pb.Invoice) -> Iterator[list[str]]:
    for line in invoice.lines:
        said = line.content
        yield [
            str(line.line_number),
            said.name,
            day(said.start_date),
            day(said.end_date),
            said.quantity.value,
            said.unit_price.value,
            said.charge_amount.value,
            line.tax_amount.value,
            line.amount_with_tax.value,
            str(line.taxable).lower(),
            said.tax_treatment_id,
            said.billing_address,
            said.shipping_address,
            said.ship_from_address,
            said.product_id,
            said.reference.order_id,
        ]


def print_in_full(invoice: pb.Invoice) -> None:
    screen = console()
    screen.print(
        f"Invoice {invoice.invoice_number or invoice.content.unique_identifier or invoice.invoice_id}"
    )
    facts = bare_table(heading=False)
    for name, value in header_facts(invoice):
        if value:
            add(facts, name, value)
    screen.print(facts)
    if invoice.content.address_groups:
        screen.print(address_table(invoice))
    screen.print(line_table(invoice))
    if any(line.content.taxes for line in invoice.lines):
        screen.print(tax_table(invoice))
    screen.print(totals_table(invoice))


def header_facts(invoice: pb.Invoice) -> Iterator[tuple[str, str]]:
    content = invoice.content
    filled_in = frozenset(invoice.defaulted)

    def with_origin(name: str, value: str) -> str:
        return f"{value} (filled in)" if value and name in filled_in else value

    yield "id", invoice.invoice_id
    yield "unique identifier", content.unique_identifier
    yield "version", str(invoice.version or "")
    yield "status", status(invoice.status)
    yield "tax", with_origin("tax_status", tax_status(invoice.tax_status))
    yield "settlement", settlement(invoice.settlement_status).replace("_", " ")
    yield "account", named(content.account_name, content.account_id)
    yield "bill to", named(content.bill_to_contact_name, content.bill_to_contact_id)
    yield "legal entity", with_origin("legal_entity_id", content.legal_entity_id)
    for name in ("invoice_date", "due_date", "posted_date"):
        yield name.replace("_", " "), with_origin(name, date_of(content, name))
    yield "payment term", with_origin("payment_term_id", content.payment_term_id)
    yield "accounting period", with_origin("accounting_period_id", content.accounting_period_id)
    yield "made from", reference(content.reference)
    yield "source", " ".join(filter(None, (content.source.system, content.source.id)))
    yield "purchase order", content.purchase_order_number
    yield "owner", named(content.owner_name, content.owner_id)
    yield "labels", ", ".join(f"{key}={content.labels[key]}" for key in sorted(content.labels))
    yield "description", content.description
    yield "days open", str(invoice.days_open or "")
    yield "days overdue", str(invoice.days_overdue or "")
    yield "recorded", moment(invoice, "create_time")
    yield "changed", moment(invoice, "update_time") if invoice.update_time != invoice.create_time else ""


def moment(invoice: pb.Invoice, name: str) -> str:
    return getattr(invoice, name).ToJsonString() if invoice.HasField(name) else ""  # type: ignore[arg-type]


def named(name: str, id_: str) -> str:
    return f"{name} ({id_})" if name and id_ else name or id_


def address_table(invoice: pb.Invoice) -> Table:
    table = bare_table()
    for name in ("address", "street", "postal code", "city", "state", "country"):
        table.add_column(name)
    for group in invoice.content.address_groups:
        add(table, group.key, group.street, group.postal_code, group.city, group.state, group.country)
    return table


def line_table(invoice: pb.Invoice) -> Table:
    table = bare_table()
    for name in ("#", "line", "from", "to", "ship to", "ship from"):
        table.add_column(name)
    for name in ("quantity", "unit price", "charge", "tax", "with tax"):
        table.add_column(name, justify="right")
    table.add_column("treatment")
    for line in invoice.lines:
        said = line.content
        add(
            table,
            str(line.line_number),
            said.name,
            day(said.start_date),
            day(said.end_date),
            said.shipping_address,
            said.ship_from_address,
            " ".join(filter(None, (number(said.quantity), said.unit_of_measure_name))),
            number(said.unit_price),
            number(said.charge_amount),
            number(line.tax_amount),
            number(line.amount_with_tax),
            said.tax_treatment_id,
        )
    return table


def tax_table(invoice: pb.Invoice) -> Table:
    table = bare_table()
    for name in ("#", "tax", "code", "document", "effective"):
        table.add_column(name)
    for name in ("rate", "amount", "exempt"):
        table.add_column(name, justify="right")
    for line in invoice.lines:
        for row in line.content.taxes:
            add(
                table,
                str(line.line_number),
                row.name,
                row.code,
                row.document_number,
                day(row.effective_date),
                row.rate.value,
                number(row.amount),
                number(row.exempt_amount),
            )
    return table


def totals_table(invoice: pb.Invoice) -> Table:
    table = bare_table(heading=False)
    table.add_column()
    table.add_column(justify="right")
    code = invoice.content.currency_code
    for each, value in invoice.totals.ListFields():
        if each.name != "total_charge" or value != invoice.totals.total:
            add(table, each.name.replace("_", " "), f"{code} {amount(value)}")
    return table
