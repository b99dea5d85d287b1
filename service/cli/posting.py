"""`daybook post`: drafts become final, one or many."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from daybook.client import Explanation, explain_failure
from daybook.v1 import invoice_service_pb2 as service_pb

from . import faults
from .changing import said
from .files import STDIN
from .forms import choice
from .invoice_verbs import NamedMany
from .options import Author, Named, Service, Shape, Stop
from .printing import console, csv_rows, print_json
from .remote import Remote, authored, key_of, remote, stdin

BATCH_MAX = 100  # invoices in a call
CSV_HEAD = ("invoice", "outcome", "invoice_id", "invoice_number", "position", "reason", "error")


def post(service: Service, author: Author, shape: Shape, many: NamedMany) -> int:
    many.check()
    names = [*many.invoices, *many.key, *many.number]
    if len(names) > 1 or many.invoices == [STDIN]:
        return post_many(service, author, shape, all_of(many))
    return post_one(service, author, shape, next(all_of(many)))


def post_one(service: Service, author: Author, shape: Shape, named: Named) -> int:
    shape.check()
    request = authored(service_pb.PostInvoiceRequest(key=key_of(named)), author)
    with remote(service) as there:
        answer = there.invoices.PostInvoice(request, timeout=service.timeout, metadata=author.metadata())
    said(answer.invoice, shape, told(answer))
    if answer.posting != service_pb.POSTING_OUTCOME_FAILED:
        return 0
    console(stderr=True).print(f"not posted: {why(answer.failure)}")
    return faults.REFUSED


def told(answer: service_pb.PostInvoiceResponse) -> str:
    if answer.replayed:
        return "was posted already"
    if answer.posting == service_pb.POSTING_OUTCOME_PENDING:
        return "not posted yet: a tax engine has not answered; it goes on in the background"
    if answer.posting == service_pb.POSTING_OUTCOME_FAILED:
        return "still a draft"
    number = answer.invoice.invoice_number
    return f"posted as {number}" if number else "posted, without a number"


def why(failure: service_pb.TaxFailure) -> str:
    return f"{' '.join(filter(None, (failure.code, failure.engine_id)))}: {failure.description}"


# Many


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one of many, in words."""

    name: str
    message: service_pb.PostingResult

    @property
    def outcome(self) -> str:
        if self.message.HasField("failure"):
            return "refused"
        if self.message.response.replayed:
            return "replayed"
        return choice(service_pb.PostingOutcome.DESCRIPTOR, self.message.response.posting)

    @property
    def explanation(self) -> Explanation | None:
        return explain_failure(self.message.failure) if self.message.HasField("failure") else None

    @property
    def number(self) -> str:
        return self.message.response.invoice.invoice_number

    def because(self) -> str:
        if explanation := self.explanation:
            return faults.text_of(explanation)
        failure = self.message.response.failure
        return why(failure) if failure.code else ""

    def line(self) -> str:
        because = "".join(f"\n          {line.strip()}" for line in self.because().splitlines())
        return f"{self.outcome:9} {self.number or '–':16} {self.name}{because}"

    def cells(self) -> Sequence[str]:
        answer, explanation = self.message.response, self.explanation
        reason = explanation.reason if explanation else answer.failure.code
        invoice_id, because = answer.invoice.invoice_id, "; ".join(self.because().splitlines())
        return (self.name, self.outcome, invoice_id, self.number, answer.position, reason, because)


def post_many(service: Service, author: Author, shape: Shape, named: Iterable[Named]) -> int:
    """A result for each, in their order. Exit status 1 where one was refused, or an engine failed for it."""
    shape.check()
    counts: Counter[str] = Counter()
    with remote(service) as there:
        results = counted(posted(there, service, author, named), counts)
        if shape.as_csv:
            csv_rows(CSV_HEAD, (each.cells() for each in results))
        screen = console()
        for each in results:
            if shape.as_json:
                print_json(each.message)
            else:
                screen.print(each.line(), soft_wrap=True, markup=False, highlight=False)
    text = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing to post"
    print(text, file=sys.stderr if shape.as_json or shape.as_csv else sys.stdout)
    return faults.REFUSED if counts["refused"] or counts["failed"] else 0


def counted(results: Iterable[Result], counts: Counter[str]) -> Iterator[Result]:
    for each in results:
        counts[each.outcome] += 1
        yield each


def posted(there: Remote, service: Service, author: Author, named: Iterable[Named]) -> Iterator[Result]:
    left = iter(named)
    while group := tuple(islice(left, BATCH_MAX)):
        requests = [authored(service_pb.PostInvoiceRequest(key=key_of(each)), author) for each in group]
        answer = there.invoices.BatchPostInvoices(
            service_pb.BatchPostInvoicesRequest(requests=requests),
            timeout=service.timeout,
            metadata=author.metadata(),
        )
        for each, result in zip(group, answer.results, strict=True):
            yield Result(each.invoice or each.key or each.number, result)


def all_of(named: NamedMany) -> Iterator[Named]:
    """Each by one name; `-` stands for the lines of standard input."""
    for name in named.invoices:
        yield from (Named(invoice=line) for line in (lines() if name == STDIN else (name,)))
    yield from (Named(key=key) for key in named.key)
    yield from (Named(number=number, legal_entity=named.legal_entity) for number in named.number)


def lines() -> Iterator[str]:
    for line in stdin():
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise Stop("standard input is no UTF-8") from None
        if text:
            yield text
