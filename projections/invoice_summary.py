"""An invoice's summary: all but its lines and addresses, as a fold of its events; enough to fold on from.

Events that leave the lines alone are folded on the summary. Those that begin the lines anew come in one
append with them. An estimate of the tax and a posting that come later change lines that are not at hand: they
are kept as `late`, for the read model that has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import msgspec

from domain import invoice
from store.log import Recorded
from store.schema import REGISTRY

from .histories import Histories
from .opening import append_size
from .projection import Poison

Late = invoice.TaxEstimated | invoice.TaxSkipped | invoice.TaxPosted | invoice.InvoicePosted

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
    ledger: invoice.Ledger | None = None  # where something was settled
    full_settlement_date: date | None = None


@dataclass(frozen=True, slots=True)
class Folded:
    """An invoice after a batch. Its lines and addresses are in `state` where the batch holds them."""

    before: InvoiceSummary | None
    summary: InvoiceSummary
    state: invoice.Invoice
    late: tuple[Late, ...] = ()

    @property
    def rewritten(self) -> bool:
        return bool(self.state.lines)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(InvoiceSummary)
encode = _encoder.encode
decode = _decoder.decode


def _estimates(recorded: Recorded) -> int:
    """The answers of several engines are taken together, and with the posting that they are for."""
    return 1 + int(recorded.event.following)


OPENINGS = {
    "InvoiceDrafted": append_size,
    "InvoiceRevised": append_size,
    "TaxEstimated": _estimates,
    "TaxSkipped": _estimates,
    "TaxPosted": _estimates,
}


def fold(histories: Histories, stored: Mapping[UUID, InvoiceSummary]) -> list[Folded]:
    """Every invoice of a batch as it leaves it; `stored` holds those that began before."""
    return [_fold(history, stored.get(history[0].stream) if stored else None) for history in histories]


def _fold(history: Sequence[Recorded], before: InvoiceSummary | None) -> Folded:
    state = None if before is None else resumed(before)
    for recorded in history:
        event = recorded.event  # which is refused where it cannot be read
        follows = state.version + 1 if state else 1
        if recorded.version != follows:
            because = f"version {recorded.version} of invoice {recorded.stream} does not follow {follows - 1}"
            raise Poison(recorded.position, recorded.name, because)
        try:
            state = invoice.evolve(state, event)
        except Exception as error:
            because = f"{type(error).__name__}: {error}"
            raise Poison(recorded.position, recorded.name, because) from error
    assert state is not None
    late = tuple(each.event for each in history if isinstance(each.event, Late)) if not state.lines else ()
    return Folded(before, _summary(before, state, history[0], history[-1]), state, late)


def _summary(
    before: InvoiceSummary | None, state: invoice.Invoice, first: Recorded, last: Recorded
) -> InvoiceSummary:
    kept = before if not state.lines else None
    return InvoiceSummary(
        id=last.stream,
        unique_identifier=state.unique_identifier,
        version=state.version,
        status=state.status,
        tax_status=state.tax_status,
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
        ledger=None if state.ledger is invoice.UNTOUCHED else state.ledger,
        full_settlement_date=state.full_settlement_date,
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
        lineless_tax_status=summary.tax_status,
        ledger=summary.ledger or invoice.UNTOUCHED,
    )
