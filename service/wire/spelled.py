"""Invoices spelled out from how they are stored, and the answers that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.type.money_pb2 import Money

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query_pb
from domain import invoice
from domain.money import plain
from projections.stored import StoredInvoice, read_addresses, read_lines, text

from .invoices import Positioned
from .settlement import write_ledger
from .spelling import Spell, alike, made, money, one, parsed, spelling, tag
from .summaries import days_open, days_overdue
from .summaries import masked as only

Today = Callable[[str], date]  # the date where a legal entity is

NO_TEXTS = invoice.HeaderTexts()  # they were erased, or there are none
NO_PLACE = invoice.Place()
CURRENCY = tag(Money, "currency_code")
NOT = ""  # said here


# Messages


def _same(message: Any) -> Spell:
    return spelling(message, "it", {}, **alike(message, "it"))


reference, line_reference, source = _same(pb.Reference), _same(pb.LineReference), _same(pb.Source)
jurisdiction = _same(pb.TaxJurisdiction)

address = spelling(
    pb.AddressGroup,
    "group, place",
    {},
    key="group.group",
    street="place.street",
    city="place.city",
    state="group.state",
    postal_code="place.postal_code",
    country="group.country",
    latitude="place.latitude",
    longitude="place.longitude",
)
tax_row = spelling(
    pb.TaxRow, "it, description", {}, **{**alike(pb.TaxRow, "it"), "description": "description"}
)
explanation = spelling(
    pb.TaxExplanation,
    "estimate, row, position",
    {"jurisdiction": jurisdiction},
    **{
        **alike(pb.TaxExplanation, "row"),
        **{
            name: f"estimate.{name}"
            for name in ("engine_id", "engine_version", "rounding", "effective_date", "document_code")
        },
        "reference_data_position": "position",
        "jurisdiction": "jurisdiction(row.jurisdiction) if row.jurisdiction else None",
    },
)
line_content = spelling(
    pb.LineContent,
    "it, entity, taxes",
    {"reference": line_reference},
    **{
        **alike(pb.LineContent, "it"),
        "charge_amount": "it.charge",
        "legal_entity_id": "entity",
        "description": "it.personal.description if it.personal else ''",
        "reference": "reference(it.reference) if it.reference else None",
        "taxes": "taxes",
    },
)
line = spelling(
    pb.Line,
    "it, added, content, amount_with_tax, explanations",
    {},
    line_number="added.number",
    content="content",
    tax_status="it.tax_status",
    taxable="added.taxable",
    tax_amount="it.tax",
    amount_with_tax="amount_with_tax",
    tax_explanations="explanations",
)
content = spelling(
    pb.InvoiceContent,
    "it, header, texts, groups",
    {"reference": reference, "source": source},
    **{
        **alike(pb.InvoiceContent, "header"),
        **{
            name: f"texts.{name}"
            for name in ("account_name", "bill_to_contact_name", "owner_name", "description")
        },
        "unique_identifier": "it.unique_identifier",
        "status": "it.status",
        "posted_date": "it.posted_date",
        "currency_code": "header.currency",
        "invoice_number": "it.number",
        "reference": "reference(header.reference) if header.reference else None",
        "source": "source(header.source) if header.source else None",
        "address_groups": "groups",
        "lines": NOT,
    },
)
totals = spelling(
    pb.InvoiceTotals,
    "charge, tax, with_tax, converted, payments, credits, balance",
    {},
    total_charge="charge",
    total="charge",
    total_tax="tax",
    total_with_tax="with_tax",
    total_converted_negative="converted",
    net_payments_applied="payments",
    net_credits_applied="credits",
    balance="balance",
)
whole = spelling(
    pb.Invoice,
    "it, content, totals, position, ages, lines, settlement",
    {},
    **{
        **alike(pb.Invoice, "it"),
        "invoice_id": "it.id",
        "settlement_status": "it.settlement",
        "invoice_number": "it.number",
        "content": "content",
        "totals": "totals",
        "lines": "lines",
        "defaulted": "it.header.defaulted",
        "create_time": "it.created",
        "update_time": "it.updated",
        "reference_data_position": "position",
        "days_open": "ages[0]",
        "days_overdue": "ages[1]",
        "settlement": "settlement",
    },
)
got = spelling(
    query_pb.GetInvoiceResponse,
    "invoice, position, lineage",
    {},
    invoice="invoice",
    position="position",
    lineage="lineage",
)
listed = spelling(
    query_pb.ListInvoicesResponse,
    "invoices, following, position",
    {},
    invoices="invoices",
    next_page_token="following",
    position="position",
)
listed_of_order = spelling(
    query_pb.ListOrderInvoicesResponse,
    "invoices, following, position",
    {},
    invoices="invoices",
    next_page_token="following",
    position="position",
)
lineage_of_order = spelling(
    query_pb.Lineage, "order_id", {}, order_id="order_id", debit_memo=NOT, credit_memos=NOT
)


# Invoices


def basic(it: Any, position: Positioned, today: Today) -> str:
    """The basic view, with ages as of today where the legal entity is."""
    return _spell(it, position, today)


def full(it: Any, stored: StoredInvoice, position: Positioned, today: Today) -> str:
    """The full view."""
    entity = it.header.legal_entity_id
    groups = [address(each, each.personal or NO_PLACE) for each in read_addresses(stored.addresses)]
    lines = [_line(each, entity, position) for chunk in stored.lines for each in read_lines(chunk)]
    return _spell(it, position, today, groups, lines, _settlement(stored) if it.ledger else None)


def _spell(
    it: Any,
    position: Positioned,
    today: Today,
    groups: Sequence[str] = (),
    lines: Sequence[str] = (),
    settlement: str | None = None,
) -> str:
    header = it.header
    return whole(
        it,
        content(it, header, it.texts or NO_TEXTS, groups),
        _totals(it.totals, one(CURRENCY, header.currency)),
        position(it.reference_position),
        _ages(it, today),
        lines,
        settlement,
    )


def _ages(it: Any, today: Today) -> tuple[int, int]:
    """Days open and overdue. Nothing but a posted invoice has an age."""
    if it.status != invoice.Status.POSTED:
        return 0, 0
    day = today(text(it.header.legal_entity_id))
    return days_open(it, day), days_overdue(it, day)


def _totals(of: invoice.Totals, currency: str) -> str:
    charge, tax = money(of.charge, currency), money(of.tax, currency)
    with_tax = money(of.total_with_tax, currency) if of.tax else charge
    if not (of.converted_negative or of.payments_applied or of.credits_applied):
        return totals(charge, tax, with_tax, currency, currency, currency, with_tax)
    return totals(
        charge,
        tax,
        with_tax,
        money(of.converted_negative, currency),
        money(of.payments_applied, currency),
        money(of.credits_applied, currency),
        money(of.balance, currency),
    )


def _line(it: Any, entity: str, position: Positioned) -> str:
    added = it.added
    taxes = _tax_rows(it) if it.rows else ()
    with_tax = plain(Decimal(added.charge) + Decimal(it.tax))
    explanations = _explanations(it.estimate, position) if it.estimate else ()
    return line(it, added, line_content(added, entity, taxes), with_tax, explanations)


def _tax_rows(it: Any) -> Sequence[str]:
    descriptions = it.row_texts.descriptions if it.row_texts else ()
    missing = [""] * (len(it.rows) - len(descriptions))
    return [tax_row(row, said) for row, said in zip(it.rows, (*descriptions, *missing), strict=False)]


def _explanations(estimate: Any, position: Positioned) -> Sequence[str]:
    at = position(estimate.reference_position)
    return [explanation(estimate, row, at) for row in estimate.rows]


def _settlement(stored: StoredInvoice) -> str | None:
    """What was settled, which is made as a message: it is rare."""
    summary = stored.summary
    ledger, currency = summary.ledger, summary.header.currency
    return made(write_ledger(ledger, summary.id, currency)) if ledger else None


def masked(spelled: str, mask: FieldMask) -> str:
    """Of an invoice only what the mask names; all where it is empty."""
    return made(only(parsed(spelled, pb.Invoice), mask)) if mask.paths else spelled
