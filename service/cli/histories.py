"""`daybook history`, `replay`, `as-of`, `diff` and `events`: what happened, on paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, time
from itertools import groupby
from typing import TYPE_CHECKING, Any

from daybook.v1 import audit_service_pb2 as pb
from daybook.v1 import event_pb2, invoice_pb2
from daybook.v1.invoice_service_pb2 import InvoiceKey

from .forms import choice, choices, short_names
from .in_full import print_invoice
from .options import Named, Service, Shape, Stop
from .printing import add, amount, bare_table, console, csv_rows, money, print_json, status, tax_status
from .remote import Remote, key_of, remote

if TYPE_CHECKING:
    from rich.table import Table

PAGE_MAX = 500
ALIKE_SHOWN_MAX = 3  # events of one kind that were written together; of more, the first and how many
_VERSION = re.compile(r"[0-9]{1,18}").fullmatch
_POSITION = re.compile(r"[0-9a-f]{12}\.[0-9]+\.[0-9]+").fullmatch
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch

Events = Sequence[event_pb2.Event]


# Questions


def history(service: Service, shape: Shape, named: Named, *, every: bool) -> None:
    shape.check()
    with remote(service) as there:
        print_events(invoice_events(there, service, key_of(named)), shape, every=every)


def events(service: Service, shape: Shape, kind: str, id_: str, legal_entity: str) -> None:
    shape.check()
    known = choices(event_pb2.StreamKind.DESCRIPTOR)
    number = known.get(kind.upper().replace("-", "_"))
    if not number:
        names = ", ".join(name.replace("_", "-") for name in short_names(event_pb2.StreamKind.DESCRIPTOR))
        raise Stop(f"{kind}: one of {names}")
    key = pb.StreamKey(kind=number, id=id_, legal_entity_id=legal_entity)  # type: ignore[arg-type]
    request = pb.ListEventsRequest(key=key, page_size=PAGE_MAX)
    with remote(service) as there:
        found = pages(lambda: there.audit.ListEvents(request, timeout=service.timeout), request)
        print_events(list(found), shape, every=True)


def invoice_events(there: Remote, service: Service, key: InvoiceKey) -> Events:
    request = pb.ListInvoiceEventsRequest(key=key, page_size=PAGE_MAX)
    return list(pages(lambda: there.audit.ListInvoiceEvents(request, timeout=service.timeout), request))


def pages(
    ask: Callable[[], pb.ListEventsResponse | pb.ListInvoiceEventsResponse],
    request: pb.ListEventsRequest | pb.ListInvoiceEventsRequest,
) -> Iterator[event_pb2.Event]:
    while True:
        page = ask()
        yield from page.events
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def as_of(service: Service, shape: Shape, named: Named, at: str) -> None:
    shape.check()
    request = pb.GetInvoiceAsOfRequest(key=key_of(named), point=point(at))
    with remote(service) as there:
        answer = there.audit.GetInvoiceAsOf(request, timeout=service.timeout)
        invoice = answer.invoice
        while answer.next_page_token:
            request.page_token = answer.next_page_token
            answer = there.audit.GetInvoiceAsOf(request, timeout=service.timeout)
            invoice.lines.extend(answer.invoice.lines)
    if not (shape.as_json or shape.as_csv):
        newest = answer.newest_event
        console().print(f"After event {newest.version}, {when(newest)}: {newest.sentence}")
    print_invoice(invoice, shape, answer.lineage if answer.HasField("lineage") else None)


def replay(service: Service, shape: Shape, named: Named, *, every: bool) -> None:
    shape.check()
    key = key_of(named)
    with remote(service) as there:
        happened = invoice_events(there, service, key)
        appends = [[each] for each in happened] if every else together(happened)

        def after(append: Events) -> invoice_pb2.Invoice:
            at = pb.HistoryPoint(version=append[-1].version)
            request = pb.GetInvoiceAsOfRequest(key=key, point=at, view=invoice_pb2.INVOICE_VIEW_BASIC)
            return there.audit.GetInvoiceAsOf(request, timeout=service.timeout).invoice

        print_states(((append, after(append)) for append in appends), shape)


def diff(service: Service, shape: Shape, named: Named, since: str, to: str) -> None:
    shape.check()
    said: dict[str, Any] = {"from": point(since)}
    request = pb.CompareInvoiceRequest(key=key_of(named), to=point(to), page_size=PAGE_MAX, **said)
    with remote(service) as there:
        answer = there.audit.CompareInvoice(request, timeout=service.timeout)
        differences, causes = [*answer.differences], {each.version: each for each in answer.events}
        while answer.next_page_token:
            request.page_token = answer.next_page_token
            answer = there.audit.CompareInvoice(request, timeout=service.timeout)
            differences += answer.differences
            causes |= {each.version: each for each in answer.events}
    print_differences(differences, causes, shape)


def point(text: str) -> pb.HistoryPoint | None:
    """A version, an instant or a position; a date is its end, where the command is run."""
    if not text:
        return None
    if _VERSION(text):
        return pb.HistoryPoint(version=int(text))
    if _POSITION(text):
        return pb.HistoryPoint(position=text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Stop(
            f"{text}: a version such as 3, an instant such as 2026-12-31T18:00, or a position"
        ) from None
    if _DATE(text):
        at = datetime.combine(at.date(), time.max)
    said = pb.HistoryPoint()
    said.time.FromDatetime(at.astimezone())
    return said


# On paper


def together(happened: Events) -> list[Events]:
    """The events that were written at one moment."""
    moments = groupby(happened, key=lambda each: each.record_time.ToNanoseconds())
    return [list(append) for _, append in moments]


def shortened(happened: Events) -> Iterator[tuple[event_pb2.Event, int]]:
    """Each event, and how many more of its kind were written together with it and are not shown."""
    for append in together(happened):
        for _, kin in groupby(append, key=lambda each: each.type):
            alike = list(kin)
            if len(alike) <= ALIKE_SHOWN_MAX:
                yield from ((each, 0) for each in alike)
            else:
                yield alike[0], len(alike) - 1


HEAD = (
    "version",
    "record_time",
    "who",
    "who_kind",
    "type",
    "what",
    "reason",
    "correlation_id",
    "position",
    "digest",
)


def print_events(happened: Events, shape: Shape, *, every: bool) -> None:
    if shape.as_json:
        for each in happened:
            print_json(each)
    elif shape.as_csv:
        csv_rows(HEAD, map(event_row, happened))
    else:
        table = bare_table()
        for name in ("#", "when", "who", "what happened", "why"):
            table.add_column(name, overflow="fold")
        shown = ((each, 0) for each in happened) if every else shortened(happened)
        for each, more in shown:
            what = f"{each.sentence} … and {more} more {each.type}" if more else each.sentence
            erased = " (personal data erased)" if each.personal_data_erased else ""
            add(table, str(each.version), when(each), each.who.id, what + erased, each.reason)
        console().print(table)


def event_row(each: event_pb2.Event) -> list[str]:
    kind = choice(event_pb2.ActorKind.DESCRIPTOR, each.who.kind)
    stamp = each.record_time.ToJsonString()
    who = (each.who.id, kind, each.type, each.sentence, each.reason, each.correlation_id)
    return [str(each.version), stamp, *who, each.position, each.digest]


def when(each: event_pb2.Event) -> str:
    """To the second, where the command is run."""
    return each.record_time.ToDatetime(datetime.now().astimezone().tzinfo).isoformat(" ", "seconds")


def print_states(states: Iterable[tuple[Events, invoice_pb2.Invoice]], shape: Shape) -> None:
    if shape.as_json:
        for _, invoice in states:
            print_json(invoice)
        return
    rows = [state_row(append, invoice, for_people=not shape.as_csv) for append, invoice in states]
    head = ("#", "when", "who", "what", "status", "tax is", "lines", "total", "tax", "with tax", "balance")
    if shape.as_csv:
        csv_rows([name.replace(" ", "_") for name in head], rows)
    else:
        console().print(state_table(head, rows))


def state_row(append: Events, invoice: invoice_pb2.Invoice, *, for_people: bool) -> list[str]:
    totals, write = invoice.totals, amount if for_people else money
    return [
        str(invoice.version),
        when(append[-1]),
        append[0].who.id,
        append[0].type,
        status(invoice.status),
        tax_status(invoice.tax_status),
        str(invoice.line_count),
        *map(write, (totals.total, totals.total_tax, totals.total_with_tax, totals.balance)),
    ]


def state_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = bare_table()
    for name in head:
        is_number = name in ("lines", "total", "tax", "with tax", "balance")
        table.add_column(name, justify="right" if is_number else "left")
    for row in rows:
        add(table, *row)
    return table


def print_differences(
    differences: Sequence[pb.InvoiceDifference], causes: dict[int, event_pb2.Event], shape: Shape
) -> None:
    if shape.as_json:
        for each in differences:
            print_json(each)
        return
    head = ("path", "before", "after", "event", "type", "who", "when", "why")
    rows = [difference_row(each, causes[each.version]) for each in differences]
    if shape.as_csv:
        csv_rows(head, rows)
    elif not rows:
        console().print("no difference")
    else:
        table = bare_table()
        for name in head:
            table.add_column(name, overflow="fold")
        for row in rows:
            add(table, *row)
        console().print(table)


def difference_row(each: pb.InvoiceDifference, cause: event_pb2.Event) -> list[str]:
    before, after = each.before, each.after
    if each.kind == pb.DIFFERENCE_KIND_ADDED:
        before = before or "–"
    elif each.kind == pb.DIFFERENCE_KIND_REMOVED:
        after = after or "–"
    who = (str(cause.version), cause.type, cause.who.id, when(cause), cause.reason)
    return [each.path, before, after, *who]
