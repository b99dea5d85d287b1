"""What is spelled out from the stored form is the message that it stands for, whatever an invoice holds."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daybook.v1 import invoice_pb2 as pb
from domain import invoice
from projections import stored
from projections.invoice_rows import LINES_PER_CHUNK, encode_lines
from projections.invoice_summary import InvoiceSummary, encode
from projections.invoices import CHUNKS_SHOWN_MAX
from projections.stored import StoredInvoice
from service.wire import spelled
from service.wire.invoices import (
    LINES_SHOWN_MAX,
    write_address,
    write_header,
    write_line,
    write_settlement,
    write_status,
    write_tax_status,
    write_totals,
)
from service.wire.settlement import add_settlement
from service.wire.spelling import alike, parsed, spelling
from service.wire.summaries import days_open, days_overdue
from service.wire.values import write_date, write_instant

ANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MOST = 10**15

LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8) | st.sampled_from(["x" * 200, "ß" * 100, "\x00\x1f\x7f", "\\u00e9", "\u2028😀"]),
    int: st.integers(0, 2**31 - 1),
    bool: st.booleans(),
    Decimal: st.decimals(-MOST, MOST, allow_nan=False, allow_infinity=False)
    | st.sampled_from([Decimal(each) for each in ("0", "-0.00", "250.00", "-0.01", "1E+3", "1E-12")]),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    UUID: st.uuids(),
    dict[str, str]: st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
}


def anything(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that a type allows."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(st.none(), *(anything(each) for each in arguments if each is not types.NoneType))
    if origin is tuple:
        return st.lists(anything(arguments[0]), max_size=2).map(tuple)
    if is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{each.name: anything(hints[each.name]) for each in fields(hint)})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    return LEAVES[hint]


def position(number: int) -> str:
    return f"log.1.{number}" if number else ""


def basic(summary: InvoiceSummary, today: date) -> pb.Invoice:
    """The message, made field by field of what the domain has."""
    settled, header = summary.full_settlement_date, summary.header
    is_posted = summary.status is invoice.Status.POSTED
    return pb.Invoice(
        invoice_id=str(summary.id),
        version=summary.version,
        status=write_status(summary.status),
        tax_status=write_tax_status(summary.tax_status),
        settlement_status=write_settlement(summary.settlement),
        invoice_number=summary.number,
        content=write_header(
            summary.unique_identifier,
            summary.status,
            header,
            summary.texts,
            summary.number,
            summary.posted_date,
        ),
        totals=write_totals(summary.totals, header.currency),
        line_count=summary.line_count,
        defaulted=header.defaulted,
        create_time=write_instant(summary.created),
        update_time=write_instant(summary.updated),
        reference_data_position=position(summary.reference_position),
        days_open=days_open(summary, today) if is_posted else 0,
        days_overdue=days_overdue(summary, today) if is_posted else 0,
        full_settlement_date=write_date(settled) if settled else None,
    )


@ANY
@given(
    summary=anything(InvoiceSummary),
    addresses=st.lists(anything(invoice.AddressGroupAssigned), max_size=2),
    lines=st.lists(anything(invoice.Line), max_size=3),
    today=st.dates(),
)
def test_an_invoice_is_spelled_as_its_message(
    summary: InvoiceSummary,
    addresses: Sequence[invoice.AddressGroupAssigned],
    lines: Sequence[invoice.Line],
    today: date,
) -> None:
    expected = basic(summary, today)
    chunks = [encode_lines(lines[:1]), encode_lines(lines[1:])]
    kept = StoredInvoice(encode(summary), encode_lines(addresses), chunks)
    asked: list[str] = []

    def day(legal_entity_id: str) -> date:
        asked.append(legal_entity_id)
        return today

    said = stored.read_summary(kept.header)
    assert parsed(spelled.basic(said, position, day), pb.Invoice) == expected
    assert set(asked) <= {summary.header.legal_entity_id}
    header = summary.header
    expected.content.address_groups.extend(map(write_address, addresses))
    expected.lines.extend(write_line(each, header.legal_entity_id, position) for each in lines)
    add_settlement(expected, summary.ledger, summary.id, header.currency)
    assert parsed(spelled.full(said, kept, position, day), pb.Invoice) == expected


def test_a_text_that_was_stored_in_escapes_is_spelled_as_what_it_says() -> None:
    [group] = stored.read_addresses(b'[{"group":"\\u00e9\\ud83d\\ude00","state":"\\u0007","country":"DE"}]')
    said = parsed(spelled.address(group, spelled.NO_PLACE), pb.AddressGroup)
    assert said == pb.AddressGroup(key="é😀", state="\x07", country="DE")
    assert stored.text(group.group) == "é😀"


def test_a_mask_leaves_of_what_is_spelled_what_it_names() -> None:
    message = pb.Invoice(invoice_id="i", version=300, content=pb.InvoiceContent(account_id="a", owner_id="o"))
    whole = message.SerializeToString().decode("latin-1")
    masked = spelled.masked(whole, FieldMask(paths=["version", "content.account_id"]))
    assert parsed(masked, pb.Invoice) == pb.Invoice(version=300, content=pb.InvoiceContent(account_id="a"))
    assert spelled.masked(whole, FieldMask()) == whole


def test_no_field_of_a_message_is_forgotten() -> None:
    told = alike(pb.Source, "it")
    for wrong in ({"system": "it.system"}, {**told, "colour": "it.colour"}):
        with pytest.raises(TypeError, match=r"daybook\.v1\.Source"):
            spelling(pb.Source, "it", {}, **wrong)


def test_chunks_shown_are_the_lines_shown() -> None:
    assert CHUNKS_SHOWN_MAX * LINES_PER_CHUNK == LINES_SHOWN_MAX
