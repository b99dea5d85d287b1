"""The verbs that settle invoices: what each asks for. What they do is fetched when one is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import typer

from .invoice_verbs import MinPosition, RequestId
from .options import Author, Named, Service, Shape, Stop

Day = Annotated[
    str, typer.Option("--date", metavar="DATE", help="The day that it counts for; today when not said.")
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
CreditMemo = Annotated[str, typer.Argument(metavar="CREDIT_MEMO", help="The credit memo's id.")]


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of money, where it is not all there is."""

    amount: Annotated[str, typer.Option(metavar="AMOUNT", help="How much, such as 50.00.")] = ""
    currency: Annotated[str, typer.Option(metavar="CODE", help="ISO 4217 code of it.")] = ""

    def check(self) -> None:
        if bool(self.amount) != bool(self.currency):
            raise Stop("--amount and --currency go together")


def void(service: Service, author: Author, shape: Shape, named: Named) -> None:
    """Take a posted invoice back that nothing has touched; it keeps its number."""
    from .settling import void as run

    run(service, author, shape, named)


def write_off(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    *,
    reason_code: Annotated[str, typer.Option(metavar="CODE", help="Why: a code of your own.")],
    date: Day = "",
    request_id: RequestId = "",
) -> None:
    """Give up what is open on a posted invoice, for good."""
    from .settling import write_off as run

    run(service, author, shape, named, reason_code=reason_code, date=date, request_id=request_id)


def record(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    *,
    amount: Annotated[str, typer.Option(metavar="AMOUNT", help="How much, such as 50.00.")],
    currency: Annotated[str, typer.Option(metavar="CODE", help="ISO 4217 code of it.")],
    date: Day = "",
    reference: Annotated[
        str, typer.Option(metavar="TEXT", help="What the payment is called where it came in.")
    ] = "",
    request_id: RequestId = "",
) -> None:
    """Record that somebody paid a posted invoice, in full or in part.

    With a --request-id of your own, such as the bank's id of the payment, it is never recorded twice.
    """
    from .settling import record as run

    run(
        service,
        author,
        shape,
        named,
        sum_=Sum(amount, currency),
        date=date,
        reference=reference,
        request_id=request_id,
    )


def reverse(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    payment: Annotated[str, typer.Argument(metavar="PAYMENT", help="The payment's id.")],
    named: Named,
    sum_: Sum,
    date: Day = "",
    request_id: RequestId = "",
) -> None:
    """Take a payment back, all that is left of it or a part; the invoice owes it again."""
    from .settling import reverse as run

    run(service, author, shape, payment, named, sum_=sum_, date=date, request_id=request_id)


def convert(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    *,
    line: Annotated[list[int], typer.Option(metavar="NUMBER", help="Only this line; may be repeated.")] = [],  # noqa: B006
    date: Day = "",
    request_id: RequestId = "",
) -> None:
    """Make a credit memo of an invoice's negative lines; the balance rises by them."""
    from .settling import convert as run

    run(service, author, shape, named, lines=line, date=date, request_id=request_id)


def apply(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    credit_memo: CreditMemo,
    named: Named,
    sum_: Sum,
    date: Day = "",
    request_id: RequestId = "",
) -> None:
    """Apply a credit memo to an invoice: so much, or as much as both have."""
    from .credits import apply as run

    run(service, author, shape, credit_memo, named, sum_=sum_, date=date, request_id=request_id)


def unapply(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    credit_memo: CreditMemo,
    application: Annotated[str, typer.Argument(metavar="APPLICATION", help="The application's id.")],
    date: Day = "",
    request_id: RequestId = "",
) -> None:
    """Take an application of a credit memo back, whole."""
    from .credits import unapply as run

    run(service, author, shape, credit_memo, application, date=date, request_id=request_id)


def show(service: Service, shape: Shape, credit_memo: CreditMemo, min_position: MinPosition = "") -> None:
    """Show one credit memo in full."""
    from .credits import show as run

    run(service, shape, credit_memo, min_position)


@dataclass(frozen=True, slots=True)
class CreditConditions:
    """What listed credit memos have in common; what is not said does not matter."""

    account: Annotated[str, typer.Option(metavar="ID", help="The account that is credited.")] = ""
    invoice: Annotated[str, typer.Option(metavar="ID", help="The invoice that it was made of, by id.")] = ""
    origin: Annotated[
        list[str], typer.Option(metavar="ORIGIN", help="void, conversion or write_off; may be repeated.")
    ] = field(default_factory=list)
    open: Annotated[bool, typer.Option("--open", help="Something is left to be applied.")] = False
    legal_entity: Annotated[str, typer.Option(metavar="ID", help="Who credits.")] = ""
    currency: Annotated[str, typer.Option(metavar="CODE", help="ISO 4217 code.")] = ""


def list_(
    service: Service,
    shape: Shape,
    conditions: CreditConditions,
    *,
    limit: Limit = 50,
    all_: All = False,
    min_position: MinPosition = "",
) -> None:
    """List credit memos that meet every condition, newest first."""
    from .credits import list_ as run

    run(service, shape, conditions, None if all_ else limit, min_position)


@dataclass(frozen=True, slots=True)
class Owed:
    """Whose receivables are meant; what is not said does not matter."""

    account: Annotated[str, typer.Option(metavar="ID", help="The account that owes.")] = ""
    currency: Annotated[str, typer.Option(metavar="CODE", help="ISO 4217 code.")] = ""
    legal_entity: Annotated[str, typer.Option(metavar="ID", help="Who is owed.")] = ""
    overdue: Annotated[bool, typer.Option("--overdue", help="Something is overdue.")] = False


def receivables(
    service: Service,
    shape: Shape,
    owed: Owed,
    *,
    limit: Limit = 50,
    all_: All = False,
    min_position: MinPosition = "",
) -> None:
    """List what each account owes, and has as credit, in each currency."""
    from .receivables import receivables as run

    run(service, shape, owed, None if all_ else limit, min_position)


PAYMENT_VERBS: dict[str, Callable[..., None]] = {"record": record, "reverse": reverse}
CREDIT_VERBS: dict[str, Callable[..., None]] = {
    "list": list_,
    "show": show,
    "apply": apply,
    "unapply": unapply,
    "convert": convert,
}
