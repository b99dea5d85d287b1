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
from projections.unfinished_work import ESTIMATE, Unfinished
from store.log import Meta

from . import positions
from .calls import Callers, deadline
from .estimator import Estimator
from .keys import resolved
from .pages import pages, size
from .poster import Poster, Wanted
from .wire.estimates import write_failure, write_tax_failure, write_tax_outcome
from .wire.keys import read_key
from .wire.postings import write_posting_failure, write_posting_outcome
from .wire.values import write_instant

Context = grpc.aio.ServicerContext[Any, Any]

WORK_DEFAULT = 50
RETRIED_MAX = 500
AT_ONCE_MAX = 16
_KINDS = {kind: pb.UnfinishedWorkKind.Value(f"UNFINISHED_WORK_KIND_{kind}") for kind in unfinished_work.KINDS}


class UnfinishedWorkServicer(service_grpc.UnfinishedWorkServiceServicer):
    """The methods of `UnfinishedWorkService`."""

    def __init__(
        self, reader: Reader, estimator: Estimator, poster: Poster, callers: Callers, pool: Pool
    ) -> None:
        self._reader = reader
        self._pool = pool
        self._estimator = estimator
        self._poster = poster
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
        answer = await unfinished_work.list_(self._reader, size=RETRIED_MAX, deadline=until)
        wanted = [(each.invoice_id, each.kind) for each in answer.found.items]
        if request.HasField("key"):
            only = await resolved(read_key(request.key), self._estimator.book.log, until)
            wanted = [each for each in wanted if each[0] == only] or [(only, ESTIMATE)]
        retried, position = await self._retry(wanted, meta, until)
        return pb.RetryUnfinishedWorkResponse(
            retried=retried, position=positions.token(self._identity, position)
        )

    async def _retry(
        self, wanted: Iterable[tuple[UUID, str]], meta: Meta, until: float
    ) -> tuple[list[pb.RetriedWork], int]:
        some, newest = asyncio.Semaphore(AT_ONCE_MAX), 0

        async def retry(invoice_id: UUID, kind: str) -> pb.RetriedWork:
            nonlocal newest
            async with some:
                retried, position = await self._retry_one(invoice_id, kind, meta, until)
            newest = max(newest, position)
            retried.invoice_id, retried.kind = str(invoice_id), _KINDS[kind]
            return retried

        return list(await asyncio.gather(*(retry(*each) for each in wanted))), newest

    async def _retry_one(
        self, invoice_id: UUID, kind: str, meta: Meta, until: float
    ) -> tuple[pb.RetriedWork, int]:
        try:
            match kind:
                case unfinished_work.POSTING:
                    return await self._post(invoice_id, meta, until)
                case unfinished_work.VOIDING:
                    return await self._void(invoice_id, meta)
                case _:
                    return await self._estimate(invoice_id, meta, until)
        except Refused as refused:
            said = write_failure("", refused.reason, str(refused))
            failed = write_tax_outcome(invoice.TaxOutcome.FAILED)
            return pb.RetriedWork(tax=failed, failure=said), 0

    async def _estimate(self, invoice_id: UUID, meta: Meta, until: float) -> tuple[pb.RetriedWork, int]:
        outcome = await self._estimator.within(invoice_id, meta, until)
        if outcome is None:
            return pb.RetriedWork(tax=write_tax_outcome(invoice.TaxOutcome.PENDING)), 0
        state = outcome.state
        done = invoice.tax_outcome(state) if state.tax_asked else invoice.TaxOutcome.ESTIMATED
        tax = write_tax_outcome(done)
        return pb.RetriedWork(tax=tax, failure=write_tax_failure(state)), outcome.position

    async def _post(self, invoice_id: UUID, meta: Meta, until: float) -> tuple[pb.RetriedWork, int]:
        posting = await self._poster.post(Wanted(invoice_id, meta), until)
        state, given_up = posting.outcome.state, posting.given_up
        outcome = write_posting_outcome(state, given_up)
        failure = write_posting_failure(state, given_up)
        return pb.RetriedWork(posting=outcome, failure=failure), posting.outcome.position

    async def _void(self, invoice_id: UUID, meta: Meta) -> tuple[pb.RetriedWork, int]:
        outcome = await self._poster.void(invoice_id, meta)
        last = outcome.state.posting.void_failure
        failure = write_failure(last.engine_id, last.code, last.because) if last else None
        return pb.RetriedWork(failure=failure), outcome.position


def _write(work: Unfinished) -> pb.UnfinishedWork:
    return pb.UnfinishedWork(
        kind=_KINDS[work.kind],
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
