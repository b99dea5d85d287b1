"""Read models under fire: their processes are killed under load, and they still are what the log says."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import grpc
import pytest

from daybook.client import connect
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import projection_service_pb2 as pb
from daybook.v1.invoice_query_service_pb2_grpc import InvoiceQueryServiceStub
from daybook.v1.invoice_service_pb2 import InvoiceKey
from daybook.v1.projection_service_pb2_grpc import ProjectionServiceStub

from .house import position
from .killing import Load, Served, load_reference_data

pytestmark = pytest.mark.long

KILLS = 50
REBUILDS = ("invoices", "invoices-by-order")
ANSWER_SECONDS_MAX = 30.0


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    load_reference_data(served.target)
    yield served
    served.stop()


def assert_what_the_log_says(served: Served) -> None:
    """Every read model, compared row by row with one that is built from the log alone."""
    with connect(served.target) as channel:
        stub = ProjectionServiceStub(channel)
        for each in stub.ListProjections(pb.ListProjectionsRequest()).projections:
            last = pb.Rebuild()
            for answer in stub.RebuildProjection(
                pb.RebuildProjectionRequest(name=each.name, validate_only=True)
            ):
                last = answer.rebuild
            assert last.state == pb.REBUILD_STATE_DONE, last
            assert not last.comparison.differing_rows, last
            assert last.comparison.live_digest == last.comparison.built_digest


class Questions:
    """Somebody who asks all the time, and looks whether the answers are whole and never go back."""

    def __init__(self, served: Served, load: Load) -> None:
        self._target = served.target
        self._load = load
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._seen: set[str] = set()
        self.asked = 0
        self.wrong: list[str] = []

    def __enter__(self) -> Questions:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _ask(self) -> None:
        random, listed, found = Random(1), 0, 0
        with connect(self._target) as channel:
            stub = InvoiceQueryServiceStub(channel)
            while not self._over.wait(0.01):
                try:
                    keys = list(self._load.acknowledged)
                    page = stub.ListOrderInvoices(
                        query_pb.ListOrderInvoicesRequest(order_id="order-1"), timeout=ANSWER_SECONDS_MAX
                    )
                    listed = self._never_back(listed, page.position)
                    if keys:
                        found = self._one(stub, random.choice(keys), found)
                    self.asked += 1
                except Exception as error:
                    self.wrong.append(repr(error))

    def _one(self, stub: InvoiceQueryServiceStub, key: str, before: int) -> int:
        lines = 1 + int(key.rpartition("-")[2]) % 7
        wanted = query_pb.GetInvoiceRequest(key=InvoiceKey(unique_identifier=key))
        try:
            answer = stub.GetInvoice(wanted, timeout=ANSWER_SECONDS_MAX)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND and key not in self._seen:
                return before  # the read model has not come so far
            raise
        self._seen.add(key)
        if answer.invoice.line_count != lines or answer.invoice.totals.total.units != 10 * lines:
            self.wrong.append(f"{key}: {answer}")
        return self._never_back(before, answer.position)

    def _never_back(self, before: int, token: str) -> int:
        now = position(token)
        if now < before:
            self.wrong.append(f"back from {before} to {now}")
        return now


def rebuilder() -> int | None:
    """The process that rebuilds, if there is one."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if "service.process\0rebuilder" in each.read_text():
                return int(each.parent.name)
        except OSError:
            continue
    return None


def test_after_fifty_kills_of_the_follower_the_read_models_are_what_the_log_says(served: Served) -> None:
    random = Random(50)
    with Load(served, 3) as load:
        load.wait_for_more(5)
        for _ in range(KILLS):
            time.sleep(random.uniform(0.0, 1.5))
            served.kill("follower")
        load.wait_for_more(5)
    assert load.failures == []
    assert_what_the_log_says(served)


def test_a_rebuild_that_is_killed_again_and_again_ends_while_questions_are_answered(served: Served) -> None:
    with Load(served, 2) as load:
        load.wait_for_more(40)
        settle(served)
        with Questions(served, load) as questions:
            for name in REBUILDS:
                rebuild_under_kills(served, name)
    assert load.failures == []
    assert questions.wrong == []
    assert questions.asked > 20
    assert_what_the_log_says(served)


def settle(served: Served) -> None:
    with connect(served.target) as channel:
        stub = ProjectionServiceStub(channel)
        until = time.monotonic() + 60
        while any(
            each.time_behind.seconds >= 2
            for each in stub.ListProjections(pb.ListProjectionsRequest()).projections
        ):
            assert time.monotonic() < until
            time.sleep(0.1)


def rebuild_under_kills(served: Served, name: str) -> None:
    kills, last = 0, pb.Rebuild()
    with connect(served.target) as channel:
        asked = pb.RebuildProjectionRequest(name=name, max_events_per_second=200)
        for answer in ProjectionServiceStub(channel).RebuildProjection(asked):
            last = answer.rebuild
            if kills < 2 and last.state != pb.REBUILD_STATE_ASKED and (process := rebuilder()):
                os.kill(process, signal.SIGKILL)
                kills += 1
            elif kills == 2:
                served.kill("follower")
                kills += 1
    assert kills == 3
    assert last.state == pb.REBUILD_STATE_DONE, last
    assert not last.comparison.differing_rows, last
