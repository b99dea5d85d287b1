"""Applying reference data: what would change, and what must be refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from ..findings import Findings, Malformed
from ..refusal import Refused
from .checks import check
from .entries import Entry, Kind, id_of, kind_of
from .events import EntrySet, ReferenceDataApplied, ReferenceEntryRemoved, set_event
from .state import ReferenceData


class StaleBase(Refused):
    reason = "STALE_BASE"
    because = "the reference data is at version {version}, not at {base}; look at it again"


@dataclass(frozen=True, slots=True)
class Apply:
    """Entries to merge in, by id. `settings` holds only the fields to change.

    Each entry stands in the order of its kind as it was sent, one that could not be read in full included:
    findings count on it for their paths.
    """

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
    value = None if entry is None else getattr(entry, name)
    if value is None or value == ():
        return ""
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
    """What applying would change. `findings` may hold what the edge could not read, and is left as it is.

    A base that has moved on is refused where it matters: what stands already, as after a retry, does not.
    """
    entries = list(command.entries)
    if command.settings is not None:
        entries.append(replace(reference.settings, **command.settings))  # type: ignore[arg-type]
    changes = [*_merged(entries, reference), *_pruned(command, reference)]
    differing = tuple(change for change in changes if change.before != change.after)
    found = check(entries, [change.event for change in changes], reference, findings.copy())
    if (found or differing) and command.base_version not in (0, reference.version):
        raise StaleBase(version=reference.version, base=command.base_version)
    if found:
        raise Malformed(found)
    return Plan(differing, unchanged=len(entries) - sum(change.after is not None for change in differing))


def _merged(entries: Iterable[Entry], reference: ReferenceData) -> Iterable[Change]:
    for entry in entries:
        kind, entry_id = kind_of(entry), id_of(entry)
        yield Change(kind, entry_id, reference.of(kind).get(entry_id), entry)


def _pruned(command: Apply, reference: ReferenceData) -> Iterable[Change]:
    kept = {(kind_of(entry), id_of(entry)) for entry in command.entries}
    for kind in sorted(command.prune - {Kind.SETTINGS}):
        for entry_id, entry in sorted(reference.of(kind).items()):
            if (kind, entry_id) not in kept:
                yield Change(kind, entry_id, entry, None)
