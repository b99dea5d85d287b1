"""The verbs about taxes: what each asks for."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Author, Named, Service, Shape


def estimate(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    named: Named,
    defer: Annotated[bool, typer.Option("--defer", help="Leave it to the background.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the tax would be, record nothing.")
    ] = False,
    on: Annotated[str, typer.Option(metavar="DATE", help="By the rules of another date; a dry run.")] = "",
    rates: Annotated[
        str, typer.Option(metavar="FILE", help="By the tax_rates of this file; a dry run.")
    ] = "",
) -> None:
    """Work out the tax of a draft. Exit status 1 when an engine failed."""
    from .taxes import estimate as run

    raise typer.Exit(run(service, author, shape, named, defer=defer, dry_run=dry_run, on=on, rates=rates))


def unfinished(
    service: Service,
    author: Author,
    retry: Annotated[bool, typer.Option("--retry", help="Try all of it again, now.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List what was asked for and is not done. Exit status 1 when a retry fails."""
    from .taxes import unfinished as run

    raise typer.Exit(run(service, author, retry=retry, as_json=as_json))


def tax_engine(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="YAML or JSON with tax_rates, as in reference data.")
    ],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:50061",
) -> None:
    """Serve a file of tax rates as a tax engine of its own: an example of what daybook can call."""
    from .taxes import tax_engine as run

    run(file, listen)
