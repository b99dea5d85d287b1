"""Builds an audit pack from the log alone, one history after the other, whatever its size."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from itertools import chain
from tempfile import TemporaryFile
from typing import IO
from uuid import UUID

from domain import identity, invoice, reference
from store import schema
from store.log import Recorded, Stored
from store.proof import evidence
from store.proof.evidence import About, NothingToTell
from store.proof.keys import Keys
from store.proof.rows import Connection
from store.proof.verify import at_one_moment, identified

from ..wire.events import PUBLISHED
from . import report, tables
from .sealed_file import SealedFile

SUMMARY, SECTIONS = "summary", "sections"  # of the report
IN_FULL_MAX = 500  # invoices that the report shows with their lines and history
README = """\
This is an audit pack of a daybook: {about}.
Made {made} from the log {log}, epoch {epoch}, up to position {position}. It opens with any ZIP tool.

report.html    for people: what the invoices are and what happened to them
tables/        the same as CSV, UTF-8, for a spreadsheet
events.jsonl   the evidence: each event to the byte, in the order of the log; one JSON object a line
seals.jsonl    the seals over them, signed, and the branches that lead from each event to the root of its seal
schema.json    what the events hold: JSON Schema of each event's stored form
verify.py      verifies all of it with nothing but Python 3.9: python3 -I verify.py PACK.zip --key HEX

Seals are signed with the key {key}.
Compare it with the key that you were told. Take verify.py from a daybook that you trust, or read it.

What it proves: these events stand in the log as they were sealed, and nothing in this file was changed since
it was made. What it does not: that the log holds nothing else, and nothing newer; for that the whole log is
verified.
Where personal text was erased, events hold only its salted digest.
"""


@dataclass(slots=True)
class Parts:
    """What is worked out of the histories while they go by: tables and report, each in a file of its own."""

    files: Mapping[str, IO[str]]
    related: dict[UUID, None]
    shown: int = 0

    def write(self, name: str, lines: Iterable[str]) -> None:
        self.files[name].writelines(lines)

    def read(self, name: str) -> Iterator[str]:
        self.files[name].seek(0)
        yield from self.files[name]


def pack(dsn: str, about: About, keys: Keys, now: datetime) -> Iterator[bytes]:
    """The bytes of a pack; raises NothingToTell or Unavailable."""
    with at_one_moment(dsn) as connection, ExitStack() as stack:
        log_id, epoch, _ = identified(connection)
        upto = evidence.sealed_upto(connection)
        streams = [about.stream] if about.stream else evidence.invoices(connection, about)
        names = (SUMMARY, SECTIONS, *tables.HEADS)
        files = {
            name: stack.enter_context(TemporaryFile("w+", encoding="utf-8", newline="")) for name in names
        }
        parts = Parts(files, {})
        made = now.isoformat(timespec="seconds")
        front = report.Front(str(about), made, log_id, epoch, upto, keys.current, len(streams), IN_FULL_MAX)
        for name, head in tables.HEADS.items():
            parts.write(name, [tables.BYTE_ORDER_MARK, *tables.csv_lines([head])])
        found = False
        for history in evidence.histories(connection, streams, upto):
            _tell_invoice(parts, _read(history))
            found = True
        if not found:
            raise NothingToTell(f"the log holds no invoice that is sealed of {about}")
        related = list(parts.related.keys() - set(streams))
        for history in evidence.histories(connection, related, upto):
            _tell_events(parts, _read(history))
        readme = README.format(
            about=about, made=made, log=log_id, epoch=epoch, position=upto, key=keys.current or "of nobody"
        )
        told = {"report.html": _report(front, parts), **{name: parts.read(name) for name in tables.HEADS}}
        proof = _evidence(connection, [*streams, *related], upto)
        yield from _written(SealedFile(keys), readme, chain(proof, told.items()))


def _evidence(
    connection: Connection, streams: Sequence[UUID], upto: int
) -> Iterator[tuple[str, Iterator[str]]]:
    """The events, and then the seals over them."""
    positions: array[int] = array("q")
    yield "events.jsonl", _ended(evidence.events(connection, streams, upto, positions))
    yield "seals.jsonl", _ended(evidence.seals(connection, positions))


def _report(front: report.Front, parts: Parts) -> Iterator[str]:
    yield from report.opening(front)
    yield from report.summary(parts.read(SUMMARY))
    yield from parts.read(SECTIONS)
    yield from report.closing()


def _written(file: SealedFile, readme: str, parts: Iterable[tuple[str, Iterable[str]]]) -> Iterator[bytes]:
    yield from file.add("README.txt", [readme])
    for name, lines in parts:
        yield from file.add(name, lines)
    yield from file.add("schema.json", [json.dumps(schema.described(), indent=1, ensure_ascii=False)])
    verifier = resources.files(__package__).joinpath("verify.py").read_text(encoding="utf-8")
    yield from file.add("verify.py", [verifier])
    yield from file.end()


def _tell_invoice(parts: Parts, history: Sequence[Recorded]) -> None:
    state: invoice.Invoice | None = None
    for recorded in history:
        state = invoice.evolve(state, recorded.event)
    assert state is not None
    invoice_id = history[0].stream
    parts.write("tables/invoices.csv", tables.csv_lines([tables.invoice_row(invoice_id, state)]))
    parts.write("tables/lines.csv", tables.csv_lines(tables.line_rows(invoice_id, state)))
    parts.write("tables/taxes.csv", tables.csv_lines(tables.tax_rows(invoice_id, state)))
    _tell_events(parts, history)
    parts.related.update(dict.fromkeys(_related(state)))
    credits_ = (getattr(recorded.event, "credit_memo_id", None) for recorded in history)
    parts.related.update(dict.fromkeys(filter(None, credits_)))
    parts.write(SUMMARY, [report.summary_row(invoice_id, state)])
    if parts.shown < IN_FULL_MAX:
        parts.shown += 1
        told = [(each, PUBLISHED[type(each.event)].sentence(each.event)) for each in history]
        parts.write(SECTIONS, report.section(invoice_id, state, told))


def _tell_events(parts: Parts, history: Iterable[Recorded]) -> None:
    rows = (
        tables.event_row(each, published.sentence(each.event), published.business_date(each.event))
        for each in history
        for published in [PUBLISHED[type(each.event)]]
    )
    parts.write("tables/events.csv", tables.csv_lines(rows))


def _related(state: invoice.Invoice) -> Iterator[UUID]:
    """What else tells of an invoice: its number, its debit memo, the reference data that it rests on.

    Credit memos are named by its events.
    """
    header, kinds = state.header, reference.Kind
    if number := state.number or header.invoice_number:
        yield identity.number(header.legal_entity_id, number)
    if header.reference and header.reference.kind is invoice.ReferenceKind.DEBIT_MEMO:
        yield UUID(header.reference.id)
    for kind, entry_id in (
        (kinds.LEGAL_ENTITY, header.legal_entity_id),
        (kinds.PAYMENT_TERM, header.payment_term_id),
        (kinds.ACCOUNTING_PERIOD, header.accounting_period_id),
        (kinds.SETTINGS, reference.SETTINGS_ID),
        *((kinds.TAX_TREATMENT, line.added.tax_treatment_id) for line in state.lines),
        *((kinds.TAX_ENGINE, line.estimate.engine_id) for line in state.lines if line.estimate),
        *((kinds.TAX_RATE, r.rate_id) for line in state.lines if line.estimate for r in line.estimate.rows),
    ):
        if entry_id:
            yield identity.reference(kind, entry_id)


CODEC = schema.codec()


def _read(history: Sequence[Stored]) -> list[Recorded]:
    return [CODEC.decode(stored) for stored in history]


def _ended(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield line + "\n"
