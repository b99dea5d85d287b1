"""Four processes post 2,000 drafts into one series while they are killed and their transactions cut off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import grpc
import psycopg
import pytest

from daybook.client import connect
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import invoice_service_pb2_grpc as service_grpc
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import reference_data_service_pb2_grpc as reference_grpc
from daybook.v1 import sequence_service_pb2 as sequence_pb
from daybook.v1 import sequence_service_pb2_grpc as sequence_grpc

from .killing import BACK_SECONDS_MAX, Served, content, reference_data

pytestmark = pytest.mark.long

POSTS = 2_000
CALLERS = 32
CALL_SECONDS = 10.0
TROUBLES = 24  # every other one is a killed worker, every other one is transactions that are cut off
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)

CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datname = current_database() AND state <> 'idle'
ORDER BY random() LIMIT 2
"""


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served(workers=4)
    with connect(served.target) as channel:
        data = reference_data()
        data.sequence_policies.add(
            id="invoices", name="Invoices", legal_entity_id="de", pattern="INV-{SequenceValue}"
        )
        request = reference_pb.ApplyReferenceDataRequest(data=data)
        reference_grpc.ReferenceDataServiceStub(channel).ApplyReferenceData(request, timeout=30)
    yield served
    served.stop()


def test_of_many_processes_that_are_killed_each_number_is_given_once_and_none_is_missing(
    served: Served,
) -> None:
    keys = [f"draft {n}" for n in range(POSTS)]
    given: list[str] = []
    over = Event()
    with ThreadPoolExecutor(CALLERS + 1) as callers:
        list(callers.map(lambda part: ingest(served, part), parts(keys)))
        trouble = callers.submit(make_trouble, served, given, over)
        try:
            list(callers.map(lambda part: post(served, part, given), parts(keys)))
        finally:
            over.set()
        assert trouble.result() == TROUBLES
    assert sorted(given, key=lambda number: int(number[4:])) == [f"INV-{n}" for n in range(1, POSTS + 1)]
    assert prove(served) == (POSTS, 0)


def parts(keys: list[str]) -> list[list[str]]:
    return [keys[n::CALLERS] for n in range(CALLERS)]


def ingest(served: Served, keys: list[str]) -> None:
    with connect(served.target) as channel:
        stub = service_grpc.InvoiceServiceStub(channel)
        for key in keys:
            stub.IngestInvoice(service_pb.IngestInvoiceRequest(invoice=content(key, 1)), timeout=CALL_SECONDS)


def post(served: Served, keys: list[str], given: list[str]) -> None:
    """Each is asked for until there is an answer."""
    with connect(served.target) as channel:
        stub = service_grpc.InvoiceServiceStub(channel)
        for key in keys:
            post_one(served, stub, key, given)


def post_one(served: Served, stub: service_grpc.InvoiceServiceStub, key: str, given: list[str]) -> None:
    request = service_pb.PostInvoiceRequest(key=service_pb.InvoiceKey(unique_identifier=key))
    until = time.monotonic() + BACK_SECONDS_MAX
    while True:
        try:
            answer = stub.PostInvoice(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() not in AGAIN:
                raise
            assert time.monotonic() < until, f"the service does not come back: {served.said()}"
            time.sleep(0.05)
        else:
            assert answer.posting == service_pb.POSTING_OUTCOME_POSTED
            given.append(answer.invoice.invoice_number)
            return


def make_trouble(served: Served, given: list[str], over: Event) -> int:
    """Each trouble comes once more numbers are given, so that the service is back from the one before."""
    for times in range(TROUBLES):
        while len(given) < (times + 1) * POSTS // (TROUBLES + 1):
            if over.wait(0.005):
                return times
        if times % 2:
            served.kill("worker")
        else:
            cut_off(served, over)
    return TROUBLES


def cut_off(served: Served, over: Event) -> None:
    with psycopg.connect(served.dsn, autocommit=True) as connection:
        while not connection.execute(CUT_OFF).fetchall() and not over.wait(0.001):
            pass


def prove(served: Served) -> tuple[int, int]:
    """How many numbers the series has, and how many of them have a fault."""
    count = faults = 0
    with connect(served.target) as channel:
        stub = sequence_grpc.SequenceServiceStub(channel)
        asked = sequence_pb.ProveSequenceRequest(policy_id="invoices", page_size=500)
        while True:
            answer = stub.ProveSequence(asked, timeout=120)
            count, faults = count + len(answer.numbers), faults + answer.fault_count
            asked.page_token = answer.next_page_token
            if not asked.page_token:
                return count, faults
