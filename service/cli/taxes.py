"""`daybook estimate`, `unfinished` and `tax-engine`."""

from __future__ import annotations

import asyncio
from typing import Any

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import unfinished_work_service_pb2 as work_pb
from domain import reference
from domain.findings import Findings

from ..tax_engine import serve
from ..wire.tax_reference import read_rate
from .explaining import print_explanations
from .forms import choice, message
from .in_full import print_invoice
from .options import Author, Named, Service, Shape, Stop
from .printing import add, bare_table, console, print_json
from .remote import authored, key_of, remote, understood, written_in

PAGE_MAX = 500
FAILED = 1


def estimate(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    *,
    defer: bool,
    dry_run: bool,
    on: str,
    rates: str,
) -> int:
    shape.check()
    said: dict[str, Any] = {"effective_date": on} if on else {}
    request = understood(message(service_pb.EstimateTaxRequest, said), "this estimate")
    request.key.CopyFrom(key_of(named))
    request.defer = defer
    request.validate_only = dry_run or bool(on or rates)
    request.view = pb.INVOICE_VIEW_FULL
    if rates:
        request.what_if_rates.tax_rates.extend(rates_in(rates))
    with remote(service) as there:
        answer = there.invoices.EstimateTax(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    print_invoice(answer.invoice, shape)
    if not (shape.as_json or shape.as_csv):
        print_explanations(answer.invoice)
    return told(answer.tax, answer.tax_failure)


def told(outcome: service_pb.TaxOutcome.ValueType, failure: service_pb.TaxFailure) -> int:
    words = choice(service_pb.TaxOutcome.DESCRIPTOR, outcome)
    screen = console(stderr=True)
    if outcome != service_pb.TAX_OUTCOME_FAILED:
        screen.print(f"tax {words}")
        return 0
    screen.print(f"tax {words}: {failure.code} {failure.engine_id}: {failure.description}")
    return FAILED


def unfinished(service: Service, author: Author, *, retry: bool, as_json: bool) -> int:
    with remote(service) as there:
        if retry:
            request = authored(work_pb.RetryUnfinishedWorkRequest(), author)
            retried = there.unfinished.RetryUnfinishedWork(
                request, timeout=service.timeout, metadata=author.metadata()
            ).retried
            return print_retried(retried, as_json=as_json)
        asked, found = work_pb.ListUnfinishedWorkRequest(page_size=PAGE_MAX), list[work_pb.UnfinishedWork]()
        while True:
            answer = there.unfinished.ListUnfinishedWork(asked, timeout=service.timeout)
            found += answer.work
            asked.page_token = answer.next_page_token
            if not asked.page_token:
                break
    print_work(found, as_json=as_json)
    return 0


def print_work(found: list[work_pb.UnfinishedWork], *, as_json: bool) -> None:
    if as_json:
        for each in found:
            print_json(each)
        return
    table = bare_table()
    for name in ("key, or id", "what", "since", "failures", "why", "next"):
        table.add_column(name)
    for each in found:
        add(
            table,
            each.projection or each.unique_identifier or each.invoice_id,
            choice(work_pb.UnfinishedWorkKind.DESCRIPTOR, each.kind),
            each.since.ToJsonString(),
            str(each.failures),
            _why(each),
            each.next_attempt.ToJsonString() if each.HasField("next_attempt") else "",
        )
    screen = console()
    if found:
        screen.print(table)
    screen.print(f"{len(found)} unfinished")


def _why(work: work_pb.UnfinishedWork) -> str:
    failure = work.failure
    return work.event or (
        f"{failure.code} {failure.engine_id}: {failure.description}" if failure.code else ""
    )


def print_retried(retried: Any, *, as_json: bool) -> int:
    status = 0
    for each in retried:
        if as_json:
            print_json(each)
        else:
            console().print(each.invoice_id)
            told_again(each)
        status = FAILED if each.HasField("failure") else status
    if not as_json:
        console().print(f"{len(retried)} tried again")
    return status


def told_again(retried: work_pb.RetriedWork) -> None:
    """What became of something that was tried again."""
    if retried.kind == work_pb.UNFINISHED_WORK_KIND_ESTIMATE:
        told(retried.tax, retried.failure)
        return
    what = choice(work_pb.UnfinishedWorkKind.DESCRIPTOR, retried.kind)
    failure = retried.failure
    why = f": {failure.code} {failure.engine_id}: {failure.description}" if failure.code else ": done"
    if retried.posting == service_pb.POSTING_OUTCOME_PENDING:
        why = ": not answered yet"
    console(stderr=True).print(f"{what}{why}")


def rates_in(file: str) -> list[reference_pb.TaxRate]:
    """The tax rates of a file of reference data; whatever else it holds is left alone."""
    written = written_in(file)
    tree = written.tree
    if not isinstance(tree, dict) or "tax_rates" not in tree:
        raise Stop(f"{written.place}: there are no tax_rates")
    data = understood(message(reference_pb.ReferenceData, {"tax_rates": tree["tax_rates"]}), written.place)
    return list(data.tax_rates)


def tax_engine(file: str, listen: str) -> None:
    findings = Findings()
    rates = [read_rate(each, f"tax_rates[{n}]", findings) for n, each in enumerate(rates_in(file))]
    reference.check_rates(rates, "tax_rates", findings)
    if findings:
        raise Stop("\n".join(f"{each.path}: {each}" for each in findings))
    asyncio.run(serve(reference.table(rates), listen, lambda text: print(text, flush=True)))
