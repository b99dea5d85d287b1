"""One invoice in full: header, addresses, lines, taxes and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query
from daybook.v1 import settlement_pb2

from .forms import choice, day
from .options import Shape
from .printing import (
    add,
    amount,
    bare_table,
    console,
    csv_rows,
    date_of,
    grouped,
    number,
    print_json,
    reference,
    settlement,
    status,
    sum_of,
    tax_status,
)

if TYPE_CHECKING:
    from rich.table import Table


def print_invoice(invoice: pb.Invoice, shape: Shape, lineage: query.Lineage | None = None) -> None:
    if shape.as_json:
        print_json(invoice)
    elif shape.as_csv:
        csv_rows(LINE_HEAD, line_rows(invoice))
    else:
        print_in_full(invoice, lineage)


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
    currency = invoice.content.currency_code
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
            sum_of(line.tax_amount, currency),
            sum_of(line.amount_with_tax, currency),
            str(line.taxable).lower(),
            said.tax_treatment_id,
            said.billing_address,
            said.shipping_address,
            said.ship_from_address,
            said.product_id,
            said.reference.order_id,
        ]


def print_in_full(invoice: pb.Invoice, lineage: query.Lineage | None = None) -> None:
    screen = console()
    name = invoice.invoice_number or invoice.content.unique_identifier or invoice.invoice_id
    screen.print(f"Invoice {name}")
    if lineage is not None and lineage.HasField("debit_memo"):
        screen.print(" → ".join((*origins(lineage), f"invoice {name}")))
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
    if invoice.HasField("settlement"):
        screen.print(settlement_table(invoice))


def origins(lineage: query.Lineage) -> Iterator[str]:
    """Where an invoice of a debit memo comes from, the first first."""
    if lineage.order_id:
        yield f"order {lineage.order_id}"
    yield f"debit memo {lineage.debit_memo.content.unique_identifier}"


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
    yield (
        "settled in full",
        day(invoice.full_settlement_date) if invoice.HasField("full_settlement_date") else "",
    )
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
    currency = invoice.content.currency_code
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
            grouped(sum_of(line.tax_amount, currency)),
            grouped(sum_of(line.amount_with_tax, currency)),
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


def settlement_table(invoice: pb.Invoice) -> Table:
    """What was paid, credited, converted and written off, day by day."""
    table = bare_table()
    for name in ("date", "what", "amount", "id"):
        table.add_column(name, justify="right" if name == "amount" else "left")
    for row in sorted(settlement_rows(invoice.settlement), key=lambda row: row[0]):
        add(table, *row)
    return table


def settlement_rows(settled: settlement_pb2.Settlement) -> Iterator[tuple[str, str, str, str]]:
    for payment in settled.payments:
        called = f"payment {payment.reference}".strip()
        yield day(payment.effective_date), called, amount(payment.amount), payment.payment_id
        for back in payment.reversals:
            yield day(back.effective_date), f"{called} taken back", amount(back.amount), payment.payment_id
    for conversion in settled.conversions:
        lines = ", ".join(map(str, conversion.line_numbers))
        what = f"lines {lines} converted" + (" at posting" if conversion.automatic else "")
        yield day(conversion.effective_date), what, amount(conversion.amount), conversion.credit_memo_id
    for credit in settled.credits:
        for_ = choice(settlement_pb2.CreditOrigin.DESCRIPTOR, credit.origin).replace("_", " ")
        yield day(credit.effective_date), f"credit ({for_})", amount(credit.amount), credit.application_id
        if credit.HasField("unapplied_date"):
            back_ = (day(credit.unapplied_date), "credit taken back", amount(credit.amount))
            yield *back_, credit.application_id
