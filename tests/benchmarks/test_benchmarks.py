"""The benchmarks compare like with like, and their verdicts follow from what was measured."""

import asyncio
from uuid import UUID

import pytest

from benchmarks import invoice as measured
from benchmarks import stages
from benchmarks.goals import Goal
from benchmarks.peers import rules, stock
from domain import invoice
from domain.findings import Findings
from service.wire.content import read_content

MESSAGE = measured.request().invoice
DECIDED = rules.decided(MESSAGE, UUID(int=1))


def test_peers_check_the_content_that_the_service_checks() -> None:
    assert rules.content(MESSAGE) == read_content(MESSAGE, Findings(), lines_max=measured.LINES)


def test_the_measured_invoice_comes_to_as_many_events_as_the_benchmarks_count() -> None:
    assert len(DECIDED) == measured.EVENTS
    assert sum(isinstance(each, invoice.LineAdded) for each in DECIDED) == measured.LINES


def test_a_frame_says_its_length() -> None:
    request = measured.request()
    assert measured.frame(request) == b"\0\0\0\x07\x00" + request.SerializeToString()


def test_the_stock_peer_stores_all_of_the_invoice() -> None:
    application = stock.Invoices({"PERSISTENCE_MODULE": "eventsourcing.popo"})
    invoice_id = application.ingest(DECIDED)
    assert isinstance(invoice_id, UUID)
    found: stock.Invoice = application.repository.get(invoice_id)
    assert (len(found.addresses), len(found.lines), len(found.taxes)) == (1, measured.LINES, 1)
    assert found.header["personal"]["account_name"] == MESSAGE.account_name


@pytest.mark.parametrize(
    ("at_least", "measured_each", "verdict"),
    [
        (True, [0.5, 0.7, 0.6], "reached"),
        (True, [0.3, 0.1, 0.9], "falls short by 50%"),
        (False, [0.1, 0.6, 0.7], "reached"),
        (False, [0.9, 0.1, 1.5], "falls short by 50%"),
    ],
)
def test_a_verdict_is_about_the_median(at_least: bool, measured_each: list[float], verdict: str) -> None:
    assert Goal("", at_least, 0.6, measured_each).verdict == verdict


def test_every_stage_of_an_ingest_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "ROUNDS", 1)
    monkeypatch.setattr(stages, "INVOICES", 2 * stages.CALLERS)
    told = dict(asyncio.run(stages.measured()))
    assert {"parse", "read", "check", "encode", "settle", "reply", "whole, log in memory"} <= told.keys()
    assert all(micros > 0 for micros in told.values())
