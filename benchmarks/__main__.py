"""`make bench`: every side up, the rounds, the tables; with --short within three minutes."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import invoice, report
from .load import TO_INSTALL, generator
from .postgres import embedded, insert_p50
from .rounds import Plan, Results, measured, require_whole
from .sides import ALONE, CRUD, ECHO, PAUSED, SERVICE, STOCK, up

SHORT = Plan(
    rounds=3,
    seconds=2.0,
    contests=[
        *((side, callers) for callers in (1, 64, 256) for side in (ECHO, PAUSED, SERVICE)),
        *((side, 64) for side in (STOCK, CRUD, ALONE)),
    ],
)
FULL = Plan(
    rounds=5,
    seconds=5.0,
    contests=[
        *((side, callers) for callers in (1, 16, 64, 256) for side in (ECHO, PAUSED, SERVICE)),
        *((side, callers) for callers in (1, 64) for side in (STOCK, CRUD, ALONE)),
    ],
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="three rounds, two seconds a side")
    parser.add_argument("--keep", action="store_true", help="put the results into benchmarks/README.md")
    said = parser.parse_args()
    if generator() != "h2load":
        print(TO_INSTALL, file=sys.stderr)
    text = run(SHORT if said.short else FULL)
    print(text)
    if said.keep:
        report.keep(text)


def run(plan: Plan) -> str:
    frame = invoice.frame(invoice.request())
    with _folder() as folder, embedded(folder / "data") as postgres, up(postgres, folder, frame) as sides:
        rounds = measured(
            plan, sides, frame, lambda: insert_p50(postgres, "service", "insert", plan.seconds), postgres
        )
        results = Results()
        for number, results in enumerate(rounds, 1):  # noqa: B007
            print(f"round {number} of {plan.rounds}", file=sys.stderr)
        return report.report(results, plan, postgres.version(), require_whole(sides.values()))


@contextmanager
def _folder() -> Iterator[Path]:
    """Where even an unprivileged PostgreSQL can reach, by a path short enough for its sockets."""
    folder = Path(tempfile.mkdtemp(prefix="daybook-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
