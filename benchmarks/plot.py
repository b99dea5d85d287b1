"""The results as pictures: needs matplotlib, which the extra `bench` brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .goals import Goal
    from .soak import Look

REACHED, SHORT = "#2a7f62", "#b5482f"
SAME_EVERY_TIME: Any = {"svg.hashsalt": "daybook", "svg.fonttype": "none", "font.size": 9}


def draw_goals(goals: Sequence[Goal], path: Path) -> None:
    """How far each goal is reached: 1 is the goal, and more is better."""
    rows = [each for each in goals if each.wished][::-1]
    with _figure(path, height=0.28 * len(rows) + 1) as axes:
        for at, goal in enumerate(rows):
            ratios = [_reached(goal, each) for each in goal.measured]
            middle = _reached(goal, goal.value)
            axes.barh(at, middle, color=REACHED if goal.reached else SHORT, height=0.6)
            axes.plot([min(ratios), max(ratios)], [at, at], color="black", linewidth=1)
        axes.axvline(1, color="black", linestyle=":")
        axes.set_yticks(range(len(rows)), [each.what for each in rows])
        axes.set_xscale("log", base=2)
        axes.set_xticks([0.125, 0.25, 0.5, 1, 2, 4], ["⅛", "¼", "½", "goal", "2 ×", "4 ×"])
        axes.set_xlim(0.1, 8)
        axes.set_title("how far each goal is reached, median and range: further right is better", loc="right")


def draw_soak(looks: Sequence[Look], path: Path) -> None:
    """Memory and open files of the server's processes, minute by minute."""
    with _figure(path, height=4.5, rows=2) as (memory, files):
        minutes = [each.minutes for each in looks]
        for name in looks[0].sizes:
            memory.plot(minutes, [each.sizes[name].megabytes for each in looks], label=name)
            files.plot(minutes, [each.sizes[name].files for each in looks], label=name)
        for axes, what in ((memory, "resident MB"), (files, "open files")):
            axes.set_ylabel(what)
            axes.set_ylim(bottom=0)
        memory.legend(loc="lower right")
        files.set_xlabel(f"minutes, {looks[-1].calls:,} invoices")


def draw_growth(rates: Mapping[str, Sequence[float]], events: Sequence[int], path: Path) -> None:
    """Every rate against that of the smallest log."""
    with _figure(path, height=3.5) as axes:
        millions = [each / 1e6 for each in events]
        for name, measured in rates.items():
            axes.plot(millions, [each / measured[0] for each in measured], marker="o", label=name)
        axes.set_ylim(bottom=0)
        axes.axhline(0.8, color="black", linestyle=":")
        axes.set_xlabel("million events in the log")
        axes.set_ylabel("of the rate of the smallest log")
        axes.legend(loc="upper left")


def _reached(goal: Goal, value: float) -> float:
    wished = goal.wished or 1.0
    return value / wished if goal.at_least else wished / max(value, 1e-9)


class _figure:  # noqa: N801
    """Axes to draw on; written when it is left."""

    def __init__(self, path: Path, *, height: float, rows: int = 1) -> None:
        self._path = path
        self._size = (9.0, height)
        self._rows = rows

    def __enter__(self) -> Any:
        import matplotlib as mpl

        mpl.use("svg")
        mpl.rcParams.update(SAME_EVERY_TIME)
        from matplotlib import pyplot as plt

        self._plt = plt
        self._figure, axes = plt.subplots(self._rows, figsize=self._size, sharex=True, layout="constrained")
        return axes

    def __exit__(self, *raised: object) -> None:
        if raised[0] is None:
            self._figure.savefig(self._path, metadata={"Date": None})
        self._plt.close(self._figure)
