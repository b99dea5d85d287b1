"""A backup made under load and restored elsewhere: what was acknowledged before is there, nothing is half."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from daybook.client import connect, explain
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_query_service_pb2_grpc as query_grpc
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import invoice_service_pb2_grpc as service_grpc
from tests.serving import DAYBOOK

from .killing import Load, Served, content, load_reference_data
from .test_kills import check_read_model

pytestmark = pytest.mark.long


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    load_reference_data(served.target)
    yield served
    served.stop()


def daybook(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DAYBOOK, *words], capture_output=True, text=True, check=False)


def test_a_backup_made_under_load_is_a_whole_book_elsewhere(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "book.zip"
    with Load(served, callers=8) as load:
        load.wait_for_more(100)
        before = dict(load.acknowledged)
        made = daybook("backup", file, "--data-dir", served.folder / "data")
        assert made.returncode == 0, made.stderr
        load.wait_for_more(50)
    elsewhere = Served(start=False)
    restored = daybook("restore", file, "--data-dir", elsewhere.folder / "data")
    assert restored.returncode == 0, restored.stderr
    elsewhere.start()
    try:
        check_read_model(elsewhere, load)
        for key, invoice_id in before.items():
            assert ingested(elsewhere, key) == (invoice_id, True)
        assert ingested(elsewhere, "after the restore")[1] is False
        assert refused(elsewhere, position_of(served, next(iter(before)))) == "LOG_RESTORED"
    finally:
        elsewhere.stop()


def test_a_book_that_holds_something_is_not_restored_into(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "book.zip"
    daybook("backup", file, "--data-dir", served.folder / "data").check_returncode()
    running = daybook("restore", file, "--data-dir", served.folder / "data")
    assert running.returncode != 0
    assert "looked after by process" in running.stderr
    elsewhere = Served(start=False)
    daybook("restore", file, "--data-dir", elsewhere.folder / "data").check_returncode()
    again = daybook("restore", file, "--data-dir", elsewhere.folder / "data")
    assert again.returncode != 0
    assert "empty" in again.stderr
    elsewhere.remove()


@pytest.mark.parametrize("part", ["events.copy", "personal.copy", "manifest.json"])
def test_a_backup_that_was_touched_is_refused_and_leaves_nothing(
    part: str, served: Served, tmp_path: Path
) -> None:
    ingested(served, "one")
    file, touched = tmp_path / "book.zip", tmp_path / "touched.zip"
    daybook("backup", file, "--data-dir", served.folder / "data").check_returncode()
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(touched, "w") as archive:
        for name in whole.namelist():
            body = whole.read(name)
            at = len(body) // 2
            archive.writestr(
                name, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if name == part else body
            )
    elsewhere = Served(start=False)
    result = daybook("restore", touched, "--data-dir", elsewhere.folder / "data")
    assert result.returncode != 0
    daybook("restore", file, "--data-dir", elsewhere.folder / "data").check_returncode()  # still empty
    elsewhere.remove()


def ingested(served: Served, key: str) -> tuple[str, bool]:
    lines = 1 + int(key.rpartition("-")[2]) % 7 if key.startswith("caller-") else 1
    with connect(served.target) as channel:
        request = service_pb.IngestInvoiceRequest(invoice=content(key, lines))
        answer = service_grpc.InvoiceServiceStub(channel).IngestInvoice(request, timeout=10)
    return answer.invoice_id, answer.replayed


def position_of(served: Served, key: str) -> str:
    named = service_pb.InvoiceKey(unique_identifier=key)
    with connect(served.target) as channel:
        stub = query_grpc.InvoiceQueryServiceStub(channel)
        return stub.GetInvoice(query_pb.GetInvoiceRequest(key=named), timeout=10).position


def refused(served: Served, position: str) -> str:
    request = query_pb.ListInvoicesRequest(min_position=position)
    with connect(served.target) as channel, pytest.raises(grpc.RpcError) as caught:
        query_grpc.InvoiceQueryServiceStub(channel).ListInvoices(request, timeout=10)
    return explain(caught.value).reason
