"""The reference data as its events have left it."""

from __future__ import annotations

import zoneinfo
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from operator import attrgetter

from ..findings import Have
from .entries import (
    FIELD_OF,
    SETTINGS_ID,
    AccountingPeriod,
    Entry,
    Kind,
    LegalEntity,
    PaymentTerm,
    Settings,
    TaxTreatment,
    kind_of,
)
from .events import Event, ReferenceDataApplied, ReferenceEntryRemoved, SettingsSet

Entries = Mapping[str, Entry]
Periods = dict[str, list[AccountingPeriod]]

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
    tax_treatments: Mapping[str, TaxTreatment] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    settings_known: bool = False
    stream_versions: Mapping[tuple[Kind, str], int] = field(default_factory=dict)
    have: Mapping[Kind, Have] = field(init=False, repr=False, compare=False)
    _periods_of: Periods = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "have", {kind: Have(self.of(kind)) for kind in FIELD_OF})
        object.__setattr__(self, "_periods_of", _by_legal_entity(self.accounting_periods.values()))

    def of(self, kind: Kind) -> Entries:
        match kind:
            case Kind.PAYMENT_TERM:
                return self.payment_terms
            case Kind.LEGAL_ENTITY:
                return self.legal_entities
            case Kind.ACCOUNTING_PERIOD:
                return self.accounting_periods
            case Kind.TAX_TREATMENT:
                return self.tax_treatments
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
    entries: dict[Kind, dict[str, Entry]] = {kind: dict(since.of(kind)) for kind in FIELD_OF}
    versions = dict(since.stream_versions)
    settings, known = since.settings, since.settings_known
    version, position, recorded = since.version, since.position, since.recorded
    for event, at in events:
        position, recorded = at.position, at.recorded
        match event:
            case ReferenceDataApplied():
                version = at.version
            case ReferenceEntryRemoved(kind=kind, id=entry_id):
                entries[kind].pop(entry_id, None)
                versions[kind, entry_id] = at.version
            case SettingsSet(entry=settings):
                known = True
                versions[Kind.SETTINGS, SETTINGS_ID] = at.version
            case _:
                kind = kind_of(event.entry)
                entries[kind][event.entry.id] = event.entry
                versions[kind, event.entry.id] = at.version
    return replace(
        since,
        version=version,
        position=position,
        recorded=recorded,
        settings=settings,
        settings_known=known,
        stream_versions=versions,
        **{FIELD_OF[kind]: by_id for kind, by_id in entries.items()},  # type: ignore[arg-type]
    )
