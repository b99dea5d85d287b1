"""Answers questions about invoices from the read models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_query_service_pb2_grpc as query_grpc
from domain import identity, invoice
from domain.findings import Findings, Malformed
from domain.refusal import Refused
from projections import credit_memos, debit_memos, invoices, invoices_by_order, receivables
from projections.credit_memos import CreditMemoFilter
from projections.invoice_filter import Today
from projections.invoice_summary import InvoiceSummary
from projections.reader import Reader
from projections.stored import StoredInvoice, read_summary
from store.log import LogIdentity

from . import positions
from .calls import deadline
from .keys import Key, missing, the_one
from .pages import pages, size
from .snapshot import Snapshot
from .wire import spelled
from .wire.credit_memos import write_credit_memo
from .wire.debit_memos import write_memo
from .wire.filters import read_filter
from .wire.invoices import check_view, write_line
from .wire.keys import read_key
from .wire.receivables import read_receivables_filter, write_receivable
from .wire.spelling import made, ready
from .wire.summaries import check_mask

Context = grpc.aio.ServicerContext[Any, Any]

INVOICES_DEFAULT = 50
LINES_DEFAULT = 100
RECEIVABLES_DEFAULT = 50
CREDIT_MEMOS_MAX = 100  # of an invoice's lineage
LINE_BITS = 24  # of a cursor into lines; the rest is the invoice's version


class LinesChanged(Refused):
    reason = "LINES_CHANGED"
    because = "invoice {key} has changed since the first page of its lines; begin again"


class Queries(query_grpc.InvoiceQueryServiceServicer):
    """The methods of `InvoiceQueryService`."""

    def __init__(
        self, reader: Reader, snapshot: Snapshot, log_identity: LogIdentity, clock: Callable[[], datetime]
    ) -> None:
        self._reader = reader
        self._snapshot = snapshot
        self._identity = log_identity
        self._clock = clock
        self._position = positions.tokens(log_identity)

    async def GetInvoice(
        self, request: query_pb.GetInvoiceRequest, context: Context
    ) -> query_pb.GetInvoiceResponse:
        check_mask(request.read_mask)
        findings = Findings()
        check_view(request.view, findings)
        if findings:
            raise Malformed(findings)
        key = read_key(request.key)
        seen, until = self._min_position(request.min_position), deadline(context)
        invoice_id = await self._resolved(key, seen, until)
        full = request.view != pb.INVOICE_VIEW_BASIC
        answer = await invoices.look_up(
            self._reader,
            invoice_id,
            chunks=invoices.CHUNKS_SHOWN_MAX if full else 0,
            min_position=seen,
            deadline=until,
        )
        if (stored := answer.found) is None:
            raise invoice.NotFound(key=key)
        found, today = read_summary(stored.header), self._days()
        said = (
            spelled.full(found, stored, self._position, today)
            if full
            else spelled.basic(found, self._position, today)
        )
        return ready(
            spelled.got(
                spelled.masked(said, request.read_mask),
                self._position(answer.position),
                await self._lineage(found, stored, until),
            ),
            query_pb.GetInvoiceResponse,
        )

    async def _lineage(self, found: Any, stored: StoredInvoice, until: float) -> str | None:
        """Order, debit memo, invoice, credit memos: as far as they are known."""
        reference = found.header.reference
        if found.ledger or (reference is not None and reference.kind == invoice.ReferenceKind.DEBIT_MEMO):
            lineage = await self._lineage_of_memos(stored.summary, until)
            return made(lineage) if lineage.ByteSize() else None
        if reference is not None and reference.kind == invoice.ReferenceKind.ORDER:
            return spelled.lineage_of_order(reference.id)
        return None

    async def _lineage_of_memos(self, summary: InvoiceSummary, until: float) -> query_pb.Lineage:
        lineage = query_pb.Lineage()
        reference = summary.header.reference
        if reference is not None and reference.kind is invoice.ReferenceKind.ORDER:
            lineage.order_id = reference.id
        elif reference is not None and invoice.is_of_memo(reference):
            await self._add_debit_memo(lineage, UUID(reference.id), summary, until)
        if summary.ledger:
            await self._add_credit_memos(lineage, summary, until)
        return lineage

    async def _add_debit_memo(
        self, lineage: query_pb.Lineage, memo_id: UUID, summary: InvoiceSummary, until: float
    ) -> None:
        answer = await debit_memos.find(self._reader, memo_id, min_position=summary.position, deadline=until)
        if (memo := answer.found) is None:
            return
        position = self._position(memo.state.reference_position)
        lineage.order_id = memo.state.header.order_id
        lineage.debit_memo.CopyFrom(
            write_memo(memo.id, memo.state, position, memo.created, memo.updated, full=False)
        )

    async def _add_credit_memos(
        self, lineage: query_pb.Lineage, summary: InvoiceSummary, until: float
    ) -> None:
        answer = await credit_memos.list_(
            self._reader,
            CreditMemoFilter(invoice_id=summary.id),
            size=CREDIT_MEMOS_MAX,
            min_position=summary.position,
            deadline=until,
        )
        lineage.credit_memos.extend(
            write_credit_memo(
                each.id, each.state, each.created, each.updated, line_count=each.line_count, full=False
            )
            for each in reversed(answer.found.items)
        )

    async def ListInvoices(
        self, request: query_pb.ListInvoicesRequest, context: Context
    ) -> query_pb.ListInvoicesResponse:
        check_mask(request.read_mask)
        these = pages(self._identity, "ListInvoices", request.filter)
        answer = await invoices.list_stored(
            self._reader,
            read_filter(request.filter, self._today()),
            before=these.cursor(request.page_token),
            size=size(request.page_size, INVOICES_DEFAULT),
            min_position=self._min_position(request.min_position),
            deadline=deadline(context),
        )
        found = answer.found
        return ready(
            spelled.listed(
                self._all(found.items, request.read_mask),
                these.token(found.next) if found.next is not None else "",
                self._position(answer.position),
            ),
            query_pb.ListInvoicesResponse,
        )

    async def ListOrderInvoices(
        self, request: query_pb.ListOrderInvoicesRequest, context: Context
    ) -> query_pb.ListOrderInvoicesResponse:
        if not request.order_id:
            raise missing("order_id")
        check_mask(request.read_mask)
        these = pages(self._identity, "ListOrderInvoices", request.order_id)
        answer = await invoices_by_order.list_stored(
            self._reader,
            request.order_id,
            before=these.cursor(request.page_token),
            size=size(request.page_size, INVOICES_DEFAULT),
            min_position=self._min_position(request.min_position),
            deadline=deadline(context),
        )
        found = answer.found
        return ready(
            spelled.listed_of_order(
                self._all(found.items, request.read_mask),
                these.token(found.next) if found.next is not None else "",
                self._position(answer.position),
            ),
            query_pb.ListOrderInvoicesResponse,
        )

    async def ListReceivables(
        self, request: query_pb.ListReceivablesRequest, context: Context
    ) -> query_pb.ListReceivablesResponse:
        these = pages(self._identity, "ListReceivables", request.filter)
        answer = await receivables.list_(
            self._reader,
            self._today(),
            read_receivables_filter(request.filter),
            after=these.after(request.page_token),
            size=size(request.page_size, RECEIVABLES_DEFAULT),
            min_position=self._min_position(request.min_position),
            deadline=deadline(context),
        )
        found, more = answer.found
        last = found[-1] if more else None
        return query_pb.ListReceivablesResponse(
            receivables=map(write_receivable, found),
            next_page_token=these.token_after(last.account_id, last.currency) if last else "",
            position=self._position(answer.position),
        )

    async def ListInvoiceLines(
        self, request: query_pb.ListInvoiceLinesRequest, context: Context
    ) -> query_pb.ListInvoiceLinesResponse:
        key = read_key(request.key)
        these = pages(self._identity, "ListInvoiceLines", request.key)
        cursor = these.cursor(request.page_token) or 0
        version, after = cursor >> LINE_BITS, cursor & ((1 << LINE_BITS) - 1)
        seen, until = self._min_position(request.min_position), deadline(context)
        invoice_id = await self._resolved(key, seen, until)
        answer = await invoices.list_lines(
            self._reader,
            invoice_id,
            after=after,
            size=size(request.page_size, LINES_DEFAULT),
            min_position=seen,
            deadline=until,
        )
        found = answer.found
        if found is None:
            raise invoice.NotFound(key=key)
        if version not in (0, found.version):
            raise LinesChanged(key=key)
        following = "" if found.next is None else these.token(found.version << LINE_BITS | found.next)
        return query_pb.ListInvoiceLinesResponse(
            lines=(write_line(line, found.legal_entity_id, self._position) for line in found.lines),
            next_page_token=following,
            position=self._position(answer.position),
        )

    async def _resolved(self, key: Key, min_position: int, until: float) -> UUID:
        if key.invoice_id is not None:
            return key.invoice_id
        if key.number is None:
            return identity.invoice(key.unique_identifier)
        answer = await invoices.numbered(
            self._reader,
            key.number.legal_entity_id,
            key.number.text,
            min_position=min_position,
            deadline=until,
        )
        return the_one(answer.found, key)

    def _all(self, headers: Iterable[bytes], mask: FieldMask) -> Sequence[str]:
        """The basic views of what is stored."""
        today = self._days()
        said = (spelled.basic(read_summary(each), self._position, today) for each in headers)
        return [spelled.masked(each, mask) for each in said]

    def _days(self) -> Callable[[str], date]:
        """The date where a legal entity is, for one answer."""
        now, reference = self._clock(), self._snapshot.current
        return lambda legal_entity_id: reference.today(legal_entity_id, now)

    def _today(self) -> Today:
        now, reference = self._clock(), self._snapshot.current
        at: dict[str, date] = {each: reference.today(each, now) for each in reference.legal_entities}
        return Today(elsewhere=now.date(), at=at)

    def _min_position(self, text: str) -> int:
        return positions.read(self._identity, text, "min_position")
