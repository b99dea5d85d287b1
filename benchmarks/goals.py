"""The goals, and how far each is reached: ratios within one round, their median and their range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from .rounds import Results, Slice
from .sides import CRUD, ECHO, PAUSED, SERVICE, STOCK

CALLERS = 64
Value = Callable[[Slice], float]


@dataclass(frozen=True, slots=True)
class Goal:
    """One row: what was measured in each round, and what was wished for."""

    what: str
    at_least: bool
    wished: float
    measured: Sequence[float]
    shown: str = "{:.2f}"

    @property
    def reached(self) -> bool:
        return self.value >= self.wished if self.at_least else self.value <= self.wished

    @property
    def value(self) -> float:
        return median(self.measured)

    @property
    def verdict(self) -> str:
        if self.reached:
            return "reached"
        short = 1 - self.value / self.wished if self.at_least else self.value / self.wished - 1
        return f"falls short by {short:.0%}"


def goals(results: Results) -> list[Goal]:
    """Those that this run has measured."""
    return [goal for goal in _goals(results) if goal.measured]


def _goals(results: Results) -> Iterable[Goal]:
    def rates(side: str, other: str) -> list[float]:
        return _ratios(results, side, other, _rate)

    share, times = "{:.0%}", "{:.1f} ×"
    yield Goal("64 callers, projections paused: of the echo's rate", True, 0.60, rates(PAUSED, ECHO), share)
    yield Goal("64 callers, projections running: of the echo's rate", True, 0.45, rates(SERVICE, ECHO), share)
    yield Goal("meanwhile behind, at the most", False, 1.0, _most_behind(results), "{:.2f} s")
    yield Goal("64 callers: against stock eventsourcing", True, 8.0, rates(SERVICE, STOCK), times)
    yield Goal("64 callers: against plain CRUD", True, 4.0, rates(SERVICE, CRUD), times)
    cpu = _ratios(results, PAUSED, ECHO, lambda each: each.server_cpu)
    yield Goal("64 callers, projections paused: server CPU a call, against the echo", False, 1.6, cpu, times)
    p99 = _ratios(results, PAUSED, ECHO, _p99)
    yield Goal("64 callers, projections paused: p99, against the echo", False, 3.0, p99, times)
    yield Goal("1 caller: p50, against the echo's and that of the insert", False, 1.0, _alone(results), times)


def _ratios(results: Results, side: str, other: str, value: Value) -> list[float]:
    pairs = zip(results.of(side, CALLERS, value), results.of(other, CALLERS, value), strict=True)
    return [one / another for one, another in pairs]


def _most_behind(results: Results) -> list[float]:
    return [
        max(each) for each in (slice_.behind for slice_ in results.slices.get((SERVICE, CALLERS), ())) if each
    ]


def _alone(results: Results) -> list[float]:
    ours, echo = results.of(SERVICE, 1, _p50), results.of(ECHO, 1, _p50)
    return [one / (wire + disk) for one, wire, disk in zip(ours, echo, results.insert_p50, strict=True)]


def _rate(each: Slice) -> float:
    return each.load.rate


def _p50(each: Slice) -> float:
    return each.load.p50


def _p99(each: Slice) -> float:
    return each.load.p99
