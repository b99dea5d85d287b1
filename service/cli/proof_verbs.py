"""The verbs about proof: what each asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Named, Service
from .server_verbs import DatabaseUrl, DataDir

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; it must not be there yet.")
]


def verify(
    service: Service,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    since: Annotated[
        str,
        typer.Option(metavar="SEAL", help="Begin behind this seal, as `verify` has told it: N or N:DIGEST."),
    ] = "",
    witness: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A witness that the log must still agree with.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="A public key that may have signed, in hex or as its file; repeat it."
        ),
    ] = None,
    projections: Annotated[
        bool,
        typer.Option(
            "--projections", help="Not the log: work every read model out anew, aside, and compare it."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The contract's canonical JSON.")] = False,
) -> None:
    """Compare the whole log with its seals, and name what was altered, inserted, moved or removed.

    It asks the service; with --database-url or --data-dir it reads the database itself, service or not. With
    --projections it compares the read models with the log, by the service. Exit status 1 when anything is
    wrong.
    """
    if projections:
        from .read_models import verify as verify_projections

        raise typer.Exit(verify_projections(service, as_json=as_json))
    from .verifying import Asking, verify_here, verify_there

    asking = Asking.said(since, witness, key or [])
    if data_dir or database_url:
        holds = verify_here(asking, data_dir, database_url, as_json=as_json)
    else:
        holds = verify_there(service, asking, as_json=as_json)
    if not holds:
        raise typer.Exit(1)


def receipt(service: Service, named: Named, output: Output) -> None:
    """Write the proof of one invoice, which anybody can check offline, into a file."""
    from .proving import receipt as run

    run(service, named, output)


def export(
    service: Service,
    named: Named,
    output: Output,
    account: Annotated[str, typer.Option(metavar="ID", help="All invoices of this account.")] = "",
    date_from: Annotated[
        str, typer.Option("--from", metavar="DATE", help="All invoices dated from this day on, with --to.")
    ] = "",
    date_to: Annotated[str, typer.Option("--to", metavar="DATE", help="The last of these days.")] = "",
) -> None:
    """Write one file about an invoice, an account or a period: events, seals, tables, report, verifier."""
    from .proving import export as run

    run(service, named, output, account, date_from, date_to)


KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The PEM file of the key.")]


def new(file: KeyFile) -> None:
    """Make a key that signs seals; print its public half, for those who verify."""
    from .proving import new_key as run

    run(file)


def rotate(file: KeyFile) -> None:
    """Put a new key before the one of a file; serve then once more, and the old one vouches for it."""
    from .proving import rotate_key as run

    run(file)


def retire(file: KeyFile) -> None:
    """Keep only the public half of the keys that sign no more, once the new one has sealed."""
    from .proving import retire_keys as run

    run(file)


def show(file: KeyFile) -> None:
    """Print the public keys of a file, the one that signs first."""
    from .proving import show_keys as run

    run(file)


SEAL_KEY_VERBS = {"new": new, "rotate": rotate, "retire": retire, "show": show}
