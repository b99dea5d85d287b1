"""Tells what happened: reads the log, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import audit_service_pb2 as pb
from daybook.v1 import audit_service_pb2_grpc as service_grpc
from daybook.v1 import event_pb2
from domain import invoice
from domain.findings import shown
from store.log import Log, Recorded

from . import positions
from .calls import deadline
from .errors import StreamNotFound
from .keys import missing, resolved
from .pages import Pages, pages, size
from .wire.events import read_stream_key, write_event
from .wire.keys import read_key

Context = grpc.aio.ServicerContext[Any, Any]

EVENTS_DEFAULT = 100


class Audit(service_grpc.AuditServiceServicer):
    """The methods of `AuditService`."""

    def __init__(self, log: Log) -> None:
        self._log = log

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


def _named(key: pb.StreamKey) -> str:
    kind = event_pb2.StreamKind.Name(key.kind).removeprefix("STREAM_KIND_").lower().replace("_", " ")
    return f"{kind if key.kind else 'stream'} {shown(key.id)}"
