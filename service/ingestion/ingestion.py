"""Ingests invoices, one or many at once: the rules are the same, and so are the answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TypeAlias, TypeVar
from uuid import UUID

import structlog
from grpc import StatusCode

from daybook.v1 import invoice_pb2 as invoice_pb
from daybook.v1 import invoice_service_pb2 as pb
from domain import billing, identity, invoice
from domain.findings import Finding, Findings, Malformed, Rule
from store.log import Meta

from ..calls import Caller
from ..errors import BatchRefused, fault_of
from ..estimator import Estimator
from ..keys import missing
from ..transact import Asked, Book, Outcome
from ..wire.content import read_content
from ..wire.estimates import write_tax_failure, write_tax_outcome
from ..wire.invoices import check_view, write_status, write_totals
from .replies import Replies, write_findings

log = structlog.get_logger()

ANSWER_FINDINGS_MAX = 10_000  # in one answer, of all its invoices
AT_ONCE = 16  # of many, before others have their turn

T = TypeVar("T")
Ingested: TypeAlias = Outcome[invoice.Invoice]


@dataclass(frozen=True, slots=True)
class Said:
    """A request that was read; what cannot be read stands as what it is refused with."""

    request: pb.IngestInvoiceRequest
    asked: Asked | Exception


@dataclass(slots=True)
class Ingestion:
    """Reads requests, has them decided on and recorded, and writes the answers."""

    book: Book
    estimator: Estimator
    replies: Replies

    async def one(
        self, request: pb.IngestInvoiceRequest, caller: Caller, until: float
    ) -> pb.IngestInvoiceResponse:
        asked = self._read(request, caller, request.validate_only, Findings())
        try:
            outcome = await self.book.carry_out(asked, until)
        except Malformed as malformed:
            if not request.validate_only:
                raise
            return pb.IngestInvoiceResponse(
                findings=write_findings(malformed.findings), finding_count=malformed.count
            )
        if _lacks_tax(request, asked, outcome):
            outcome = await self.with_tax(asked.invoice_id, outcome, asked.meta, until)
        return self._answer(request, asked, outcome)

    async def batch(
        self, batch: pb.BatchIngestInvoicesRequest, caller: Caller, until: float
    ) -> Sequence[pb.IngestionResult]:
        said = await self.read(batch.requests, caller, dry_run=batch.validate_only)
        outcomes = await (self._record_together if batch.atomic else self.record_each)(said, until)
        outcomes = await asyncio.gather(*map(self._finished, said, outcomes, repeat(until)))
        return await self._results(said, outcomes)

    async def read(
        self,
        requests: Sequence[pb.IngestInvoiceRequest],
        caller: Caller,
        *,
        dry_run: bool | None = None,
        keyed: bool = False,
    ) -> Sequence[Said]:
        """Reads many; `dry_run` is what is said for all, None where each says it for itself."""
        said = []
        for count, request in enumerate(requests, 1):
            try:
                said.append(Said(request, self._one_of_many(request, caller, dry_run, keyed)))
            except Exception as error:
                said.append(Said(request, error))
            if not count % AT_ONCE:
                await asyncio.sleep(0)
        return said

    def _one_of_many(
        self, request: pb.IngestInvoiceRequest, caller: Caller, dry_run: bool | None, keyed: bool
    ) -> Asked:
        findings = Findings()
        if dry_run is not None and request.validate_only:
            findings.add("validate_only", Rule.SET_FOR_ALL)
        if keyed and not request.invoice.unique_identifier:
            findings.add("invoice.unique_identifier", Rule.REQUIRED)
        return self._read(request, caller, request.validate_only if dry_run is None else dry_run, findings)

    def _read(
        self, request: pb.IngestInvoiceRequest, caller: Caller, dry_run: bool, findings: Findings
    ) -> Asked:
        if not request.HasField("invoice"):
            raise missing("invoice")
        meta = caller.meta(request.reason, request.correlation_id, findings)
        check_view(request.view, findings)
        content = read_content(request.invoice, findings, self.book.limits.lines_max)
        key = content.unique_identifier
        invoice_id = identity.invoice(key) if key else self._new_id()
        command = invoice.Ingest(content, defer_tax=request.defer_tax)
        return Asked(
            invoice_id,
            lambda state, rules: billing.ingest(command, state, invoice_id, rules, findings.copy()),
            meta,
            memos=billing.named(content),
            presumed_new=True,
            dry_run=dry_run,
        )

    async def record_each(self, said: Sequence[Said], until: float) -> Sequence[Ingested | Exception]:
        """Each for itself."""
        asked = [each.asked for each in said if isinstance(each.asked, Asked)]
        return _in_place(said, await self.book.carry_out_each(asked, until))

    async def _record_together(self, said: Sequence[Said], until: float) -> Sequence[Ingested | Exception]:
        """All or none. Where one cannot be read, none is recorded, and what else is wrong is told as well."""
        asked = [each.asked for each in said if isinstance(each.asked, Asked)]
        found: Sequence[Ingested | Exception | None]
        if len(asked) < len(said):
            dry = await self.book.carry_out_together([replace(each, dry_run=True) for each in asked], until)
            found = _in_place(said, [each if isinstance(each, Exception) else None for each in dry])
        else:
            found = await self.book.carry_out_together(asked, until)
        count = sum(isinstance(each, Exception) for each in found)
        return [each or BatchRefused(count=count) for each in found]

    async def _finished(
        self, said: Said, outcome: Ingested | Exception, until: float
    ) -> Ingested | Exception:
        if isinstance(outcome, Outcome) and lacks_tax(said, outcome):
            return await self.taxed(said, outcome, until)
        return outcome

    async def taxed(self, said: Said, outcome: Ingested, until: float) -> Ingested | Exception:
        """With its tax, where an engine elsewhere is asked; or what came in between."""
        assert isinstance(said.asked, Asked)
        try:
            return await self.with_tax(said.asked.invoice_id, outcome, said.asked.meta, until)
        except Exception as error:
            return error

    async def _results(
        self, said: Sequence[Said], outcomes: Sequence[Ingested | Exception]
    ) -> Sequence[pb.IngestionResult]:
        room = ANSWER_FINDINGS_MAX
        results = []
        for count, (each, outcome) in enumerate(zip(said, outcomes, strict=True), 1):
            result = self.result(each, outcome, room)
            room -= len(result.failure.findings)
            results.append(result)
            if not count % AT_ONCE:
                await asyncio.sleep(0)
        return results

    def result(
        self, said: Said, outcome: Ingested | Exception, room: int = ANSWER_FINDINGS_MAX
    ) -> pb.IngestionResult:
        """What became of one of many, with so many findings at the most."""
        key = said.request.invoice.unique_identifier
        if isinstance(outcome, Exception):
            return pb.IngestionResult(unique_identifier=key, failure=failure(outcome, room))
        assert isinstance(said.asked, Asked)
        response = self._answer(said.request, said.asked, outcome, whole=bool(said.request.view))
        return pb.IngestionResult(unique_identifier=key, response=response)

    async def with_tax(self, invoice_id: UUID, outcome: Ingested, meta: Meta, until: float) -> Ingested:
        """The same with its tax, as far as that can be had in time."""
        estimated = await self.estimator.within(invoice_id, meta, until)
        return outcome if estimated is None else outcome.followed_by(estimated)

    def _answer(
        self, request: pb.IngestInvoiceRequest, asked: Asked, outcome: Ingested, *, whole: bool = True
    ) -> pb.IngestInvoiceResponse:
        """`whole`: with the invoice in it."""
        state = outcome.state
        first = outcome.history.recorded[: state.size]
        position = first[-1].position if first else outcome.position
        shown = None
        if whole:
            shown = self.replies.invoice(asked.invoice_id, outcome, request.view, dry_run=asked.dry_run)
        return pb.IngestInvoiceResponse(
            invoice_id=shown.invoice_id if shown else str(asked.invoice_id),
            replayed=outcome.recorded is None,
            position="" if asked.dry_run else self.replies.position(position),
            status=write_status(state.status),
            totals=_first_totals(state, shown),
            invoice=shown,
            tax=write_tax_outcome(invoice.tax_outcome(state)),
            tax_failure=write_tax_failure(state),
        )

    def _new_id(self) -> UUID:
        millis = int(self.book.clock().timestamp() * 1000)
        return identity.uuid7(millis, secrets.token_bytes(10))


def lacks_tax(said: Said, outcome: Ingested) -> bool:
    return isinstance(said.asked, Asked) and _lacks_tax(said.request, said.asked, outcome)


def _lacks_tax(request: pb.IngestInvoiceRequest, asked: Asked, outcome: Ingested) -> bool:
    return not asked.dry_run and not request.defer_tax and tax_is_due(outcome)


def tax_is_due(outcome: Ingested) -> bool:
    """It was asked for and is not known; what failed just now is left alone."""
    state, written = outcome.state, outcome.recorded is not None
    wanted = state.tax_asked and state.status is invoice.Status.DRAFT
    return wanted and not (written and state.tax_failure)


def _in_place(said: Iterable[Said], outcomes: Iterable[T]) -> list[T | Exception]:
    """What became of those that could be read, and what kept the others from it."""
    left = iter(outcomes)
    return [next(left) if isinstance(each.asked, Asked) else each.asked for each in said]


def failure(error: Exception, room: int = ANSWER_FINDINGS_MAX) -> pb.InvoiceFailure:
    """What a caller hears of one of many invoices that failed, with so many findings at the most."""
    fault = fault_of(error)
    if fault.code is StatusCode.INTERNAL:
        log.error("an invoice of many failed", exc_info=error)
    findings: Sequence[Finding] = error.findings[:room] if isinstance(error, Malformed) else ()
    return pb.InvoiceFailure(
        status=replace(fault, findings=()).status(),
        findings=write_findings(findings),
        finding_count=fault.finding_count,
    )


def _first_totals(state: invoice.Invoice, shown: invoice_pb.Invoice | None) -> invoice_pb.InvoiceTotals:
    """Those of the first append; nearly always those that the invoice still has."""
    assert state.first_totals is not None
    if shown and state.first_totals == state.totals and state.first_currency == state.header.currency:
        return shown.totals
    return write_totals(state.first_totals, state.first_currency)
