"""Whatever is killed while batches and streams run: what was acknowledged is there, whole and once."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from daybook.client import OPTIONS, connect_async, explain
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub

from .killing import BACK_SECONDS_MAX, Served, content, load_reference_data
from .test_kills import check_log, check_read_model

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("DAYBOOK_TEST_KILLS", "10"))
CALLERS = 3  # of each kind
MANY = 40  # invoices of a batch
STREAMED = 300  # and of a stream
PACE_SECONDS = 0.3
CALL_SECONDS = 10.0
GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


@dataclass
class Crowd:
    """Callers of batches, atomic and not, and of streams, on an event loop of their own.

    Each sends what had no answer again until it has one, and keeps every answer.
    """

    served: Served
    acknowledged: dict[str, str] = field(default_factory=dict)
    positions: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Crowd:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(BACK_SECONDS_MAX)
        assert not self._thread.is_alive()

    def wait_for_more(self, count: int) -> None:
        wanted = len(self.acknowledged) + count
        until = time.monotonic() + BACK_SECONDS_MAX
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < until, f"the service does not come back: {self.served.said()}"
            time.sleep(0.01)

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:

            async def a_stub() -> Any:
                """On a connection of its own: the kernel gives it to one of the workers."""
                alone = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
                channel = grpc.aio.insecure_channel(self.served.target, alone)
                return InvoiceServiceStub(await stack.enter_async_context(channel))

            callers = []
            for n in range(CALLERS):
                callers.append(self._caller(f"each-{n}", MANY, self._batch(await a_stub(), False)))
                callers.append(self._caller(f"all-{n}", MANY, self._batch(await a_stub(), True)))
                callers.append(self._caller(f"stream-{n}", STREAMED, self._stream(await a_stub())))
            await asyncio.gather(*callers)

    async def _caller(
        self, name: str, many: int, send: Callable[[Sequence[Any]], Coroutine[Any, Any, None]]
    ) -> None:
        turn = 0
        while not self._stop.is_set():
            keys = [f"{name}-{turn}-{n}" for n in range(many)]
            while left := [key for key in keys if key not in self.acknowledged]:
                try:
                    await send([service_pb.IngestInvoiceRequest(invoice=content(key, 2)) for key in left])
                except grpc.aio.AioRpcError as error:
                    # One that dies in mid-send is INTERNAL on the caller's side, without a reason.
                    if explain(error).reason and error.code() not in GONE:
                        self.failures.append(f"{name}: {error.code()} {error.details()}")
                        return
                    await asyncio.sleep(0.05)
            turn += 1
            await asyncio.sleep(PACE_SECONDS)

    def _batch(self, stub: Any, atomic: bool) -> Callable[[Sequence[Any]], Coroutine[Any, Any, None]]:
        async def send(requests: Sequence[service_pb.IngestInvoiceRequest]) -> None:
            batch = service_pb.BatchIngestInvoicesRequest(requests=requests, atomic=atomic)
            answer: Any = await stub.BatchIngestInvoices(batch, timeout=CALL_SECONDS)
            if atomic:
                assert len({each.response.replayed for each in answer.results}) == 1
            for each in answer.results:
                self._heard(each)

        return send

    def _stream(self, stub: Any) -> Callable[[Sequence[Any]], Coroutine[Any, Any, None]]:
        async def send(requests: Sequence[service_pb.IngestInvoiceRequest]) -> None:
            async def sending() -> AsyncIterator[service_pb.StreamIngestInvoicesRequest]:
                for each in requests:
                    yield service_pb.StreamIngestInvoicesRequest(request=each)

            stream: Any = stub.StreamIngestInvoices(sending(), timeout=60)
            async for answer in stream:
                for each in answer.results:
                    self._heard(each.result)

        return send

    def _heard(self, result: service_pb.IngestionResult) -> None:
        if result.HasField("response"):
            self.acknowledged[result.unique_identifier] = result.response.invoice_id
            self.positions[result.unique_identifier] = result.response.position
            return
        status = result.failure.status
        if status.code not in (each.value[0] for each in GONE):
            self.failures.append(f"{result.unique_identifier}: {status.message}")


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    served = Served(workers=request.param)
    load_reference_data(served.target)
    yield served
    served.stop()


@pytest.mark.parametrize(
    ("role", "served"), [("worker", 1), ("worker", 2), ("postgres", 2)], indirect=["served"]
)
def test_what_was_acknowledged_of_many_is_there_whole_and_once_whoever_is_killed(
    role: str, served: Served
) -> None:
    with Crowd(served) as crowd:
        for _ in range(KILLS):
            crowd.wait_for_more(MANY)
            time.sleep(random.uniform(0, 0.3))
            served.kill(role)
        crowd.wait_for_more(MANY)
    print(f"{role}: {KILLS} kills, {len(crowd.acknowledged)} acknowledged")
    assert crowd.failures == []
    check_log(served, crowd)
    check_read_model(served, crowd)
    check_answers(served, crowd)


def check_answers(served: Served, crowd: Crowd) -> None:
    """Heard again, each is answered as it was."""
    some = random.sample(sorted(crowd.positions), min(300, len(crowd.positions)))

    async def again() -> dict[str, str]:
        async with connect_async(served.target) as channel:
            requests = [service_pb.IngestInvoiceRequest(invoice=content(key, 2)) for key in some]
            stub: Any = InvoiceServiceStub(channel)
            answer = await stub.BatchIngestInvoices(
                service_pb.BatchIngestInvoicesRequest(requests=requests), timeout=60
            )
            assert all(each.response.replayed for each in answer.results)
            return {each.unique_identifier: each.response.position for each in answer.results}

    assert asyncio.run(again()) == {key: crowd.positions[key] for key in some}
