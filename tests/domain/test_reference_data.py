"""Applying reference data: merged by id, pruned on request, refused as a whole, never twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

import pytest

from domain import reference
from domain.findings import Findings, Malformed, Rule
from domain.reference import (
    AccountingPeriod,
    Apply,
    At,
    Entry,
    EntryStatus,
    Kind,
    LegalEntity,
    PaymentTerm,
    PeriodStatus,
    Plan,
    ReferenceData,
    Settings,
    StaleBase,
    TaxTreatment,
    fold,
    plan,
)
from domain.terms import TermType

from .examples import (
    DECEMBER,
    EXEMPT,
    FIJI,
    GERMANY,
    NET_30,
    NOVEMBER,
    NOW,
    REFERENCE,
    SETTINGS,
    STANDARD,
    on,
)

EMPTY = ReferenceData()
ALL = (NET_30, GERMANY, FIJI, NOVEMBER, DECEMBER, STANDARD, EXEMPT)


@dataclass(frozen=True)
class Applied:
    """Given reference data, when this is applied, then ..."""

    before: ReferenceData
    command: Apply

    def plan(self) -> Plan:
        return plan(self.command, self.before, Findings())

    def changes(self, *expected: tuple[str, Kind, str]) -> None:
        assert [(verb(change), change.kind, change.id) for change in self.plan().changes] == list(expected)

    def finds(self, path: str, rule: Rule) -> None:
        self.finds_all({path: rule})

    def finds_all(self, expected: dict[str, Rule]) -> None:
        assert {path: rule.name for path, rule in self.found().items()} == {
            path: rule.name for path, rule in expected.items()
        }

    def found(self) -> dict[str, Rule]:
        try:
            self.plan()
        except Malformed as malformed:
            return {finding.path: finding.rule for finding in malformed.findings}
        return {}

    def says(self, path: str) -> str:
        with pytest.raises(Malformed) as malformed:
            self.plan()
        return next(str(finding) for finding in malformed.value.findings if finding.path == path)

    @property
    def after(self) -> ReferenceData:
        done = self.plan()
        events = [change.event for change in done.changes]
        at = At(self.before.version + 1, self.before.position + 1, NOW)
        return fold(self.before, [*((event, at) for event in events), (done.applied, at)])


def verb(change: reference.Change) -> str:
    if change.before is None:
        return "added"
    return "removed" if change.after is None else "changed"


def applying(
    *entries: Entry,
    to: ReferenceData = EMPTY,
    settings: dict[str, str | bool] | None = None,
    prune: Iterable[Kind] = (),
    base: int = 0,
) -> Applied:
    return Applied(to, Apply(entries, settings, frozenset(prune), base))


def term(**changes: Any) -> PaymentTerm:
    return replace(NET_30, **changes)


def period(id_: str, start: date, end: date, **changes: Any) -> AccountingPeriod:
    return replace(NOVEMBER, id=id_, start_date=start, end_date=end, **changes)


# Merging


def test_what_is_new_is_added() -> None:
    applying(GERMANY, NET_30).changes(
        ("added", Kind.LEGAL_ENTITY, "de"), ("added", Kind.PAYMENT_TERM, "net-30")
    )
    after = applying(*ALL, settings={"default_legal_entity_id": "de"}).after
    assert after.legal_entities == {"de": GERMANY, "fj": FIJI}
    assert after.settings == Settings(default_legal_entity_id="de")
    assert (after.version, after.position, after.recorded) == (1, 1, NOW)


def test_what_stands_already_changes_nothing() -> None:
    again = applying(*ALL, to=applying(*ALL).after)
    again.changes()
    assert again.plan() == Plan((), unchanged=len(ALL))


def test_only_what_differs_changes() -> None:
    longer = term(days=31)
    asked = applying(longer, GERMANY, to=applying(*ALL).after)
    asked.changes(("changed", Kind.PAYMENT_TERM, "net-30"))
    assert asked.plan().unchanged == 1
    assert asked.plan().changes[0].differences() == [("days", "30", "31")]
    assert asked.plan().applied == reference.ReferenceDataApplied(added=0, changed=1, removed=0)


def test_what_is_not_mentioned_stays() -> None:
    after = applying(term(id="net-10", days=10), to=applying(*ALL).after).after
    assert set(after.payment_terms) == {"net-30", "net-10"}
    assert after.tax_treatments == {"standard": STANDARD, "exempt": EXEMPT}


def test_only_the_settings_that_are_said_change() -> None:
    before = applying(*ALL, settings={"default_legal_entity_id": "de"}).after
    asked = applying(to=before, settings={"closed_periods_allowed": True})
    asked.changes(("changed", Kind.SETTINGS, "settings"))
    assert asked.plan().changes[0].differences() == [("closed_periods_allowed", "false", "true")]
    assert asked.after.settings == Settings(default_legal_entity_id="de", closed_periods_allowed=True)


def test_a_default_can_be_taken_away() -> None:
    before = applying(*ALL, settings={"default_legal_entity_id": "de"}).after
    assert applying(to=before, settings={"default_legal_entity_id": ""}).after.settings == Settings()


def test_settings_that_say_what_holds_anyway_are_known_from_then_on() -> None:
    asked = applying(settings={})
    asked.changes(("added", Kind.SETTINGS, "settings"))
    assert asked.after.settings_known
    applying(settings={}, to=asked.after).changes()


def test_differences_of_a_new_entry_are_all_of_it() -> None:
    (change,) = applying(STANDARD).plan().changes
    assert change.differences() == [
        ("id", "", "standard"),
        ("name", "", "Standard rate"),
        ("taxable", "", "true"),
        ("status", "", "ACTIVE"),
    ]


def test_reference_data_is_replaced_and_never_changed() -> None:
    before = applying(*ALL).after
    untouched = replace(before)
    assert applying(term(days=31), to=before).after != before
    assert before == untouched


def test_every_entry_keeps_the_version_of_its_stream() -> None:
    at = At(7, 70, NOW)
    after = fold(EMPTY, [(reference.set_event(GERMANY), at), (reference.set_event(SETTINGS), at)])
    assert after.stream_versions == {(Kind.LEGAL_ENTITY, "de"): 7, (Kind.SETTINGS, "settings"): 7}
    removed = fold(after, [(reference.ReferenceEntryRemoved(Kind.LEGAL_ENTITY, "de"), At(8, 80, NOW))])
    assert removed.stream_versions[Kind.LEGAL_ENTITY, "de"] == 8
    assert (removed.legal_entities, removed.position) == ({}, 80)


# Pruning


def test_pruning_removes_what_is_not_mentioned_of_the_kinds_that_are() -> None:
    before = applying(*ALL).after
    asked = applying(EXEMPT, to=before, prune=[Kind.TAX_TREATMENT])
    asked.changes(("removed", Kind.TAX_TREATMENT, "standard"))
    assert asked.after.payment_terms == before.payment_terms
    assert asked.plan().changes[0].differences()[0] == ("id", "standard", "")


def test_settings_are_never_pruned() -> None:
    before = applying(*ALL, settings={"default_legal_entity_id": "de"}).after
    applying(to=before, prune=[Kind.SETTINGS]).changes()


def test_what_the_settings_name_is_not_removed() -> None:
    before = applying(*ALL, settings={"default_tax_treatment_id": "standard"}).after
    asked = applying(EXEMPT, to=before, prune=[Kind.TAX_TREATMENT])
    asked.finds("data.tax_treatments", Rule.STILL_USED)
    assert asked.says("data.tax_treatments") == (
        "tax treatment 'standard' cannot go: settings.default_tax_treatment_id names it"
    )
    changed = applying(
        EXEMPT, to=before, prune=[Kind.TAX_TREATMENT], settings={"default_tax_treatment_id": "exempt"}
    )
    assert set(changed.after.tax_treatments) == {"exempt"}


def test_what_a_period_names_is_not_removed() -> None:
    applying(FIJI, to=applying(*ALL).after, prune=[Kind.LEGAL_ENTITY]).finds(
        "data.legal_entities", Rule.STILL_USED
    )
    both = applying(
        FIJI,
        replace(NOVEMBER, legal_entity_id="fj"),
        to=applying(*ALL).after,
        prune=[Kind.LEGAL_ENTITY, Kind.ACCOUNTING_PERIOD],
    )
    assert set(both.after.legal_entities) == {"fj"}


# Stale


def test_nobody_applies_over_what_he_has_not_seen() -> None:
    before = applying(*ALL).after
    assert applying(GERMANY, to=before, base=1).plan().unchanged == 1
    moved_on, other = replace(before, version=2), replace(GERMANY, name="Other")
    with pytest.raises(StaleBase) as refusal:
        applying(other, to=moved_on, base=1).plan()
    assert applying(GERMANY, to=moved_on, base=1).plan().changes == ()
    assert refusal.value.facts == {"version": "2", "base": "1"}


# Entries


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        ((NET_30, term(days=10)), "data.payment_terms[1].id"),
        ((GERMANY, FIJI, GERMANY), "data.legal_entities[2].id"),
        ((STANDARD, NET_30, EXEMPT, EXEMPT), "data.tax_treatments[2].id"),
    ],
)
def test_an_id_stands_once_in_an_application(entries: tuple[Entry, ...], path: str) -> None:
    applying(*entries).finds(path, Rule.DUPLICATE)


def test_a_finding_says_where_the_id_stood_first() -> None:
    said = applying(NET_30, GERMANY, term(days=10)).says("data.payment_terms[1].id")
    assert said == "'net-30' stands here already, at data.payment_terms[0].id"


def test_entries_of_different_kinds_may_share_an_id() -> None:
    applying(term(id="de"), GERMANY, replace(NOVEMBER, id="de"), replace(STANDARD, id="de")).finds_all({})


PREFIX = {
    PaymentTerm: "data.payment_terms[0]",
    LegalEntity: "data.legal_entities[0]",
    AccountingPeriod: "data.accounting_periods[0]",
    TaxTreatment: "data.tax_treatments[0]",
}
CODES = {"tax_code": 80, "product_code": 80}
TEXTS = [
    (entry, each.name)
    for entry in (NET_30, GERMANY, NOVEMBER, STANDARD)
    for each in fields(entry)
    if each.type == "str" and each.name not in ("time_zone", "legal_entity_id", "engine_id")
]


@pytest.mark.parametrize(("entry", "name"), TEXTS)
def test_texts_of_entries_are_bounded(entry: Any, name: str) -> None:
    path, limit = f"{PREFIX[type(entry)]}.{name}", CODES.get(name, 255)
    known = () if isinstance(entry, LegalEntity) else (GERMANY,)
    applying(replace(entry, **{name: "ü" * limit}), *known).finds_all({})
    applying(replace(entry, **{name: "ü" * (limit + 1)}), *known).finds(path, Rule.TOO_LONG)
    applying(replace(entry, **{name: "a\nb"}), *known).finds(path, Rule.CHARACTERS)


@pytest.mark.parametrize("entry", [NET_30, GERMANY, NOVEMBER, STANDARD])
@pytest.mark.parametrize("name", ["id", "name"])
@pytest.mark.parametrize("blank", ["", "  "])
def test_an_entry_has_an_id_and_a_name(entry: Any, name: str, blank: str) -> None:
    known = () if isinstance(entry, LegalEntity) else (GERMANY,)
    asked = applying(replace(entry, **{name: blank}), *known)
    asked.finds(f"{PREFIX[type(entry)]}.{name}", Rule.REQUIRED)


@pytest.mark.parametrize(("days", "fine"), [(0, True), (3650, True), (-1, False), (3651, False)])
def test_a_term_has_up_to_ten_years(days: int, fine: bool) -> None:
    applying(term(days=days)).finds_all({} if fine else {"data.payment_terms[0].days": Rule.OUT_OF_RANGE})


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12"])
def test_a_legal_entity_lives_in_a_time_zone(name: str) -> None:
    applying(replace(GERMANY, time_zone=name)).finds_all({})


@pytest.mark.parametrize(
    "name",
    [
        "Mars/Olympus",
        "",
        "../UTC",
        "/etc/passwd",
        "Europe",
        "a\x00b",
        "x" * 5000,
        "localtime",
        "posix/UTC",
        "ü",
    ],
)
def test_a_time_zone_is_one_that_every_machine_knows(name: str) -> None:
    applying(replace(GERMANY, time_zone=name)).finds("data.legal_entities[0].time_zone", Rule.TIME_ZONE)


def test_a_period_does_not_end_before_it_starts() -> None:
    wrong = period("x", on(2026, 11, 2), on(2026, 11, 1))
    applying(GERMANY, wrong).finds("data.accounting_periods[0].end_date", Rule.ENDS_BEFORE_START)
    applying(GERMANY, period("x", on(2026, 11, 2), on(2026, 11, 2))).finds_all({})


def test_a_period_lies_where_a_book_can_be() -> None:
    applying(GERMANY, period("x", on(1, 1, 1), on(2026, 11, 1))).finds(
        "data.accounting_periods[0].start_date", Rule.OUT_OF_RANGE
    )


@pytest.mark.parametrize(("owner", "rule"), [("", Rule.REQUIRED), ("fr", Rule.NO_SUCH_ENTRY)])
def test_a_period_is_of_a_legal_entity_that_is_known(owner: str, rule: Rule) -> None:
    applying(GERMANY, replace(NOVEMBER, legal_entity_id=owner)).finds(
        "data.accounting_periods[0].legal_entity_id", rule
    )


def test_periods_of_a_legal_entity_do_not_overlap() -> None:
    before = applying(GERMANY, FIJI, NOVEMBER).after
    late = period("late", on(2026, 11, 30), on(2026, 12, 5))
    asked = applying(late, to=before)
    asked.finds("data.accounting_periods[0].start_date", Rule.PERIODS_OVERLAP)
    assert asked.says("data.accounting_periods[0].start_date") == (
        "overlaps accounting period 'de-11' of the same legal entity (2026-11-01 to 2026-11-30)"
    )
    early = period("early", on(2026, 10, 5), on(2026, 11, 1))
    applying(early, to=before).finds("data.accounting_periods[0].start_date", Rule.PERIODS_OVERLAP)
    applying(replace(late, legal_entity_id="fj"), to=before).finds_all({})
    applying(replace(late, start_date=on(2026, 12, 1)), to=before).finds_all({})


def test_periods_behind_a_long_one_are_found_too() -> None:
    long = period("long", on(2026, 1, 1), on(2026, 12, 31))
    short = [period(f"m{month}", on(2026, month, 1), on(2026, month, 3)) for month in (2, 5, 9)]
    applying(GERMANY, long, *short).finds_all(
        {f"data.accounting_periods[{n}].start_date": Rule.PERIODS_OVERLAP for n in (1, 2, 3)}
    )


def test_a_period_may_be_moved_where_another_one_was() -> None:
    before = applying(GERMANY, NOVEMBER, DECEMBER).after
    applying(
        replace(NOVEMBER, start_date=DECEMBER.start_date, end_date=DECEMBER.end_date),
        replace(DECEMBER, start_date=on(2027, 1, 1), end_date=on(2027, 1, 31)),
        to=before,
    ).finds_all({})


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("default_payment_term_id", NET_30),
        ("default_legal_entity_id", GERMANY),
        ("default_tax_treatment_id", STANDARD),
    ],
)
def test_a_default_is_known_and_active(name: str, known: Any) -> None:
    path = f"data.settings.{name}"
    applying(known, settings={name: known.id}).finds_all({})
    applying(known, settings={name: "none such"}).finds(path, Rule.NO_SUCH_ENTRY)
    for status in (EntryStatus.DRAFT, EntryStatus.INACTIVE):
        asleep = replace(known, status=status)
        found = applying(asleep, settings={name: known.id}).found()
        assert found[path] is Rule.NOT_ACTIVE
        assert applying(asleep, to=applying(known, settings={name: known.id}).after).found() == {
            f"{PREFIX[type(known)]}.status": Rule.STILL_USED
        }
        applying(asleep, to=applying(known).after).finds_all({})


def test_a_period_can_be_closed_and_opened_again() -> None:
    closed = replace(NOVEMBER, status=PeriodStatus.CLOSED)
    before = applying(*ALL).after
    assert applying(closed, to=before).after.accounting_periods["de-11"].status is PeriodStatus.CLOSED
    applying(NOVEMBER, to=applying(closed, to=before).after).changes(
        ("changed", Kind.ACCOUNTING_PERIOD, "de-11")
    )


def test_all_faults_are_told_at_once_with_those_of_the_edge() -> None:
    findings = Findings()
    findings.add("data.payment_terms[0].type", Rule.REQUIRED)
    command = Apply((term(id="", days=-1), replace(GERMANY, time_zone="Mars")))
    with pytest.raises(Malformed) as malformed:
        plan(command, EMPTY, findings)
    assert {finding.path for finding in malformed.value.findings} == {
        "data.payment_terms[0].type",
        "data.payment_terms[0].id",
        "data.payment_terms[0].days",
        "data.legal_entities[0].time_zone",
    }
    assert findings.count == 1


@pytest.mark.long
def test_an_application_holds_at_most_a_hundred_thousand_entries() -> None:
    applying(*(term(id=str(n)) for n in range(100_001))).finds("data", Rule.TOO_MANY)


def test_large_sets_are_looked_through_once() -> None:
    """Of ten thousand wrong entries a thousand are told, and the names that were right are listed once."""
    entries = [replace(NOVEMBER, id=str(n), legal_entity_id="fr") for n in range(10_000)]
    known = Counted({"de": GERMANY, "fj": FIJI})
    with pytest.raises(Malformed) as malformed:
        plan(Apply(tuple(entries)), replace(EMPTY, legal_entities=known), Findings())
    assert len(malformed.value.findings) == 1000
    assert malformed.value.count == 10_000 + 9_999, "an unknown owner each, and an overlap each but the first"
    assert known.walks < 10


class Counted(dict[str, LegalEntity]):
    walks = 0

    def __iter__(self) -> Any:
        self.walks += 1
        return super().__iter__()


def test_events_and_entries_know_each_other() -> None:
    for entry in (*ALL, SETTINGS):
        event = reference.set_event(entry)
        assert event.entry == entry
        assert type(event) in reference.EVENTS
        kind = reference.kind_of(entry)
        assert fold(EMPTY, [(event, At(1, 1, NOW))]).of(kind) == {reference.id_of(entry): entry}


def test_the_example_of_all_tests_is_reference_data_that_could_be_applied() -> None:
    entries = [entry for kind in reference.FIELD_OF for entry in REFERENCE.of(kind).values()]
    settings = {each.name: getattr(SETTINGS, each.name) for each in fields(SETTINGS)}
    after = applying(*entries, settings=settings).after
    for kind in Kind:
        assert after.of(kind) == REFERENCE.of(kind)


def test_a_term_type_is_kept() -> None:
    eom = term(type=TermType.EOM_PLUS_X)
    assert applying(eom).after.payment_terms["net-30"].type is TermType.EOM_PLUS_X


def test_an_empty_application_changes_nothing() -> None:
    applying().changes()
    assert fold(EMPTY, []) == EMPTY
