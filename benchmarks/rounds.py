"""The rounds: every side in its turn, again and again, so that all of them meet the same machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from .load import Load, load
from .postgres import Postgres
from .processes import cpu_seconds, machine_seconds
from .sides import Side
from .visible import Watch

CALLS_LEAST = 100
WARM_UP_PER_CALLER = 3


class WrongCount(Exception):
    """What is in the database is not what was acknowledged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, for how long and how often."""

    rounds: int
    seconds: float
    contests: Sequence[tuple[str, int]]  # side and callers


@dataclass(frozen=True, slots=True)
class Slice:
    """One side in one round. CPU seconds are per call, until the read models have caught up."""

    load: Load
    server_cpu: float
    postgres_cpu: float
    behind: Sequence[float] = ()  # seconds from acknowledgement to read model, as often as it was asked


@dataclass(slots=True)
class Results:
    """All slices, by side and callers, round by round."""

    slices: dict[tuple[str, int], list[Slice]] = field(default_factory=dict)
    insert_p50: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)  # cores that somebody else used meanwhile

    def of(self, side: str, callers: int, value: Callable[[Slice], float]) -> list[float]:
        return [value(each) for each in self.slices.get((side, callers), ())]


def measured(
    plan: Plan, sides: Mapping[str, Side], frame: bytes, insert_p50: Callable[[], float], postgres: Postgres
) -> Iterator[Results]:
    """Yields what there is after each round."""
    results = Results()
    pace = {(name, callers): _warm_up(sides[name], callers, frame) for name, callers in plan.contests}
    for number in range(plan.rounds):
        with _others(results, [side.server.pid for side in sides.values()], postgres):
            for name, callers in _turned(plan.contests, number):
                calls = max(CALLS_LEAST, round(pace[name, callers] * plan.seconds))
                slice_ = _slice(sides[name], callers, calls, frame, postgres)
                pace[name, callers] = slice_.load.rate
                results.slices.setdefault((name, callers), []).append(slice_)
            results.insert_p50.append(insert_p50())
        yield results


def _turned(contests: Sequence[tuple[str, int]], by: int) -> Iterable[tuple[str, int]]:
    """In another order each round, so that nobody always follows the same one."""
    start = by * len(contests) // 3 % len(contests)
    return [*contests[start:], *contests[:start]]


def _warm_up(side: Side, callers: int, frame: bytes) -> float:
    return load(side.server.target, callers, max(CALLS_LEAST, WARM_UP_PER_CALLER * callers), frame).rate


def _slice(side: Side, callers: int, calls: int, frame: bytes, postgres: Postgres) -> Slice:
    recorded = side.recorded() if side.recorded else 0
    server, database = cpu_seconds(side.server.pid), postgres.cpu_seconds()
    with Watch(side.server.target, on=side.follows) as watch:
        seen = load(side.server.target, callers, calls, frame)
    server, database = cpu_seconds(side.server.pid) - server, postgres.cpu_seconds() - database
    if seen.answer_bytes < seen.calls * side.answer_bytes:
        raise WrongCount(f"{side.name}: some of the answers are errors")
    if side.recorded and (found := side.recorded() - recorded) != seen.calls + watch.ingested:
        raise WrongCount(f"{side.name}: {seen.calls + watch.ingested} acknowledged, {found} recorded")
    total = seen.calls + watch.ingested
    return Slice(seen, server / total, database / total, watch.behind)


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

    def __init__(self, results: Results, servers: Sequence[int], postgres: Postgres) -> None:
        self._results = results
        self._servers = servers
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
