"""Settles invoices: reads the message, sends the command, writes the reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import invoice_service_pb2_grpc as service_grpc
from domain import crediting, identity, invoice
from domain.findings import Findings

from .calls import Callers, deadline
from .ingestion import Replies
from .keys import resolved, there
from .transact import Book, Outcome
from .wire.keys import read_key
from .wire.settlement import (
    add_settlement,
    read_conversion,
    read_payment,
    read_reversal,
    read_write_off,
)

Context = grpc.aio.ServicerContext[Any, Any]
Request = (
    service_pb.VoidInvoiceRequest
    | service_pb.ConvertNegativeLinesRequest
    | service_pb.WriteOffInvoiceRequest
    | service_pb.RecordPaymentRequest
    | service_pb.ReversePaymentRequest
)
Decide = Callable[[invoice.Invoice, UUID, invoice.Rules], invoice.Decision]


class SettlingServicer(service_grpc.InvoiceServiceServicer):
    """The methods of `InvoiceService` that settle an invoice, or take that back."""

    _book: Book
    _callers: Callers
    _replies: Replies

    async def VoidInvoice(
        self, request: service_pb.VoidInvoiceRequest, context: Context
    ) -> service_pb.VoidInvoiceResponse:
        command = crediting.Void()
        invoice_id, outcome = await self._settle(
            request,
            context,
            lambda state, invoice_id, rules: crediting.void(command, state, invoice_id, rules),
        )
        [credit] = outcome.state.ledger.credits[-1:]
        return service_pb.VoidInvoiceResponse(
            credit_memo_id=str(credit.applied.credit_memo_id), **self._settled(invoice_id, outcome)
        )

    async def ConvertNegativeLines(
        self, request: service_pb.ConvertNegativeLinesRequest, context: Context
    ) -> service_pb.ConvertNegativeLinesResponse:
        findings = Findings()
        command = read_conversion(request, findings, self._book.limits.lines_max)
        invoice_id, outcome = await self._settle(
            request,
            context,
            lambda state, invoice_id, rules: crediting.convert(command, state, invoice_id, rules, findings),
        )
        conversions = outcome.state.ledger.conversions
        heard = (each for each in conversions if command.request_id and each.request_id == command.request_id)
        return service_pb.ConvertNegativeLinesResponse(
            credit_memo_id=str(next(heard, conversions[-1]).credit_memo_id),
            **self._settled(invoice_id, outcome),
        )

    async def WriteOffInvoice(
        self, request: service_pb.WriteOffInvoiceRequest, context: Context
    ) -> service_pb.WriteOffInvoiceResponse:
        findings = Findings()
        command = read_write_off(request, findings)
        invoice_id, outcome = await self._settle(
            request,
            context,
            lambda state, invoice_id, rules: crediting.write_off(command, state, invoice_id, rules, findings),
        )
        written_off = outcome.state.ledger.written_off
        assert written_off is not None
        return service_pb.WriteOffInvoiceResponse(
            credit_memo_id=str(written_off.credit.credit_memo_id), **self._settled(invoice_id, outcome)
        )

    async def RecordPayment(
        self, request: service_pb.RecordPaymentRequest, context: Context
    ) -> service_pb.RecordPaymentResponse:
        findings = Findings()
        command = read_payment(request, findings)
        invoice_id, outcome = await self._settle(
            request,
            context,
            lambda state, invoice_id, rules: invoice.record_payment(
                command, state, invoice_id, rules, findings
            ),
        )
        return service_pb.RecordPaymentResponse(
            payment_id=str(identity.payment(invoice_id, command.request_id)),
            **self._settled(invoice_id, outcome),
        )

    async def ReversePayment(
        self, request: service_pb.ReversePaymentRequest, context: Context
    ) -> service_pb.ReversePaymentResponse:
        findings = Findings()
        command = read_reversal(request, findings)
        invoice_id, outcome = await self._settle(
            request,
            context,
            lambda state, invoice_id, rules: invoice.reverse_payment(
                command, state, invoice_id, rules, findings
            ),
        )
        return service_pb.ReversePaymentResponse(**self._settled(invoice_id, outcome))

    async def _settle(
        self, request: Request, context: Context, decide: Decide
    ) -> tuple[UUID, Outcome[invoice.Invoice]]:
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        until, key = deadline(context), read_key(request.key)
        invoice_id = await resolved(key, self._book.log, until)
        outcome = await self._book.transact(
            invoice_id,
            lambda state, rules: decide(there(state, key), invoice_id, rules),
            meta,
            until,
        )
        return invoice_id, outcome

    def _settled(self, invoice_id: UUID, outcome: Outcome[invoice.Invoice]) -> dict[str, Any]:
        """What the answer to every settlement holds."""
        return {
            "position": self._replies.position(outcome.position),
            "replayed": outcome.recorded is None,
            "invoice": self._after(invoice_id, outcome),
        }

    def _after(self, invoice_id: UUID, outcome: Outcome[invoice.Invoice]) -> pb.Invoice:
        state = outcome.state
        message = self._replies.invoice(invoice_id, outcome, pb.INVOICE_VIEW_BASIC)
        add_settlement(message, state.ledger, invoice_id, state.header.currency)
        return message
