"""The read model `invoices`: found, listed and paged as the log says."""

from __future__ import annotations

from uuid import uuid4

from domain import identity, invoice
from projections import invoices

from .book import Book, address, draft, line, relabeled


async def test_an_invoice_is_found_as_its_events_have_left_it(book: Book) -> None:
    one = identity.invoice("one")
    await book.write(one, 0, *draft(address(), line(1, "10.00"), line(2, "2.50"), key="one"))
    position = await book.write(one, 4, relabeled(team="blue"))
    await book.caught_up()
    answer = await invoices.find(book.reader, one, min_position=position)
    state = invoice.fold((await book.log.read(one)).events)
    assert answer.found is not None
    assert state is not None
    assert answer.position >= position
    assert answer.found.lines == tuple(state.lines)
    assert answer.found.addresses == tuple(state.addresses.values())
    assert answer.found.summary.header == state.header
    assert answer.found.summary.totals == state.totals


async def test_an_invoice_that_is_not_there_is_not_found(book: Book) -> None:
    assert (await invoices.find(book.reader, uuid4())).found is None
