"""Applies and reads credit memos: reads the message, sends the command, writes the reply."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import credit_memo_pb2 as pb
from daybook.v1 import credit_memo_service_pb2 as service_pb
from daybook.v1 import credit_memo_service_pb2_grpc as service_grpc
from domain import credit_memo, crediting
from domain.findings import Findings, Malformed
from projections import credit_memos
from projections.reader import Reader

from . import positions
from .calls import Callers, deadline
from .keys import missing, resolved
from .pages import pages, size
from .transact import Book, Outcome
from .wire.credit_memos import (
    read_application,
    read_credit_memo_filter,
    read_credit_memo_id,
    read_unapplication,
    write_credit_memo,
)
from .wire.keys import read_key
from .wire.settlement import write_applications

Context = grpc.aio.ServicerContext[Any, Any]

MEMOS_DEFAULT = 50


class CreditMemos(service_grpc.CreditMemoServiceServicer):
    """The methods of `CreditMemoService`."""

    def __init__(self, book: Book, callers: Callers, reader: Reader) -> None:
        self._book = book
        self._callers = callers
        self._reader = reader

    async def ApplyCreditMemo(
        self, request: service_pb.ApplyCreditMemoRequest, context: Context
    ) -> service_pb.ApplyCreditMemoResponse:
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        until, findings = deadline(context), Findings()
        memo_id = _required_id(request.credit_memo_id)
        if not request.HasField("invoice"):
            raise missing("invoice")
        invoice_id = await resolved(read_key(request.invoice, "invoice"), self._book.log, until)
        command = read_application(request, invoice_id, findings)
        outcome = await self._book.transact_credit(
            memo_id,
            lambda memo, rules: crediting.apply(command, memo, memo_id, rules, findings),
            meta,
            until,
            invoices=lambda _: (invoice_id,),
        )
        applications = write_applications(memo_id, outcome.state)
        asked = (each.applied.request_id == command.request_id for each in outcome.state.applications)
        return service_pb.ApplyCreditMemoResponse(
            application=next(each for each, wanted in zip(applications, asked, strict=True) if wanted),
            **self._changed(memo_id, outcome),
        )

    async def UnapplyCreditMemo(
        self, request: service_pb.UnapplyCreditMemoRequest, context: Context
    ) -> service_pb.UnapplyCreditMemoResponse:
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        memo_id, findings = _required_id(request.credit_memo_id), Findings()
        command = read_unapplication(request, findings)
        outcome = await self._book.transact_credit(
            memo_id,
            lambda memo, rules: crediting.unapply(command, memo, memo_id, rules, findings),
            meta,
            deadline(context),
            invoices=lambda memo: crediting.concerned(memo, command.application_id),
        )
        return service_pb.UnapplyCreditMemoResponse(**self._changed(memo_id, outcome))

    async def GetCreditMemo(
        self, request: service_pb.GetCreditMemoRequest, context: Context
    ) -> service_pb.GetCreditMemoResponse:
        memo_id = _required_id(request.credit_memo_id)
        answer = await credit_memos.find(
            self._reader,
            memo_id,
            min_position=self._min_position(request.min_position),
            deadline=deadline(context),
        )
        if (found := answer.found) is None:
            raise credit_memo.NotFound(key=memo_id)
        return service_pb.GetCreditMemoResponse(
            credit_memo=write_credit_memo(
                found.id, found.state, found.created, found.updated, line_count=found.line_count
            ),
            position=self._position(answer.position),
        )

    async def ListCreditMemos(
        self, request: service_pb.ListCreditMemosRequest, context: Context
    ) -> service_pb.ListCreditMemosResponse:
        these = pages(self._book.log.identity, "ListCreditMemos", request.filter)
        answer = await credit_memos.list_(
            self._reader,
            read_credit_memo_filter(request.filter),
            before=these.cursor(request.page_token),
            size=size(request.page_size, MEMOS_DEFAULT),
            min_position=self._min_position(request.min_position),
            deadline=deadline(context),
        )
        found = answer.found
        return service_pb.ListCreditMemosResponse(
            credit_memos=(
                write_credit_memo(
                    each.id, each.state, each.created, each.updated, line_count=each.line_count, full=False
                )
                for each in found.items
            ),
            next_page_token=these.token(found.next) if found.next is not None else "",
            position=self._position(answer.position),
        )

    def _changed(self, memo_id: UUID, outcome: Outcome[credit_memo.CreditMemo]) -> dict[str, Any]:
        """What the answer to every change holds."""
        return {
            "position": self._position(outcome.position),
            "replayed": outcome.recorded is None,
            "credit_memo": self._memo(memo_id, outcome),
        }

    def _memo(self, memo_id: UUID, outcome: Outcome[credit_memo.CreditMemo]) -> pb.CreditMemo:
        before = outcome.history.recorded
        return write_credit_memo(
            memo_id,
            outcome.state,
            created=before[0].recorded,
            updated=outcome.recorded or before[-1].recorded,
        )

    def _min_position(self, text: str) -> int:
        return positions.read(self._book.log.identity, text, "min_position")

    def _position(self, position: int) -> str:
        return positions.token(self._book.log.identity, position)


def _required_id(text: str) -> UUID:
    findings = Findings()
    memo_id = read_credit_memo_id(text, findings)
    if findings:
        raise Malformed(findings)
    return memo_id
