"""The verbs about read models: what each asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from .options import Service

Name = Annotated[str, typer.Argument(metavar="NAME", help="The read model, as `invoices-by-order`.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Follow = Annotated[bool, typer.Option("--follow", help="Watch what is being done already.")]
Check = Annotated[bool, typer.Option("--check", help="Only compare: build it aside, and drop it again.")]
MaxRate = Annotated[
    int, typer.Option(metavar="EVENTS", min=0, help="At most so many events a second; 0: as many as go.")
]


def projections(
    service: Service,
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing them, every second.")] = False,
    as_json: AsJson = False,
) -> None:
    """How the read models fare: generation, lag, rate, trouble. Exit status 1 when one stands still."""
    if context.invoked_subcommand is not None:
        return
    from .read_models import projections as run

    raise typer.Exit(run(service, watch=watch, as_json=as_json))


def rebuild(
    service: Service,
    name: Name,
    check: Check = False,
    follow: Follow = False,
    max_rate: MaxRate = 0,
    as_json: AsJson = False,
) -> None:
    """Work a read model out anew from the log while it is being asked; compare, then swap. Ctrl-C only stops
    watching."""
    from .read_models import rebuild as run

    raise typer.Exit(run(service, name, check=check, follow=follow, rate=max_rate, as_json=as_json))


def back(
    service: Service,
    name: Name,
    generation: Annotated[int, typer.Option(help="Which one; the newest that is kept when not said.")] = 0,
) -> None:
    """Go back to a generation that was live before, once it has caught up."""
    from .read_models import back as run

    raise typer.Exit(run(service, name, generation))


def cancel(service: Service, name: Name) -> None:
    """Stop what is being done on a read model, and clear away what was built."""
    from .read_models import cancel as run

    raise typer.Exit(run(service, name))


def drop(
    service: Service,
    name: Name,
    generation: Annotated[int, typer.Option(help="Which one.")] = 0,
    version: Annotated[int, typer.Option(help="Of which version of the tables; today's when not said.")] = 0,
) -> None:
    """Drop a generation that is not live."""
    from .read_models import drop as run

    raise typer.Exit(run(service, name, generation, version))


def resume(service: Service, name: Name) -> None:
    """Try the event again, now, that a read model stands still at. Exit status 1 when it still does."""
    from .read_models import resume as run

    raise typer.Exit(run(service, name))


VERBS: dict[str, Callable[..., None]] = {
    "rebuild": rebuild,
    "back": back,
    "cancel": cancel,
    "drop": drop,
    "resume": resume,
}
