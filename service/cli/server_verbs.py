"""The verbs about the server itself: what each asks for; what is not said comes from the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .options import Service

DatabaseUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Your own PostgreSQL, 15 or newer; the embedded one when not said."),
]
DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where the embedded PostgreSQL keeps its data.")
]


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve."""

    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where to listen; 127.0.0.1:50051 when not said.")
    ] = None
    data_dir: DataDir = None
    database_url: DatabaseUrl = None
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM of the server's certificate.")
    ] = None
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM of its key.")] = None
    client_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PEM of who vouches for callers, who must then prove it."),
    ] = None
    seal_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="PEM of the key that signs seals; the embedded store makes its own."
        ),
    ] = None
    witness: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where every seal is written down once more; best on another machine."
        ),
    ] = None
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that answer calls; 1 when not said.")
    ] = None
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen in clear text even where others can reach it.")
    ] = False


def serve(
    serving: Serving,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print each setting and where it comes from, and end.")
    ] = False,
) -> None:
    """Run the service until it is told to stop (SIGTERM)."""
    from .serving import serve as run

    run(serving, print_config=print_config)


def migrate(
    database_url: DatabaseUrl = None,
    print_grants: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="Print what the service's role must be granted, and end."),
    ] = None,
) -> None:
    """Bring your own database up to date, as the owner of its tables. The embedded one does it by itself."""
    from .serving import migrate as run

    run(database_url, print_grants)


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to write it; it must not be there yet.")
    ],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the whole log into one file, also while the service runs."""
    from .serving import backup as run

    run(file, data_dir, database_url)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` has written.")],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Put a backup into an empty book, checked before it counts; nothing may serve it meanwhile."""
    from .serving import restore as run

    run(file, data_dir, database_url)


def demo(data_dir: DataDir = None) -> None:
    """Show all of it on this machine: start, load the samples, ask for an order and an invoice, stop."""
    from .demo import demo as run

    run(data_dir)


def status(
    service: Service,
    of: Annotated[str, typer.Option("--of", metavar="NAME", help="One of the services only.")] = "",
) -> None:
    """Say whether the service serves; exit status 0 or 1, for probes."""
    from .probing import status as run

    raise typer.Exit(run(service, of))
