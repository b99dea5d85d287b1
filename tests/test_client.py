"""What the client distribution adds to the stubs, tried on a real server on this machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import chain, repeat

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from daybook.client import Explanation, Finding, Tls, connect, connect_async, explain
from daybook.v1.invoice_service_pb2 import CancelInvoiceRequest, CancelInvoiceResponse
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub

AWAY = grpc.StatusCode.UNAVAILABLE
BROKEN = grpc.StatusCode.INVALID_ARGUMENT
FORBIDDEN = grpc.StatusCode.FAILED_PRECONDITION


async def test_an_explained_error_names_reason_facts_and_findings() -> None:
    info = ErrorInfo(reason="MALFORMED", domain="daybook", metadata={"findings": "1"})
    violation = BadRequest.FieldViolation(
        field="invoice.lines[0].name", description="is required", reason="REQUIRED"
    )
    async with server(refusal(BROKEN, "1 finding", info, BadRequest(field_violations=[violation]))) as target:
        found = await cancel(target)
    assert found == Explanation(
        code=BROKEN,
        message="1 finding",
        reason="MALFORMED",
        facts={"findings": "1"},
        findings=(Finding("invoice.lines[0].name", "REQUIRED", "is required"),),
        retry_after=None,
    )
    assert str(found) == "INVALID_ARGUMENT MALFORMED: 1 finding\n  invoice.lines[0].name: is required"


async def test_what_the_state_of_things_forbids_is_a_finding_too() -> None:
    failure = PreconditionFailure(
        violations=[{"type": "NOT_DRAFT", "subject": "invoice", "description": "is posted"}]
    )
    async with server(refusal(FORBIDDEN, "no", failure)) as target:
        found = await cancel(target)
    assert found.findings == (Finding("invoice", "NOT_DRAFT", "is posted"),)


async def test_an_overloaded_service_says_when_to_ask_again() -> None:
    later = RetryInfo(retry_delay=Duration(nanos=250_000_000))
    async with server(refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", later)) as target:
        found = await cancel(target)
    assert found.retry_after == timedelta(milliseconds=250)


async def test_an_error_without_details_is_explained_as_far_as_it_goes() -> None:
    async with server(Refusal(FORBIDDEN, "no", b"\xff not a status")) as target:
        found = await cancel(target)
    assert found == Explanation(FORBIDDEN, "no", reason="", facts={}, findings=(), retry_after=None)


async def test_a_service_that_is_away_for_a_moment_is_asked_again() -> None:
    async with (
        server(refusal(AWAY, "restarting"), refusal(AWAY, "restarting")) as target,
        connect_async(target) as channel,
    ):
        answer = await InvoiceServiceStub(channel).CancelInvoice(CancelInvoiceRequest(), timeout=5)
    assert answer.position == "7"


async def test_a_service_that_stays_away_is_given_up_after_four_attempts() -> None:
    async with server(*[refusal(AWAY, f"attempt {n}") for n in (1, 2, 3, 4, 5)]) as target:
        found = await cancel(target)
    assert found.message == "attempt 4"


async def test_a_refusal_is_not_asked_again() -> None:
    async with server(refusal(FORBIDDEN, "first"), refusal(FORBIDDEN, "second")) as target:
        found = await cancel(target)
    assert found.message == "first"


def test_errors_of_a_synchronous_channel_are_explained_alike() -> None:
    with connect("127.0.0.1:1") as channel, pytest.raises(grpc.RpcError) as caught:
        InvoiceServiceStub(channel).CancelInvoice(CancelInvoiceRequest(), timeout=5)
    assert explain(caught.value).code is AWAY


async def test_with_tls_a_server_in_clear_text_gets_nothing() -> None:
    async with server() as target, connect_async(target, Tls()) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await InvoiceServiceStub(channel).CancelInvoice(CancelInvoiceRequest(), timeout=5)
    assert explain(caught.value).code is AWAY


class Refusal(Exception):
    def __init__(self, code: grpc.StatusCode, message: str, status: bytes) -> None:
        self.code, self.message, self.trailers = code, message, (("grpc-status-details-bin", status),)


def refusal(code: grpc.StatusCode, message: str, *details: Message) -> Refusal:
    status = Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return Refusal(code, message, status.SerializeToString())


async def cancel(target: str) -> Explanation:
    async with connect_async(target) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await InvoiceServiceStub(channel).CancelInvoice(CancelInvoiceRequest(), timeout=5)
    return explain(caught.value)


@asynccontextmanager
async def server(*refusals: Refusal) -> AsyncIterator[str]:
    """Refuses as told, one call after the other, and then answers."""
    answers = chain(refusals, repeat(None))

    async def answer(
        _request: CancelInvoiceRequest,
        context: grpc.aio.ServicerContext[CancelInvoiceRequest, CancelInvoiceResponse],
    ) -> CancelInvoiceResponse:
        if refused := next(answers):
            await context.abort(refused.code, refused.message, refused.trailers)
        return CancelInvoiceResponse(position="7")

    method = grpc.unary_unary_rpc_method_handler(
        answer, CancelInvoiceRequest.FromString, CancelInvoiceResponse.SerializeToString
    )
    running = grpc.aio.server()
    service = grpc.method_handlers_generic_handler("daybook.v1.InvoiceService", {"CancelInvoice": method})
    running.add_generic_rpc_handlers((service,))
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await running.stop(None)
