"""The verbs about editions: what each asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from .options import Service, Shape

Name = Annotated[str, typer.Argument(metavar="NAME", help="Small letters and digits, such as 20261231.")]


def editions(service: Service, shape: Shape, context: typer.Context) -> None:
    """Lists as they were: read models worked out up to one point. Ask one with `--edition NAME`."""
    if context.invoked_subcommand is None:
        from .editions import list_ as run

        run(service, shape)


def build(
    service: Service,
    name: Name,
    read_models: Annotated[
        list[str] | None, typer.Argument(metavar="[READ_MODEL…]", help="As `receivables`; all by default.")
    ] = None,
    *,
    at: Annotated[
        str,
        typer.Option(
            metavar="POINT",
            help="An instant (2026-12-31T18:00+01:00; a bare date is its end, here), or a position.",
        ),
    ] = "",
) -> None:
    """Work read models out as they were at a point, beside the live ones."""
    from .editions import build as run

    run(service, name, read_models or [], at)


def drop(service: Service, name: Name) -> None:
    """Drop an edition with all its tables."""
    from .editions import drop as run

    run(service, name)


VERBS: dict[str, Callable[..., None]] = {"build": build, "drop": drop}
