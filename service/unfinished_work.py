"""What was asked for and is not done: listed, and tried again on request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import unfinished_work_service_pb2 as pb
from daybook.v1 import unfinished_work_service_pb2_grpc as service_grpc
from domain import invoice
from domain.refusal import Refused
from projections import checkpoint, unfinished_work
from projections.checkpoint import Standing, Trouble
from projections.projection import Pool
from projections.reader import Reader
from projections.unfinished_work import Unfinished
from store.log import Meta

from . import positions
from .calls import Callers, deadline
from .estimator import Estimator
from .keys import resolved
from .pages import pages, size
from .wire.estimates import write_failure, write_tax_failure, write_tax_outcome
from .wire.keys import read_key
from .wire.values import write_instant

Context = grpc.aio.ServicerContext[Any, Any]

WORK_DEFAULT = 50
RETRIED_MAX = 500
AT_ONCE_MAX = 16


class UnfinishedWorkServicer(service_grpc.UnfinishedWorkServiceServicer):
    """The methods of `UnfinishedWorkService`."""

    def __init__(self, reader: Reader, estimator: Estimator, callers: Callers, pool: Pool) -> None:
        self._reader = reader
        self._pool = pool
        self._estimator = estimator
        self._callers = callers
        self._identity = estimator.book.log.identity

    async def ListUnfinishedWork(
        self, request: pb.ListUnfinishedWorkRequest, context: Context
    ) -> pb.ListUnfinishedWorkResponse:
        these = pages(self._identity, "ListUnfinishedWork", "")
        stuck = [] if request.page_token else await self._standing_still()
        answer = await unfinished_work.list_(
            self._reader,
            after=these.cursor(request.page_token) or 0,
            size=size(request.page_size, WORK_DEFAULT),
            min_position=positions.read(self._identity, request.min_position, "min_position"),
            deadline=deadline(context),
        )
        following = answer.found.next
        return pb.ListUnfinishedWorkResponse(
            work=[*stuck, *map(_write, answer.found.items)],
            next_page_token="" if following is None else these.token(following),
            position=positions.token(self._identity, answer.position),
        )

    async def _standing_still(self) -> list[pb.UnfinishedWork]:
        """The read models that answer and do not come on."""
        found = await checkpoint.standings(self._pool)
        return [_write_stuck(each, each.trouble) for each in found if each.live and each.trouble]

    async def RetryUnfinishedWork(
        self, request: pb.RetryUnfinishedWorkRequest, context: Context
    ) -> pb.RetryUnfinishedWorkResponse:
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        until = deadline(context)
        if request.HasField("key"):
            wanted = [await resolved(read_key(request.key), self._estimator.book.log, until)]
        else:
            answer = await unfinished_work.list_(self._reader, size=RETRIED_MAX, deadline=until)
            wanted = [each.invoice_id for each in answer.found.items]
        retried, position = await self._retry(wanted, meta, until)
        return pb.RetryUnfinishedWorkResponse(
            retried=retried, position=positions.token(self._identity, position)
        )

    async def _retry(
        self, wanted: Iterable[UUID], meta: Meta, until: float
    ) -> tuple[list[pb.RetriedWork], int]:
        some, newest = asyncio.Semaphore(AT_ONCE_MAX), 0

        async def retry(invoice_id: UUID) -> pb.RetriedWork:
            nonlocal newest
            async with some:
                try:
                    outcome = await self._estimator.within(invoice_id, meta, until)
                except Refused as refused:
                    said = write_failure("", refused.reason, str(refused))
                    failed = write_tax_outcome(invoice.TaxOutcome.FAILED)
                    return pb.RetriedWork(invoice_id=str(invoice_id), tax=failed, failure=said)
            if outcome is None:
                pending = write_tax_outcome(invoice.TaxOutcome.PENDING)
                return pb.RetriedWork(invoice_id=str(invoice_id), tax=pending)
            state, newest = outcome.state, max(newest, outcome.position)
            done = invoice.tax_outcome(state) if state.tax_asked else invoice.TaxOutcome.ESTIMATED
            return pb.RetriedWork(
                invoice_id=str(invoice_id), tax=write_tax_outcome(done), failure=write_tax_failure(state)
            )

        return list(await asyncio.gather(*map(retry, wanted))), newest


def _write(work: Unfinished) -> pb.UnfinishedWork:
    return pb.UnfinishedWork(
        kind=pb.UNFINISHED_WORK_KIND_ESTIMATE,
        invoice_id=str(work.invoice_id),
        unique_identifier=work.unique_identifier,
        since=write_instant(work.since),
        failures=work.failures,
        failure=write_failure(work.engine_id, work.code, work.because) if work.code else None,
        next_attempt=write_instant(work.due),
    )


def _write_stuck(standing: Standing, trouble: Trouble) -> pb.UnfinishedWork:
    return pb.UnfinishedWork(
        kind=pb.UNFINISHED_WORK_KIND_PROJECTION,
        projection=standing.projection.replace("_", "-"),
        event=f"{trouble.event} at position {trouble.position}: {trouble.error}",
        since=write_instant(trouble.since),
        failures=trouble.attempts,
    )
