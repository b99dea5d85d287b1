"""The report of an audit pack: a page of HTML that needs nothing else, for people who read it on paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from uuid import UUID

from domain import invoice
from domain.money import plain
from store.log import Recorded

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1b1b1b;max-width:70em;margin:2em auto;padding:0 1em}
h1{font-size:1.6em}h2{font-size:1.2em;margin:2.5em 0 .3em;border-top:2px solid #444;padding-top:.6em}
table{border-collapse:collapse;width:100%;margin:.7em 0;font-size:.9em}
th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid #ddd;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font-size:.85em;word-break:break-all}.note{color:#555}
@media print{body{margin:0}h2{break-before:auto}table{break-inside:auto}tr{break-inside:avoid}}
"""
SUMMARY_TEXTS = 6  # columns of the summary in front of the amounts
VERIFY = "python3 -I verify.py PACK.zip --key THE-KEY-THAT-YOU-WERE-TOLD"


@dataclass(frozen=True, slots=True)
class Front:
    """What stands on the first page."""

    about: str
    made: str
    log_id: str
    epoch: int
    position: int
    key: str
    invoices: int
    in_full: int  # at most so many invoices are shown with lines and history


def opening(front: Front) -> Iterator[str]:
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(front.about)}</title>'
    yield f"<style>{STYLE}</style></head><body><h1>Audit pack: {escape(front.about)}</h1>\n"
    key = f"signed with the key <code>{escape(front.key)}</code>" if front.key else "not signed"
    yield (
        f"<p>{front.invoices} invoices as the day book <code>{escape(front.log_id)}</code> "
        f"(epoch {front.epoch}) holds them up to position {front.position}, the last that is sealed. "
        f"Made {escape(front.made)}; this pack is {key}.</p>\n"
        "<p>The events are the evidence (<code>events.jsonl</code>, <code>seals.jsonl</code>); this page and "
        f"the tables are worked out from them. To verify all of it: <code>{VERIFY}</code></p>\n"
    )
    if front.invoices > front.in_full:
        yield f'<p class="note">The first {front.in_full} are shown in full; all are in the tables.</p>\n'


def summary_row(invoice_id: UUID, state: invoice.Invoice) -> str:
    """One invoice in the table that stands in front."""
    header, totals = state.header, state.totals
    title = state.number or state.unique_identifier or str(invoice_id)
    amounts = totals.total, totals.tax, totals.total_with_tax, totals.balance
    cells = title, header.account_id, header.invoice_date, header.due_date, state.status, header.currency
    return _row("td", (*cells, *map(plain, amounts)), len(cells))


def summary(rows: Iterable[str]) -> Iterator[str]:
    head = ["Invoice", "Account", "Dated", "Due", "Status", "Currency", "Total", "Tax", "With-tax", "Open"]
    yield f"<table>{_row('th', head, SUMMARY_TEXTS)}"
    yield from rows
    yield "</table>\n"


def section(invoice_id: UUID, state: invoice.Invoice, told: Iterable[tuple[Recorded, str]]) -> Iterator[str]:
    """One invoice: what it is, and what happened to it."""
    title = state.number or state.unique_identifier or str(invoice_id)
    yield f"<h2>{escape(title)}</h2>\n"
    yield from _table(("", ""), _facts(invoice_id, state))
    yield from _table(
        ("Line", "Name", "From", "To", "Quantity", "Unit price", "Charge", "Tax", "With tax"),
        (_line(line) for line in state.lines),
        numbers=4,
    )
    yield from _table(("Version", "Recorded (UTC)", "What happened", "Who", "Why"), map(_event, *zip(*told)))  # noqa: B905


def closing() -> Iterator[str]:
    yield "</body></html>\n"


def _facts(invoice_id: UUID, state: invoice.Invoice) -> Iterator[Sequence[Any]]:
    header, totals, texts = state.header, state.totals, state.texts
    name = "erased" if texts is None else texts.account_name
    money = (
        f"{plain(totals.total)} and {plain(totals.tax)} tax: {plain(totals.total_with_tax)} {header.currency}"
    )
    yield "Invoice", f"{invoice_id}, unique identifier {state.unique_identifier or 'none'}"
    yield "Status", f"{state.status}, {state.settlement}; tax {state.tax_status}"
    yield "Account", f"{header.account_id} {f'({name})' if name else ''}"
    yield "Legal entity", header.legal_entity_id
    yield "Dates", f"of {header.invoice_date}, due {header.due_date}, posted {state.posted_date or 'not yet'}"
    yield "Total", f"{money}; open {plain(totals.balance)}"
    if header.reference:
        yield "Made from", f"{header.reference.kind} {header.reference.id}"


def _line(line: invoice.Line) -> Sequence[Any]:
    added = line.added
    amounts = added.quantity, added.unit_price, added.charge, line.tax, line.charge_with_tax
    return (added.number, added.name, added.start_date, added.end_date, *map(plain, amounts))


def _event(recorded: Recorded, sentence: str) -> Sequence[Any]:
    meta = recorded.meta
    recorded_at = recorded.recorded.strftime("%Y-%m-%d %H:%M:%S")
    return recorded.version, recorded_at, sentence, f"{meta.who.id} ({meta.who.kind})", meta.reason


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: int | None = None) -> Iterator[str]:
    """Cells from the column `numbers` on stand to the right."""
    first = len(head) if numbers is None else numbers
    yield "<table>"
    if any(head):
        yield _row("th", head, first)
    for row in rows:
        yield _row("td", row, first)
    yield "</table>\n"


def _row(tag: str, cells: Sequence[Any], first: int) -> str:
    marks = [' class="n"' if at >= first else "" for at in range(len(cells))]
    told = (f"<{tag}{mark}>{escape(str(cell))}</{tag}>" for mark, cell in zip(marks, cells, strict=True))
    return f"<tr>{''.join(told)}</tr>\n"
