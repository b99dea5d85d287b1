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
from .ongoing import Ongoing
from .tax_remote import Engines
from .transact import Book, Outcome

APPEND_SECONDS = 10.0  # for recording what engines said, whether or not somebody still waits
ROUNDS_MAX = 5  # of asking, while the draft changes

ESTIMATE = Estimate()


@dataclass(slots=True)
class Estimator:
    """Estimates that somebody waits for; those that nobody waits for any more are finished all the same."""

    book: Book
    engines: Engines
    _ongoing: Ongoing[Outcome[invoice.Invoice]] = field(default_factory=Ongoing)

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
        return await self._ongoing.within(self.estimate(invoice_id, meta), f"estimate {invoice_id}", until)

    async def close(self) -> None:
        await self._ongoing.close()
        await self.engines.close()


def _decide(
    command: Estimate,
    invoice_id: UUID,
    said: Said,
    state: invoice.Invoice | None,
    rules: invoice.Rules,
) -> invoice.Decision:
    return invoice.estimate(command, state, invoice_id, rules, said)
