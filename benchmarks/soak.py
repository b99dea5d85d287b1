"""`python -m benchmarks.soak MINUTES`: whether the service holds more and more while it is under load.

Invoices come at a pace that it sustains, somebody asks for one of them every tenth of a second, and memory
and open files of each process are looked at. The first minutes fill caches: what counts is the last third
against what was held ten minutes after the beginning (in a shorter soak, after a third of it).
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .folder import temporary
from .goals import FACTOR, Goal, told
from .load import load
from .plot import draw_soak
from .postgres import embedded
from .processes import Server, Size, size_of
from .shapes import one
from .sides import SERVICE, up
from .visible import Watch

PACE = 200.0  # calls a second
CALLERS = 16
CHUNK_SECONDS = 20.0
LOOK_SECONDS = 5.0
SETTLED_MINUTES = 10.0
PARTS = ("worker", "follower")
SVG = Path(__file__).parents[1] / "docs" / "soak.svg"


@dataclass(frozen=True, slots=True)
class Look:
    """What the processes held at one moment."""

    minutes: float
    sizes: dict[str, Size]
    calls: int

    @property
    def megabytes(self) -> float:
        return sum(each.megabytes for each in self.sizes.values())

    @property
    def files(self) -> float:
        return sum(each.files for each in self.sizes.values())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--pace", type=float, default=PACE, help="calls a second; 200 when not said")
    parser.add_argument("--plot", type=Path, default=SVG, help="where the plot goes; docs/soak.svg")
    said = parser.parse_args()
    with (
        temporary() as folder,
        embedded(folder / "data") as postgres,
        up(postgres, folder, {SERVICE}, {}) as sides,
    ):
        looks = soaked(sides[SERVICE].server, said.minutes, said.pace)
    for row in goals(looks, said.minutes):
        low, high = min(row.measured), max(row.measured)
        print(f"{row.what:70} {row.shown.format(low)}–{row.shown.format(high)}  {row.verdict}")
    draw_soak(looks, said.plot)


def soaked(server: Server, minutes: float, pace: float = PACE) -> list[Look]:
    """What it held, look by look."""
    looks, calls, began = list[Look](), 0, time.monotonic()
    with looking(server, lambda: calls, looks), Watch(server.target, on=True):
        while (left := minutes * 60 - (time.monotonic() - began)) > 0:
            calls += load(
                server.target, CALLERS, round(min(left, CHUNK_SECONDS) * pace) + 1, one(), pace
            ).calls
    return looks


@contextmanager
def looking(server: Server, calls: Callable[[], int], looks: list[Look]) -> Iterator[None]:
    """Looks every few seconds, while it lasts."""
    over, began = threading.Event(), time.monotonic()
    parts = {f"{name}": server.part(name) for name in PARTS} | {"supervisor": server.pid}

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            sizes = {name: size_of(pid) for name, pid in parts.items()}
            looks.append(Look((time.monotonic() - began) / 60, sizes, calls()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def goals(looks: Sequence[Look], minutes: float) -> list[Goal]:
    """The last third against what was held once it had settled."""
    settled = min(SETTLED_MINUTES, minutes / 3)
    then = [each for each in looks if settled <= each.minutes <= settled + max(1.0, minutes / 30)]
    last = [each for each in looks if each.minutes >= minutes * 2 / 3]
    rows = []
    for what, held in (("memory", _megabytes), ("open files", _files)):
        reference = median(map(held, then))
        name = (
            f"{what} of the server, {minutes:g} minutes under load: last third, against after {settled:.0f}"
        )
        rows.append(Goal(name, False, 1.05, [held(each) / reference for each in last], FACTOR))
    rows.append(told("memory of the server in the end, MB", [last[-1].megabytes], "{:,.0f}"))
    rows.append(told("invoices meanwhile", [float(last[-1].calls)], "{:,.0f}"))
    return rows


def _megabytes(look: Look) -> float:
    return look.megabytes


def _files(look: Look) -> float:
    return look.files


if __name__ == "__main__":
    main()
