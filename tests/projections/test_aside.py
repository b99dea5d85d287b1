"""A read model as of a position stands aside, is asked like any other, and leaves nothing behind."""

from __future__ import annotations

from random import Random

from domain import invoice
from projections import generations, invoices
from projections.aside import aside
from projections.bulk import Source
from projections.invoices import INVOICES
from store import schema

from .book import CODEC, META, Book, Chance

TABLE = "projections.invoices_as_of_x1"


async def test_invoices_are_asked_as_they_stood_at_a_position(book: Book) -> None:
    chance = Chance(Random(3))
    positions = [(await book.log.append([chance.next()], META)).position for _ in range(40)]
    upto = positions[20]
    source = Source(book.database.app_dsn, CODEC.decode, schema.REGISTRY.keys(), upto)
    async with aside(book.pool, source, INVOICES, TABLE) as reader:
        answer = await invoices.list_(reader, size=500)
        assert answer.position == upto
        histories = await book.log.read_many([each.id for each in answer.found.items])
        for summary in answer.found.items:
            before = [each for each in histories[summary.id].recorded if each.position <= upto]
            state = invoice.fold([each.event for each in before])
            assert state is not None
            assert (summary.version, summary.status, summary.totals) == (
                len(before),
                state.status,
                state.totals,
            )
        streams = {each.stream for each in await book.log.feed(0, 100_000) if each.position <= upto}
        assert {each.id for each in answer.found.items} == streams
    async with book.pool.connection() as connection:
        assert await generations.tables(connection, TABLE) == []
