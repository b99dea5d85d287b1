"""The read model `tax-summary`: what tax is owed to whom, by jurisdiction and period.

A row is what one invoice holds of one tax; they are summed up when somebody asks. The jurisdiction is the one
that the engine names, else the country and state of the line's shipping address. The period is the line's
accounting period, and the month of the invoice's date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from uuid import UUID

import msgspec

from domain import invoice
from domain.tax import EstimatedRow
from store.codec import DATA, DATA_BYTES
from store.log import Recorded

from .change import Change, Found, GoOn, Said, of_streams, projecting
from .histories import Histories
from .invoice_summary import OPENINGS
from .opening import ADDRESS, LINE, NOTHING, Opened, shared
from .projection import Block, Poison, Projection, Rows, View

# The state of an invoice is kept beside its rows, as its lines are not at hand when it changes.
CREATE = """
CREATE TABLE {table} (
    invoice_id uuid NOT NULL,
    part integer NOT NULL,
    status text COLLATE "C" NOT NULL,
    legal_entity_id text COLLATE "C" NOT NULL,
    accounting_period_id text COLLATE "C" NOT NULL,
    month date NOT NULL,
    country text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    jurisdiction text COLLATE "C" NOT NULL,
    tax_name text COLLATE "C" NOT NULL,
    tax_code text COLLATE "C" NOT NULL,
    rate numeric NOT NULL,
    currency text COLLATE "C" NOT NULL,
    lines integer NOT NULL,
    taxable numeric NOT NULL,
    exempt numeric NOT NULL,
    tax numeric NOT NULL,
    PRIMARY KEY (invoice_id, part)
);
CREATE TABLE {table}_invoices (
    invoice_id uuid PRIMARY KEY,
    state bytea NOT NULL
);
"""
INDEX = """
CREATE INDEX ON {table} (legal_entity_id, month, country, region) WHERE status = 'POSTED';
CREATE INDEX ON {table} (accounting_period_id) WHERE accounting_period_id <> '';
"""
ROWS = Rows(
    {
        "invoice_id": "uuid",
        "part": "int4",
        "status": "text",
        "legal_entity_id": "text",
        "accounting_period_id": "text",
        "month": "date",
        "country": "text",
        "region": "text",
        "jurisdiction": "text",
        "tax_name": "text",
        "tax_code": "text",
        "rate": "numeric",
        "currency": "text",
        "lines": "int4",
        "taxable": "numeric",
        "exempt": "numeric",
        "tax": "numeric",
    }
)
STATES = Rows({"invoice_id": "uuid", "state": "bytea"}, "_invoices")
STORED = "SELECT invoice_id, state FROM {table}_invoices WHERE invoice_id = ANY($1::uuid[])"
REMOVE = (
    "DELETE FROM {table} WHERE invoice_id = ANY($1::uuid[])",
    "DELETE FROM {table}_invoices WHERE invoice_id = ANY($1::uuid[])",
)


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax on one line."""

    country: str
    region: str
    jurisdiction: str
    name: str
    code: str
    rate: Decimal
    taxable: Decimal
    exempt: Decimal
    amount: Decimal


@dataclass(slots=True)
class Line:
    """What of a line says where and when its tax is owed."""

    charge: Decimal
    shipping: str
    period: str
    taxes: list[Tax] = field(default_factory=list)


@dataclass(slots=True)
class Taxed:
    """What of an invoice its taxes are summed up from."""

    version: int
    status: str
    legal_entity_id: str
    period: str
    month: date
    currency: str
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)


class Address(msgspec.Struct, gc=False):
    """What is read of an address group where an invoice begins plainly."""

    group: str
    state: str
    country: str


class ImportedRow(msgspec.Struct, gc=False):
    amount: Decimal
    rate: Decimal
    name: str
    code: str
    exempt_amount: Decimal = NOTHING


class Imported(msgspec.Struct, gc=False):
    """And of the taxes of a line."""

    line: int
    rows: list[ImportedRow]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Taxed).decode
_address = msgspec.json.Decoder(Address).decode
_taxes = msgspec.json.Decoder(Imported).decode


# Rows


def begin(histories: Histories) -> Sequence[Block]:
    """Invoices from their first event on."""
    return _blocks({history[0].stream: _first(history) for history in histories})


def _blocks(taxed: Mapping[UUID, Taxed]) -> Sequence[Block]:
    rows = [row for key, each in taxed.items() for row in _rows(key, each)]
    return ROWS.block(rows), STATES.block([(key, _encode(each)) for key, each in taxed.items()])


def _first(history: Sequence[Recorded]) -> Taxed:
    opened = shared(history)
    drafted = _drafted(opened) if opened is not None else None
    return _fold(drafted, opened.later) if opened is not None and drafted else _fold(None, history)


def _drafted(opened: Opened) -> Taxed | None:
    """What is taxed of an invoice that begins plainly; None where it is not as plain as that."""
    header, lines = opened.header, iter(opened.lines)
    taxed = Taxed(
        version=opened.summary.version,
        status=invoice.Status.DRAFT.value,
        legal_entity_id=header.legal_entity_id,
        period=header.accounting_period_id,
        month=header.invoice_date.replace(day=1),
        currency=header.currency,
    )
    try:
        for each in opened.body:
            if each.name == LINE:
                line = next(lines)
                period = line.accounting_period_id or taxed.period
                taxed.lines.append(Line(line.charge, line.shipping_address, period))
            else:
                _take(taxed, each.name, each.state[each.state.index(DATA) + DATA_BYTES : -1])
    except (msgspec.MsgspecError, LookupError, ValueError):
        return None
    return taxed


def _take(taxed: Taxed, name: str, data: bytes) -> None:
    """An address group, or the taxes of a line."""
    if name == ADDRESS:
        address = _address(data)
        taxed.places[address.group] = (address.country, address.state)
        return
    imported = _taxes(data)
    line = taxed.lines[imported.line - 1]
    line.taxes = [_imported(row, line, taxed) for row in imported.rows]
    if not all((row.rate + row.exempt_amount).is_finite() for row in imported.rows):
        raise ValueError("not a finite number")


def _change(histories: Histories, found: Sequence[Found]) -> Change:
    """Invoices that began before."""
    stored = {invoice_id: _decode(state) for invoice_id, state in found[0]}
    gone = [("uuid", list(stored))]
    taxed = {history[0].stream: _fold(stored.get(history[0].stream), history) for history in histories}
    return Change([Said(each, gone) for each in REMOVE], _blocks(taxed))


def _fold(taxed: Taxed | None, history: Iterable[Recorded]) -> Taxed:
    for recorded in history:
        try:
            if taxed and recorded.version <= taxed.version:
                raise ValueError(f"version {recorded.version} does not follow {taxed.version}")
            taxed = follow(taxed, recorded.event)
        except Exception as error:
            because = f"{type(error).__name__}: {error}"
            raise Poison(recorded.position, recorded.name, because) from error
        taxed.version = recorded.version
    assert taxed is not None
    return taxed


def follow(taxed: Taxed | None, event: invoice.Event) -> Taxed:
    """What is taxed of an invoice after an event."""
    if isinstance(event, invoice.InvoiceDrafted | invoice.InvoiceRevised):
        return _begun(event.header)
    assert taxed is not None, f"an invoice begins with InvoiceDrafted, not {event}"
    match event:
        case invoice.AddressGroupAssigned():
            taxed.places[event.group] = (event.country, event.state)
        case invoice.LineAdded():
            period = event.accounting_period_id or taxed.period
            taxed.lines.append(Line(event.charge, event.shipping_address, period))
        case invoice.TaxImported():
            line = taxed.lines[event.line - 1]
            line.taxes = [_imported(row, line, taxed) for row in event.rows]
        case invoice.TaxEstimated():
            for estimated in event.lines:
                line = taxed.lines[estimated.number - 1]
                line.taxes = [_estimated(row, estimated.tax_code, line, taxed) for row in estimated.rows]
        case invoice.InvoicePosted():
            taxed.status = invoice.Status.POSTED.value
        case invoice.InvoiceCanceled():
            taxed.status = invoice.Status.CANCELED.value
        case invoice.InvoiceVoided():
            taxed.status = invoice.Status.VOIDED.value
        case _:
            pass  # it leaves the taxes as they are
    return taxed


def _begun(header: invoice.Header) -> Taxed:
    return Taxed(
        version=0,
        status=invoice.Status.DRAFT.value,
        legal_entity_id=header.legal_entity_id,
        period=header.accounting_period_id,
        month=header.invoice_date.replace(day=1),
        currency=header.currency,
    )


def _imported(row: invoice.TaxRow | ImportedRow, line: Line, taxed: Taxed) -> Tax:
    country, region = taxed.places[line.shipping]
    return Tax(
        country=country,
        region=region,
        jurisdiction="",
        name=row.name,
        code=row.code,
        rate=row.rate,
        taxable=line.charge - row.exempt_amount,
        exempt=row.exempt_amount,
        amount=row.amount,
    )


def _estimated(row: EstimatedRow, code: str, line: Line, taxed: Taxed) -> Tax:
    country, region = taxed.places[line.shipping]
    named = row.jurisdiction
    return Tax(
        country=(named and named.country) or country,
        region=(named and named.region) or region,
        jurisdiction=named.name if named else "",
        name=row.name,
        code=code,
        rate=row.rate,
        taxable=row.taxable_amount,
        exempt=row.exempt_amount or Decimal(0),
        amount=row.amount,
    )


def _rows(invoice_id: UUID, taxed: Taxed) -> Iterable[tuple[object, ...]]:
    """The taxes of an invoice, those that are alike together."""
    sums: dict[tuple[object, ...], list[Decimal]] = {}
    counts: dict[tuple[object, ...], int] = {}
    for line in taxed.lines:
        for tax in line.taxes:
            alike: tuple[object, ...] = (line.period, tax.country, tax.region, tax.jurisdiction)
            alike += (tax.name, tax.code, tax.rate)
            parts = (tax.taxable, tax.exempt, tax.amount)
            sums[alike] = (
                [a + b for a, b in zip(sums[alike], parts, strict=True)] if alike in sums else [*parts]
            )
            counts[alike] = counts.get(alike, 0) + 1
    for part, (alike, (taxable, exempt, amount)) in enumerate(sums.items(), 1):
        period, *rest = alike
        head = (invoice_id, part, taxed.status, taxed.legal_entity_id, period, taxed.month)
        yield (*head, *rest, taxed.currency, counts[alike], taxable, exempt, amount)


GO_ON = GoOn(of_streams(STORED), _change)
TAX_SUMMARY = Projection(
    name="tax_summary",
    code=1,
    topics=frozenset(
        (
            "InvoiceDrafted",
            "InvoiceRevised",
            "AddressGroupAssigned",
            "LineAdded",
            "TaxImported",
            "TaxEstimated",
            "InvoicePosted",
            "InvoiceCanceled",
            "InvoiceVoided",
        )
    ),
    create=CREATE,
    index=INDEX,
    project=projecting(begin, GO_ON),
    openings=OPENINGS,
    lazy=True,
    begin=begin,
    go_on=GO_ON,
    views=(
        View(
            name="tax_summary",
            about="What tax invoices hold, by status, jurisdiction, period and rate.",
            columns={
                "status": ("status", "Of the invoices: POSTED is what is owed; DRAFT, CANCELED, VOIDED."),
                "legal_entity_id": ("legal_entity_id", "The company that owes it."),
                "accounting_period_id": (
                    "accounting_period_id",
                    "The lines' accounting period; empty for none.",
                ),
                "month": ("month", "The first day of the month of the invoices' dates."),
                "country": ("country", "Of the jurisdiction, else of the shipping address."),
                "region": ("region", "Its region, else the state of the shipping address."),
                "jurisdiction": ("jurisdiction", "As the tax engine names it; empty where it does not."),
                "tax_name": ("tax_name", "The tax."),
                "tax_code": ("tax_code", "Its code."),
                "rate": ("rate", "Its rate: 0.19 is 19 percent."),
                "currency": ("currency", "Of all amounts in this row, as ISO 4217 has it."),
                "invoices": ("count(DISTINCT invoice_id)", "How many invoices hold it."),
                "lines": ("sum(lines)", "On how many lines."),
                "taxable": ("sum(taxable)", "What it is raised on."),
                "exempt": ("sum(exempt)", "What is exempt from it."),
                "tax": ("sum(tax)", "What it comes to."),
            },
            source="""{table} GROUP BY status, legal_entity_id, accounting_period_id, month, country, region,
                jurisdiction, tax_name, tax_code, rate, currency""",
        ),
    ),
)
