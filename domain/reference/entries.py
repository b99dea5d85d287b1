"""The data that decisions rest on: payment terms, legal entities, accounting periods, tax treatments, settings.

Applied as a whole and event-sourced, so that every decision can name what it was taken with.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from functools import lru_cache

from .findings import Findings, Malformed, Rule, listed, shown
from .refusal import Refused
from .terms import TermType

TEXT_MAX = 255
CODE_MAX = 80
TERM_DAYS_MAX = 3650


class EntryStatus(StrEnum):
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class PeriodStatus(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"


class Kind(StrEnum):
    PAYMENT_TERM = "payment_term"
    LEGAL_ENTITY = "legal_entity"
    ACCOUNTING_PERIOD = "accounting_period"
    TAX_TREATMENT = "tax_treatment"
    SETTINGS = "settings"


SETTINGS_ID = "settings"


# Entries


@dataclass(frozen=True, slots=True)
class PaymentTerm:
    id: str
    name: str
    type: TermType
    days: int
    status: EntryStatus = EntryStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class LegalEntity:
    id: str
    name: str
    time_zone: str = "UTC"
    status: EntryStatus = EntryStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class AccountingPeriod:
    id: str
    legal_entity_id: str
    name: str
    start_date: date
    end_date: date
    financial_year: str = ""
    status: PeriodStatus = PeriodStatus.OPEN


@dataclass(frozen=True, slots=True)
class TaxTreatment:
    id: str
    name: str
    taxable: bool
    tax_code: str = ""
    product_code: str = ""
    status: EntryStatus = EntryStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Settings:
    default_payment_term_id: str = ""
    default_legal_entity_id: str = ""
    default_tax_treatment_id: str = ""
    number_required_on_posted_import: bool = True
    duplicate_numbers_allowed: bool = False
    closed_periods_allowed: bool = False


Entry = PaymentTerm | LegalEntity | AccountingPeriod | TaxTreatment | Settings


# Events


@dataclass(frozen=True, slots=True)
class PaymentTermSet:
    entry: PaymentTerm


@dataclass(frozen=True, slots=True)
class LegalEntitySet:
    entry: LegalEntity


@dataclass(frozen=True, slots=True)
class AccountingPeriodSet:
    entry: AccountingPeriod


@dataclass(frozen=True, slots=True)
class TaxTreatmentSet:
    entry: TaxTreatment


@dataclass(frozen=True, slots=True)
class SettingsSet:
    entry: Settings


@dataclass(frozen=True, slots=True)
class ReferenceEntryRemoved:
    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class ReferenceDataApplied:
    """Stands last in every application, in a stream whose version is the reference data's version."""

    added: int
    changed: int
    removed: int


EntrySet = PaymentTermSet | LegalEntitySet | AccountingPeriodSet | TaxTreatmentSet | SettingsSet
Event = EntrySet | ReferenceEntryRemoved | ReferenceDataApplied
EVENTS: tuple[type, ...] = (
    PaymentTermSet,
    LegalEntitySet,
    AccountingPeriodSet,
    TaxTreatmentSet,
    SettingsSet,
    ReferenceEntryRemoved,
    ReferenceDataApplied,
)


# State

Entries = Mapping[str, Entry]


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
    settings: Settings = Settings()
    settings_known: bool = False
    stream_versions: Mapping[tuple[Kind, str], int] = field(default_factory=dict)

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
        for period in self.accounting_periods.values():
            if period.legal_entity_id == legal_entity_id and period.start_date <= day <= period.end_date:
                return period
        return None


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    return zoneinfo.ZoneInfo(name)


FIELD_OF = {
    Kind.PAYMENT_TERM: "payment_terms",
    Kind.LEGAL_ENTITY: "legal_entities",
    Kind.ACCOUNTING_PERIOD: "accounting_periods",
    Kind.TAX_TREATMENT: "tax_treatments",
}


def kind_of(entry: Entry) -> Kind:
    match entry:
        case PaymentTerm():
            return Kind.PAYMENT_TERM
        case LegalEntity():
            return Kind.LEGAL_ENTITY
        case AccountingPeriod():
            return Kind.ACCOUNTING_PERIOD
        case TaxTreatment():
            return Kind.TAX_TREATMENT
        case Settings():
            return Kind.SETTINGS


def id_of(entry: Entry) -> str:
    return SETTINGS_ID if isinstance(entry, Settings) else entry.id


def set_event(entry: Entry) -> EntrySet:
    match entry:
        case PaymentTerm():
            return PaymentTermSet(entry)
        case LegalEntity():
            return LegalEntitySet(entry)
        case AccountingPeriod():
            return AccountingPeriodSet(entry)
        case TaxTreatment():
            return TaxTreatmentSet(entry)
        case Settings():
            return SettingsSet(entry)


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


# Applying


class StaleBase(Refused):
    reason = "STALE_BASE"
    because = "the reference data is at version {version}, not at {base}; look at it again"


@dataclass(frozen=True, slots=True)
class Apply:
    """Entries to merge in, by id. `settings` holds only the fields to change."""

    entries: tuple[Entry, ...] = ()
    settings: Mapping[str, str | bool] | None = None
    prune: frozenset[Kind] = frozenset()
    base_version: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    kind: Kind
    id: str
    before: Entry | None
    after: Entry | None

    @property
    def event(self) -> EntrySet | ReferenceEntryRemoved:
        return ReferenceEntryRemoved(self.kind, self.id) if self.after is None else set_event(self.after)

    def differences(self) -> list[tuple[str, str, str]]:
        """Field, before, after: as text."""
        some = self.after or self.before
        assert some is not None
        pairs = [
            (each.name, _text(self.before, each.name), _text(self.after, each.name)) for each in fields(some)
        ]
        return [(name, before, after) for name, before, after in pairs if before != after]


def _text(entry: Entry | None, name: str) -> str:
    value = "" if entry is None else getattr(entry, name)
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Plan:
    changes: tuple[Change, ...]
    unchanged: int

    @property
    def applied(self) -> ReferenceDataApplied:
        return ReferenceDataApplied(
            added=sum(change.before is None for change in self.changes),
            changed=sum(None not in (change.before, change.after) for change in self.changes),
            removed=sum(change.after is None for change in self.changes),
        )


def plan(command: Apply, reference: ReferenceData, findings: Findings) -> Plan:
    """What applying would change. Pure; `findings` may hold what the edge could not read."""
    if command.base_version and command.base_version != reference.version:
        raise StaleBase(version=reference.version, base=command.base_version)
    entries = list(command.entries)
    if command.settings is not None:
        entries.append(replace(reference.settings, **command.settings))  # type: ignore[arg-type]
    changes = [*_merged(entries, reference), *_pruned(command, reference)]
    _check_whole(entries, changes, reference, findings)
    if findings:
        raise Malformed(findings)
    differing = tuple(change for change in changes if change.before != change.after)
    return Plan(differing, unchanged=len(entries) - sum(change.after is not None for change in differing))


def _merged(entries: list[Entry], reference: ReferenceData) -> Iterable[Change]:
    for entry in entries:
        kind = kind_of(entry)
        yield Change(kind, id_of(entry), reference.of(kind).get(id_of(entry)), entry)


def _pruned(command: Apply, reference: ReferenceData) -> Iterable[Change]:
    kept = {(kind_of(entry), id_of(entry)) for entry in command.entries}
    for kind in sorted(command.prune - {Kind.SETTINGS}):
        for entry_id, entry in sorted(reference.of(kind).items()):
            if (kind, entry_id) not in kept:
                yield Change(kind, entry_id, entry, None)


def _check_whole(
    entries: list[Entry], changes: list[Change], reference: ReferenceData, findings: Findings
) -> None:
    paths = _paths(entries)
    for entry, path in zip(entries, paths, strict=True):
        _check_entry(entry, path, findings)
    after = fold(reference, ((change.event, At(0, 0, datetime.min)) for change in changes))
    for entry, path in zip(entries, paths, strict=True):
        _check_names(entry, path, after, findings)
    _check_overlaps(after, dict(zip((id_of(e) for e in entries), paths, strict=True)), findings)
    removed = {(change.kind, change.id) for change in changes if change.after is None}
    if removed:
        _check_still_used(after, removed, findings)


def _paths(entries: list[Entry]) -> list[str]:
    counts: dict[Kind, int] = {}
    paths = []
    for entry in entries:
        kind = kind_of(entry)
        index = counts.get(kind, 0)
        counts[kind] = index + 1
        paths.append("data.settings" if kind is Kind.SETTINGS else f"data.{FIELD_OF[kind]}[{index}]")
    return paths


def _check_entry(entry: Entry, path: str, findings: Findings) -> None:
    if isinstance(entry, Settings):
        return
    for name in ("id", "name"):
        _check_text(getattr(entry, name), f"{path}.{name}", findings, required=True)
    match entry:
        case PaymentTerm():
            if not 0 <= entry.days <= TERM_DAYS_MAX:
                findings.add(
                    f"{path}.days", Rule.OUT_OF_RANGE, least=0, most=TERM_DAYS_MAX, value=entry.days
                )
        case LegalEntity():
            if not _is_zone(entry.time_zone):
                findings.add(f"{path}.time_zone", Rule.TIME_ZONE, value=shown(entry.time_zone))
        case AccountingPeriod():
            _check_text(entry.financial_year, f"{path}.financial_year", findings)
            if entry.end_date < entry.start_date:
                findings.add(
                    f"{path}.end_date", Rule.ENDS_BEFORE_START, start=entry.start_date, end=entry.end_date
                )
        case TaxTreatment():
            _check_text(entry.tax_code, f"{path}.tax_code", findings, limit=CODE_MAX)
            _check_text(entry.product_code, f"{path}.product_code", findings, limit=CODE_MAX)


def _check_text(
    value: str, path: str, findings: Findings, *, required: bool = False, limit: int = TEXT_MAX
) -> None:
    if required and not value.strip():
        findings.add(path, Rule.REQUIRED)
    elif len(value) > limit:
        findings.add(path, Rule.TOO_LONG, limit=limit, length=len(value))
    elif not value.isprintable():
        findings.add(path, Rule.CHARACTERS)


def _is_zone(name: str) -> bool:
    try:
        zone(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


DEFAULTS = (
    ("default_payment_term_id", Kind.PAYMENT_TERM),
    ("default_legal_entity_id", Kind.LEGAL_ENTITY),
    ("default_tax_treatment_id", Kind.TAX_TREATMENT),
)


def _check_names(entry: Entry, path: str, after: ReferenceData, findings: Findings) -> None:
    """Entries named by this one exist, and defaults are active."""
    if isinstance(entry, AccountingPeriod):
        _check_known(Kind.LEGAL_ENTITY, entry.legal_entity_id, f"{path}.legal_entity_id", after, findings)
    if isinstance(entry, Settings):
        for name, kind in DEFAULTS:
            if value := getattr(entry, name):
                _check_known(kind, value, f"{path}.{name}", after, findings, active=True)
    elif after.settings_known:
        _check_default_stays_active(entry, path, after, findings)


def _check_known(
    kind: Kind, value: str, path: str, after: ReferenceData, findings: Findings, *, active: bool = False
) -> None:
    known = after.of(kind)
    if not value:
        findings.add(path, Rule.REQUIRED)
    elif value not in known:
        findings.add(path, Rule.NO_SUCH_ENTRY, kind=words(kind), value=shown(value), have=listed(known))
    elif active and (status := getattr(known[value], "status")) is not EntryStatus.ACTIVE:  # noqa: B009
        findings.add(
            path, Rule.NOT_ACTIVE, kind=words(kind), value=shown(value), status=str(status).lower()
        )


def _check_default_stays_active(entry: Entry, path: str, after: ReferenceData, findings: Findings) -> None:
    for name, kind in DEFAULTS:
        is_default = kind_of(entry) is kind and getattr(after.settings, name) == id_of(entry)
        if is_default and getattr(entry, "status") is not EntryStatus.ACTIVE:  # noqa: B009
            findings.add(
                f"{path}.status",
                Rule.STILL_USED,
                kind=words(kind),
                value=shown(id_of(entry)),
                user=f"settings.{name}",
            )


def _check_overlaps(after: ReferenceData, path_of: Mapping[str, str], findings: Findings) -> None:
    periods = sorted(after.accounting_periods.values(), key=lambda p: (p.legal_entity_id, p.start_date))
    for one, next_one in zip(periods, periods[1:], strict=False):
        if one.legal_entity_id == next_one.legal_entity_id and next_one.start_date <= one.end_date:
            applied, other = (next_one, one) if next_one.id in path_of else (one, next_one)
            findings.add(
                f"{path_of.get(applied.id, 'data.accounting_periods')}.start_date",
                Rule.PERIODS_OVERLAP,
                other=shown(other.id),
                start=other.start_date,
                end=other.end_date,
            )


def _check_still_used(after: ReferenceData, removed: set[tuple[Kind, str]], findings: Findings) -> None:
    for name, kind in DEFAULTS:
        value = getattr(after.settings, name)
        if (kind, value) in removed:
            findings.add(
                f"data.{FIELD_OF[kind]}",
                Rule.STILL_USED,
                kind=words(kind),
                value=shown(value),
                user=f"settings.{name}",
            )
    for period in after.accounting_periods.values():
        if (Kind.LEGAL_ENTITY, period.legal_entity_id) in removed:
            findings.add(
                "data.legal_entities",
                Rule.STILL_USED,
                kind=words(Kind.LEGAL_ENTITY),
                value=shown(period.legal_entity_id),
                user=f"accounting period {period.id}",
            )


def words(kind: Kind) -> str:
    return kind.value.replace("_", " ")
