"""The README says how to add a read model; this does what it says, to the letter."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from domain import invoice
from projections import rebuilds, views
from projections.checkpoint import prepare
from projections.projection import Projection

from .book import META, Book, Chance
from .test_rebuild import rebuilder
from .test_runner import until

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def open_drafts() -> Iterator[Projection]:
    """The file that the README shows."""
    [text] = re.findall(r'```python\n("""The read model `open-drafts`.*?)```', README.read_text(), re.DOTALL)
    module = types.ModuleType("projections.open_drafts")
    module.__package__ = "projections"
    sys.modules[module.__name__] = module
    exec(compile(text, "projections/open_drafts.py", "exec"), module.__dict__)
    yield module.__dict__["OPEN_DRAFTS"]
    del sys.modules[module.__name__]


async def test_the_read_model_of_the_readme_follows_is_rebuilt_and_is_shown(
    book: Book, open_drafts: Projection
) -> None:
    chance, streams = Chance(Random(4)), set()
    await prepare(book.pool, [open_drafts])

    async def seen() -> bool:
        return await book.reader.wait_until(open_drafts, 0) >= await book.log.head()

    async with book.running(projections=[open_drafts]):
        for _ in range(40):
            write = chance.next()
            streams.add(write.stream)
            await book.log.append([write], META)
        await until(seen)
    asked = await rebuilds.ask(book.pool, open_drafts, "REBUILD")
    done = await rebuilder(book, [open_drafts]).finish(asked)
    assert (done.state, done.found["differing_rows"]) == ("DONE", 0), done.error
    await views.show(book.pool, [open_drafts])
    histories = await book.log.read_many(streams)
    states = {stream: invoice.fold(history.events) for stream, history in histories.items()}
    drafts = {
        (stream, state.header.account_id)
        for stream, state in states.items()
        if state is not None and state.status is invoice.Status.DRAFT
    }
    assert set(await book.execute("SELECT invoice_id, account_id FROM daybook.open_drafts")) == drafts
    assert drafts
