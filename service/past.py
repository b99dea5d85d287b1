"""What was: streams up to a point of history, read from the log alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from domain import credit_memo, debit_memo, identity, invoice, reference
from domain.refusal import Refused
from projections.invoice_summary import OPENINGS
from store.log import Log, Recorded

from .keys import Key

CREDIT_MEMOS_MAX = 100  # of an invoice, that are told


class NotYetDrafted(Refused):
    reason = "NOT_YET_DRAFTED"
    because = "invoice {key} was first recorded at {recorded}, after that point"


class VersionAhead(Refused):
    reason = "VERSION_AHEAD"
    because = "invoice {key} has {version} events so far; event {asked} is still to come"


@dataclass(frozen=True, slots=True)
class Point:
    """A point of history, said in one way; said in none, it is now."""

    version: int | None = None
    instant: datetime | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Memo:
    """A debit memo as it stood."""

    id: UUID
    state: debit_memo.DebitMemo
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class Credit:
    """A credit memo as it stood."""

    id: UUID
    state: credit_memo.CreditMemo
    created: datetime
    updated: datetime


class Past:
    """Reads the log up to points of history. Deadlines are instants of the running loop's clock."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def events(self, invoice_id: UUID, key: Key, point: Point, until: float) -> Sequence[Recorded]:
        """The events of an invoice up to a point; whole appends, unless a version says otherwise.

        Raises NotFound, NotYetDrafted or VersionAhead.
        """
        position = point.position
        if point.instant is not None:
            position = await self._log.position_at(point.instant, deadline=until)
        history = await self._log.read(invoice_id, upto=point.version, position=position, deadline=until)
        events = history.recorded
        if point.version is None:
            events = events[: whole(events)]
        if not events:
            await self._refuse(invoice_id, key, until)
        if not isinstance(events[0].event, invoice.InvoiceDrafted):
            raise invoice.NotFound(key=key)
        if point.version is not None and point.version > len(events):
            raise VersionAhead(key=key, version=len(events), asked=point.version)
        return events

    async def _refuse(self, invoice_id: UUID, key: Key, until: float) -> None:
        first = (await self._log.read(invoice_id, upto=1, deadline=until)).recorded
        if first and isinstance(first[0].event, invoice.InvoiceDrafted):
            raise NotYetDrafted(key=key, recorded=first[0].recorded.isoformat())
        raise invoice.NotFound(key=key)

    async def memo_of(self, state: invoice.Invoice, position: int, until: float) -> Memo | None:
        """The debit memo that an invoice was made from, as it stood at a position."""
        referred = state.header.reference
        if referred is None or not invoice.is_of_memo(referred):
            return None
        memo_id = UUID(referred.id)
        history = await self._log.read(memo_id, position=position, deadline=until)
        memo = debit_memo.fold(history.events)
        if memo is None:
            return None
        return Memo(memo_id, memo, history.recorded[0].recorded, history.recorded[-1].recorded)

    async def credit_memos_of(
        self, invoice_id: UUID, state: invoice.Invoice, position: int, until: float
    ) -> Sequence[Credit]:
        """The credit memos that were made of an invoice, oldest first, as they stood at a position."""
        count = state.ledger.memos + (state.status is invoice.Status.VOIDED)
        found = []
        for ordinal in range(1, min(count, CREDIT_MEMOS_MAX) + 1):
            memo_id = identity.credit_memo(invoice_id, ordinal)
            history = await self._log.read(memo_id, position=position, deadline=until)
            memo = credit_memo.fold(history.events)
            if memo is not None:
                found.append(
                    Credit(memo_id, memo, history.recorded[0].recorded, history.recorded[-1].recorded)
                )
        return found

    async def day(self, legal_entity_id: str, at: datetime, position: int, until: float) -> date:
        """The date of an instant where the legal entity was by what the book knew at a position."""
        stream = identity.reference(reference.Kind.LEGAL_ENTITY, legal_entity_id)
        known = (await self._log.read(stream, position=position, deadline=until)).events
        last = known[-1] if known else None
        zone = reference.zone(last.entry.time_zone) if isinstance(last, reference.LegalEntitySet) else UTC
        return at.astimezone(zone).date()


def append_ends(events: Sequence[Recorded]) -> Iterator[int]:
    """After how many events each append ends; of one that is there in part, after what there is."""
    at = 0
    while at < len(events):
        size = OPENINGS.get(events[at].name)
        at = min(len(events), at + (size(events[at]) if size else 1))
        yield at


def whole(events: Sequence[Recorded]) -> int:
    """How many events there are until the last append that is there in whole."""
    at = 0
    for end in append_ends(events):
        size = OPENINGS.get(events[at].name)
        if size and at + size(events[at]) > end:
            break
        at = end
    return at
