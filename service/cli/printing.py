"""Answers on paper: tables for people, canonical JSON and CSV for programs; no text is taken as markup."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
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


def sum_of(value: Decimal, currency_code: str) -> str:
    """What was worked out in a currency, with all its decimals."""
    whole, _, fraction = value.value.partition(".")
    currency = CURRENCIES.get(currency_code)
    fraction = fraction.ljust(currency.decimals if currency else 0, "0")
    return f"{whole}{'.' if fraction else ''}{fraction}"


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
    "total_converted_negative": lambda i: money(i.totals.total_converted_negative),
    "net_payments_applied": lambda i: money(i.totals.net_payments_applied),
    "net_credits_applied": lambda i: money(i.totals.net_credits_applied),
    "balance": lambda i: money(i.totals.balance),
    "full_settlement_date": lambda i: (
        day(i.full_settlement_date) if i.HasField("full_settlement_date") else ""
    ),
    "days_open": lambda i: str(i.days_open),
    "days_overdue": lambda i: str(i.days_overdue),
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
            screen.print(invoice_table(page, screen.width, heading=not count))
        count += len(page)
    screen.print(f"{title}: {invoices(count)}" if title else invoices(count))


def invoices(count: int) -> str:
    return "no invoices" if not count else f"{count} invoice{'s' if count > 1 else ''}"


AMOUNTS = frozenset(("total", "tax", "with tax", "balance"))
SHOWN: dict[str, tuple[int, Callable[[pb.Invoice], str]]] = {  # from which width of the window on, and what
    "number": (0, lambda i: i.invoice_number or "–"),
    "status": (0, lambda i: status(i.status)),
    "settlement": (150, lambda i: settlement(i.settlement_status).replace("_", " ")),
    "account": (100, lambda i: i.content.account_name or i.content.account_id),
    "date": (0, lambda i: date_of(i.content, "invoice_date")),
    "due": (120, lambda i: date_of(i.content, "due_date")),
    "currency": (0, lambda i: i.content.currency_code),
    "total": (140, lambda i: amount(i.totals.total)),
    "tax": (140, lambda i: amount(i.totals.total_tax)),
    "with tax": (0, lambda i: amount(i.totals.total_with_tax)),
    "balance": (160, lambda i: amount(i.totals.balance)),
    "made from": (180, lambda i: reference(i.content.reference)),
    "key, or id": (0, lambda i: i.content.unique_identifier or i.invoice_id),
}


def invoice_table(page: Sequence[pb.Invoice], width: int, *, heading: bool = True) -> Table:
    table = bare_table(heading=heading)
    columns = {name: get for name, (least, get) in SHOWN.items() if least <= width}
    for name in columns:
        folds = name in ("key, or id", "made from")
        table.add_column(
            name,
            justify="right" if name in AMOUNTS else "left",
            no_wrap=not folds,
            overflow="fold" if folds else "ellipsis",
        )
    for invoice in page:
        add(table, *(get(invoice) for get in columns.values()))
    return table


def bare_table(*, heading: bool = True) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, show_header=heading, pad_edge=False, show_edge=False)


def add(table: Table, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))
