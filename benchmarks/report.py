"""What a run says: the sides beside each other, the goals with their verdicts, and where it comes from."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from statistics import median

from .goals import Goal
from .load import generator
from .rounds import ECHO_OF, Plan, Results, Slice, cores
from .sides import ECHO

README = Path(__file__).with_name("README.md")
SVG = README.with_name("goals.svg")
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
PACKAGES = ("grpcio", "protobuf", "psycopg", "eventsourcing", "uvloop", "msgspec")

ECHOED = {read: echo for echo, read in ECHO_OF.items()}

Rows = Iterable[Sequence[str]]


def report(
    results: Results,
    plan: Plan,
    postgres: str,
    invoices: int,
    goals: Sequence[Goal],
    also: Sequence[Goal],
) -> str:
    """The results as Markdown."""
    parts = [
        _provenance(results, plan, postgres, invoices),
        table(("goal", "wished", "measured: median (range)", "verdict"), map(_goal_row, goals)),
        _summed(goals),
        table(
            (
                "side",
                "what",
                "callers",
                "invoices/s or calls/s: median (range)",
                "of echo",
                "p50 ms",
                "p99 ms",
                "server CPU µs each",
                "PostgreSQL CPU µs each",
            ),
            _side_rows(results),
        ),
        table(
            ("what else was measured", "median (range)"), ((row[0], row[2]) for row in map(_goal_row, also))
        ),
        f"The rows of one invoice, inserted by pgbench: p50 {_spread(results.insert_p50, 1e3, 2)} ms.",
    ]
    return "\n\n".join(parts) + "\n"


def keep(text: str) -> None:
    """Puts the results into the README, in place of the last ones."""
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _provenance(results: Results, plan: Plan, postgres: str, invoices: int) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    books = " and ".join(f"{each:,}" for each in plan.books.values())
    taken = f"{median(results.others):.1f} (up to {max(results.others):.1f})"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {plan.rounds} rounds of {plan.seconds:g} s a side; {cores()} cores, "
        f"{_processor()}, of which others used {taken} meanwhile; Python {platform.python_version()}, "
        f"PostgreSQL {postgres} (fsync on), {versions}; load by {generator()}. All {invoices:,} "
        "invoices that were acknowledged were found recorded, once and whole. "
        f"The books that are only read hold {books} invoices."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _goal_row(goal: Goal) -> Sequence[str]:
    low, high = min(goal.measured), max(goal.measured)
    shown = goal.shown.format
    middle = shown(goal.value)
    return (
        goal.what,
        f"{'≥' if goal.at_least else '≤'} {shown(goal.wished)}" if goal.wished is not None else "",
        f"{middle} ({shown(low)}–{shown(high)})" if len(goal.measured) > 1 else middle,
        goal.verdict,
    )


def _summed(goals: Sequence[Goal]) -> str:
    wished = [each for each in goals if each.wished is not None]
    return f"{sum(each.reached for each in wished)} of {len(wished)} goals are reached."


def _side_rows(results: Results) -> Rows:
    for (side, callers, how), slices in sorted(results.slices.items(), key=lambda item: item[0][2:0:-1]):
        echo = results.of(ECHO, callers, lambda each: each.load.rate, ECHOED.get(how, how))
        rates = [each.load.rate for each in slices]
        of_echo = [one / other for one, other in zip(rates, echo, strict=False)]
        yield (
            side,
            how,
            str(callers),
            _spread(rates, 1, 0),
            f"{median(of_echo):.0%}" if of_echo and side != ECHO else "",
            *(_told(_median(slices, value) * 1e3) for value in (_p50, _p99)),
            *(f"{_median(slices, value) * 1e6:.0f}" for value in (_server, _postgres)),
        )


def _told(milliseconds: float) -> str:
    return "" if isnan(milliseconds) else f"{milliseconds:.2f}"


def _p50(each: Slice) -> float:
    return each.load.p50


def _p99(each: Slice) -> float:
    return each.load.p99


def _server(each: Slice) -> float:
    return each.server_cpu


def _postgres(each: Slice) -> float:
    return each.postgres_cpu


def _median(slices: Iterable[Slice], value: Callable[[Slice], float]) -> float:
    return median(map(value, slices))


def _spread(values: Sequence[float], unit: float, decimals: int) -> str:
    low, middle, high = (
        f"{each * unit:,.{decimals}f}" for each in (min(values), median(values), max(values))
    )
    return f"{middle} ({low}–{high})"


def table(head: Sequence[str], rows: Rows) -> str:
    """As Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
