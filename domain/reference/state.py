"""The reference data as its events have left it."""

from __future__ import annotations

import zoneinfo
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from operator import attrgetter
from typing import Any

from ..findings import Have
from .entries import (
    FIELD_OF,
    SETTINGS_ID,
    AccountingPeriod,
    Entry,
    Kind,
    LegalEntity,
    PaymentTerm,
    SequencePolicy,
    Settings,
    TaxEngine,
    TaxRate,
    TaxTreatment,
    kind_of,
)
from .events import Event, ReferenceDataApplied, ReferenceEntryRemoved, SettingsSet
from .rates import NO_RATES, Rated, RateTable

Entries = Mapping[str, Entry]
Named = PaymentTerm | LegalEntity | AccountingPeriod | TaxEngine | TaxTreatment | TaxRate | SequencePolicy
Periods = dict[str, list[AccountingPeriod]]
Policies = dict[str, list[SequencePolicy]]

_start_date = attrgetter("start_date")


@dataclass(frozen=True, slots=True)
class ReferenceData:
    """All entries as they stand at a version; never changed, only replaced by the next."""

    version: int = 0
    position: int = 0
    recorded: datetime | None = None
    payment_terms: Mapping[str, PaymentTerm] = field(default_factory=dict)
    legal_entities: Mapping[str, LegalEntity] = field(default_factory=dict)
    accounting_periods: Mapping[str, AccountingPeriod] = field(default_factory=dict)
    tax_engines: Mapping[str, TaxEngine] = field(default_factory=dict)
    tax_treatments: Mapping[str, TaxTreatment] = field(default_factory=dict)
    tax_rates: Mapping[str, TaxRate] = field(default_factory=dict)  # in the order of their first recording
    sequence_policies: Mapping[str, SequencePolicy] = field(default_factory=dict)
    rate_table: RateTable = field(default=NO_RATES, repr=False, compare=False)
    settings: Settings = field(default_factory=Settings)
    settings_known: bool = False
    stream_versions: Mapping[tuple[Kind, str], int] = field(default_factory=dict)
    have: Mapping[Kind, Have] = field(init=False, repr=False, compare=False)
    _periods_of: Periods = field(init=False, repr=False, compare=False)
    _policies_of: Policies = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "have", {kind: Have(self.of(kind)) for kind in FIELD_OF})
        object.__setattr__(self, "_periods_of", _by_legal_entity(self.accounting_periods.values()))
        policies: Policies = {}
        for policy in self.sequence_policies.values():
            policies.setdefault(policy.legal_entity_id, []).append(policy)
        object.__setattr__(self, "_policies_of", policies)

    def of(self, kind: Kind) -> Entries:
        match kind:
            case Kind.PAYMENT_TERM:
                return self.payment_terms
            case Kind.LEGAL_ENTITY:
                return self.legal_entities
            case Kind.ACCOUNTING_PERIOD:
                return self.accounting_periods
            case Kind.TAX_ENGINE:
                return self.tax_engines
            case Kind.TAX_TREATMENT:
                return self.tax_treatments
            case Kind.TAX_RATE:
                return self.tax_rates
            case Kind.SEQUENCE_POLICY:
                return self.sequence_policies
            case Kind.SETTINGS:
                return {SETTINGS_ID: self.settings} if self.settings_known else {}

    def today(self, legal_entity_id: str, now: datetime) -> date:
        """The date of this instant where the legal entity is; in UTC where it is unknown."""
        entity = self.legal_entities.get(legal_entity_id)
        return now.astimezone(zone(entity.time_zone) if entity else UTC).date()

    def period_of(self, legal_entity_id: str, day: date) -> AccountingPeriod | None:
        """The period of the legal entity that holds the day; there is at most one."""
        periods = self._periods_of.get(legal_entity_id, [])
        before = bisect_right(periods, day, key=_start_date)
        return periods[before - 1] if before and day <= periods[before - 1].end_date else None

    def policies_of(self, legal_entity_id: str) -> Sequence[SequencePolicy]:
        """The sequence policies of the legal entity."""
        return self._policies_of.get(legal_entity_id, ())


def _by_legal_entity(periods: Iterable[AccountingPeriod]) -> Periods:
    found: Periods = {}
    for period in sorted(periods, key=_start_date):
        found.setdefault(period.legal_entity_id, []).append(period)
    return found


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    return zoneinfo.ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class At:
    """Where an event stands: its stream's version, its position, when it was recorded."""

    version: int
    position: int
    recorded: datetime


def fold(since: ReferenceData, events: Iterable[tuple[Event, At]]) -> ReferenceData:
    """The reference data after these events; `since` stays as it is."""
    folding = Folding(since)
    for event, at in events:
        folding.take(event, at)
    return folding.folded()


class Folding:
    """Reference data on its way; a kind is copied when it first changes, and no other.

    For who has much to take and others to look after meanwhile; nobody sees any of it before it is folded.
    """

    def __init__(self, since: ReferenceData) -> None:
        self._since = since
        self._entries: dict[Kind, dict[str, Entry]] = {}
        self._versions = dict(since.stream_versions)
        self._rated: dict[str, Rated | None] = {}
        self._changed: dict[str, Any] = {}

    def take(self, event: Event, at: At) -> None:
        self._changed |= {"position": at.position, "recorded": at.recorded}
        match event:
            case ReferenceDataApplied():
                self._changed["version"] = at.version
            case ReferenceEntryRemoved(kind=kind, id=entry_id):
                self._of(kind).pop(entry_id, None)
                self._versions[kind, entry_id] = at.version
                if kind is Kind.TAX_RATE:
                    self._rated[entry_id] = None
            case SettingsSet(entry=settings):
                self._changed |= {"settings": settings, "settings_known": True}
                self._versions[Kind.SETTINGS, SETTINGS_ID] = at.version
            case _:
                self._set(event.entry, at)

    def _set(self, entry: Named, at: At) -> None:
        kind = kind_of(entry)
        self._of(kind)[entry.id] = entry
        self._versions[kind, entry.id] = at.version
        if isinstance(entry, TaxRate):
            self._rated[entry.id] = Rated(entry, self._age(entry.id, at), at.version)

    def _age(self, rate_id: str, at: At) -> int:
        """Where the rate was recorded first; one that was removed and comes back is new."""
        stands = self._rated[rate_id] if rate_id in self._rated else self._since.rate_table.get(rate_id)
        return stands.age if stands else at.position

    def _of(self, kind: Kind) -> dict[str, Entry]:
        if kind not in self._entries:
            self._entries[kind] = dict(self._since.of(kind))
        return self._entries[kind]

    def folded(self) -> ReferenceData:
        if self._rated:
            self._changed["rate_table"] = self._since.rate_table.changed(self._rated)
        kinds: dict[str, Any] = {FIELD_OF[kind]: entries for kind, entries in self._entries.items()}
        return replace(self._since, stream_versions=self._versions, **self._changed, **kinds)
