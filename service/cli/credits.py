"""`daybook credit …`: applies credit memos, takes that back, and shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from uuid import uuid4

from daybook.v1 import credit_memo_pb2 as pb
from daybook.v1 import credit_memo_service_pb2 as service_pb
from daybook.v1 import settlement_pb2

from .forms import choice, day, message
from .options import Author, Named, Service, Shape
from .printing import add, amount, bare_table, console, csv_rows, money, number, print_json
from .reading import PAGE_MAX
from .remote import authored, key_of, remote, understood
from .settlement_verbs import CreditConditions, Sum
from .settling import dated, money_of
from .trees import Plain, Tree

# Changes


def apply(
    service: Service,
    author: Author,
    shape: Shape,
    credit_memo: str,
    named: Named,
    *,
    sum_: Sum,
    date: str,
    request_id: str,
) -> None:
    shape.check()
    request = dated(service_pb.ApplyCreditMemoRequest, date)
    request.credit_memo_id, request.request_id = credit_memo, request_id or str(uuid4())
    request.invoice.CopyFrom(key_of(named))
    if (limit := money_of(sum_)) is not None:
        request.amount.CopyFrom(limit)
    with remote(service) as there:
        answer = there.credits.ApplyCreditMemo(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    if shape.as_json:
        print_json(answer)
        return
    applied = answer.application
    what = f"{applied.amount.currency_code} {amount(applied.amount)}: application {applied.application_id}"
    said(answer.credit_memo, shape, f"applied already, {what}" if answer.replayed else f"applied {what}")


def unapply(
    service: Service,
    author: Author,
    shape: Shape,
    credit_memo: str,
    application: str,
    *,
    date: str,
    request_id: str,
) -> None:
    shape.check()
    request = dated(service_pb.UnapplyCreditMemoRequest, date)
    request.credit_memo_id, request.application_id = credit_memo, application
    request.request_id = request_id or str(uuid4())
    with remote(service) as there:
        answer = there.credits.UnapplyCreditMemo(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    if shape.as_json:
        print_json(answer)
        return
    said(answer.credit_memo, shape, "was taken back already" if answer.replayed else "taken back")


def said(memo: pb.CreditMemo, shape: Shape, what: str) -> None:
    """How the credit memo stands now."""
    print_memos([[memo]], shape, what)


# Questions


def show(service: Service, shape: Shape, credit_memo: str, min_position: str) -> None:
    shape.check()
    request = service_pb.GetCreditMemoRequest(credit_memo_id=credit_memo, min_position=min_position)
    with remote(service) as there:
        memo = there.credits.GetCreditMemo(request, timeout=service.timeout).credit_memo
    if shape.as_json:
        print_json(memo)
    elif shape.as_csv:
        csv_rows(LINE_HEAD, line_rows(memo))
    else:
        print_in_full(memo)


def list_(
    service: Service, shape: Shape, conditions: CreditConditions, limit: int | None, min_position: str
) -> None:
    shape.check()
    request = service_pb.ListCreditMemosRequest(filter=filter_of(conditions), min_position=min_position)
    with remote(service) as there:
        print_memos(
            pages(lambda: there.credits.ListCreditMemos(request, timeout=service.timeout), request, limit),
            shape,
        )


def filter_of(conditions: CreditConditions) -> service_pb.CreditMemoFilter:
    texts = {
        "account_id": conditions.account,
        "invoice_id": conditions.invoice,
        "legal_entity_id": conditions.legal_entity,
        "currency_code": conditions.currency,
    }
    tree: dict[str, Tree] = {name: Plain(text) or None for name, text in texts.items()}
    tree["origins"] = list[Tree](conditions.origin)
    tree["open"] = conditions.open
    return understood(message(service_pb.CreditMemoFilter, tree, "filter"), "these conditions")


def pages(
    ask: Callable[[], service_pb.ListCreditMemosResponse],
    request: service_pb.ListCreditMemosRequest,
    limit: int | None,
) -> Iterator[Sequence[pb.CreditMemo]]:
    left = limit
    while True:
        request.page_size = PAGE_MAX if left is None else min(left, PAGE_MAX)
        page = ask()
        yield page.credit_memos
        if left is not None:
            left -= len(page.credit_memos)
        if not page.next_page_token or left == 0:
            return
        request.page_token = page.next_page_token


# On paper


def origin(value: settlement_pb2.CreditOrigin.ValueType) -> str:
    return choice(settlement_pb2.CreditOrigin.DESCRIPTOR, value).replace("_", " ")


COLUMNS: dict[str, Callable[[pb.CreditMemo], str]] = {
    "credit_memo_id": lambda memo: memo.credit_memo_id,
    "origin": lambda memo: choice(settlement_pb2.CreditOrigin.DESCRIPTOR, memo.origin),
    "invoice_id": lambda memo: memo.invoice_id,
    "invoice_number": lambda memo: memo.invoice_number,
    "account_id": lambda memo: memo.account_id,
    "legal_entity_id": lambda memo: memo.legal_entity_id,
    "currency_code": lambda memo: memo.currency_code,
    "posted_date": lambda memo: day(memo.posted_date),
    "reason_code": lambda memo: memo.reason_code,
    "total": lambda memo: money(memo.totals.total),
    "total_tax": lambda memo: money(memo.totals.total_tax),
    "total_with_tax": lambda memo: money(memo.totals.total_with_tax),
    "net_applied": lambda memo: money(memo.totals.net_applied),
    "balance": lambda memo: money(memo.totals.balance),
}
SHOWN: dict[str, Callable[[pb.CreditMemo], str]] = {
    "made for": lambda memo: origin(memo.origin),
    "of invoice": lambda memo: memo.invoice_number or memo.invoice_id,
    "account": lambda memo: memo.account_id,
    "date": lambda memo: day(memo.posted_date),
    "currency": lambda memo: memo.currency_code,
    "with tax": lambda memo: amount(memo.totals.total_with_tax),
    "left": lambda memo: amount(memo.totals.balance),
    "id": lambda memo: memo.credit_memo_id,
}
AMOUNTS = frozenset(("with tax", "left"))


def print_memos(these: Iterable[Sequence[pb.CreditMemo]], shape: Shape, what: str = "") -> None:
    if shape.as_json:
        for page in these:
            for memo in page:
                print_json(memo)
    elif shape.as_csv:
        csv_rows([*COLUMNS], ([get(memo) for get in COLUMNS.values()] for page in these for memo in page))
    else:
        print_tables(these, what)


def print_tables(these: Iterable[Sequence[pb.CreditMemo]], what: str) -> None:
    screen, count = console(), 0
    for page in these:
        if page:
            table = bare_table(heading=not count)
            for name in SHOWN:
                table.add_column(name, justify="right" if name in AMOUNTS else "left")
            for memo in page:
                add(table, *(get(memo) for get in SHOWN.values()))
            screen.print(table)
        count += len(page)
    screen.print(what or (f"{count} credit memo{'s' if count != 1 else ''}" if count else "no credit memos"))


LINE_HEAD = ("line_number", "invoice_line_number", "name", "credit_amount", "tax_amount")


def line_rows(memo: pb.CreditMemo) -> Iterator[list[str]]:
    for line in memo.lines:
        mirrored = str(line.invoice_line_number or "")
        credit = line.credit_amount.value
        yield [str(line.line_number), mirrored, line.name, credit, line.tax_amount.value]


def print_in_full(memo: pb.CreditMemo) -> None:
    screen = console()
    screen.print(f"Credit memo of invoice {memo.invoice_number or memo.invoice_id}")
    facts = bare_table(heading=False)
    for name, value in header_facts(memo):
        if value:
            add(facts, name, value)
    screen.print(facts)
    lines = bare_table()
    for name in ("#", "line", "of line", "credit", "tax"):
        lines.add_column(name, justify="right" if name in ("credit", "tax") else "left")
    for line in memo.lines:
        mirrored = str(line.invoice_line_number or "")
        cells = (number(line.credit_amount), number(line.tax_amount))
        add(lines, str(line.line_number), line.name, mirrored, *cells)
    screen.print(lines)
    applied = bare_table()
    for name in ("applied", "taken back", "invoice", "amount", "application"):
        applied.add_column(name, justify="right" if name == "amount" else "left")
    for each in memo.applications:
        back = day(each.unapplied_date) if each.HasField("unapplied_date") else ""
        owed = (each.invoice_id, amount(each.amount), each.application_id)
        add(applied, day(each.effective_date), back, *owed)
    if memo.applications:
        screen.print(applied)


def header_facts(memo: pb.CreditMemo) -> Iterator[tuple[str, str]]:
    yield "id", memo.credit_memo_id
    yield "version", str(memo.version)
    yield "made for", origin(memo.origin)
    yield "reason", memo.reason_code
    yield "of invoice", memo.invoice_id
    yield "account", memo.account_id
    yield "legal entity", memo.legal_entity_id
    yield "accounting period", memo.accounting_period_id
    yield "posted date", day(memo.posted_date)
    for each, value in memo.totals.ListFields():
        yield each.name.replace("_", " "), f"{memo.currency_code} {amount(value)}"
