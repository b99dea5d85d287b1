"""Writes invoices: reads the message, sends the command, writes the reply."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import Message

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from domain import billing, invoice
from domain.findings import Findings, Malformed, Rule

from .calls import Callers, deadline
from .estimator import Estimator
from .ingestion import Ingestion, Replies, Window, tax_is_due, write_findings
from .keys import missing, resolved, there
from .pages import pages, size
from .poster import Poster
from .postings import Postings
from .settling import SettlingServicer
from .transact import Book, Outcome
from .wire.content import read_content, read_reference
from .wire.estimates import read_estimate, write_interactions, write_tax_failure, write_tax_outcome
from .wire.invoices import check_view
from .wire.keys import read_key
from .wire.values import known_paths, read_labels, within

Context = grpc.aio.ServicerContext[Any, Any]

INTERACTIONS_DEFAULT = 100
BATCH_MAX = 1000  # invoices


class Invoices(SettlingServicer):
    """The methods of `InvoiceService`."""

    def __init__(self, book: Book, estimator: Estimator, poster: Poster, callers: Callers) -> None:
        self._book = book
        self._estimator = estimator
        self._callers = callers
        replies = Replies(book.log.identity, book.today)
        self._replies = replies
        self._position = replies.position
        self._invoice = replies.invoice
        self._ingestion = Ingestion(book, estimator, replies)
        self._postings = Postings(book, poster, replies)

    async def IngestInvoice(
        self, request: service_pb.IngestInvoiceRequest, context: Context
    ) -> service_pb.IngestInvoiceResponse:
        return await self._ingestion.one(request, self._callers.caller(context), deadline(context))

    async def BatchIngestInvoices(
        self, request: service_pb.BatchIngestInvoicesRequest, context: Context
    ) -> service_pb.BatchIngestInvoicesResponse:
        check_batch(request.requests)
        results = await self._ingestion.batch(request, self._callers.caller(context), deadline(context))
        return service_pb.BatchIngestInvoicesResponse(results=results)

    async def StreamIngestInvoices(
        self, requests: AsyncIterator[service_pb.StreamIngestInvoicesRequest], context: Context
    ) -> AsyncIterator[service_pb.StreamIngestInvoicesResponse]:
        window = Window(self._ingestion, self._callers.caller(context), partial(deadline, context))
        async for results in window.run(requests):
            yield service_pb.StreamIngestInvoicesResponse(results=results)

    async def ReviseInvoice(
        self, request: service_pb.ReviseInvoiceRequest, context: Context
    ) -> service_pb.ReviseInvoiceResponse:
        if not request.HasField("invoice"):
            raise missing("invoice")
        findings = Findings()
        meta = self._callers.meta(context, request.reason, request.correlation_id, findings)
        until = deadline(context)
        key = read_key(request.key)
        invoice_id = await resolved(key, self._book.log, until)
        check_view(request.view, findings)
        command = invoice.Revise(
            read_content(request.invoice, findings, self._book.limits.lines_max),
            request.expected_version,
            request.request_id,
            defer_tax=request.defer_tax,
        )
        try:
            outcome = await self._book.transact(
                invoice_id,
                lambda state, rules: billing.revise(
                    command, there(state, key), invoice_id, rules, findings.copy()
                ),
                meta,
                until,
                memos=billing.named(command.content),
                dry_run=request.validate_only,
            )
        except Malformed as malformed:
            if not request.validate_only:
                raise
            return service_pb.ReviseInvoiceResponse(
                findings=write_findings(malformed.findings), finding_count=malformed.count
            )
        if not request.validate_only and not request.defer_tax and tax_is_due(outcome):
            outcome = await self._ingestion.with_tax(invoice_id, outcome, meta, until)
        return service_pb.ReviseInvoiceResponse(
            tax=write_tax_outcome(invoice.tax_outcome(outcome.state)),
            tax_failure=write_tax_failure(outcome.state),
            position="" if request.validate_only else self._position(outcome.position),
            replayed=outcome.recorded is None,
            invoice=self._invoice(invoice_id, outcome, request.view, dry_run=request.validate_only),
        )

    async def UpdateInvoice(
        self, request: service_pb.UpdateInvoiceRequest, context: Context
    ) -> service_pb.UpdateInvoiceResponse:
        findings = Findings()
        meta = self._callers.meta(context, request.reason, request.correlation_id, findings)
        changed = known_paths(request.update_mask.paths, invoice.UPDATABLE, "update_mask", findings)
        change = request.change
        named = change.HasField("reference")
        command = invoice.Update(
            changed=changed,
            description=change.description,
            labels=read_labels(change.labels, "change.labels", findings),
            reference=read_reference(change.reference, "change.reference", findings) if named else None,
            expected_version=request.expected_version,
            request_id=request.request_id,
        )
        until = deadline(context)
        key = read_key(request.key)
        invoice_id = await resolved(key, self._book.log, until)
        outcome = await self._book.transact(
            invoice_id,
            lambda state, _: invoice.update(command, there(state, key), invoice_id, findings.copy()),
            meta,
            until,
        )
        return service_pb.UpdateInvoiceResponse(
            position=self._position(outcome.position),
            replayed=outcome.recorded is None,
            invoice=self._invoice(invoice_id, outcome, pb.INVOICE_VIEW_BASIC),
        )

    async def CancelInvoice(
        self, request: service_pb.CancelInvoiceRequest, context: Context
    ) -> service_pb.CancelInvoiceResponse:
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        until = deadline(context)
        key = read_key(request.key)
        invoice_id = await resolved(key, self._book.log, until)
        outcome = await self._book.transact(
            invoice_id,
            lambda state, _: invoice.cancel(invoice.Cancel(), there(state, key), invoice_id),
            meta,
            until,
        )
        return service_pb.CancelInvoiceResponse(
            position=self._position(outcome.position),
            replayed=outcome.recorded is None,
            invoice=self._invoice(invoice_id, outcome, pb.INVOICE_VIEW_BASIC),
        )

    async def EstimateTax(
        self, request: service_pb.EstimateTaxRequest, context: Context
    ) -> service_pb.EstimateTaxResponse:
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        until = deadline(context)
        command = read_estimate(request)
        invoice_id = await resolved(read_key(request.key), self._book.log, until)
        if request.validate_only:
            outcome: Outcome[invoice.Invoice] | None = await self._estimator.estimate(
                invoice_id, meta, command, dry_run=True
            )
        elif request.defer:
            outcome = None
        else:
            outcome = await self._estimator.within(invoice_id, meta, until)
        if outcome is None:
            outcome = await self._book.transact(
                invoice_id, lambda state, _: invoice.request_tax(state, invoice_id), meta, until
            )
        state = outcome.state
        done = invoice.TaxOutcome.ESTIMATED if not state.tax_asked else invoice.tax_outcome(state)
        return service_pb.EstimateTaxResponse(
            position="" if request.validate_only else self._position(outcome.position),
            replayed=outcome.recorded is None,
            tax=write_tax_outcome(done),
            tax_failure=write_tax_failure(state),
            invoice=self._invoice(invoice_id, outcome, request.view, dry_run=request.validate_only),
        )

    async def PostInvoice(
        self, request: service_pb.PostInvoiceRequest, context: Context
    ) -> service_pb.PostInvoiceResponse:
        return await self._postings.one(request, self._callers.caller(context), deadline(context))

    async def BatchPostInvoices(
        self, request: service_pb.BatchPostInvoicesRequest, context: Context
    ) -> service_pb.BatchPostInvoicesResponse:
        check_batch(request.requests)
        return await self._postings.batch(request, self._callers.caller(context), deadline(context))

    async def ListTaxInteractions(
        self, request: service_pb.ListTaxInteractionsRequest, context: Context
    ) -> service_pb.ListTaxInteractionsResponse:
        until = deadline(context)
        key = read_key(request.key)
        these = pages(self._book.log.identity, "ListTaxInteractions", request.key)
        after = these.cursor(request.page_token) or 0
        invoice_id = await resolved(key, self._book.log, until)
        history = await self._book.log.read(invoice_id, deadline=until)
        if not history.recorded:
            raise invoice.NotFound(key=key)
        calls = [
            each
            for each in history.recorded
            if isinstance(each.event, invoice.TaxEngineCalled) and each.version > after
        ]
        most = size(request.page_size, INTERACTIONS_DEFAULT)
        return service_pb.ListTaxInteractionsResponse(
            interactions=write_interactions(calls[:most], self._position),
            next_page_token=these.token(calls[most - 1].version) if len(calls) > most else "",
        )


def check_batch(requests: Sequence[Message]) -> None:
    findings = Findings()
    if not requests:
        findings.add("requests", Rule.REQUIRED)
    within(requests, BATCH_MAX, "requests", findings)
    if findings:
        raise Malformed(findings)
