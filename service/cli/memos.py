"""`daybook memo …`: writes debit memos, and shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import typer

from daybook.v1 import debit_memo_pb2 as pb
from daybook.v1 import debit_memo_service_pb2 as service_pb

from . import faults
from .forms import Problem, choice, content_key, day, digest, message
from .in_full import named as with_name
from .memo_verbs import MemoConditions, NamedMemo
from .options import Author, Service, Shape, Stop
from .printing import add, amount, bare_table, console, csv_rows, money, number, print_json
from .reading import PAGE_MAX
from .remote import authored, remote, understood, written_in
from .trees import Plain, Tree

WRAPPED = "memo"


def key_of(named: NamedMemo) -> service_pb.DebitMemoKey:
    named.check()
    if named.key:
        return service_pb.DebitMemoKey(unique_identifier=named.key)
    try:
        return service_pb.DebitMemoKey(debit_memo_id=str(UUID(named.memo)))
    except ValueError:
        return service_pb.DebitMemoKey(unique_identifier=named.memo)


# Changes


def creation(tree: Tree) -> tuple[service_pb.CreateDebitMemoRequest, list[Problem]]:
    """A request from a memo as it stands, or from a request whose `memo` it is."""
    wrapped = isinstance(tree, dict) and WRAPPED in tree
    return message(service_pb.CreateDebitMemoRequest, tree if wrapped else {WRAPPED: tree})


def create(
    service: Service, author: Author, shape: Shape, file: str, request_id: str, *, dry_run: bool
) -> None:
    shape.check()
    written = written_in(file)
    request = authored(understood(creation(written.tree), written.place), author)
    if not request.memo.unique_identifier:
        request.memo.unique_identifier = content_key(digest(request.memo), 1)
    request.request_id = request_id or request.request_id
    request.validate_only |= dry_run
    with remote(service) as there:
        answer = there.memos.CreateDebitMemo(request, timeout=service.timeout, metadata=author.metadata())
    if answer.findings:
        for each in answer.findings:
            typer.echo(faults.finding_line(faults.found(each)), err=True)
        raise typer.Exit(faults.REFUSED)
    created = "was created already" if answer.replayed else "created"
    said(answer.memo, shape, "nothing recorded" if request.validate_only else created)


def update(
    service: Service,
    author: Author,
    shape: Shape,
    file: str,
    named: NamedMemo,
    *,
    expected_version: int,
    request_id: str,
) -> None:
    shape.check()
    written = written_in(file)
    content = understood(creation(written.tree), written.place).memo
    if named.memo or named.key:
        key = key_of(named)
    elif content.unique_identifier:
        key = service_pb.DebitMemoKey(unique_identifier=content.unique_identifier)
    else:
        raise Stop("the file has no unique identifier; say which memo")
    request = service_pb.UpdateDebitMemoRequest(
        key=key,
        memo=content,
        expected_version=expected_version,
        request_id=request_id or str(uuid4()),
    )
    with remote(service) as there:
        answer = there.memos.UpdateDebitMemo(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    said(answer.memo, shape, "stood so already" if answer.replayed else "updated")


def post(service: Service, author: Author, shape: Shape, named: NamedMemo) -> None:
    change(service, author, shape, "PostDebitMemo", service_pb.PostDebitMemoRequest(key=key_of(named)))


def cancel(service: Service, author: Author, shape: Shape, named: NamedMemo) -> None:
    change(service, author, shape, "CancelDebitMemo", service_pb.CancelDebitMemoRequest(key=key_of(named)))


def void(service: Service, author: Author, shape: Shape, named: NamedMemo) -> None:
    change(service, author, shape, "VoidDebitMemo", service_pb.VoidDebitMemoRequest(key=key_of(named)))


def processed(service: Service, author: Author, shape: Shape, named: NamedMemo) -> None:
    request = service_pb.MarkDebitMemoProcessedRequest(key=key_of(named))
    change(service, author, shape, "MarkDebitMemoProcessed", request)


DONE = {
    "PostDebitMemo": "posted",
    "CancelDebitMemo": "canceled",
    "VoidDebitMemo": "voided",
    "MarkDebitMemoProcessed": "marked as processed",
}


def change(service: Service, author: Author, shape: Shape, method: str, request: Any) -> None:
    shape.check()
    with remote(service) as there:
        answer = getattr(there.memos, method)(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    said(answer.memo, shape, f"was {DONE[method]} already" if answer.replayed else DONE[method])


def said(memo: pb.DebitMemo, shape: Shape, what: str) -> None:
    """How the memo stands now."""
    print_memos([[memo]], shape, what)


# Questions


def show(service: Service, shape: Shape, named: NamedMemo, min_position: str) -> None:
    shape.check()
    request = service_pb.GetDebitMemoRequest(key=key_of(named), min_position=min_position)
    with remote(service) as there:
        memo = there.memos.GetDebitMemo(request, timeout=service.timeout).memo
    if shape.as_json:
        print_json(memo)
    elif shape.as_csv:
        csv_rows(LINE_HEAD, line_rows(memo))
    else:
        print_in_full(memo)


def list_(
    service: Service, shape: Shape, conditions: MemoConditions, limit: int | None, min_position: str
) -> None:
    shape.check()
    request = service_pb.ListDebitMemosRequest(filter=filter_of(conditions), min_position=min_position)
    with remote(service) as there:
        print_memos(
            pages(lambda: there.memos.ListDebitMemos(request, timeout=service.timeout), request, limit),
            shape,
        )


def filter_of(conditions: MemoConditions) -> service_pb.DebitMemoFilter:
    texts = {
        "account_id": conditions.account,
        "order_id": conditions.order,
        "invoice_id": conditions.invoice,
        "legal_entity_id": conditions.legal_entity,
        "currency_code": conditions.currency,
    }
    tree: dict[str, Tree] = {name: Plain(text) or None for name, text in texts.items()}
    tree["statuses"] = list[Tree](conditions.status)
    tree["invoice_generation_statuses"] = list[Tree](conditions.generation)
    tree["ready"] = conditions.ready
    return understood(message(service_pb.DebitMemoFilter, tree, "filter"), "these conditions")


def pages(
    ask: Callable[[], service_pb.ListDebitMemosResponse],
    request: service_pb.ListDebitMemosRequest,
    limit: int | None,
) -> Iterator[Sequence[pb.DebitMemo]]:
    left = limit
    while True:
        request.page_size = PAGE_MAX if left is None else min(left, PAGE_MAX)
        page = ask()
        yield page.memos
        if left is not None:
            left -= len(page.memos)
        if not page.next_page_token or left == 0:
            return
        request.page_token = page.next_page_token


# On paper


def status(memo: pb.DebitMemo) -> str:
    return choice(pb.DebitMemoStatus.DESCRIPTOR, memo.status)


def generation(memo: pb.DebitMemo) -> str:
    if memo.manually_processed:
        return "processed by hand"
    return choice(pb.InvoiceGenerationStatus.DESCRIPTOR, memo.invoice_generation_status).replace("_", " ")


COLUMNS: dict[str, Callable[[pb.DebitMemo], str]] = {
    "debit_memo_id": lambda memo: memo.debit_memo_id,
    "unique_identifier": lambda memo: memo.content.unique_identifier,
    "status": status,
    "invoice_generation_status": lambda memo: choice(
        pb.InvoiceGenerationStatus.DESCRIPTOR, memo.invoice_generation_status
    ),
    "ready": lambda memo: str(memo.ready).lower(),
    "account_id": lambda memo: memo.content.account_id,
    "currency_code": lambda memo: memo.content.currency_code,
    "total": lambda memo: money(memo.totals.total),
    "total_with_tax": lambda memo: money(memo.totals.total_with_tax),
    "order_id": lambda memo: memo.content.order_id,
    "invoice_id": lambda memo: memo.invoice_id,
}
SHOWN: dict[str, Callable[[pb.DebitMemo], str]] = {
    "status": status,
    "invoice": generation,
    "account": lambda memo: memo.content.account_name or memo.content.account_id,
    "currency": lambda memo: memo.content.currency_code,
    "total": lambda memo: amount(memo.totals.total),
    "order": lambda memo: memo.content.order_id,
    "key": lambda memo: memo.content.unique_identifier,
    "billed by": lambda memo: memo.invoice_id,
}


def print_memos(these: Iterable[Sequence[pb.DebitMemo]], shape: Shape, what: str = "") -> None:
    if shape.as_json:
        for page in these:
            for memo in page:
                print_json(memo)
    elif shape.as_csv:
        csv_rows([*COLUMNS], ([get(memo) for get in COLUMNS.values()] for page in these for memo in page))
    else:
        print_tables(these, what)


def print_tables(these: Iterable[Sequence[pb.DebitMemo]], what: str) -> None:
    screen, count = console(), 0
    for page in these:
        if page:
            table = bare_table(heading=not count)
            for name in SHOWN:
                table.add_column(name, justify="right" if name == "total" else "left")
            for memo in page:
                add(table, *(get(memo) for get in SHOWN.values()))
            screen.print(table)
        count += len(page)
    screen.print(what or (f"{count} debit memo{'s' if count != 1 else ''}" if count else "no debit memos"))


LINE_HEAD = ("line_number", "line_id", "name", "start_date", "end_date", "charge_amount", "tax_amount")


def line_rows(memo: pb.DebitMemo) -> Iterator[list[str]]:
    for line in memo.lines:
        content = line.content
        days = (day(content.start_date), day(content.end_date))
        charge = content.charge_amount.value
        yield [str(line.line_number), line.line_id, content.name, *days, charge, line.tax_amount.value]


def print_in_full(memo: pb.DebitMemo) -> None:
    screen = console()
    screen.print(f"Debit memo {memo.content.unique_identifier}")
    facts = bare_table(heading=False)
    for name, value in header_facts(memo):
        if value:
            add(facts, name, value)
    screen.print(facts)
    table = bare_table()
    for name in ("#", "line", "from", "to", "ship to", "charge", "tax", "treatment"):
        table.add_column(name, justify="right" if name in ("charge", "tax") else "left")
    for line in memo.lines:
        content = line.content
        add(
            table,
            str(line.line_number),
            content.name,
            day(content.start_date),
            day(content.end_date),
            content.shipping_address,
            number(content.charge_amount),
            number(line.tax_amount),
            content.tax_treatment_id,
        )
    screen.print(table)


def header_facts(memo: pb.DebitMemo) -> Iterator[tuple[str, str]]:
    content = memo.content
    yield "id", memo.debit_memo_id
    yield "version", str(memo.version)
    yield "status", status(memo)
    yield "invoice", generation(memo)
    yield "billed by", memo.invoice_id
    yield "processed by hand", memo.processed_reason
    yield "account", with_name(content.account_name, content.account_id)
    yield "legal entity", content.legal_entity_id
    yield "order", content.order_id
    yield "reason", content.reason_code
    yield "posted date", day(memo.posted_date) if memo.HasField("posted_date") else ""
    yield "description", content.description
    yield "labels", ", ".join(f"{key}={content.labels[key]}" for key in sorted(content.labels))
    for each, value in memo.totals.ListFields():
        if each.name != "total_charge" or value != memo.totals.total:
            yield each.name.replace("_", " "), f"{content.currency_code} {amount(value)}"
