"""The rounds: every side in its turn, again and again, so that all of them meet the same machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import NamedTuple

from .load import Load, load
from .postgres import Postgres
from .processes import cpu_seconds, machine_seconds
from .shapes import (
    ECHO_GET,
    ECHO_LIST,
    GET,
    LIST,
    ONE,
    READS,
    STREAM,
    WRITES,
    Shape,
    echo,
    echo_stream,
)
from .sides import ECHO, Side
from .visible import Watch

ECHO_OF = {ECHO_GET: GET, ECHO_LIST: LIST}
WARM_UP_PER_CALLER = 3
LEAST_PER_CALLER = 4  # calls of a slice: with fewer, a slow one would be slow because it is short
SUSTAINED = 0.7  # of the rate that callers reach who do not pause, where that is less than the pace wished


class WrongCount(Exception):
    """What is in the database is not what was acknowledged."""


class Contest(NamedTuple):
    """A side, so many callers, and what each of their calls is."""

    side: str
    callers: int
    how: str = ONE


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, for how long and how often."""

    rounds: int
    seconds: float
    contests: Sequence[Contest]
    books: Mapping[str, int]  # sides that are only asked, and how many invoices each holds
    posted: int  # a round


@dataclass(frozen=True, slots=True)
class Slice:
    """One side in one round. CPU and bytes are per invoice, until the read models have caught up."""

    load: Load
    server_cpu: float  # seconds
    postgres_cpu: float
    wal: float  # bytes
    behind: Sequence[float] = ()  # seconds from acknowledgement to read model, as often as it was asked
    pace: float = 0.0  # calls a second that were allowed; none where it is none


@dataclass(slots=True)
class Results:
    """All slices, round by round."""

    slices: dict[Contest, list[Slice]] = field(default_factory=dict)
    insert_p50: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)  # cores that somebody else used meanwhile

    def of(self, side: str, callers: int, value: Callable[[Slice], float], how: str = ONE) -> list[float]:
        return [value(each) for each in self.slices.get(Contest(side, callers, how), ())]


def measured(
    plan: Plan, sides: Mapping[str, Side], insert_p50: Callable[[], float], postgres: Postgres
) -> Iterator[Results]:
    """Yields what there is after each round."""
    results = Results()
    shapes = _shapes(plan.contests, sides)
    rates = {each: _warm_up(sides[each.side], each.callers, shapes[each]) for each in plan.contests}
    for number in range(plan.rounds):
        with _others(results, sides.values(), postgres):
            for each in _turned(plan.contests, number):
                shape = shapes[each]
                pace = (
                    min(shape.pace, SUSTAINED * rates[Contest(each.side, each.callers)])
                    if shape.pace
                    else 0.0
                )
                least = max(shape.least, LEAST_PER_CALLER * each.callers)
                calls = max(least, round((pace or rates[each] / shape.invoices) * plan.seconds))
                slice_ = _slice(sides[each.side], each.callers, calls, shape, pace, postgres)
                rates[each] = slice_.load.rate
                results.slices.setdefault(each, []).append(slice_)
            results.insert_p50.append(insert_p50())
        yield results


def _shapes(contests: Iterable[Contest], sides: Mapping[str, Side]) -> dict[Contest, Shape]:
    """An echo is as large as the answer that it is the ceiling of."""
    shapes = {each: _shape(each, sides[each.side]) for each in contests if each.how not in ECHO_OF}
    sizes = {each.how: len(shape.answer or b"") for each, shape in shapes.items()}
    return shapes | {each: echo(sizes[ECHO_OF[each.how]]) for each in contests if each.how in ECHO_OF}


def _shape(contest: Contest, side: Side) -> Shape:
    if contest.side == ECHO:
        return echo_stream() if contest.how == STREAM else echo()
    return READS[contest.how](side.server.target) if contest.how in READS else WRITES[contest.how]()


def _turned(contests: Sequence[Contest], by: int) -> Iterable[Contest]:
    """In another order each round, so that nobody always follows the same one."""
    start = by * len(contests) // 3 % len(contests)
    return [*contests[start:], *contests[:start]]


def _warm_up(side: Side, callers: int, shape: Shape) -> float:
    return load(side.server.target, callers, max(shape.least, WARM_UP_PER_CALLER * callers), shape).rate


def _slice(side: Side, callers: int, calls: int, shape: Shape, pace: float, postgres: Postgres) -> Slice:
    recorded, before = side.recorded() if side.recorded else 0, _spent(side, postgres)
    with Watch(side.server.target, on=side.follows and shape.records, often=bool(pace)) as watch:
        seen = load(side.server.target, callers, calls, shape, pace)
    after = _spent(side, postgres)
    total = seen.invoices + watch.ingested
    if side.recorded and (found := side.recorded() - recorded) != total * shape.records:
        raise WrongCount(f"{side.name}: {total * shape.records} acknowledged, {found} recorded")
    shape.require_same(side.server.target)
    server, database, wal = ((late - early) / total for early, late in zip(before, after, strict=True))
    return Slice(seen, server, database, wal, watch.behind, pace)


def _spent(side: Side, postgres: Postgres) -> tuple[float, float, float]:
    """CPU seconds of the server and of its PostgreSQL, and bytes written ahead."""
    return cpu_seconds(side.server.pid), postgres.cpu_seconds(), float(postgres.wal_bytes())


def require_whole(sides: Iterable[Side]) -> int:
    """How many invoices were recorded, all of them whole; raises WrongCount."""
    everything = 0
    for side in sides:
        if side.recorded and side.whole:
            recorded, whole = side.recorded(), side.whole()
            if recorded != whole:
                raise WrongCount(f"{side.name}: {recorded} recorded, {whole} of them whole")
            everything += recorded
    return everything


class _others:  # noqa: N801
    """Notes how many cores were used by what is none of ours, while it lasts."""

    def __init__(self, results: Results, sides: Iterable[Side], postgres: Postgres) -> None:
        self._results = results
        self._servers = [each.server.pid for each in sides]
        self._postgres = postgres

    def __enter__(self) -> None:
        self._began, self._before = time.monotonic(), self._theirs()

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._began
        self._results.others.append((self._theirs() - self._before) / seconds)

    def _theirs(self) -> float:
        used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
        ours = sum(each.ru_utime + each.ru_stime for each in used)
        ours += sum(map(cpu_seconds, self._servers)) + self._postgres.cpu_seconds()
        busy, stolen = machine_seconds()
        return busy + stolen - ours


def cores() -> int:
    return len(os.sched_getaffinity(0))
