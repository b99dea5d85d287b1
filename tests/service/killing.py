"""A `daybook serve` under load whose processes are killed, and callers who keep what was acknowledged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import grpc
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal

from daybook.client import connect, explain
from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import invoice_service_pb2_grpc as service_grpc
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import reference_data_service_pb2_grpc as reference_grpc
from store.embedded import Embedded
from tests.serving import DAYBOOK, free_port, wait_until_ready

CALL_SECONDS = 10.0
PACE_SECONDS = 0.1  # between one caller's invoices, so that a read model can keep up on any machine
BACK_SECONDS_MAX = 90.0
DAY = Date(year=2026, month=4, day=1)


class Served:
    """One `daybook serve` on a folder or a database of its own, started again when it was killed."""

    def __init__(self, *, start: bool = True, database_url: str = "", workers: int = 1) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="daybook-kills-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.target = f"127.0.0.1:{free_port()}"
        self.dsn = database_url or Embedded(self.folder / "data").app_dsn
        where = ("--database-url", database_url) if database_url else ("--data-dir", self.folder / "data")
        self._command: list[str | Path] = [DAYBOOK, "serve", "--listen", self.target, *where]
        self._command += ("--workers", str(workers))
        self._said = (self.folder / "said").open("ab")
        self._starts = 0
        if start:
            self.start()

    def start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        self._starts += 1
        environment = {**os.environ, "DAYBOOK_LOG_LEVEL": "warning"}
        self.process = subprocess.Popen(self._command, stdout=self._said, stderr=self._said, env=environment)

    def wait_until_ready(self) -> None:
        """Until it answers and all its processes are there: a worker killed before that ends the whole."""
        try:
            wait_until_ready(self.target, self.process)
        except AssertionError as error:
            raise AssertionError(self.said()) from error
        until = time.monotonic() + BACK_SECONDS_MAX
        while (self.folder / "said").read_text().count("daybook serves on") < self._starts:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)

    def kill(self, role: str) -> None:
        """SIGKILL, as the machine's own killer would do it."""
        if role == "supervisor":
            self.process.kill()
            self.process.wait()
            self.start()
            return
        marks = {"worker": "service.process\0worker", "follower": "service.process\0follower"}
        os.kill(self._child(marks.get(role, "postgres\0-D")), signal.SIGKILL)

    def _child(self, mark: str) -> int:
        until = time.monotonic() + BACK_SECONDS_MAX
        while time.monotonic() < until:
            for pid in _children(self.process.pid):
                if mark in _command(pid):
                    return pid
            time.sleep(0.02)
        raise AssertionError(f"no process of {self.process.pid} is {mark!r}: {self.said()}")

    def said(self) -> str:
        return (self.folder / "said").read_text()[-4000:]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(60) == 0, self.said()
        finally:
            if self.process.poll() is None:
                self.process.kill()
        self.remove()

    def remove(self) -> None:
        self._said.close()
        shutil.rmtree(self.folder)


def _children(parent: int) -> list[int]:
    try:
        text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@dataclass
class Load:
    """Callers who send invoice after invoice, each until it is acknowledged."""

    served: Served
    callers: int
    name: str = "caller"
    acknowledged: dict[str, str] = field(default_factory=dict)
    moments: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(self.callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(BACK_SECONDS_MAX)
            assert not thread.is_alive()

    def wait_for_more(self, count: int) -> None:
        """Until so many more are acknowledged: the service is back."""
        wanted = len(self.acknowledged) + count
        until = time.monotonic() + BACK_SECONDS_MAX
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < until, f"the service does not come back: {self.served.said()}"
            time.sleep(0.01)

    @property
    def longest_gap(self) -> float:
        """Seconds in which nobody was acknowledged anything."""
        moments = sorted(self.moments)
        return max((later - sooner for sooner, later in pairwise(moments)), default=0.0)

    def _call(self, number: int) -> None:
        count = 0
        with connect(self.served.target) as channel:
            stub = service_grpc.InvoiceServiceStub(channel)
            while not self._stop.is_set():
                key = f"{self.name}-{number}-{count}"
                if self._send(stub, key, 1 + count % 7):
                    count += 1
                    self._stop.wait(PACE_SECONDS)

    def _send(self, stub: service_grpc.InvoiceServiceStub, key: str, lines: int) -> bool:
        request = service_pb.IngestInvoiceRequest(invoice=content(key, lines))
        try:
            answer = stub.IngestInvoice(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                self.failures.append(f"{key}: {explain(error)}")
                return True
            time.sleep(0.05)
            return False
        self.acknowledged[key] = answer.invoice_id
        self.moments.append(time.monotonic())
        return True


def content(key: str, lines: int) -> pb.InvoiceContent:
    one = Decimal(value="1")
    address = pb.AddressGroup(
        key="hq", street="Hauptstr. 1", city="Berlin", state="BE", postal_code="10115", country="DE"
    )
    line = pb.LineContent(
        name="Support",
        start_date=DAY,
        end_date=DAY,
        quantity=one,
        unit_price=one,
        charge_amount=Decimal(value="10.00"),
    )
    return pb.InvoiceContent(
        unique_identifier=key,
        account_id=f"account-{lines}",
        bill_to_contact_id="C",
        invoice_date=DAY,
        currency_code="EUR",
        reference=pb.Reference(kind=pb.REFERENCE_KIND_ORDER, id="order-1"),
        address_groups=[address],
        billing_address="hq",
        shipping_address="hq",
        lines=[line] * lines,
    )


def reference_data() -> reference_pb.ReferenceData:
    return reference_pb.ReferenceData(
        payment_terms=[
            reference_pb.PaymentTerm(
                id="net30", name="30 days", type=reference_pb.PAYMENT_TERM_TYPE_PERIOD_BASED, days=30
            )
        ],
        legal_entities=[reference_pb.LegalEntity(id="de", name="DE GmbH")],
        tax_treatments=[reference_pb.TaxTreatment(id="none", name="none", taxable=False)],
        settings=reference_pb.Settings(
            default_payment_term_id="net30", default_legal_entity_id="de", default_tax_treatment_id="none"
        ),
    )


def load_reference_data(target: str) -> None:
    with connect(target) as channel:
        stub = reference_grpc.ReferenceDataServiceStub(channel)
        stub.ApplyReferenceData(reference_pb.ApplyReferenceDataRequest(data=reference_data()), timeout=30)
