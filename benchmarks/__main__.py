"""`make bench`: every side up, the rounds, the tables; with --short within three minutes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from . import audit, goals, large, posting, rebuild, report, soak, space
from .folder import temporary
from .goals import Goal
from .load import TO_INSTALL, generator
from .plans import FULL, SHORT
from .plot import draw_goals
from .postgres import Postgres, embedded, insert_p50
from .processes import Server
from .rounds import Plan, Results, measured, require_whole
from .shapes import PACED
from .sides import LARGE, SERVICE, Side, up

Measure = Callable[[], list[Goal]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="two rounds, less than a second a side")
    parser.add_argument(
        "--keep", action="store_true", help="put the results into benchmarks/README.md, and draw"
    )
    parser.add_argument("--invoices", type=int, help="that the large book holds which is asked")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES", help="under load in the end")
    said = parser.parse_args()
    plan = SHORT if said.short else FULL
    if said.invoices:
        plan = replace(plan, books={**plan.books, LARGE: said.invoices})
    if generator() != "h2load":
        print(TO_INSTALL, file=sys.stderr)
        plan = replace(plan, contests=[each for each in plan.contests if each.how != PACED])
    rows, failed, text = run(plan, said.soak)
    print(text)
    if said.keep:
        report.keep(text)
        draw_goals(rows, report.SVG)
    if failed:
        sys.exit(f"not measured: {'; '.join(failed)}")


def run(plan: Plan, soak_minutes: float = 0.0) -> tuple[list[Goal], list[str], str]:
    """The goals, what could not be measured after the rounds, and the report."""
    wanted = {each.side for each in plan.contests}
    with (
        temporary() as folder,
        embedded(folder / "data") as postgres,
        up(postgres, folder, wanted, plan.books) as sides,
    ):
        _say("all sides are up")
        results = _rounds(plan, sides, postgres)
        whole = require_whole(sides.values())
        more = [*goals.also(results), *space.measured(postgres, "large", plan.books[LARGE])]
        server = sides[SERVICE].server
        rows, failed = goals.goals(results), list[str]()
        for what, measure in _apart(plan, postgres, folder, server, soak_minutes).items():
            try:
                rows += measure()
            except Exception as error:  # what has been measured by now is told all the same
                failed.append(f"{what} ({'; '.join(dict.fromkeys(_faults(error)))})")
            _say(what)
        told = report.report(results, plan, postgres.version(), whole, rows, more)
        return rows, failed, told + "".join(f"\nNot measured: {each}.\n" for each in failed)


def _faults(error: BaseException) -> Iterator[str]:
    """What went wrong, of those that went wrong together each for itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _faults(each)
    else:
        yield f"{type(error).__name__}: {error}"


def _apart(
    plan: Plan, postgres: Postgres, folder: Path, server: Server, soak_minutes: float
) -> Mapping[str, Measure]:
    """What is measured after the rounds, one after the other."""
    short = plan.rounds == SHORT.rounds
    rounds = 1 if short else plan.rounds
    apart: dict[str, Measure] = {
        "large invoices": lambda: large.measured(server, rounds),
        "posting": lambda: posting.measured(server.target, rounds, plan.posted),
        "rebuilding": lambda: rebuild.goals(postgres, folder, short=short),
        "audits": lambda: audit.goals(postgres, folder, short=short),
    }
    if soak_minutes:
        apart["soak"] = lambda: soak.goals(soak.soaked(server, soak_minutes), soak_minutes)
    return apart


def _rounds(plan: Plan, sides: Mapping[str, Side], postgres: Postgres) -> Results:
    results = Results()
    insert = partial(insert_p50, postgres, "service", "insert", plan.seconds)
    for number, results in enumerate(measured(plan, sides, insert, postgres), 1):  # noqa: B007
        _say(f"round {number} of {plan.rounds}")
    return results


BEGAN = time.monotonic()


def _say(what: str) -> None:
    print(f"{time.monotonic() - BEGAN:5.0f} s  {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
