"""Whatever is killed while debit memos are billed: memo and invoice agree, and no memo is billed twice."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psycopg
import pytest

from daybook.client import connect, explain
from daybook.v1 import debit_memo_service_pb2 as service_pb
from daybook.v1 import invoice_service_pb2 as invoice_service_pb
from daybook.v1.debit_memo_service_pb2_grpc import DebitMemoServiceStub
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from domain import identity
from store.embedded import Embedded
from tests.serving import serving

from .killing import Served, load_reference_data
from .test_debit_memos import a_memo, billing, named

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("DAYBOOK_TEST_KILLS", "20"))
PAIRS = 4  # of callers, both of whom bill the same memo
CALL_SECONDS = 10.0
BACK_SECONDS_MAX = 90.0
CALLERS = 50

# What each memo says of an invoice, and what each invoice says of a memo, by the last word of either.
BILLED = """
SELECT originator_id::text, convert_from(state, 'UTF8')::json -> 'data' ->> 'invoice_id', topic
FROM daybook.events WHERE topic IN ('DebitMemoBilled', 'DebitMemoReleased') ORDER BY notification_id
"""
DRAFTED = """
SELECT drafted.originator_id::text,
    convert_from(drafted.state, 'UTF8')::json -> 'data' -> 'header' -> 'reference' ->> 'id',
    EXISTS (
        SELECT FROM daybook.events AS later
        WHERE later.originator_id = drafted.originator_id AND later.topic = 'InvoiceCanceled'
    )
FROM daybook.events AS drafted WHERE drafted.topic = 'InvoiceDrafted'
"""


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    load_reference_data(served.target)
    yield served
    served.stop()


class Bills:
    """Callers who create memos and bill each twice, under two keys; some drafts are canceled again."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.done = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(pair, side)) for pair in range(PAIRS) for side in "ab"
        ]

    def __enter__(self) -> Bills:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(BACK_SECONDS_MAX)
            assert not thread.is_alive()

    def wait_for_more(self, count: int) -> None:
        wanted, until = self.done + count, time.monotonic() + BACK_SECONDS_MAX
        while self.done < wanted:
            assert time.monotonic() < until, f"the service does not come back: {self.served.said()}"
            time.sleep(0.01)

    def _run(self, pair: int, side: str) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            memo = f"memo {pair}-{number}"
            if self._memo(memo):
                self._bill(memo, f"{side} of {memo}", cancel=number % 3 == 0)

    def _memo(self, memo: str) -> bool:
        create = service_pb.CreateDebitMemoRequest(memo=a_memo(memo))
        post = service_pb.PostDebitMemoRequest(key=named(memo))
        return bool(
            self._until_answered(lambda stub, _: stub.CreateDebitMemo(create, timeout=CALL_SECONDS))
            and self._until_answered(lambda stub, _: stub.PostDebitMemo(post, timeout=CALL_SECONDS))
        )

    def _bill(self, memo: str, key: str, *, cancel: bool) -> None:
        request = billing(key, memo)
        answer = self._until_answered(lambda _, stub: stub.IngestInvoice(request, timeout=CALL_SECONDS))
        if answer == "recorded" and cancel:
            given_up = invoice_service_pb.CancelInvoiceRequest(
                key=invoice_service_pb.InvoiceKey(unique_identifier=key)
            )
            self._until_answered(lambda _, stub: stub.CancelInvoice(given_up, timeout=CALL_SECONDS))
        self.done += 1

    def _until_answered(self, call: Any) -> str:
        """Again and again until the service says what became of it."""
        while not self._stop.is_set():
            try:
                with connect(self.served.target) as channel:
                    call(DebitMemoServiceStub(channel), InvoiceServiceStub(channel))
                return "recorded"
            except grpc.RpcError as error:
                reason = explain(error).reason
                if reason == "DEBIT_MEMO_BILLED":
                    return "billed"
                if explain(error).code in (
                    grpc.StatusCode.INVALID_ARGUMENT,
                    grpc.StatusCode.FAILED_PRECONDITION,
                    grpc.StatusCode.NOT_FOUND,
                    grpc.StatusCode.INTERNAL,
                ):
                    self.failures.append(f"{reason}: {explain(error).message}")
                    return ""
                time.sleep(0.02)
        return ""


@pytest.mark.parametrize("role", ["worker", "supervisor", "postgres"])
def test_memo_and_invoice_agree_whoever_is_killed(role: str, served: Served) -> None:
    with Bills(served) as bills:
        for _ in range(KILLS):
            bills.wait_for_more(2 * PAIRS)
            time.sleep(random.uniform(0, 0.2))
            served.kill(role)
        bills.wait_for_more(2 * PAIRS)
    assert bills.failures == []
    standing, drafted = check_pairs(served)
    print(f"{role}: {KILLS} kills, {bills.done} asked, {drafted} invoices, {standing} memos billed")
    assert standing > KILLS


def check_pairs(served: Served) -> tuple[int, int]:
    """What the memos say of their invoices is what the invoices say of their memos."""
    by_memo: dict[str, str] = {}
    for memo_id, invoice_id, topic in rows(served, BILLED):
        if topic == "DebitMemoBilled":
            assert memo_id not in by_memo, f"{memo_id} is billed twice"
            by_memo[memo_id] = invoice_id
        else:
            assert by_memo.pop(memo_id) == invoice_id
    invoices = rows(served, DRAFTED)
    of_invoices: dict[str, str] = {}
    for invoice_id, memo_id, canceled in invoices:
        if not canceled:
            assert memo_id not in of_invoices, f"{memo_id} has two invoices"
            of_invoices[memo_id] = invoice_id
    assert by_memo == of_invoices
    return len(by_memo), len(invoices)


def rows(served: Served, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(Embedded(served.folder / "data").app_dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def test_of_fifty_callers_at_several_processes_one_bills_the_memo() -> None:
    with serving("--workers", "4") as target:
        load_reference_data(target)
        with connect(target) as channel:
            stub = DebitMemoServiceStub(channel)
            stub.CreateDebitMemo(service_pb.CreateDebitMemoRequest(memo=a_memo("one only")), timeout=10)
            stub.PostDebitMemo(service_pb.PostDebitMemoRequest(key=named("one only")), timeout=10)
        barrier = threading.Barrier(CALLERS)
        with ThreadPoolExecutor(CALLERS) as callers:
            said = list(callers.map(lambda n: bill(target, n, barrier), range(CALLERS)))
    assert sorted(said) == ["DEBIT_MEMO_BILLED"] * (CALLERS - 1) + ["recorded"]


def bill(target: str, number: int, barrier: threading.Barrier) -> str:
    with connect(target) as channel:
        stub = InvoiceServiceStub(channel)
        barrier.wait(30)
        try:
            answer = stub.IngestInvoice(billing(f"caller {number}", "one only"), timeout=20)
        except grpc.RpcError as error:
            return explain(error).reason
    assert answer.invoice_id == str(identity.invoice(f"caller {number}"))
    return "recorded"
