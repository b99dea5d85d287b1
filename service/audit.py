"""Tells what happened: reads the log, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import audit_service_pb2 as pb
from daybook.v1 import event_pb2, invoice_pb2
from daybook.v1 import invoice_query_service_pb2 as query_pb
from domain import invoice
from domain.findings import Findings, Malformed, Rule, shown
from projections.feed import Decode, Feed
from store.log import Log, Recorded

from . import positions
from .calls import deadline
from .errors import StreamNotFound
from .keys import missing, resolved
from .pages import Pages, pages, size
from .past import Past, Point
from .proof import ProofServicer, Prover
from .subscription import BATCH_EVENTS, Mark, Subscription
from .wire.comparison import compare
from .wire.credit_memos import write_credit_memo
from .wire.debit_memos import write_memo
from .wire.events import read_stream_key, write_event
from .wire.invoices import LINES_SHOWN_MAX, check_view, write_invoice
from .wire.keys import read_key
from .wire.points import read_point
from .wire.settlement import add_settlement
from .wire.subscriptions import mark_token, read_filter, read_mark
from .wire.summaries import add_content, check_mask, days_open, days_overdue, masked

Context = grpc.aio.ServicerContext[Any, Any]

EVENTS_DEFAULT = 100
LINE_BITS = 24  # of a cursor into what belongs to a version; the rest is the version
LINE_MASK = (1 << LINE_BITS) - 1


class Audit(ProofServicer):
    """The methods of `AuditService`."""

    def __init__(self, log: Log, decode: Decode, clock: Callable[[], datetime], prover: Prover) -> None:
        super().__init__(log, prover)
        self._feed = Feed(log, decode, BATCH_EVENTS)  # of all subscribers: they take turns at the store
        self._past = Past(log)
        self._clock = clock

    async def ListInvoiceEvents(
        self, request: pb.ListInvoiceEventsRequest, context: Context
    ) -> pb.ListInvoiceEventsResponse:
        key = read_key(request.key)
        positions.read(self._log.identity, request.min_position, "min_position")
        these = pages(self._log.identity, "ListInvoiceEvents", request.key)
        invoice_id = await resolved(key, self._log, deadline(context))
        events, following = await self._page(invoice_id, these, request, context)
        if not events or not isinstance(events[0].event, invoice.EVENTS):
            raise invoice.NotFound(key=key)
        return pb.ListInvoiceEventsResponse(events=self._written(events), next_page_token=following)

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        if not request.HasField("key"):
            raise missing("key")
        positions.read(self._log.identity, request.min_position, "min_position")
        these = pages(self._log.identity, "ListEvents", request.key)
        events, following = await self._page(read_stream_key(request.key), these, request, context)
        if not events:
            raise StreamNotFound(what=_named(request.key))
        return pb.ListEventsResponse(events=self._written(events), next_page_token=following)

    async def GetInvoiceAsOf(
        self, request: pb.GetInvoiceAsOfRequest, context: Context
    ) -> pb.GetInvoiceAsOfResponse:
        check_mask(request.read_mask)
        findings = Findings()
        check_view(request.view, findings)
        if findings:
            raise Malformed(findings)
        key, until = read_key(request.key), deadline(context)
        positions.read(self._log.identity, request.min_position, "min_position")
        these = pages(self._log.identity, "GetInvoiceAsOf", request.key, request.point)
        point = read_point(request.point, self._log.identity, "point")
        cursor, most = these.cursor(request.page_token), size(request.page_size, LINES_SHOWN_MAX)
        version, after = (None, 0) if cursor is None else (cursor >> LINE_BITS, cursor & LINE_MASK)
        pinned = point if version is None else Point(version=version)
        events = await self._past.events(await resolved(key, self._log, until), key, pinned, until)
        state = invoice.fold(each.event for each in events)
        assert state is not None
        full = request.view != invoice_pb2.INVOICE_VIEW_BASIC
        lines = state.lines[after : after + most] if full else []
        message = await self._as_it_stood(events, state, point, until)
        if full:
            entity = state.header.legal_entity_id
            add_content(message, state.addresses.values(), lines, entity, self._position)
            add_settlement(message, state.ledger, events[-1].stream, state.header.currency)
        more = bool(lines) and after + len(lines) < len(state.lines)
        return pb.GetInvoiceAsOfResponse(
            invoice=masked(message, request.read_mask),
            newest_event=write_event(events[-1], self._position),
            lineage=await self._lineage(state, events[-1], until),
            next_page_token=these.token(state.version << LINE_BITS | after + len(lines)) if more else "",
        )

    async def _as_it_stood(
        self, events: Sequence[Recorded], state: invoice.Invoice, point: Point, until: float
    ) -> invoice_pb2.Invoice:
        """The basic view, with the ages of then."""
        newest = events[-1]
        at = min(point.instant, self._clock()) if point.instant else newest.recorded
        day = await self._past.day(state.header.legal_entity_id, at, newest.position, until)
        message = write_invoice(
            newest.stream, state, self._position, events[0].recorded, newest.recorded, full=False
        )
        message.days_open, message.days_overdue = days_open(state, day), days_overdue(state, day)
        return message

    async def _lineage(
        self, state: invoice.Invoice, newest: Recorded, until: float
    ) -> query_pb.Lineage | None:
        """Order, debit memo, invoice, credit memos: as far as they were known."""
        lineage, position = query_pb.Lineage(), newest.position
        reference = state.header.reference
        if reference is not None and reference.kind is invoice.ReferenceKind.ORDER:
            lineage.order_id = reference.id
        if memo := await self._past.memo_of(state, position, until):
            known = self._position(memo.state.reference_position)
            lineage.order_id = memo.state.header.order_id
            lineage.debit_memo.CopyFrom(
                write_memo(memo.id, memo.state, known, memo.created, memo.updated, full=False)
            )
        lineage.credit_memos.extend(
            write_credit_memo(each.id, each.state, each.created, each.updated, full=False)
            for each in await self._past.credit_memos_of(newest.stream, state, position, until)
        )
        return lineage if lineage.ByteSize() else None

    async def CompareInvoice(
        self, request: pb.CompareInvoiceRequest, context: Context
    ) -> pb.CompareInvoiceResponse:
        if not request.HasField("from"):
            raise missing("from")
        key, until = read_key(request.key), deadline(context)
        positions.read(self._log.identity, request.min_position, "min_position")
        these = pages(self._log.identity, "CompareInvoice", request.key, getattr(request, "from"), request.to)
        first = read_point(getattr(request, "from"), self._log.identity, "from")
        second = read_point(request.to, self._log.identity, "to")
        cursor, most = these.cursor(request.page_token), size(request.page_size, EVENTS_DEFAULT)
        version, after = (None, 0) if cursor is None else (cursor >> LINE_BITS, cursor & LINE_MASK)
        invoice_id = await resolved(key, self._log, until)
        events = await self._past.events(
            invoice_id, key, second if version is None else Point(version=version), until
        )
        before = len(await self._past.events(invoice_id, key, first, until))
        if before > len(events):
            raise _backwards(before, len(events))
        found = await asyncio.to_thread(compare, events, before)
        shown_ = found[after : after + most]
        more = after + len(shown_) < len(found)
        causes = sorted({each.version for each in shown_})
        return pb.CompareInvoiceResponse(
            differences=shown_,
            events=(write_event(events[each - 1], self._position) for each in causes),
            from_version=before,
            to_version=len(events),
            next_page_token=these.token(len(events) << LINE_BITS | after + len(shown_)) if more else "",
        )

    async def SubscribeEvents(
        self, request: pb.SubscribeEventsRequest, context: Context
    ) -> AsyncIterator[pb.SubscribeEventsResponse]:
        findings = Findings()
        asked = read_filter(request.filter, findings)
        after = read_mark(request.after, self._log.identity)
        if request.from_now and request.after:
            findings.add("after", Rule.EITHER, other="from_now")
        if findings:
            raise Malformed(findings)
        if request.from_now:
            after = Mark(await self._log.head())
        token = partial(mark_token, self._log.identity)
        subscription = Subscription(self._log, self._feed, asked, after, token)
        async for part in subscription.parts():
            yield pb.SubscribeEventsResponse(
                events=self._written(part.events),
                earlier=self._written(part.earlier),
                resume_token=token(part.mark),
                caught_up=part.caught_up,
            )

    async def _page(
        self,
        stream: UUID,
        these: Pages,
        request: pb.ListInvoiceEventsRequest | pb.ListEventsRequest,
        context: Context,
    ) -> tuple[Sequence[Recorded], str]:
        """Events of a stream by their versions, and the token for those that follow."""
        after, most = these.cursor(request.page_token) or 0, size(request.page_size, EVENTS_DEFAULT)
        history = await self._log.read(stream, after=after, upto=after + most + 1, deadline=deadline(context))
        events = history.recorded[:most]
        more = len(history.recorded) > most
        return events, these.token(events[-1].version) if more else ""

    def _written(self, events: Sequence[Recorded]) -> Sequence[event_pb2.Event]:
        return [write_event(each, self._position) for each in events]

    def _position(self, position: int) -> str:
        return positions.token(self._log.identity, position)


def _backwards(before: int, after: int) -> Malformed:
    findings = Findings()
    findings.add("to", Rule.OUT_OF_RANGE, least=f"version {before}", most="now", value=f"version {after}")
    return Malformed(findings)


def _named(key: pb.StreamKey) -> str:
    kind = event_pb2.StreamKind.Name(key.kind).removeprefix("STREAM_KIND_").lower().replace("_", " ")
    return f"{kind if key.kind else 'stream'} {shown(key.id)}"
