"""Writes invoices: reads the message, sends the command, writes the reply."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from domain import billing, identity, invoice
from domain.findings import Finding, Findings, Malformed
from store.log import Meta

from . import positions
from .calls import Callers, deadline
from .estimator import Estimator
from .keys import missing, resolved, there
from .pages import pages, size
from .settling import SettlingServicer
from .transact import Book, Outcome
from .wire.content import read_content, read_reference
from .wire.estimates import read_estimate, write_interactions, write_tax_failure, write_tax_outcome
from .wire.invoices import check_view, write_invoice, write_status, write_totals
from .wire.keys import read_key
from .wire.values import known_paths, read_labels

Context = grpc.aio.ServicerContext[Any, Any]

INTERACTIONS_DEFAULT = 100
FINDINGS_MAX = 1000  # in the body of a dry run


class Invoices(SettlingServicer):
    """The methods of `InvoiceService`."""

    def __init__(self, book: Book, estimator: Estimator, callers: Callers) -> None:
        self._book = book
        self._estimator = estimator
        self._callers = callers

    async def IngestInvoice(
        self, request: service_pb.IngestInvoiceRequest, context: Context
    ) -> service_pb.IngestInvoiceResponse:
        if not request.HasField("invoice"):
            raise missing("invoice")
        findings = Findings()
        meta = self._callers.meta(context, request.reason, request.correlation_id, findings)
        check_view(request.view, findings)
        content = read_content(request.invoice, findings, self._book.limits.lines_max)
        key = content.unique_identifier
        invoice_id = identity.invoice(key) if key else self._new_id()
        command = invoice.Ingest(content, defer_tax=request.defer_tax)
        try:
            outcome = await self._book.transact(
                invoice_id,
                lambda state, rules: billing.ingest(command, state, invoice_id, rules, findings.copy()),
                meta,
                deadline(context),
                memos=billing.named(content),
                presumed_new=True,
                dry_run=request.validate_only,
            )
        except Malformed as malformed:
            if not request.validate_only:
                raise
            return service_pb.IngestInvoiceResponse(
                findings=write_findings(malformed.findings), finding_count=malformed.count
            )
        if not request.validate_only and not request.defer_tax:
            outcome = await self._with_tax(invoice_id, outcome, meta, deadline(context))
        return self._ingested(request, invoice_id, outcome)

    async def _with_tax(
        self, invoice_id: UUID, outcome: Outcome[invoice.Invoice], meta: Meta, until: float
    ) -> Outcome[invoice.Invoice]:
        """Has the tax worked out that was asked for and is not known; what failed just now is left alone."""
        state, written = outcome.state, outcome.recorded is not None
        wanted = state.tax_asked and state.status is invoice.Status.DRAFT
        if not wanted or (written and state.tax_failure):
            return outcome
        estimated = await self._estimator.within(invoice_id, meta, until)
        return outcome if estimated is None else outcome.followed_by(estimated)

    def _ingested(
        self, request: service_pb.IngestInvoiceRequest, invoice_id: UUID, outcome: Outcome[invoice.Invoice]
    ) -> service_pb.IngestInvoiceResponse:
        state = outcome.state
        first = outcome.history.recorded[: state.size]
        position = first[-1].position if first else outcome.position
        shown = self._invoice(invoice_id, outcome, request.view, dry_run=request.validate_only)
        return service_pb.IngestInvoiceResponse(
            invoice_id=shown.invoice_id,
            replayed=outcome.recorded is None,
            position="" if request.validate_only else self._position(position),
            status=write_status(state.status),
            totals=_first_totals(state, shown),
            invoice=shown,
            tax=write_tax_outcome(invoice.tax_outcome(state)),
            tax_failure=write_tax_failure(state),
        )

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
        if not request.validate_only and not request.defer_tax:
            outcome = await self._with_tax(invoice_id, outcome, meta, until)
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

    def _new_id(self) -> UUID:
        millis = int(self._book.clock().timestamp() * 1000)
        return identity.uuid7(millis, secrets.token_bytes(10))

    def _position(self, position: int) -> str:
        return positions.token(self._book.log.identity, position)

    def _invoice(
        self,
        invoice_id: UUID,
        outcome: Outcome[invoice.Invoice],
        view: pb.InvoiceView.ValueType,
        *,
        dry_run: bool = False,
    ) -> pb.Invoice:
        default = pb.INVOICE_VIEW_FULL if dry_run else pb.INVOICE_VIEW_BASIC
        before = outcome.history.recorded
        return write_invoice(
            invoice_id,
            outcome.state,
            self._position,
            created=before[0].recorded if before else outcome.recorded,
            updated=outcome.recorded or before[-1].recorded,
            full=(view or default) == pb.INVOICE_VIEW_FULL,
        )


def _first_totals(state: invoice.Invoice, shown: pb.Invoice) -> pb.InvoiceTotals:
    """Those of the first append; nearly always those that the invoice still has."""
    assert state.first_totals is not None
    if state.first_totals == state.totals and state.first_currency == state.header.currency:
        return shown.totals
    return write_totals(state.first_totals, state.first_currency)


def write_findings(findings: Iterable[Finding]) -> list[service_pb.Finding]:
    return [
        service_pb.Finding(path=each.path, rule=each.rule.name, description=str(each))
        for _, each in zip(range(FINDINGS_MAX), findings, strict=False)
    ]
