"""Works out the tax of drafts: asks engines elsewhere, outside of any append, and records what they say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from domain import invoice
from domain.invoice import NOTHING_SAID, AskAgain, Estimate, Said
from store.log import Meta

from .errors import Contended
from .tax_remote import Engines
from .transact import Book, Outcome

ANSWER_MARGIN = 0.1  # seconds before the caller's time is over, when the rest is left to the background
APPEND_SECONDS = 10.0  # for recording what engines said, whether or not somebody still waits
ROUNDS_MAX = 5  # of asking, while the draft changes

ESTIMATE = Estimate()


@dataclass(slots=True)
class Estimator:
    """Estimates that somebody waits for; those that nobody waits for any more are finished all the same."""

    book: Book
    engines: Engines
    _going: set[asyncio.Task[Outcome[invoice.Invoice]]] = field(default_factory=set)

    async def estimate(
        self, invoice_id: UUID, meta: Meta, command: Estimate = ESTIMATE, *, dry_run: bool = False
    ) -> Outcome[invoice.Invoice]:
        """Asks and records. A dry run asks, and records nothing."""
        said = NOTHING_SAID
        for _ in range(ROUNDS_MAX):
            until = asyncio.get_running_loop().time() + APPEND_SECONDS
            decide = partial(_decide, command, invoice_id, said)
            try:
                return await self.book.transact(invoice_id, decide, meta, until, dry_run=dry_run)
            except AskAgain as again:
                said = await self._ask(again, command, said)
        raise Contended(attempts=ROUNDS_MAX)

    async def _ask(self, again: AskAgain, command: Estimate, before: Said) -> Said:
        """Asks; the calls of an earlier round stay on record."""
        said = await self.engines.ask(again.asked, command.purpose)
        return Said(said.answers, (*before.calls, *said.calls))

    async def within(self, invoice_id: UUID, meta: Meta, until: float) -> Outcome[invoice.Invoice] | None:
        """What came of it before it was time to answer; None: it goes on without anybody waiting."""
        task = asyncio.create_task(self.estimate(invoice_id, meta), name=f"estimate {invoice_id}")
        self._going.add(task)
        task.add_done_callback(self._gone)
        seconds = max(0.0, until - ANSWER_MARGIN - asyncio.get_running_loop().time())
        await asyncio.wait((task,), timeout=seconds)
        return task.result() if task.done() else None

    def _gone(self, task: asyncio.Task[Outcome[invoice.Invoice]]) -> None:
        self._going.discard(task)
        if not task.cancelled():
            task.exception()  # who still waited has heard it; else the background tries again

    async def close(self) -> None:
        """What is not done by now is unfinished work, which another process takes up."""
        going = tuple(self._going)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        await self.engines.close()


def _decide(
    command: Estimate,
    invoice_id: UUID,
    said: Said,
    state: invoice.Invoice | None,
    rules: invoice.Rules,
) -> invoice.Decision:
    return invoice.estimate(command, state, invoice_id, rules, said)
