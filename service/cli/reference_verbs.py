"""The verbs about reference data: what each asks for."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Author, Service


def apply(
    service: Service,
    author: Author,
    *,
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; - for stdin.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the differences and record nothing.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove entries of the kinds in the file that the file does not hold."),
    ] = False,
    base: Annotated[int, typer.Option(min=0, help="The version that you have seen; 0 for any.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The contract's canonical JSON.")] = False,
) -> None:
    """Merge entries into the reference data, by id."""
    from .reference import apply as run

    run(service, author, file, dry_run=dry_run, prune=prune, base=base, as_json=as_json)


def show(
    service: Service,
    as_json: Annotated[bool, typer.Option("--json", help="The contract's canonical JSON.")] = False,
    min_position: Annotated[
        str, typer.Option(metavar="POSITION", help="Answer not before this position has been seen.")
    ] = "",
) -> None:
    """Show the reference data, in a form that can be applied again."""
    from .reference import show as run

    run(service, as_json=as_json, min_position=min_position)
