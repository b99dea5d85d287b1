"""Whatever is sent, there is an answer or a reason, soon, and what is refused has written nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb

from .contract import METHODS, ask, clean
from .house import House
from .messages import (
    a_line,
    a_posted_invoice,
    a_tax,
    an_address,
    an_invoice,
    apply,
    by_key,
    get,
    ingest,
    number,
    revise,
    update,
)
from .strategies import damaged, gone_wrong, messages

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
SAID_NO = {
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.ALREADY_EXISTS,
    Code.FAILED_PRECONDITION,
    Code.ABORTED,
}
SECONDS_MAX = 10.0  # 0.05 on a machine at rest
FEW, MANY = 8, 150  # examples

KNOWN = an_invoice("known", invoice_number="K-1", description="as agreed")
GOOD: dict[str, list[Message]] = {
    "IngestInvoice": [
        ingest(
            an_invoice(
                "random",
                [
                    a_line("99.99", taxes=[a_tax("19.00"), a_tax("1.00", exempt_amount=number("0.5"))]),
                    a_line("-1"),
                ],
                tax_status=pb.TAX_STATUS_ESTIMATED,
                address_groups=[
                    an_address(latitude=number("49.79"), longitude=number("9.95")),
                    an_address("depot"),
                ],
                labels={"team": "north"},
                reference=pb.Reference(kind=pb.REFERENCE_KIND_ORDER, id="order-1"),
            )
        ),
        ingest(a_posted_invoice("random posted"), reason="because", correlation_id="c"),
        ingest(KNOWN, validate_only=True),
    ],
    "ReviseInvoice": [revise("known", an_invoice("known"), request_id="r", expected_version=3)],
    "UpdateInvoice": [
        update(
            "known",
            "description",
            "labels",
            change=service_pb.InvoiceChange(description="x", labels={"a": "b"}),
        )
    ],
    "CancelInvoice": [service_pb.CancelInvoiceRequest(key=by_key("known"))],
    "ApplyReferenceData": [apply(validate_only=True)],
    "GetInvoice": [get(by_key("known"))],
}


def some(method: MethodDescriptor) -> st.SearchStrategy[bytes]:
    """Requests of a method, from nearly good to noise."""
    kinds = [messages(method.input_type).map(lambda each: each.SerializeToString()), st.binary(max_size=200)]
    for good in GOOD.get(method.name, []):
        kinds += [gone_wrong(good).map(lambda each: each.SerializeToString())] * 3
        kinds.append(damaged(good.SerializeToString()))
    return st.one_of(kinds)


async def answered_or_refused_for_a_reason(server: House, method: MethodDescriptor, raw: bytes) -> None:
    head = await server.head()
    began = time.monotonic()
    answer = await ask(server.channel, method, raw)
    assert time.monotonic() - began < SECONDS_MAX
    if answer.error is not None:
        reason, _ = clean(answer.error)
        assert answer.code in SAID_NO, (answer.code, reason)
        assert await server.head() == head, reason


def examples(times: int) -> Callable[[Any], Any]:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=times, deadline=None, suppress_health_check=slow)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(server: House) -> House:
    await server.invoices.IngestInvoice(ingest(KNOWN))
    return server


async def send(server: House, data: st.DataObject, method: MethodDescriptor) -> None:
    await answered_or_refused_for_a_reason(server, method, data.draw(some(method)))


each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@each_method
@examples(FEW)
@for_all(data=st.data())
async def test_whatever_is_sent_is_answered_or_refused_for_a_reason(
    known: House, method: MethodDescriptor, data: st.DataObject
) -> None:
    await send(known, data, method)


@pytest.mark.long
@each_method
@examples(MANY)
@for_all(data=st.data())
async def test_whatever_is_sent_by_many_is_answered_or_refused_for_a_reason(
    known: House, method: MethodDescriptor, data: st.DataObject
) -> None:
    await send(known, data, method)
