"""The verbs about debit memos: what each asks for. What they do is fetched when one is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import typer

from .invoice_verbs import DryRun, ExpectedVersion, MinPosition, RequestId
from .options import Author, Service, Shape, Stop


@dataclass(frozen=True, slots=True)
class NamedMemo:
    """Which memo: one of its names."""

    memo: Annotated[
        str,
        typer.Argument(
            metavar="[MEMO]", help="Its id; or its unique identifier, unless that looks like an id."
        ),
    ] = ""
    key: Annotated[str, typer.Option(metavar="TEXT", help="Its unique identifier.")] = ""

    def check(self) -> None:
        if bool(self.memo) == bool(self.key):
            raise Stop("say which memo: its id, or --key")


@dataclass(frozen=True, slots=True)
class MemoConditions:
    """What listed memos have in common; what is not said does not matter."""

    account: Annotated[str, typer.Option(metavar="ID", help="The account that is charged.")] = ""
    status: Annotated[
        list[str], typer.Option(metavar="STATUS", help="draft, posted, canceled or void; may be repeated.")
    ] = field(default_factory=list)
    generation: Annotated[
        list[str],
        typer.Option(
            metavar="STATUS",
            help="none, not_applicable, ready, draft_invoice_generated or posted_invoice_generated.",
        ),
    ] = field(default_factory=list)
    ready: Annotated[bool, typer.Option("--ready", help="An invoice can be made of it now.")] = False
    order: Annotated[str, typer.Option(metavar="ID", help="The order that it belongs to.")] = ""
    invoice: Annotated[str, typer.Option(metavar="ID", help="The invoice that bills it.")] = ""
    legal_entity: Annotated[str, typer.Option(metavar="ID", help="Who charges.")] = ""
    currency: Annotated[str, typer.Option(metavar="CODE", help="ISO 4217 code.")] = ""


File = Annotated[str, typer.Argument(metavar="FILE", help="The memo, as YAML or JSON; - for stdin.")]


def create(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    file: File,
    request_id: RequestId = "",
    dry_run: DryRun = False,
) -> None:
    """Create a draft debit memo from a file; run again, it charges nothing twice.

    A memo without a unique identifier gets one from its content.
    """
    from .memos import create as run

    run(service, author, shape, file, request_id, dry_run=dry_run)


def update(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    file: File,
    named: NamedMemo,
    expected_version: ExpectedVersion = 0,
    request_id: RequestId = "",
) -> None:
    """Replace the content of a draft. The file's unique identifier says which memo, unless you do."""
    from .memos import update as run

    run(service, author, shape, file, named, expected_version=expected_version, request_id=request_id)


def post(service: Service, author: Author, shape: Shape, named: NamedMemo) -> None:
    """Make the charge final, and the memo ready to be invoiced."""
    from .memos import post as run

    run(service, author, shape, named)


def cancel(service: Service, author: Author, shape: Shape, named: NamedMemo) -> None:
    """Give a draft up."""
    from .memos import cancel as run

    run(service, author, shape, named)


def void(service: Service, author: Author, shape: Shape, named: NamedMemo) -> None:
    """Take a posted memo back, as long as no invoice bills it."""
    from .memos import void as run

    run(service, author, shape, named)


def processed(service: Service, author: Author, shape: Shape, named: NamedMemo) -> None:
    """Say that a posted memo was invoiced by hand; --reason says why."""
    from .memos import processed as run

    run(service, author, shape, named)


def show(service: Service, shape: Shape, named: NamedMemo, min_position: MinPosition = "") -> None:
    """Show one debit memo in full."""
    from .memos import show as run

    run(service, shape, named, min_position)


def list_(
    service: Service,
    shape: Shape,
    conditions: MemoConditions,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    min_position: MinPosition = "",
) -> None:
    """List debit memos that meet every condition, those that are ready to be invoiced first."""
    from .memos import list_ as run

    run(service, shape, conditions, None if all_ else limit, min_position)


VERBS: dict[str, Callable[..., None]] = {
    "create": create,
    "update": update,
    "post": post,
    "cancel": cancel,
    "void": void,
    "processed": processed,
    "show": show,
    "list": list_,
}
