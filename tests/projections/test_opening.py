"""A draft that begins plainly is taken into rows without making its events; they are the rows of its fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import cast
from uuid import uuid4

import pytest

from domain import invoice
from projections.feed import Fed, Feed
from projections.opening import shared
from projections.projection import Projection
from projections.receivables import RECEIVABLES
from projections.tax_summary import TAX_SUMMARY
from projections.unfinished_work import UNFINISHED_WORK
from store.log import Recorded, Write
from store.memory import MemoryLog

from .book import CODEC, DAY, META, Chance, address, draft, line, tax


async def histories(*writes: Write) -> Sequence[Sequence[Recorded]]:
    """What was written down, invoice by invoice."""
    log = MemoryLog(CODEC)
    for write in writes:
        await log.append([write], META)
    events = cast(Sequence[Recorded], await Feed(log, CODEC.decode, 100_000).after(0))
    await log.close()
    streams = dict.fromkeys(each.stream for each in events)
    return [[each for each in events if each.stream == stream] for stream in streams]


def spelled_otherwise(history: Sequence[Recorded]) -> Sequence[Recorded]:
    """The same events, the first of them not as this program writes it: nothing is plain about that."""
    first, *rest = history
    other = Fed(
        first.position,
        first.stream,
        first.version,
        first.name,
        b"{ " + first.state[1:],
        first.personal,
        CODEC.decode,
    )
    return [cast(Recorded, other), *rest]


MODELS = (RECEIVABLES, TAX_SUMMARY, UNFINISHED_WORK)


def rows(projection: Projection, history: Sequence[Recorded]) -> Sequence[bytes]:
    assert projection.begin is not None
    events = [each for each in history if each.name in projection.topics]
    return [block.body for block in projection.begin([events])]


@pytest.mark.parametrize("projection", MODELS, ids=lambda each: each.wire_name)
async def test_a_plain_beginning_gives_the_rows_of_the_fold(projection: Projection) -> None:
    chance = Chance(Random(11))
    found = await histories(*[chance.next() for _ in range(150)])
    assert {shared(each) is None for each in found} == {True, False}
    assert len({len(each) for each in found}) > 5
    for history in found:
        assert shared(spelled_otherwise(history)) is None
        assert rows(projection, history) == rows(projection, spelled_otherwise(history))


async def test_taxes_lie_where_the_addresses_were_when_they_were_brought() -> None:
    moved = replace(address("a"), state="NY", country="US")
    periods = [replace(line(n), accounting_period_id=period) for n, period in enumerate(["", "2026-11"], 1)]
    body: list[invoice.Event] = [
        address("a"),
        *periods,
        tax(1, "1.90"),
        tax(1, "2.00"),
        moved,
        tax(2, "3.80"),
    ]
    content = draft(*body, accounting_period_id="2026-10")
    [history] = await histories(Write(uuid4(), 0, content))
    assert shared(history) is not None
    assert rows(TAX_SUMMARY, history) == rows(TAX_SUMMARY, spelled_otherwise(history))


async def test_a_draft_whose_tax_is_asked_for_is_unfinished_whatever_its_texts_say() -> None:
    asking = draft(should_calculate_tax=True)
    saying = draft(labels={"should_calculate_tax": "true", 'x":1,"should_calculate_tax":true,"': "y"})
    found = await histories(Write(uuid4(), 0, asking), Write(uuid4(), 0, saying))
    assert [len(rows(UNFINISHED_WORK, each)[0]) > 0 for each in found] == [True, False]


async def test_what_happened_to_a_plain_draft_in_the_same_batch_is_in_its_rows() -> None:
    invoice_id, content = uuid4(), draft(address(), line(1, "100.00"), tax(1, "19.00"))
    later = Write(invoice_id, len(content), [invoice.InvoicePosted("R-1", DAY)])
    [history] = await histories(Write(invoice_id, 0, content), later)
    for projection in MODELS:
        assert rows(projection, history) == rows(projection, spelled_otherwise(history))
    assert b"POSTED" in rows(RECEIVABLES, history)[0]
