"""What must hold of reference data that is applied: of each entry, and of all of them together."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from ..dates import check_date
from ..findings import Findings, Rule, shown
from ..texts import check_required, check_text
from .entries import (
    FIELD_OF,
    AccountingPeriod,
    Entry,
    EntryStatus,
    Kind,
    LegalEntity,
    PaymentTerm,
    SequencePolicy,
    Settings,
    TaxEngine,
    TaxRate,
    TaxTreatment,
    id_of,
    kind_of,
    words,
)
from .events import EntrySet, ReferenceEntryRemoved
from .sequence_checks import check_patterns_differ, check_policy
from .state import At, ReferenceData, fold, zone
from .tax_checks import check_engine, check_rate, check_treatment

ENTRIES_MAX = 100_000  # of one application; larger sets are applied in parts
TERM_DAYS_MAX = 3650
DEFAULTS = (
    ("default_payment_term_id", Kind.PAYMENT_TERM),
    ("default_legal_entity_id", Kind.LEGAL_ENTITY),
    ("default_tax_treatment_id", Kind.TAX_TREATMENT),
)
MACHINE_ZONES = ("posix", "right/", "localtime")  # names that mean something else on each machine

_SOMETIME = At(0, 0, datetime(1, 1, 1, tzinfo=UTC))

Paths = Mapping[tuple[Kind, str], str]


def check(
    entries: Sequence[Entry],
    events: Iterable[EntrySet | ReferenceEntryRemoved],
    reference: ReferenceData,
    findings: Findings,
) -> Findings:
    """Checks what would stand after these events, of which `entries` were sent; answers the findings."""
    if len(entries) > ENTRIES_MAX:
        findings.add("data", Rule.TOO_MANY, limit=ENTRIES_MAX, count=len(entries))
        return findings
    paths = list(_paths(entries))
    path_of = _check_unique(entries, paths, findings)
    events = list(events)
    after = fold(reference, ((event, _SOMETIME) for event in events))
    for entry, path in zip(entries, paths, strict=True):
        _check_entry(entry, path, findings)
        _check_names(entry, path, after, findings)
    _check_overlaps(after, path_of, findings)
    check_patterns_differ(after.sequence_policies.values(), path_of, findings)
    _check_still_used(after, [each for each in events if isinstance(each, ReferenceEntryRemoved)], findings)
    return findings


def _paths(entries: Iterable[Entry]) -> Iterable[str]:
    """The contract's path of each entry."""
    counts = dict.fromkeys(FIELD_OF, 0)
    for entry in entries:
        kind = kind_of(entry)
        if kind is Kind.SETTINGS:
            yield "data.settings"
            continue
        yield f"data.{FIELD_OF[kind]}[{counts[kind]}]"
        counts[kind] += 1


def _check_unique(entries: Iterable[Entry], paths: Iterable[str], findings: Findings) -> Paths:
    """Each id stands once; answers where."""
    path_of: dict[tuple[Kind, str], str] = {}
    for entry, path in zip(entries, paths, strict=True):
        first = path_of.setdefault((kind_of(entry), id_of(entry)), path)
        if first is not path and id_of(entry):
            findings.add(f"{path}.id", Rule.DUPLICATE, value=shown(id_of(entry)), first=f"{first}.id")
    return path_of


def _check_entry(entry: Entry, path: str, findings: Findings) -> None:
    if isinstance(entry, Settings):
        return
    check_required(entry.id, f"{path}.id", findings)
    check_required(entry.name, f"{path}.name", findings)
    if isinstance(entry, SequencePolicy):
        check_policy(entry, path, findings)
        return
    match entry:
        case PaymentTerm(days=days):
            if not 0 <= days <= TERM_DAYS_MAX:
                findings.add(f"{path}.days", Rule.OUT_OF_RANGE, least=0, most=TERM_DAYS_MAX, value=days)
        case LegalEntity(time_zone=name):
            if not _is_zone(name):
                findings.add(f"{path}.time_zone", Rule.TIME_ZONE, value=shown(name))
        case AccountingPeriod():
            _check_period(entry, path, findings)
        case TaxEngine():
            check_engine(entry, path, findings)
        case TaxTreatment():
            check_treatment(entry, path, findings)
        case TaxRate():
            check_rate(entry, path, findings)


def _check_period(period: AccountingPeriod, path: str, findings: Findings) -> None:
    start, end = period.start_date, period.end_date
    check_text(period.financial_year, f"{path}.financial_year", findings)
    check_date(start, f"{path}.start_date", findings)
    check_date(end, f"{path}.end_date", findings)
    if end < start:
        findings.add(f"{path}.end_date", Rule.ENDS_BEFORE_START, start=start, end=end)


def _is_zone(name: str) -> bool:
    if name.startswith(MACHINE_ZONES):
        return False
    try:
        zone(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check_names(entry: Entry, path: str, after: ReferenceData, findings: Findings) -> None:
    """Entries named by this one exist, and defaults are active."""
    match entry:
        case Settings():
            for name, kind in DEFAULTS:
                if value := getattr(entry, name):
                    _check_default(kind, value, f"{path}.{name}", after, findings)
        case AccountingPeriod(legal_entity_id="") | SequencePolicy(legal_entity_id=""):
            findings.add(f"{path}.legal_entity_id", Rule.REQUIRED)
        case AccountingPeriod() | TaxRate() | SequencePolicy():
            owner = entry.legal_entity_id
            if owner and owner not in after.legal_entities:
                _unknown(Kind.LEGAL_ENTITY, owner, f"{path}.legal_entity_id", after, findings)
        case TaxEngine():
            pass
        case PaymentTerm() | LegalEntity() | TaxTreatment():
            if isinstance(entry, TaxTreatment) and entry.engine_id not in ("", *after.tax_engines):
                _unknown(Kind.TAX_ENGINE, entry.engine_id, f"{path}.engine_id", after, findings)
            if entry.status is not EntryStatus.ACTIVE:
                _check_no_default(entry, path, after, findings)


def _check_default(kind: Kind, value: str, path: str, after: ReferenceData, findings: Findings) -> None:
    match after.of(kind).get(value):
        case PaymentTerm(status=status) | LegalEntity(status=status) | TaxTreatment(status=status):
            if status is not EntryStatus.ACTIVE:
                facts = {"kind": words(kind), "value": shown(value), "status": status.lower()}
                findings.add(path, Rule.NOT_ACTIVE, **facts)
        case _:
            _unknown(kind, value, path, after, findings)


def _unknown(kind: Kind, value: str, path: str, after: ReferenceData, findings: Findings) -> None:
    findings.add(path, Rule.NO_SUCH_ENTRY, kind=words(kind), value=shown(value), have=after.have[kind])


def _check_no_default(
    entry: PaymentTerm | LegalEntity | TaxTreatment, path: str, after: ReferenceData, findings: Findings
) -> None:
    kind = kind_of(entry)
    for name, of_kind in DEFAULTS:
        if of_kind is kind and getattr(after.settings, name) == entry.id:
            _still_used(kind, entry.id, f"{path}.status", f"settings.{name}", findings)


def _check_overlaps(after: ReferenceData, path_of: Paths, findings: Findings) -> None:
    """Periods of a legal entity, by their starts: each begins after the latest end before it."""
    latest: dict[str, AccountingPeriod] = {}
    for period in sorted(after.accounting_periods.values(), key=lambda each: (each.start_date, each.id)):
        before = latest.get(period.legal_entity_id)
        if before is None or before.end_date < period.start_date:
            latest[period.legal_entity_id] = period
            continue
        _overlap(before, period, path_of, findings)
        if period.end_date > before.end_date:
            latest[period.legal_entity_id] = period


def _overlap(one: AccountingPeriod, two: AccountingPeriod, path_of: Paths, findings: Findings) -> None:
    applied, other = (two, one) if (Kind.ACCOUNTING_PERIOD, two.id) in path_of else (one, two)
    findings.add(
        f"{path_of[Kind.ACCOUNTING_PERIOD, applied.id]}.start_date",
        Rule.PERIODS_OVERLAP,
        other=shown(other.id),
        start=other.start_date,
        end=other.end_date,
    )


def _check_still_used(
    after: ReferenceData, removed: Sequence[ReferenceEntryRemoved], findings: Findings
) -> None:
    gone = {(each.kind, each.id) for each in removed}
    if not gone:
        return
    for name, kind in DEFAULTS:
        value: str = getattr(after.settings, name)
        if (kind, value) in gone:
            _still_used(kind, value, f"data.{FIELD_OF[kind]}", f"settings.{name}", findings)
    for user, kind, value in _uses(after):
        if (kind, value) in gone:
            user_words = f"{words(kind_of(user))} {shown(user.id)}"
            _still_used(kind, value, f"data.{FIELD_OF[kind]}", user_words, findings)


User = AccountingPeriod | TaxTreatment | TaxRate | SequencePolicy


def _uses(after: ReferenceData) -> Iterator[tuple[User, Kind, str]]:
    """Who names whom."""
    yield from ((each, Kind.LEGAL_ENTITY, each.legal_entity_id) for each in after.accounting_periods.values())
    yield from ((each, Kind.LEGAL_ENTITY, each.legal_entity_id) for each in after.sequence_policies.values())
    yield from ((each, Kind.TAX_ENGINE, each.engine_id) for each in after.tax_treatments.values())
    yield from ((each, Kind.LEGAL_ENTITY, each.legal_entity_id) for each in after.tax_rates.values())


def _still_used(kind: Kind, value: str, path: str, user: str, findings: Findings) -> None:
    findings.add(path, Rule.STILL_USED, kind=words(kind), value=shown(value), user=user)
