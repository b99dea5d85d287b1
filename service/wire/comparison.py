"""What is otherwise between two points of an invoice's history, and which event made it so.

Both states are worked out from the events, and compared as the contract shows them. On the way from the first
to the second every append is looked at, and remembered for the fields that it was the last to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from daybook.v1 import audit_service_pb2 as pb
from domain import invoice
from store.log import Recorded

from ..past import append_ends
from .flat import ROW, Fields, flat, flat_line
from .invoices import write_address, write_invoice, write_line
from .matching import Pairs, in_order, matched

NOT_COMPARED = ("invoice_id", "version", "line_count")
CHANGED, ADDED, REMOVED = (
    pb.DIFFERENCE_KIND_CHANGED,
    pb.DIFFERENCE_KIND_ADDED,
    pb.DIFFERENCE_KIND_REMOVED,
)
TAXES = "taxes"  # what stands for all of a line's rows where the last to change them is remembered

LINE_KEYS: tuple[Callable[[Line], object], ...] = (
    lambda line: (frozenset(line.fields.items()), line.number),
    lambda line: frozenset((name, value) for name, value in line.fields.items() if "tax" not in name),
    lambda line: line.said("content.reference.kind", "content.reference.system", "content.reference.id"),
    lambda line: line.said("content.name", "content.product_id", "content.start_date", "content.end_date"),
    lambda line: line.said("content.name", "content.product_id"),
    lambda line: line.number,
)
ROW_KEYS: tuple[Callable[[Fields], object], ...] = (
    lambda row: (row.get(f"{ROW}name"), row.get(f"{ROW}code")),
    lambda _: True,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line by the paths of its fields, and its tax rows likewise."""

    number: int
    fields: Fields
    rows: tuple[Fields, ...]

    def said(self, *names: str) -> object:
        """What it says in these fields; None where it says nothing."""
        values = tuple(self.fields.get(name, "") for name in names)
        return values if any(values) else None


@dataclass(frozen=True, slots=True)
class State:
    """An invoice by the paths of its fields."""

    fields: Fields
    groups: Mapping[str, Fields]
    lines: tuple[Line, ...]


@dataclass(slots=True)
class Tracked:
    """A line on its way: where it stood at first, which event brought it, which changed which field last."""

    at_first: int | None
    brought: int = 0
    changed: dict[str, int] = field(default_factory=dict)


def compare(events: Sequence[Recorded], before: int) -> list[pb.InvoiceDifference]:
    """The differences between the state after so many of the events and the state after all of them."""
    flattening, state = Flattening(), invoice.fold(each.event for each in events[:before])
    assert state is not None
    first = flattening.state(state, events[before - 1])
    way, at = Way(first), before
    for end in _ends(events, before):
        for each in events[at:end]:
            state = invoice.evolve(state, each.event)
        way.step(flattening.state(state, events[end - 1]), events[at].version)
        at = end
    return list(Differences(first, way))


def _ends(events: Sequence[Recorded], before: int) -> Iterator[int]:
    """Where the appends after the first state end; the last one perhaps before it is whole."""
    for end in append_ends(events):
        if end > before:
            yield end


class Flattening:
    """Flattens the states of one invoice; a line that stays as it is is flattened once."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, ...], tuple[Line, tuple[object, ...]]] = {}

    def state(self, state: invoice.Invoice, newest: Recorded) -> State:
        message = write_invoice(newest.stream, state, str, None, None, full=False)
        for name in NOT_COMPARED:
            message.ClearField(name)  # type: ignore[arg-type]
        groups = map(write_address, state.addresses.values())
        return State(
            flat(message), {each.key: flat(each) for each in groups}, tuple(map(self._line, state.lines))
        )

    def _line(self, line: invoice.Line) -> Line:
        parts = (line.added, line.rows, line.row_texts, line.tax_status, line.estimate)
        key = tuple(map(id, parts))
        if key not in self._lines:
            fields, rows = flat_line(write_line(line, "", str))
            # The parts are kept, so that no other object gets one of their ids.
            self._lines[key] = Line(line.added.number, fields, tuple(rows)), parts
        return self._lines[key][0]


class Way:
    """From the first state on: what each append changed, as far as no later one changed it again."""

    def __init__(self, first: State) -> None:
        self.state = first
        self.changed: dict[str, int] = {}  # a field's path: version of the event
        self.lines = [Tracked(place) for place in range(len(first.lines))]
        self.gone: dict[int, int] = {}  # a line of the first state: version of the event
        self.rewritten = 0

    def step(self, now: State, version: int) -> None:
        for path in _changed(_header(self.state), _header(now)):
            self.changed[path] = version
        if self.state.lines != now.lines:
            self._step_lines(now, version)
        self.state = now

    def _step_lines(self, now: State, version: int) -> None:
        pairs = match_lines(self.state.lines, now.lines)
        tracked = [Tracked(None, version) for _ in now.lines]
        for old, new in pairs:
            one, other = self.state.lines[old], now.lines[new]
            changed = dict.fromkeys(_changed(one.fields, other.fields), version)
            if one.rows != other.rows:
                changed[TAXES] = version
            tracked[new] = Tracked(
                self.lines[old].at_first, self.lines[old].brought, self.lines[old].changed | changed
            )
        stayed = {old for old, _ in pairs}
        for old, line in enumerate(self.lines):
            if old not in stayed and line.at_first is not None:
                self.gone[line.at_first] = version
        self.lines, self.rewritten = tracked, version


class Differences:
    """The differences between the first state of a way and its last."""

    def __init__(self, first: State, way: Way) -> None:
        self._first, self._last, self._way = first, way.state, way

    def __iter__(self) -> Iterator[pb.InvoiceDifference]:
        for path in _changed(self._first.fields, self._last.fields):
            yield _difference(
                path, self._first.fields.get(path), self._last.fields.get(path), self._way.changed[path]
            )
        for key in dict.fromkeys((*self._first.groups, *self._last.groups)):
            yield from self._group(key)
        yield from self._lines()

    def _group(self, key: str) -> Iterator[pb.InvoiceDifference]:
        one, other, path = self._first.groups.get(key), self._last.groups.get(key), _group_path(key)
        if one is None or other is None:
            came_or_went = max(v for p, v in self._way.changed.items() if p.startswith(f"{path}."))
            yield _difference(
                path, _told(one) if one else None, _told(other) if other else None, came_or_went, whole_=True
            )
            return
        for name in _changed(one, other):
            at = f"{path}.{name}"
            yield _difference(at, one.get(name), other.get(name), self._way.changed[at])

    def _lines(self) -> Iterator[pb.InvoiceDifference]:
        pairs = match_lines(self._first.lines, self._last.lines)
        old_of = {new: old for old, new in pairs}
        moved = not in_order(pairs)
        for new, line in enumerate(self._last.lines):
            if new in old_of:
                yield from self._line(self._first.lines[old_of[new]], line, self._way.lines[new], moved)
            else:
                version = self._way.lines[new].brought or self._way.rewritten
                yield _difference(f"lines[{line.number}]", None, _line_told(line), version, whole_=True)
        stayed = set(old_of.values())
        for old, line in enumerate(self._first.lines):
            if old not in stayed:
                version = self._way.gone.get(old) or self._way.rewritten
                yield _difference(f"lines[{line.number}]", _line_told(line), None, version, whole_=True)

    def _line(self, one: Line, other: Line, way: Tracked, moved: bool) -> Iterator[pb.InvoiceDifference]:
        at, was = f"lines[{other.number}]", f"lines[{one.number}]"

        def differs(
            name: str, old: str | None, new: str | None, key: str, **more: bool
        ) -> pb.InvoiceDifference:
            version = way.changed.get(key) or self._way.rewritten
            found = _difference(f"{at}.{name}", old, new, version, **more)
            if at != was:
                found.path_before = f"{was}.{name}"
            return found

        if moved and one.number != other.number:
            yield differs("line_number", str(one.number), str(other.number), "line_number")
        for name in _changed(one.fields, other.fields):
            yield differs(name, one.fields.get(name), other.fields.get(name), name)
        pairs = matched(one.rows, other.rows, ROW_KEYS)
        for old, new in pairs:
            row, now = one.rows[old], other.rows[new]
            for name in _changed(row, now):
                yield differs(name.format(new), row.get(name), now.get(name), TAXES)
        came = set(range(len(other.rows))) - {new for _, new in pairs}
        for new in sorted(came):
            yield differs(f"content.taxes[{new}]", None, _row_told(other.rows[new]), TAXES, whole_=True)
        went = set(range(len(one.rows))) - {old for old, _ in pairs}
        for old in sorted(went):
            yield differs(f"content.taxes[{old}]", _row_told(one.rows[old]), None, TAXES, whole_=True)


def match_lines(one: Sequence[Line], other: Sequence[Line]) -> Pairs:
    return matched(one, other, LINE_KEYS)


def _header(state: State) -> Fields:
    """All but the lines, address groups under their own paths."""
    groups = {
        f"{_group_path(key)}.{name}": value
        for key, fields in state.groups.items()
        for name, value in fields.items()
    }
    return {**state.fields, **groups}


def _group_path(key: str) -> str:
    return f'content.address_groups["{key}"]'


def _changed(one: Fields, other: Fields) -> list[str]:
    """Paths of what is not the same, in the order of the first."""
    if one is other:
        return []
    return [name for name in dict.fromkeys((*one, *other)) if one.get(name) != other.get(name)]


def _difference(
    path: str, before: str | None, after: str | None, version: int, *, whole_: bool = False
) -> pb.InvoiceDifference:
    kind = CHANGED
    if whole_:
        kind = ADDED if before is None else REMOVED
    return pb.InvoiceDifference(path=path, kind=kind, before=before or "", after=after or "", version=version)


def _told(fields: Fields) -> str:
    return ", ".join(_but(fields, "key"))


def _but(fields: Fields, name: str) -> Iterable[str]:
    return (value for each, value in fields.items() if each != name)


def _line_told(line: Line) -> str:
    said = line.fields
    return (
        f"{said.get('content.name', '')}: {said.get('content.charge_amount', '')} + {said['tax_amount']} tax"
    )


def _row_told(row: Fields) -> str:
    return f"{row.get(f'{ROW}name', '')} {row.get(f'{ROW}amount', '')}"
