"""`daybook projections` and `daybook rebuild`: how the read models fare, and how they are worked out anew."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import grpc

from daybook.v1 import projection_service_pb2 as pb

from .forms import choice
from .options import Service, Stop
from .printing import add, bare_table, console, print_json
from .remote import Remote, remote

if TYPE_CHECKING:
    from rich.table import Table

LOOK_SECONDS = 1.0
READ_AGAIN_SECONDS = 0.5
WHOLE = ("read model", "state")  # columns that stay whole on a narrow terminal
ATTEMPTS_MAX = 120  # to reach a service that has gone while something was being done
AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
REFUSED = 1


def projections(service: Service, *, watch: bool, as_json: bool) -> int:
    """A table; with `watch`, again every second. Exit status 1 where one stands still or is not ready."""
    with remote(service) as there:
        answer = there.projections.ListProjections(pb.ListProjectionsRequest(), timeout=service.timeout)
        if as_json:
            for each in answer.projections:
                print_json(each)
        elif watch:
            _watch(there, service)
        else:
            _print(answer.projections)
    return int(any(each.state != pb.PROJECTION_STATE_FOLLOWING for each in answer.projections))


def _watch(there: Remote, service: Service) -> None:
    from rich.live import Live

    with Live(console=console(), auto_refresh=False) as live:
        while True:
            answer = there.projections.ListProjections(pb.ListProjectionsRequest(), timeout=service.timeout)
            live.update(_table(answer.projections), refresh=True)
            time.sleep(LOOK_SECONDS)


def _print(found: Iterable[pb.Projection]) -> None:
    screen = console()
    screen.print(_table(found))
    for each in found:
        if each.HasField("trouble"):
            screen.print(
                f"{each.name}: {each.trouble.event} at {each.trouble.position}: {each.trouble.error}"
            )


def _table(found: Iterable[pb.Projection]) -> Table:
    table = bare_table()
    for name in ("read model", "state", "version", "generation", "kept", "behind", "events/s", "being done"):
        table.add_column(name, no_wrap=name in WHOLE, overflow="fold")
    for each in found:
        add(
            table,
            each.name,
            choice(pb.ProjectionState.DESCRIPTOR, each.state).replace("_", " "),
            str(each.version),
            str(each.generation or ""),
            ", ".join(_kept(each)),
            _behind(each),
            f"{each.rate:,.0f}" if each.rate else "",
            _doing(each.rebuild) if each.HasField("rebuild") else "",
        )
    return table


def _kept(projection: pb.Projection) -> Iterator[str]:
    for each in projection.generations:
        if not each.live or each.version != projection.version:
            same = each.version == projection.version
            yield str(each.generation) if same else f"{each.generation} of version {each.version}"


def _behind(projection: pb.Projection) -> str:
    if not projection.events_behind:
        return "nothing"
    seconds = projection.time_behind.seconds + projection.time_behind.nanos / 1e9
    return f"{projection.events_behind:,} events, {seconds:,.1f} s"


def _doing(rebuild: pb.Rebuild) -> str:
    state = choice(pb.RebuildState.DESCRIPTOR, rebuild.state).replace("_", " ")
    kind = choice(pb.RebuildKind.DESCRIPTOR, rebuild.kind)
    part = f" {rebuild.done_events / rebuild.total_events:.0%}" if _reads(rebuild) else ""
    return f"{kind}: {state}{part}" + (f": {rebuild.error}" if rebuild.error else "")


def _reads(rebuild: pb.Rebuild) -> bool:
    return rebuild.state == pb.REBUILD_STATE_BUILDING and rebuild.total_events > 0


# Rebuilding


def rebuild(service: Service, name: str, *, check: bool, follow: bool, rate: int, as_json: bool) -> int:
    """Asks for it and tells how it goes; an interrupted service is waited for. Exit status 1 when it fails,
    and, where it was only to be compared, when something differs."""
    with remote(service) as there:
        asked = pb.RebuildProjectionRequest(
            name=name, validate_only=check, follow=follow, max_events_per_second=rate
        )
        last = _shown(there, asked, as_json=as_json)
    if as_json:
        print_json(last)
    else:
        print_outcome(last)
    failed = last.state != pb.REBUILD_STATE_DONE
    return REFUSED if failed or (check and last.comparison.differing_rows) else 0


def verify(service: Service, *, as_json: bool) -> int:
    """Builds every read model anew, aside, and compares: exit status 1 when one differs from the log."""
    with remote(service) as there:
        answer = there.projections.ListProjections(pb.ListProjectionsRequest(), timeout=service.timeout)
    return max(
        (
            rebuild(service, each.name, check=True, follow=False, rate=0, as_json=as_json)
            for each in answer.projections
        ),
        default=0,
    )


def _shown(there: Remote, asked: pb.RebuildProjectionRequest, *, as_json: bool) -> pb.Rebuild:
    last = pb.Rebuild()
    screen = console(stderr=True)
    if as_json or not screen.is_terminal:
        for last in _told(there, asked):  # noqa: B007
            pass
        return last
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} events"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as progress:
        bar = progress.add_task(asked.name, total=0, rate="")
        for last in _told(there, asked):
            state = choice(pb.RebuildState.DESCRIPTOR, last.state).replace("_", " ")
            progress.update(
                bar,
                description=f"{last.name}: {state}",
                total=last.total_events,
                completed=last.done_events,
                rate=f"{last.rate:,.0f} events/s" if last.rate else "",
            )
    return last


def _told(there: Remote, asked: pb.RebuildProjectionRequest) -> Iterator[pb.Rebuild]:
    """Whatever is told of it; it goes on without us, and we come back to it."""
    attempts = 0
    while True:
        try:
            for answer in there.projections.RebuildProjection(asked):
                attempts = 0
                asked.follow = True
                yield answer.rebuild
            return
        except grpc.RpcError as error:
            attempts += 1
            if not asked.follow or error.code() not in AGAIN or attempts > ATTEMPTS_MAX:
                raise
            time.sleep(READ_AGAIN_SECONDS)


def print_outcome(last: pb.Rebuild) -> None:
    screen = console()
    state = choice(pb.RebuildState.DESCRIPTOR, last.state)
    seconds = (last.update_time.ToDatetime() - last.create_time.ToDatetime()).total_seconds()
    about = f", generation {last.generation}" if last.generation else ""
    screen.print(f"{last.name}: {state}{about}, {last.done_events:,} events in {seconds:,.1f} s")
    if last.error:
        screen.print(last.error)
    if last.HasField("comparison"):
        _print_comparison(last.comparison)


def _print_comparison(comparison: pb.Comparison) -> None:
    screen = console()
    if not comparison.differing_rows:
        screen.print(f"  {comparison.built_rows:,} rows, the same as in the live generation")
        return
    screen.print(
        f"  {comparison.differing_rows:,} rows differ of {comparison.live_rows:,} live and "
        f"{comparison.built_rows:,} built ones"
    )
    table = bare_table()
    for title in ("table", "row", "column", "live", "from the log"):
        table.add_column(title, overflow="fold")
    for each in comparison.differences:
        add(table, each.table, each.key, each.column, each.live, each.built)
    screen.print(table)


def back(service: Service, name: str, generation: int) -> int:
    with remote(service) as there:
        last = there.projections.RevertProjection(
            pb.RevertProjectionRequest(name=name, generation=generation), timeout=service.timeout
        ).rebuild
        if last.state not in (pb.REBUILD_STATE_DONE, pb.REBUILD_STATE_FAILED, pb.REBUILD_STATE_CANCELED):
            last = _shown(there, pb.RebuildProjectionRequest(name=name, follow=True), as_json=False)
    print_outcome(last)
    return int(last.state != pb.REBUILD_STATE_DONE)


def cancel(service: Service, name: str) -> int:
    with remote(service) as there:
        request = pb.CancelRebuildRequest(name=name)
        print_outcome(there.projections.CancelRebuild(request, timeout=service.timeout).rebuild)
    return 0


def drop(service: Service, name: str, generation: int, version: int) -> int:
    if not generation:
        raise Stop("say which generation: --generation NUMBER")
    with remote(service) as there:
        request = pb.DropGenerationRequest(name=name, generation=generation, version=version)
        there.projections.DropGeneration(request, timeout=service.timeout)
    console().print(f"{name}: generation {generation} is gone")
    return 0


def resume(service: Service, name: str) -> int:
    with remote(service) as there:
        request = pb.ResumeProjectionRequest(name=name)
        found = there.projections.ResumeProjection(request, timeout=service.timeout).projection
    _print([found])
    return int(found.state != pb.PROJECTION_STATE_FOLLOWING)
