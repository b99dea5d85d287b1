"""The verbs about what happened: what each asks for. What they do is fetched when one is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import typer

from .options import Named, Service, Shape

POINT = "A version (3), an instant (2026-12-31T18:00+01:00; a bare date is its end, here), or a position."
Every = Annotated[
    bool, typer.Option("--every", help="Each event by itself, also of those that were written together.")
]


def history(service: Service, shape: Shape, named: Named, every: Every = False) -> None:
    """Tell what happened to an invoice: when, who, what, why."""
    from .histories import history as run

    run(service, shape, named, every=every)


def replay(service: Service, shape: Shape, named: Named, every: Every = False) -> None:
    """Show how an invoice stood after each thing that happened to it, worked out from its events."""
    from .histories import replay as run

    run(service, shape, named, every=every)


def as_of(
    service: Service,
    shape: Shape,
    named: Named,
    at: Annotated[str, typer.Option(metavar="POINT", help=POINT)] = "",
) -> None:
    """Show one invoice in full, exactly as it stood."""
    from .histories import as_of as run

    run(service, shape, named, at)


def diff(
    service: Service,
    shape: Shape,
    named: Named,
    *,
    since: Annotated[str, typer.Option("--from", metavar="POINT", help=POINT)],
    to: Annotated[str, typer.Option(metavar="POINT", help="The same; now when not said.")] = "",
) -> None:
    """Tell what is otherwise between two points, and who did it, and why."""
    from .histories import diff as run

    run(service, shape, named, since, to)


def events(
    service: Service,
    shape: Shape,
    *,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="invoice, debit-memo, number, payment-term, tax-rate, settings …"
        ),
    ],
    id_: Annotated[str, typer.Argument(metavar="[ID]", help="Its own key or id.")] = "",
    legal_entity: Annotated[str, typer.Option(metavar="ID", help="Whose number it is.")] = "",
) -> None:
    """Tell what happened to anything that has a history: who changed a rate, a term, a memo."""
    from .histories import events as run

    run(service, shape, kind, id_, legal_entity)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which events are wanted; what is not said does not matter."""

    type_: Annotated[
        list[str], typer.Option("--type", metavar="TYPE", help="Such as InvoicePosted; may be repeated.")
    ] = field(default_factory=list)
    account: Annotated[
        list[str], typer.Option(metavar="ID", help="Whole invoices and memos of it; may be repeated.")
    ] = field(default_factory=list)
    order: Annotated[
        list[str], typer.Option(metavar="ID", help="Whole invoices and memos of it; may be repeated.")
    ] = field(default_factory=list)


def feed(
    service: Service,
    chosen: Chosen,
    *,
    after: Annotated[
        str, typer.Option(metavar="TOKEN", help="Go on after this; from the beginning when not said.")
    ] = "",
    until_now: Annotated[bool, typer.Option("--until-now", help="End where the log ends now.")] = False,
    tokens: Annotated[
        bool, typer.Option("--tokens", help='Also print {"resumeToken": …} wherever one can go on.')
    ] = False,
) -> None:
    """Print everything that happened and happens, one JSON object a line; for ever, across restarts."""
    from .feeding import feed as run

    run(service, chosen, after, until_now=until_now, tokens=tokens)


VERBS: dict[str, Callable[..., None]] = {
    "history": history,
    "replay": replay,
    "as-of": as_of,
    "diff": diff,
    "events": events,
    "feed": feed,
}
