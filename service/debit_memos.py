"""Writes and reads debit memos: reads the message, sends the command, writes the reply."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import debit_memo_pb2 as pb
from daybook.v1 import debit_memo_service_pb2 as service_pb
from daybook.v1 import debit_memo_service_pb2_grpc as service_grpc
from domain import debit_memo, identity
from domain.findings import Findings, Malformed
from projections import debit_memos
from projections.debit_memos import FoundMemo
from projections.reader import Reader

from . import positions
from .calls import Callers, deadline
from .ingestion import write_findings
from .keys import MemoKey, missing
from .pages import pages, size
from .transact import Book, Decide, Outcome
from .wire.debit_memos import read_memo, read_memo_filter, read_memo_key, write_memo

Context = grpc.aio.ServicerContext[Any, Any]
Request = (
    service_pb.PostDebitMemoRequest
    | service_pb.CancelDebitMemoRequest
    | service_pb.VoidDebitMemoRequest
    | service_pb.MarkDebitMemoProcessedRequest
)

MEMOS_DEFAULT = 50


class DebitMemos(service_grpc.DebitMemoServiceServicer):
    """The methods of `DebitMemoService`."""

    def __init__(self, book: Book, callers: Callers, reader: Reader) -> None:
        self._book = book
        self._callers = callers
        self._reader = reader

    async def CreateDebitMemo(
        self, request: service_pb.CreateDebitMemoRequest, context: Context
    ) -> service_pb.CreateDebitMemoResponse:
        if not request.HasField("memo"):
            raise missing("memo")
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        findings = Findings()
        content = read_memo(request.memo, findings, self._book.limits.lines_max)
        command = debit_memo.Create(content, request.request_id)
        memo_id = identity.debit_memo(command.content.unique_identifier)
        try:
            outcome = await self._book.transact_memo(
                memo_id,
                lambda memo, rules: debit_memo.create(command, memo, memo_id, rules, findings),
                meta,
                deadline(context),
                presumed_new=True,
                dry_run=request.validate_only,
            )
        except Malformed as malformed:
            if not request.validate_only:
                raise
            return service_pb.CreateDebitMemoResponse(
                findings=write_findings(malformed.findings), finding_count=malformed.count
            )
        first = outcome.history.recorded[: outcome.state.size]
        position = first[-1].position if first else outcome.position
        return service_pb.CreateDebitMemoResponse(
            debit_memo_id=str(memo_id),
            replayed=outcome.recorded is None,
            position="" if request.validate_only else self._position(position),
            memo=self._memo(memo_id, outcome),
        )

    async def UpdateDebitMemo(
        self, request: service_pb.UpdateDebitMemoRequest, context: Context
    ) -> service_pb.UpdateDebitMemoResponse:
        if not request.HasField("memo"):
            raise missing("memo")
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        key, findings = read_memo_key(request.key), Findings()
        content = read_memo(request.memo, findings, self._book.limits.lines_max)
        command = debit_memo.Update(content, request.expected_version, request.request_id)
        outcome = await self._book.transact_memo(
            key.id,
            lambda memo, rules: debit_memo.update(command, there(memo, key), key.id, rules, findings),
            meta,
            deadline(context),
        )
        return service_pb.UpdateDebitMemoResponse(**self._changed(key.id, outcome))

    async def PostDebitMemo(
        self, request: service_pb.PostDebitMemoRequest, context: Context
    ) -> service_pb.PostDebitMemoResponse:
        key = read_memo_key(request.key)
        outcome = await self._change(
            request, context, key, lambda memo, rules: debit_memo.post(debit_memo.Post(), memo, key.id, rules)
        )
        return service_pb.PostDebitMemoResponse(**self._changed(key.id, outcome))

    async def CancelDebitMemo(
        self, request: service_pb.CancelDebitMemoRequest, context: Context
    ) -> service_pb.CancelDebitMemoResponse:
        key = read_memo_key(request.key)
        outcome = await self._change(
            request, context, key, lambda memo, _: debit_memo.cancel(debit_memo.Cancel(), memo, key.id)
        )
        return service_pb.CancelDebitMemoResponse(**self._changed(key.id, outcome))

    async def VoidDebitMemo(
        self, request: service_pb.VoidDebitMemoRequest, context: Context
    ) -> service_pb.VoidDebitMemoResponse:
        key = read_memo_key(request.key)
        outcome = await self._change(
            request, context, key, lambda memo, _: debit_memo.void(debit_memo.Void(), memo, key.id)
        )
        return service_pb.VoidDebitMemoResponse(**self._changed(key.id, outcome))

    async def MarkDebitMemoProcessed(
        self, request: service_pb.MarkDebitMemoProcessedRequest, context: Context
    ) -> service_pb.MarkDebitMemoProcessedResponse:
        key = read_memo_key(request.key)
        command = debit_memo.MarkProcessed(request.reason)
        outcome = await self._change(
            request,
            context,
            key,
            lambda memo, _: debit_memo.mark_processed(command, memo, key.id, Findings()),
        )
        return service_pb.MarkDebitMemoProcessedResponse(**self._changed(key.id, outcome))

    async def GetDebitMemo(
        self, request: service_pb.GetDebitMemoRequest, context: Context
    ) -> service_pb.GetDebitMemoResponse:
        key = read_memo_key(request.key)
        answer = await debit_memos.find(
            self._reader,
            key.id,
            min_position=self._min_position(request.min_position),
            deadline=deadline(context),
        )
        if answer.found is None:
            raise debit_memo.NotFound(key=key)
        return service_pb.GetDebitMemoResponse(
            memo=self._written(answer.found, full=True), position=self._position(answer.position)
        )

    async def ListDebitMemos(
        self, request: service_pb.ListDebitMemosRequest, context: Context
    ) -> service_pb.ListDebitMemosResponse:
        these = pages(self._book.log.identity, "ListDebitMemos", request.filter)
        answer = await debit_memos.list_(
            self._reader,
            read_memo_filter(request.filter),
            before=these.cursor(request.page_token),
            size=size(request.page_size, MEMOS_DEFAULT),
            min_position=self._min_position(request.min_position),
            deadline=deadline(context),
        )
        found = answer.found
        return service_pb.ListDebitMemosResponse(
            memos=(self._written(each, full=False) for each in found.items),
            next_page_token=these.token(found.next) if found.next is not None else "",
            position=self._position(answer.position),
        )

    async def _change(
        self, request: Request, context: Context, key: MemoKey, decide: Decide[debit_memo.DebitMemo]
    ) -> Outcome[debit_memo.DebitMemo]:
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        return await self._book.transact_memo(
            key.id, lambda memo, rules: decide(there(memo, key), rules), meta, deadline(context)
        )

    def _changed(self, memo_id: UUID, outcome: Outcome[debit_memo.DebitMemo]) -> dict[str, Any]:
        """What the answer to every change holds."""
        return {
            "position": self._position(outcome.position),
            "replayed": outcome.recorded is None,
            "memo": self._memo(memo_id, outcome),
        }

    def _memo(self, memo_id: UUID, outcome: Outcome[debit_memo.DebitMemo]) -> pb.DebitMemo:
        before = outcome.history.recorded
        return write_memo(
            memo_id,
            outcome.state,
            self._position(outcome.state.reference_position),
            created=before[0].recorded if before else outcome.recorded,
            updated=outcome.recorded or before[-1].recorded,
        )

    def _written(self, found: FoundMemo, *, full: bool) -> pb.DebitMemo:
        reference_position = self._position(found.state.reference_position)
        return write_memo(found.id, found.state, reference_position, found.created, found.updated, full=full)

    def _min_position(self, text: str) -> int:
        return positions.read(self._book.log.identity, text, "min_position")

    def _position(self, position: int) -> str:
        return positions.token(self._book.log.identity, position)


def there(memo: debit_memo.DebitMemo | None, key: MemoKey) -> debit_memo.DebitMemo:
    """The memo that a caller means, or a refusal in the caller's own words."""
    if memo is None:
        raise debit_memo.NotFound(key=key)
    return memo
