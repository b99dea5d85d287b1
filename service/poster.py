"""Posts drafts: in one append where the rates of the book work out the tax, else around calls of engines."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from domain import invoice, sequence
from domain.invoice import NOTHING_SAID, AskAgain, EngineFailed, FailureCode, Said
from domain.refusal import Refused
from store.log import Meta

from .errors import Contended
from .estimator import APPEND_SECONDS
from .ongoing import Ongoing
from .tax_remote import Engines, Voided
from .transact import Asked, Book, Outcome

ROUNDS_MAX = 8  # of asking, while the draft or the reference data changes
PURPOSE = "post"
POST = invoice.Post()

# With what engines have filed on record, these end a posting: what was filed is voided.
HOPELESS = (
    invoice.PeriodClosed,
    sequence.NumberRequired,
    sequence.SeriesExhausted,
    sequence.NumbersTaken,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An invoice that is to be posted, and what goes beside the events."""

    invoice_id: UUID
    meta: Meta


@dataclass(frozen=True, slots=True)
class Posting:
    """What came of a posting: as far as it got, and why no further, where it was given up."""

    outcome: Outcome[invoice.Invoice]
    given_up: Refused | None = None

    @property
    def posted(self) -> bool:
        return self.outcome.state.status is invoice.Status.POSTED

    @property
    def replayed(self) -> bool:
        return self.posted and self.outcome.recorded is None


@dataclass(slots=True)
class Poster:
    """Posts while somebody waits, and finishes what it has begun when nobody does any more."""

    book: Book
    engines: Engines
    _ongoing: Ongoing[Posting] = field(default_factory=Ongoing)

    async def post(self, wanted: Wanted, until: float) -> Posting:
        """Answers before the time is over; a posting that waits for engines goes on without its caller."""
        [end] = await self.post_each((wanted,), until)
        try:
            if isinstance(end, Exception):
                raise end
            return end
        finally:
            del end  # an error that is raised from here must not hold itself

    async def post_each(self, wanted: Sequence[Wanted], until: float) -> Sequence[Posting | Exception]:
        """Each for itself, many at once; what would be raised for one stands in its place.

        An invoice that is wanted again waits for what comes of it the first time.
        """
        asked = [
            Asked(each.invoice_id, partial(_post, each.invoice_id, NOTHING_SAID), each.meta)
            for each in wanted
        ]
        turns: defaultdict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)

        async def brought_to_end(
            each: Wanted, decided: Outcome[invoice.Invoice] | Exception
        ) -> Posting | Exception:
            async with turns[each.invoice_id]:
                try:
                    return await self._brought_to_end(each, decided, until)
                except Exception as error:
                    return error.with_traceback(None)

        decided = await self.book.carry_out_each(asked, until)
        return await asyncio.gather(*map(brought_to_end, wanted, decided))

    async def _brought_to_end(
        self, wanted: Wanted, decided: Outcome[invoice.Invoice] | Exception, until: float
    ) -> Posting:
        """What comes of what was decided first, with what engines say as far as that can be had in time."""
        invoice_id, meta = wanted.invoice_id, wanted.meta
        if isinstance(decided, HOPELESS):
            return await self._give_up(invoice_id, decided, NOTHING_SAID, meta)
        if isinstance(decided, Exception) and not isinstance(decided, AskAgain):
            raise decided
        outcome = None if isinstance(decided, AskAgain) else decided
        if outcome is not None and not _goes_on(outcome.state):
            return Posting(outcome)
        finished = await self._within(invoice_id, meta, until)
        if finished is not None:
            return finished
        return Posting(outcome or await self._as_it_stands(invoice_id, meta, until))

    async def finish(self, invoice_id: UUID, meta: Meta) -> Posting:
        """Posts, however long the engines take."""
        said = NOTHING_SAID
        for _ in range(ROUNDS_MAX):
            until = asyncio.get_running_loop().time() + APPEND_SECONDS
            try:
                outcome = await self._decide(invoice_id, meta, until, said)
            except AskAgain as again:
                answers = await self.engines.ask(again.asked, PURPOSE)
                said = Said(answers.answers, (*said.calls, *answers.calls))
            except HOPELESS as refused:
                return await self._give_up(invoice_id, refused, said, meta)
            else:
                if not _goes_on(outcome.state):
                    return Posting(outcome)
        raise Contended(attempts=ROUNDS_MAX)

    async def void(self, invoice_id: UUID, meta: Meta) -> Outcome[invoice.Invoice]:
        """Has engines void what is not to count, and records what they say."""
        until = asyncio.get_running_loop().time() + APPEND_SECONDS
        stands = await self._as_it_stands(invoice_id, meta, until)
        to_void = stands.state.posting.to_void
        said = await asyncio.gather(*map(self._voided, to_void))
        calls = tuple(call for each in said for call in each.calls)
        failure = next((each.failure for each in said if each.failure), None)
        until = asyncio.get_running_loop().time() + APPEND_SECONDS
        return await self.book.transact(
            invoice_id, lambda state, _: invoice.record_void(state, to_void, calls, failure), meta, until
        )

    async def _voided(self, document: invoice.TaxDocument) -> Voided:
        """An engine that is asleep voids all the same what it has filed."""
        engine = self.book.snapshot.current.tax_engines.get(document.engine_id)
        if engine is None:
            because = f"there is no tax engine {document.engine_id} any more"
            return Voided((), EngineFailed(document.engine_id, FailureCode.NO_ENGINE, because))
        return await self.engines.void(engine, document.document_code)

    async def _decide(
        self, invoice_id: UUID, meta: Meta, until: float, said: Said = NOTHING_SAID
    ) -> Outcome[invoice.Invoice]:
        return await self.book.transact(invoice_id, partial(_post, invoice_id, said), meta, until)

    async def _give_up(self, invoice_id: UUID, refused: Refused, said: Said, meta: Meta) -> Posting:
        """Raises the refusal where nothing was filed, and so nothing is to be voided."""
        until = asyncio.get_running_loop().time() + APPEND_SECONDS
        decide = partial(_give_up, invoice_id, f"{refused.reason}: {refused}", said)
        outcome = await self.book.transact(invoice_id, decide, meta, until)
        if outcome.recorded is None:
            raise refused
        return Posting(outcome, refused)

    async def _as_it_stands(self, invoice_id: UUID, meta: Meta, until: float) -> Outcome[invoice.Invoice]:
        return await self.book.transact(invoice_id, lambda _state, _rules: invoice.NOTHING, meta, until)

    async def _within(self, invoice_id: UUID, meta: Meta, until: float) -> Posting | None:
        """What came of it before it was time to answer; None: it goes on without anybody waiting."""
        return await self._ongoing.within(self.finish(invoice_id, meta), f"post {invoice_id}", until)

    async def close(self) -> None:
        await self._ongoing.close()


def _goes_on(state: invoice.Invoice) -> bool:
    """Whether engines are to be asked: it is on record that they will be, and not that they failed."""
    posting = state.posting
    return state.status is invoice.Status.DRAFT and bool(posting.documents) and posting.failure is None


def _post(
    invoice_id: UUID, said: Said, state: invoice.Invoice | None, rules: invoice.Rules
) -> invoice.Decision:
    return invoice.post(POST, state, invoice_id, rules, said)


def _give_up(
    invoice_id: UUID, because: str, said: Said, state: invoice.Invoice | None, _: invoice.Rules
) -> invoice.Decision:
    return invoice.give_up(state, invoice_id, because, said)
