"""`python -m benchmarks.growth`: how fast it appends, answers and rebuilds the larger the log is.

A book for each size stands beside the others in one PostgreSQL, and all take their turns: one invoice a call
and 64 a call by callers that wait for nothing else, the read models standing still; what is read; then a
rebuild of a read model from all there is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from daybook.client import connect
from daybook.v1 import projection_service_pb2 as pb
from daybook.v1.projection_service_pb2_grpc import ProjectionServiceStub

from . import filled
from .folder import temporary
from .goals import CALLERS, SENDERS
from .invoice import EVENTS
from .load import load
from .plot import draw_growth
from .postgres import embedded
from .processes import Server, standing_still
from .report import table
from .shapes import GET, LIST, READS, Shape, batch, one
from .sides import Making

SIZES = (0, 1_000_000, 5_000_000)
WARM_UP_CALLS = 200
REBUILT = "invoices-by-order"
APPENDED, BATCHED = "appended, one a call", "appended, 64 a call"
SVG = Path(__file__).parents[1] / "docs" / "growth.svg"
Rates = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES, help="in the log, each a book")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--plot", type=Path, default=SVG, help="where the plot goes; docs/growth.svg")
    said = parser.parse_args()
    with temporary() as folder, embedded(folder / "data") as postgres, ExitStack() as stack:
        making = Making(postgres, folder, stack)
        books = {
            events: making.book(f"{events} events", f"book{events}", max(20, events // EVENTS)).server
            for events in said.events
        }
        print("all books are up", flush=True)
        measured = {events: Rates() for events in books}
        for _ in range(said.rounds):
            for events, server in books.items():
                for what, rate in rates(server, said.seconds):
                    measured[events].setdefault(what, []).append(rate)
        for events, server in books.items():
            measured[events][f"rebuilt, {REBUILT}, events"] = [rebuilt(server)]
    medians = {
        what: [median(measured[events][what]) for events in books] for what in measured[said.events[0]]
    }
    print(report(medians, said.events))
    draw_growth(medians, said.events, said.plot)


def rates(server: Server, seconds: float) -> Iterator[tuple[str, float]]:
    """Invoices or calls a second of whatever is done."""
    with standing_still(server.part("follower")):
        for what, callers, shape in ((APPENDED, CALLERS, one()), (BATCHED, SENDERS, batch())):
            yield what, rate(server, callers, shape, seconds)
    filled.wait_until_up_to_date(server.target)
    for how in (GET, LIST):
        yield how, rate(server, CALLERS, READS[how](server.target), seconds)


def rate(server: Server, callers: int, shape: Shape, seconds: float) -> float:
    warm = load(server.target, callers, max(callers * 3, WARM_UP_CALLS // shape.invoices), shape)
    return load(server.target, callers, round(warm.rate / shape.invoices * seconds) + callers, shape).rate


def rebuilt(server: Server) -> float:
    """Events a second, from the log to rows that are compared with those that answer."""
    marks, last = dict[int, float](), pb.Rebuild()
    with connect(server.target) as channel:
        stub = ProjectionServiceStub(channel)
        for answer in stub.RebuildProjection(pb.RebuildProjectionRequest(name=REBUILT)):
            last = answer.rebuild
            marks.setdefault(last.state, last.update_time.ToNanoseconds() / 1e9)
    if last.state != pb.REBUILD_STATE_DONE or last.comparison.differing_rows:
        raise RuntimeError(str(last))
    ended = marks.get(pb.REBUILD_STATE_COMPARING, marks[pb.REBUILD_STATE_DONE])
    return last.total_events / (ended - marks[pb.REBUILD_STATE_BUILDING])


def report(medians: Mapping[str, Sequence[float]], sizes: Sequence[int]) -> str:
    head = ("a second, with so many events in the log", *(f"{each:,}" for each in sizes))
    return table(head, ((what, *(f"{each:,.0f}" for each in told)) for what, told in medians.items()))


if __name__ == "__main__":
    main()
