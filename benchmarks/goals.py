"""The goals, and how far each is reached: ratios within one round, their median and their range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from .rounds import Contest, Results, Slice
from .shapes import BATCH, ECHO_GET, ECHO_LIST, GET, LIST, ONE, PACE, PACED, STREAM
from .sides import ALONE, CRUD, ECHO, LARGE, PAUSED, SERVICE, SMALL, STOCK, TWO

CALLERS = 64
SENDERS = 8  # of streams and of batches
SHARE, TIMES, FACTOR = "{:.0%}", "{:.1f} ×", "{:.2f} ×"
Value = Callable[[Slice], float]


@dataclass(frozen=True, slots=True)
class Goal:
    """One row: what was measured in each round, and what was wished for, where anything was."""

    what: str
    at_least: bool
    wished: float | None
    measured: Sequence[float]
    shown: str = "{:.2f}"

    @property
    def reached(self) -> bool:
        if self.wished is None:
            return True
        return self.value >= self.wished if self.at_least else self.value <= self.wished

    @property
    def value(self) -> float:
        return median(self.measured)

    @property
    def verdict(self) -> str:
        if self.wished is None:
            return ""
        if self.reached:
            return "reached"
        short = 1 - self.value / self.wished if self.at_least else self.value / self.wished - 1
        return f"falls short by {short:.0%}" if short >= 0.005 else "falls short by less than 1%"


def told(what: str, measured: Sequence[float], shown: str) -> Goal:
    """A row that nothing was wished for."""
    return Goal(what, True, None, measured, shown)


def goals(results: Results) -> list[Goal]:
    """Those that this run has measured."""
    rows = (*_of_one(results), *_of_many(results), *_of_reads(results))
    return [goal for goal in rows if goal.measured]


def also(results: Results) -> list[Goal]:
    """What else it tells."""
    rows = [
        told(
            f"{callers} callers, projections paused: against one commit each",
            _ratios(results, (PAUSED, callers, ONE), (ALONE, callers, ONE), _rate),
            TIMES,
        )
        for callers in (1, CALLERS, 256)
    ]
    rows += [
        told(
            f"{callers} callers, projections paused: two workers, of one worker's rate",
            _ratios(results, (TWO, callers, ONE), (PAUSED, callers, ONE), _rate),
            SHARE,
        )
        for callers in (CALLERS, 256)
    ]
    for side, callers, how, what in (
        (PAUSED, CALLERS, ONE, "64 callers, projections paused"),
        (PAUSED, SENDERS, BATCH, "64 a call, projections paused"),
        (SERVICE, CALLERS, ONE, "64 callers, projections running"),
    ):
        rows.append(
            told(f"written ahead for an invoice, {what}", results.of(side, callers, _wal, how), BYTES)
        )
    return [row for row in rows if row.measured]


BYTES = "{:,.0f} bytes"


def _of_one(results: Results) -> Iterable[Goal]:
    def against(side: str, other: str, value: Value = _rate) -> list[float]:
        return _ratios(results, (side, CALLERS, ONE), (other, CALLERS, ONE), value)

    paused, running = f"{CALLERS} callers, projections paused", f"{CALLERS} callers, projections running"
    yield Goal(f"{paused}: of the echo's rate", True, 0.60, against(PAUSED, ECHO), SHARE)
    yield Goal(f"{running}: of the echo's rate", True, 0.45, against(SERVICE, ECHO), SHARE)
    yield Goal("meanwhile behind, at the most", False, 1.0, _most_behind(results), "{:.2f} s")
    yield Goal(f"{running}: against stock eventsourcing", True, 8.0, against(SERVICE, STOCK), TIMES)
    yield Goal(f"{running}: against plain CRUD", True, 4.0, against(SERVICE, CRUD), TIMES)
    cpu = against(PAUSED, ECHO, lambda each: each.server_cpu)
    yield Goal(f"{paused}: server CPU a call, against the echo", False, 1.6, cpu, TIMES)
    yield Goal(f"{paused}: p99, against the echo", False, 3.0, against(PAUSED, ECHO, _p99), TIMES)
    yield Goal("1 caller: p50, against the echo's and that of the insert", False, 1.0, _alone(results), TIMES)


def _of_many(results: Results) -> Iterable[Goal]:
    streams = _ratios(results, (PAUSED, SENDERS, STREAM), (ECHO, SENDERS, STREAM), _rate)
    yield Goal(f"{SENDERS} streams, projections paused: of the echo's streams", True, 0.50, streams, SHARE)
    batches = _ratios(results, (PAUSED, SENDERS, BATCH), (STOCK, CALLERS, ONE), _rate)
    yield Goal("64 a call, projections paused: against stock eventsourcing", True, 20.0, batches, TIMES)
    rates = results.of(PAUSED, SENDERS, _rate, BATCH)
    yield Goal("64 a call, projections paused: invoices a second (stretch)", True, 8000.0, rates, "{:,.0f}")


def _of_reads(results: Results) -> Iterable[Goal]:
    paced = results.slices.get(Contest(SERVICE, CALLERS, PACED), ())
    behind = [quantiles(each.behind, n=100, method="inclusive")[98] for each in paced]
    yield Goal("visible after the acknowledgement, paced: p99", False, 0.050, behind, "{:.3f} s")
    yield Goal("the pace of that, calls a second", True, PACE, [each.pace for each in paced], "{:,.0f}")
    for how, same_size in ((GET, ECHO_GET), (LIST, ECHO_LIST)):
        for book in (SMALL, LARGE):
            of_echo = _ratios(results, (book, CALLERS, how), (ECHO, CALLERS, same_size), _rate)
            what = f"{how}, {CALLERS} callers, {book.removeprefix('daybook, ')}: of the echo of its size"
            yield Goal(what, True, 0.60, of_echo, SHARE)
        grown = _ratios(results, (LARGE, CALLERS, how), (SMALL, CALLERS, how), _rate)
        yield Goal(f"{how}: the large book's rate of the small one's", True, 0.80, grown, SHARE)


def _ratios(
    results: Results, one: tuple[str, int, str], other: tuple[str, int, str], value: Value
) -> list[float]:
    """Round by round; none where either was not measured."""
    (side, callers, how), (theirs, their_callers, their_how) = one, other
    ours = results.of(side, callers, value, how)
    others = results.of(theirs, their_callers, value, their_how)
    return [mine / another for mine, another in zip(ours, others, strict=bool(ours and others))]


def _most_behind(results: Results) -> list[float]:
    slices = results.slices.get(Contest(SERVICE, CALLERS), ())
    return [max(each.behind) for each in slices if each.behind]


def _alone(results: Results) -> list[float]:
    ours, echo = results.of(SERVICE, 1, _p50), results.of(ECHO, 1, _p50)
    return [one / (wire + disk) for one, wire, disk in zip(ours, echo, results.insert_p50, strict=True)]


def _rate(each: Slice) -> float:
    return each.load.rate


def _p50(each: Slice) -> float:
    return each.load.p50


def _p99(each: Slice) -> float:
    return each.load.p99


def _wal(each: Slice) -> float:
    return each.wal
