"""An invoice's summary: all but its lines and addresses, as a fold of its events; enough to fold on from.

Events that leave the lines alone are folded on the summary; those that change them come in one append with
the event that begins the lines anew, so that no line ever has to be read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import msgspec

from domain import invoice
from store.log import Recorded
from store.schema import REGISTRY

from .projection import Poison

TOPICS = frozenset(name for name, entry in REGISTRY.items() if entry.type in invoice.EVENTS)


@dataclass(frozen=True, slots=True)
class InvoiceSummary:
    """An invoice but for lines and addresses; `position` is its newest event's."""

    id: UUID
    unique_identifier: str
    version: int
    status: invoice.Status
    tax_status: invoice.TaxStatus
    settlement: invoice.Settlement
    number: str
    posted_date: date | None
    header: invoice.Header
    texts: invoice.HeaderTexts | None  # None: erased
    totals: invoice.Totals
    line_count: int
    reference_position: int
    created: datetime
    updated: datetime
    drafted_position: int
    position: int


@dataclass(frozen=True, slots=True)
class Folded:
    """An invoice after a batch. Its lines and addresses are in `state` where the batch holds them."""

    before: InvoiceSummary | None
    summary: InvoiceSummary
    state: invoice.Invoice

    @property
    def rewritten(self) -> bool:
        return bool(self.state.lines)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(InvoiceSummary)
encode = _encoder.encode
decode = _decoder.decode


def span(recorded: Recorded) -> int:
    """An invoice's content comes in one append, whose first event says how many there are."""
    event = recorded.event
    return event.size if isinstance(event, invoice.InvoiceDrafted | invoice.InvoiceRevised) else 1


def continued(batch: Iterable[Recorded]) -> set[UUID]:
    """The invoices of a batch that began before it."""
    drafted = {recorded.stream for recorded in batch if recorded.version == 1}
    return {recorded.stream for recorded in batch} - drafted


def fold(batch: Sequence[Recorded], stored: Mapping[UUID, InvoiceSummary]) -> list[Folded]:
    """Every invoice of the batch as it leaves it; `stored` holds those that began before."""
    folding: dict[UUID, _Folding] = {}
    for recorded in batch:
        one = folding.get(recorded.stream)
        if one is None:
            one = folding[recorded.stream] = _Folding(stored.get(recorded.stream))
        one.take(recorded)
    return [one.folded for one in folding.values()]


class _Folding:
    """One invoice on its way through a batch."""

    def __init__(self, before: InvoiceSummary | None) -> None:
        self._before = before
        self._state = None if before is None else resumed(before)
        self._first: Recorded | None = None
        self._last: Recorded | None = None

    def take(self, recorded: Recorded) -> None:
        follows = self._state.version + 1 if self._state else 1
        if recorded.version != follows:
            because = f"version {recorded.version} of invoice {recorded.stream} does not follow {follows - 1}"
            raise Poison(recorded.position, recorded.name, because)
        try:
            self._state = invoice.evolve(self._state, recorded.event)
        except Exception as error:
            because = f"{type(error).__name__}: {error}"
            raise Poison(recorded.position, recorded.name, because) from error
        self._first = self._first or recorded
        self._last = recorded

    @property
    def folded(self) -> Folded:
        assert self._state is not None
        assert self._first is not None
        assert self._last is not None
        return Folded(self._before, _summary(self._before, self._state, self._first, self._last), self._state)


def _summary(
    before: InvoiceSummary | None, state: invoice.Invoice, first: Recorded, last: Recorded
) -> InvoiceSummary:
    kept = before if not state.lines else None
    return InvoiceSummary(
        id=last.stream,
        unique_identifier=state.unique_identifier,
        version=state.version,
        status=state.status,
        tax_status=kept.tax_status if kept else state.tax_status,
        settlement=state.settlement,
        number=state.number,
        posted_date=state.posted_date,
        header=state.header,
        texts=state.texts,
        totals=state.totals,
        line_count=kept.line_count if kept else len(state.lines),
        reference_position=state.reference_position,
        created=before.created if before else first.recorded,
        updated=last.recorded,
        drafted_position=before.drafted_position if before else first.position,
        position=last.position,
    )


def resumed(summary: InvoiceSummary) -> invoice.Invoice:
    """The state to fold on from; what only decisions need is not in it."""
    return invoice.Invoice(
        unique_identifier=summary.unique_identifier,
        first_fingerprint="",
        fingerprint="",
        header=summary.header,
        texts=summary.texts,
        size=0,
        reference_position=summary.reference_position,
        version=summary.version,
        status=summary.status,
        number=summary.number,
        posted_date=summary.posted_date,
        charge=summary.totals.charge,
        tax=summary.totals.tax,
    )
