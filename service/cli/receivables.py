"""`daybook receivables`: what each account owes, and has as credit, in each currency."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from daybook.v1 import invoice_query_service_pb2 as query

from .forms import day
from .options import Service, Shape
from .printing import add, amount, bare_table, console, csv_rows, money, print_json
from .reading import PAGE_MAX
from .remote import remote
from .settlement_verbs import Owed

COLUMNS: dict[str, Callable[[query.Receivable], str]] = {
    "account_id": lambda owed: owed.account_id,
    "currency_code": lambda owed: owed.currency_code,
    "open_invoices": lambda owed: str(owed.open_invoices),
    "balance": lambda owed: money(owed.balance),
    "overdue_invoices": lambda owed: str(owed.overdue_invoices),
    "overdue": lambda owed: money(owed.overdue),
    "oldest_due_date": lambda owed: day(owed.oldest_due_date) if owed.HasField("oldest_due_date") else "",
    "unapplied_credit": lambda owed: money(owed.unapplied_credit),
    "net": lambda owed: money(owed.net),
}
SHOWN: dict[str, Callable[[query.Receivable], str]] = {
    "account": COLUMNS["account_id"],
    "currency": COLUMNS["currency_code"],
    "open": COLUMNS["open_invoices"],
    "balance": lambda owed: amount(owed.balance),
    "overdue": lambda owed: amount(owed.overdue) if owed.overdue_invoices else "",
    "oldest due": COLUMNS["oldest_due_date"],
    "credit": lambda owed: amount(owed.unapplied_credit),
    "net": lambda owed: amount(owed.net),
}
LEFT = frozenset(("account", "currency", "oldest due"))


def receivables(service: Service, shape: Shape, owed: Owed, limit: int | None, min_position: str) -> None:
    shape.check()
    request = query.ListReceivablesRequest(
        filter=query.ReceivablesFilter(
            account_id=owed.account,
            currency_code=owed.currency,
            legal_entity_id=owed.legal_entity,
            overdue=owed.overdue,
        ),
        min_position=min_position,
    )
    with remote(service) as there:
        ask = lambda: there.queries.ListReceivables(request, timeout=service.timeout)  # noqa: E731
        print_receivables(pages(ask, request, limit), shape)


def pages(
    ask: Callable[[], query.ListReceivablesResponse],
    request: query.ListReceivablesRequest,
    limit: int | None,
) -> Iterator[Sequence[query.Receivable]]:
    left = limit
    while True:
        request.page_size = PAGE_MAX if left is None else min(left, PAGE_MAX)
        page = ask()
        yield page.receivables
        if left is not None:
            left -= len(page.receivables)
        if not page.next_page_token or left == 0:
            return
        request.page_token = page.next_page_token


def print_receivables(these: Iterator[Sequence[query.Receivable]], shape: Shape) -> None:
    if shape.as_json:
        for page in these:
            for owed in page:
                print_json(owed)
    elif shape.as_csv:
        csv_rows([*COLUMNS], ([get(owed) for get in COLUMNS.values()] for page in these for owed in page))
    else:
        print_tables(these)


def print_tables(these: Iterator[Sequence[query.Receivable]]) -> None:
    screen, count = console(), 0
    for page in these:
        if page:
            table = bare_table(heading=not count)
            for name in SHOWN:
                table.add_column(name, justify="left" if name in LEFT else "right")
            for owed in page:
                add(table, *(get(owed) for get in SHOWN.values()))
            screen.print(table)
        count += len(page)
    screen.print(f"{count} receivable{'s' if count != 1 else ''}" if count else "nothing is owed")
