"""The verbs about invoices: what each asks for. What they do is fetched when one is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from .options import Author, Format, Named, Service, Shape, Stop

MinPosition = Annotated[
    str,
    typer.Option(metavar="POSITION", help="Answer not before this position, from any write, has been seen."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and record nothing.")]
RequestId = Annotated[
    str, typer.Option(metavar="ID", help="Your key for this change; heard twice, it changes nothing.")
]
ExpectedVersion = Annotated[int, typer.Option(min=0, help="The version that you have seen; 0 for any.")]


def ingest(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="YAML, JSON or JSON Lines; - for stdin.")
    ],
    dry_run: DryRun = False,
    refused: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what was refused here, with its errors, to be mended."),
    ] = None,
    format: Annotated[  # noqa: A002
        Format | None, typer.Option(help="What the files are, where their names do not tell.")
    ] = None,
    window: Annotated[int, typer.Option(min=1, max=4096, help="How many invoices may be under way.")] = 256,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing of what went well.")] = False,
) -> None:
    """Ingest invoices from files; run again, it changes nothing.

    Amounts are written "250.00" and dates 2026-04-01; the contract's canonical JSON is read as well.
    An invoice without a unique identifier gets one from its content. Exit status 1 when any was refused.
    """
    from .ingest import Job
    from .ingest import ingest as run

    job = Job(tuple(files), format, refused, dry_run, window, quiet)
    raise typer.Exit(run(service, author, shape, job).status)


def order(
    service: Service,
    shape: Shape,
    *,
    order_id: Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's own id.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 500,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    min_position: MinPosition = "",
) -> None:
    """List every invoice of an order, newest first."""
    from .reading import order as run

    run(service, shape, order_id, None if all_ else limit, min_position)


def show(
    service: Service,
    shape: Shape,
    named: Named,
    min_position: MinPosition = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of every tax row what it was worked out of.")
    ] = False,
) -> None:
    """Show one invoice in full."""
    from .reading import show as run

    run(service, shape, named, min_position, explain=explain)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What listed invoices have in common; what is not said does not matter."""

    account: Annotated[str, typer.Option(metavar="ID", help="The account that is billed.")] = ""
    status: Annotated[
        list[str], typer.Option(metavar="STATUS", help="draft, posted, canceled or voided; may be repeated.")
    ] = field(default_factory=list)
    settlement: Annotated[
        list[str],
        typer.Option(metavar="STATUS", help="not-settled, partially-settled, settled or not-applicable."),
    ] = field(default_factory=list)
    overdue: Annotated[bool, typer.Option("--overdue", help="Posted, open and past due.")] = False
    date_from: Annotated[str, typer.Option(metavar="DATE", help="Invoice date on or after.")] = ""
    date_to: Annotated[str, typer.Option(metavar="DATE", help="Invoice date on or before.")] = ""
    due_from: Annotated[str, typer.Option(metavar="DATE", help="Due on or after.")] = ""
    due_to: Annotated[str, typer.Option(metavar="DATE", help="Due on or before.")] = ""
    posted_from: Annotated[str, typer.Option(metavar="DATE", help="Posted on or after.")] = ""
    posted_to: Annotated[str, typer.Option(metavar="DATE", help="Posted on or before.")] = ""
    reference_kind: Annotated[str, typer.Option(metavar="KIND", help="order, quote, other …")] = ""
    reference_id: Annotated[str, typer.Option(metavar="ID", help="What it was made from.")] = ""
    total_min: Annotated[str, typer.Option(metavar="AMOUNT", help="Total with tax at least.")] = ""
    total_max: Annotated[str, typer.Option(metavar="AMOUNT", help="Total with tax at the most.")] = ""
    currency: Annotated[str, typer.Option(metavar="CODE", help="ISO 4217 code.")] = ""
    source_system: Annotated[str, typer.Option(metavar="NAME", help="System it was imported from.")] = ""
    source_id: Annotated[str, typer.Option(metavar="ID", help="Its id there.")] = ""
    label: Annotated[
        list[str], typer.Option(metavar="KEY=VALUE", help="Has this label; may be repeated.")
    ] = field(default_factory=list)
    purchase_order: Annotated[str, typer.Option(metavar="TEXT", help="The buyer's purchase order.")] = ""
    legal_entity: Annotated[str, typer.Option(metavar="ID", help="Who issued it.")] = ""
    number: Annotated[str, typer.Option(metavar="TEXT", help="The business number.")] = ""


def list_(
    service: Service,
    shape: Shape,
    conditions: Conditions,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    min_position: MinPosition = "",
) -> None:
    """List invoices that meet every condition, newest first."""
    from .reading import list_ as run

    run(service, shape, conditions, None if all_ else limit, min_position)


@dataclass(frozen=True, slots=True)
class NamedMany:
    """Which invoices: as many names as there are."""

    invoices: Annotated[
        list[str],
        typer.Argument(
            metavar="[INVOICE…]",
            help="Ids; or unique identifiers, unless they look like ids; - for stdin, one a line.",
        ),
    ] = field(default_factory=list)
    key: Annotated[
        list[str], typer.Option(metavar="TEXT", help="A unique identifier; as often as you like.")
    ] = field(default_factory=list)
    number: Annotated[
        list[str],
        typer.Option(metavar="TEXT", help="A number, with --legal-entity; as often as you like."),
    ] = field(default_factory=list)
    legal_entity: Annotated[str, typer.Option(metavar="ID", help="Whose numbers they are.")] = ""

    def check(self) -> None:
        if not (self.invoices or self.key or self.number):
            raise Stop("say which invoices: ids, --key, --number with --legal-entity, or - for stdin")
        if bool(self.number) != bool(self.legal_entity):
            raise Stop("--number and --legal-entity go together")


def post(service: Service, author: Author, shape: Shape, many: NamedMany) -> None:
    """Make drafts final: their taxes for good, and their numbers. Posting a posted invoice changes nothing.

    Of many each has its result. Exit status 1 where one was refused, or where a tax engine failed: that
    invoice is still a draft, and tried again in the background.
    """
    from .posting import post as run

    raise typer.Exit(run(service, author, shape, many))


def numbers(
    service: Service,
    *,
    policy: Annotated[
        str, typer.Argument(metavar="[POLICY]", help="The sequence policy; all series when not said.")
    ] = "",
    period: Annotated[
        str, typer.Option(metavar="PERIOD", help="Of a sequence that restarts: 2026, 2026-11.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="The contract's canonical JSON, one object a line.")
    ] = False,
) -> None:
    """List the series of numbers; or show one from first to last, and prove that no number is missing.

    Exit status 1 where one is missing, or is not what it should be.
    """
    from .numbers import numbers as run

    raise typer.Exit(run(service, policy, period, as_json=as_json))


def cancel(service: Service, author: Author, shape: Shape, named: Named) -> None:
    """Give a draft up. Canceling a canceled invoice changes nothing."""
    from .changing import cancel as run

    run(service, author, shape, named)


def revise(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The new content, whole; - for stdin.")],
    named: Named,
    expected_version: ExpectedVersion = 0,
    request_id: RequestId = "",
    dry_run: DryRun = False,
) -> None:
    """Replace the content of a draft, or bring a canceled one back to life.

    The file's unique identifier says which invoice, unless you do.
    """
    from .changing import revise as run

    run(
        service,
        author,
        shape,
        file=file,
        named=named,
        expected_version=expected_version,
        request_id=request_id,
        dry_run=dry_run,
    )


@dataclass(frozen=True, slots=True)
class Change:
    """What `update` changes; what is not said stays."""

    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="New description; empty removes it.")
    ] = None
    label: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUE", help="A label; may be repeated. They take the place of all before."
        ),
    ] = field(default_factory=list)
    no_labels: Annotated[bool, typer.Option("--no-labels", help="Remove all labels.")] = False
    reference_kind: Annotated[str, typer.Option(metavar="KIND", help="order, quote, other …")] = ""
    reference_id: Annotated[str, typer.Option(metavar="ID", help="What it was made from.")] = ""
    reference_system: Annotated[str, typer.Option(metavar="NAME", help="The system that knows the id.")] = ""
    reference_kind_name: Annotated[str, typer.Option(metavar="NAME", help="What kind OTHER is.")] = ""
    no_reference: Annotated[bool, typer.Option("--no-reference", help="Remove the reference.")] = False


def update(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    change: Change,
    *,
    expected_version: ExpectedVersion = 0,
    request_id: RequestId = "",
) -> None:
    """Change what may change at any time: description and labels, and the reference once posted."""
    from .changing import update as run

    run(service, author, shape, named, change, expected_version=expected_version, request_id=request_id)
