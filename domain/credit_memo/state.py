"""A credit memo as its events have left it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import assert_never
from uuid import UUID

from .. import decider
from ..money import ZERO
from .events import (
    CreditMemoApplied,
    CreditMemoLineAdded,
    CreditMemoPosted,
    CreditMemoUnapplied,
    Event,
    Header,
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Amounts in the memo's currency."""

    credit: Decimal = ZERO  # without tax
    tax: Decimal = ZERO
    applied: Decimal = ZERO  # less what was taken back

    @property
    def total_with_tax(self) -> Decimal:
        return self.credit + self.tax

    @property
    def balance(self) -> Decimal:
        """What can still be applied."""
        return self.total_with_tax - self.applied


@dataclass(frozen=True, slots=True)
class Application:
    """What the memo takes off an invoice, and whether that was taken back."""

    applied: CreditMemoApplied
    unapplied: CreditMemoUnapplied | None = None


@dataclass(slots=True)
class CreditMemo:
    """The state of a credit memo. Owned by its fold, which changes it in place."""

    header: Header
    posted_date: date
    size: int  # of the first append
    version: int = 1
    totals: Totals = field(default_factory=Totals)
    lines: list[CreditMemoLineAdded] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)

    def application(self, application_id: UUID) -> Application | None:
        found = (each for each in self.applications if each.applied.application_id == application_id)
        return next(found, None)

    def heard(self, request_id: str) -> CreditMemoApplied | CreditMemoUnapplied | None:
        """What this request has led to."""
        return next((each for each in self._asked() if request_id and each.request_id == request_id), None)

    def _asked(self) -> Iterable[CreditMemoApplied | CreditMemoUnapplied]:
        for each in self.applications:
            yield each.applied
            if each.unapplied:
                yield each.unapplied


def evolve(memo: CreditMemo | None, event: Event) -> CreditMemo:
    if memo is None:
        assert isinstance(event, CreditMemoPosted), f"a credit memo begins with CreditMemoPosted, not {event}"
        return CreditMemo(event.header, event.posted_date, event.size)
    memo.version += 1
    totals = memo.totals
    match event:
        case CreditMemoLineAdded(credit=credit):
            memo.lines.append(event)
            memo.totals = replace(totals, credit=totals.credit + credit, tax=totals.tax + tax_of(event))
        case CreditMemoApplied(amount=amount):
            memo.applications.append(Application(event))
            memo.totals = replace(totals, applied=totals.applied + amount)
        case CreditMemoUnapplied(amount=amount):
            memo.applications = [_unapplied(each, event) for each in memo.applications]
            memo.totals = replace(totals, applied=totals.applied - amount)
        case CreditMemoPosted():
            raise AssertionError("a credit memo is posted once")
        case _:
            assert_never(event)
    return memo


def tax_of(line: CreditMemoLineAdded) -> Decimal:
    return sum((row.amount for row in line.rows), ZERO)


def _unapplied(application: Application, event: CreditMemoUnapplied) -> Application:
    if application.applied.application_id != event.application_id:
        return application
    return replace(application, unapplied=event)


def fold(events: Iterable[Event], since: CreditMemo | None = None) -> CreditMemo | None:
    return decider.fold(evolve, events, since)
