"""Taxes through the whole house, with engines elsewhere that are killed, slow and lying."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import unfinished_work_service_pb2 as work_pb
from tests.postgres import Database
from tests.serving import DAYBOOK, free_port

from .house import House, at_home, position, refused
from .messages import a_line, an_invoice, apply, by_key, cancel, day, get, ingest, number, reference_data

pytestmark = pytest.mark.asyncio(loop_scope="module")

ESTIMATED, FAILED, PENDING, NOT_REQUESTED = (
    service_pb.TAX_OUTCOME_ESTIMATED,
    service_pb.TAX_OUTCOME_FAILED,
    service_pb.TAX_OUTCOME_PENDING,
    service_pb.TAX_OUTCOME_NOT_REQUESTED,
)
LIAR = Path(__file__).with_name("lying_engine.py")
FAR_RATES = """
tax_rates:
  - {id: far, name: Far tax, tax_code: F, country: DE, percentage: "10"}
"""


def a_rate(rate_id: str, code: str, percentage: str, **changes: Any) -> reference_pb.TaxRate:
    said: dict[str, Any] = {"id": rate_id, "name": rate_id, "tax_code": code, "country": "DE"}
    return reference_pb.TaxRate(percentage=number(percentage), **(said | changes))


def taxes(endpoint: str = "127.0.0.1:1", timeout_ms: int = 700) -> reference_pb.ReferenceData:
    """A rate table, and an engine elsewhere."""
    data = reference_data()
    data.tax_engines.add(id="rates", name="Rates", type=reference_pb.TAX_ENGINE_TYPE_RATE_TABLE)
    data.tax_engines.add(
        id="far",
        name="Far",
        type=reference_pb.TAX_ENGINE_TYPE_REMOTE,
        endpoint=endpoint,
        timeout_ms=timeout_ms,
    )
    data.tax_treatments.add(id="near", name="Near", taxable=True, tax_code="T", engine_id="rates")
    data.tax_treatments.add(id="far", name="Far", taxable=True, tax_code="F", engine_id="far")
    data.tax_rates.extend(
        [
            a_rate("a", "T", "7.25", priority=1),
            a_rate("b", "T", "2", priority=2, basis=reference_pb.TAX_BASIS_NET),
            a_rate("old", "T", "50", end_date=day(date(2025, 12, 31))),
        ]
    )
    return data


def an_asking(key: str, *lines: pb.LineContent, **changes: Any) -> service_pb.IngestInvoiceRequest:
    return ingest(an_invoice(key, lines, should_calculate_tax=True), **changes)


def near(charge: str = "1000.00", **changes: Any) -> pb.LineContent:
    return a_line(charge, tax_treatment_id="near", **changes)


def far(charge: str = "100.00", **changes: Any) -> pb.LineContent:
    return a_line(charge, tax_treatment_id="far", **changes)


def estimate(key: str, **said: Any) -> service_pb.EstimateTaxRequest:
    return service_pb.EstimateTaxRequest(key=by_key(key), **said)


@dataclass
class Engine:
    """An engine that runs as a process of its own."""

    process: asyncio.subprocess.Process
    endpoint: str

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


async def started(*command: str | Path, endpoint: str) -> Engine:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readline(), 60)
    assert b"serves" in said, said
    return Engine(process, endpoint)


async def an_engine(folder: Path, port: int) -> Engine:
    file = folder / "rates.yaml"
    file.write_text(FAR_RATES)
    endpoint = f"127.0.0.1:{port}"
    return await started(DAYBOOK, "tax-engine", file, "--listen", endpoint, endpoint=endpoint)


@asynccontextmanager
async def a_house_with_an_engine(database: Database, folder: Path) -> AsyncIterator[tuple[House, Engine]]:
    engine = await an_engine(folder, free_port())
    try:
        async with at_home(database.app_dsn) as house:
            await house.reference.ApplyReferenceData(apply(taxes(engine.endpoint)))
            yield house, engine
    finally:
        await engine.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def taxing(server: House) -> House:
    """A book whose rate table works taxes out, and whose engine elsewhere is out of reach."""
    await server.reference.ApplyReferenceData(apply(taxes()))
    return server


async def shown(house: House, key: str, since: str) -> pb.Invoice:
    return (await house.queries.GetInvoice(get(by_key(key), min_position=since))).invoice


async def until_estimated(house: House, key: str, seconds: float = 60) -> pb.Invoice:
    """The invoice, once the background has worked its tax out."""
    async with asyncio.timeout(seconds):
        while "TaxEstimated" not in await house.happened(key):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    history = await house.history(key)
    at = history[-1].position
    while True:
        answer = await house.queries.GetInvoice(get(by_key(key)))
        if position(answer.position) >= at:
            return answer.invoice
        await asyncio.sleep(0.05)


# Rate tables


async def test_a_rate_table_answers_in_the_append_that_writes_the_invoice(taxing: House) -> None:
    answer = await taxing.invoices.IngestInvoice(an_asking("near", near(), a_line(tax_treatment_id="exempt")))
    assert (answer.tax, answer.totals.total_tax.units, answer.totals.total_tax.nanos) == (
        ESTIMATED,
        93,
        950_000_000,
    )
    history = await taxing.history("near")
    assert [each.name for each in history][-2:] == ["TaxEstimated", "TaxSkipped"]
    assert len({each.recorded for each in history}) == 1
    again = await taxing.invoices.IngestInvoice(an_asking("near", near(), a_line(tax_treatment_id="exempt")))
    assert (again.replayed, again.tax, again.totals) == (True, ESTIMATED, answer.totals)


async def test_every_row_is_explained_years_later(taxing: House) -> None:
    answer = await taxing.invoices.IngestInvoice(an_asking("explained", near()))
    line = (await shown(taxing, "explained", answer.position)).lines[0]
    assert [row.amount.value for row in line.content.taxes] == ["72.50", "21.45"]
    why = line.tax_explanations[1]
    assert (why.engine_id, why.engine_version, why.rate_id, why.rate_version) == (
        "rates",
        "rate-table/1",
        "b",
        1,
    )
    assert (why.basis, why.taxable_amount.value) == (pb.TAX_ROW_BASIS_NET, "1072.50")
    assert (why.rounding, why.effective_date) == ("HALF_AWAY_FROM_ZERO", day(date(2026, 11, 20)))
    assert why.reference_data_position


async def test_what_if_answers_and_writes_nothing(taxing: House) -> None:
    await taxing.invoices.IngestInvoice(an_asking("what-if", near()))
    head = len(await taxing.history("what-if"))
    then = await taxing.invoices.EstimateTax(
        estimate("what-if", validate_only=True, effective_date=day(date(2025, 6, 1)))
    )
    assert [row.amount.value for row in then.invoice.lines[0].content.taxes] == ["72.50", "21.45", "500.00"]
    rates = service_pb.WhatIfRates(tax_rates=[a_rate("x", "T", "1")])
    other = await taxing.invoices.EstimateTax(estimate("what-if", validate_only=True, what_if_rates=rates))
    assert other.invoice.totals.total_tax.units == 10
    assert len(await taxing.history("what-if")) == head
    why = await refused(taxing.invoices.EstimateTax(estimate("what-if", what_if_rates=rates)))
    assert why.findings[0].rule == "DRY_RUN_ONLY"


async def test_an_estimate_on_demand_and_once_more(taxing: House) -> None:
    await taxing.invoices.IngestInvoice(ingest(an_invoice("later", [near()])))
    first = await taxing.invoices.EstimateTax(estimate("later"))
    assert (first.tax, first.replayed) == (ESTIMATED, False)
    found = await shown(taxing, "later", first.position)
    assert (found.tax_status, found.totals.total_tax.units) == (pb.TAX_STATUS_ESTIMATED, 93)
    assert [row.amount.value for row in found.lines[0].content.taxes] == ["72.50", "21.45"]
    again = await taxing.invoices.EstimateTax(estimate("later"))
    assert (again.tax, again.replayed, again.position) == (ESTIMATED, True, first.position)


async def test_only_a_draft_is_estimated(taxing: House) -> None:
    await taxing.invoices.IngestInvoice(ingest(an_invoice("given-up", [near()])))
    await taxing.invoices.CancelInvoice(cancel(by_key("given-up")))
    assert (await refused(taxing.invoices.EstimateTax(estimate("given-up")))).reason == "NOT_DRAFT"
    assert (await refused(taxing.invoices.EstimateTax(estimate("nobody")))).code is grpc.StatusCode.NOT_FOUND


async def test_what_is_deferred_is_done_in_the_background(taxing: House) -> None:
    answer = await taxing.invoices.IngestInvoice(an_asking("deferred", near(), defer_tax=True))
    assert answer.tax == PENDING
    assert (await until_estimated(taxing, "deferred")).totals.total_tax.units == 93


async def test_a_line_without_an_engine_is_unfinished_work_until_it_has_one(own_server: House) -> None:
    answer = await own_server.invoices.IngestInvoice(an_asking("no-engine", a_line()))
    quiet = await own_server.invoices.IngestInvoice(ingest(an_invoice("quiet")))
    assert (answer.tax, answer.tax_failure.code, quiet.tax) == (FAILED, "NO_ENGINE", NOT_REQUESTED)
    request = work_pb.ListUnfinishedWorkRequest(min_position=quiet.position)
    (work,) = (await own_server.unfinished.ListUnfinishedWork(request)).work
    assert (work.unique_identifier, work.failures, work.failure.code) == ("no-engine", 1, "NO_ENGINE")
    data = taxes()
    data.tax_treatments[0].engine_id, data.tax_treatments[0].tax_code = "rates", "T"
    await own_server.reference.ApplyReferenceData(apply(data))
    retried = await own_server.unfinished.RetryUnfinishedWork(work_pb.RetryUnfinishedWorkRequest())
    assert all(each.tax == ESTIMATED for each in retried.retried)
    found = await until_estimated(own_server, "no-engine")
    request.min_position = (await own_server.queries.GetInvoice(get(by_key("no-engine")))).position
    assert not (await own_server.unfinished.ListUnfinishedWork(request)).work
    assert found.totals.total_tax.units == 23


# Engines elsewhere


async def test_two_engines_on_one_invoice_one_of_them_elsewhere(database: Database, tmp_path: Path) -> None:
    async with a_house_with_an_engine(database, tmp_path) as (house, _):
        answer = await house.invoices.IngestInvoice(an_asking("both", near(), far()), timeout=10)
        assert (answer.tax, answer.totals.total_tax.units) == (ESTIMATED, 103)
        found = await shown(house, "both", answer.position)
        assert [line.tax_amount.value for line in found.lines] == ["93.95", "10.00"]
        assert found.lines[1].tax_explanations[0].engine_id == "far"
        calls = await house.invoices.ListTaxInteractions(
            service_pb.ListTaxInteractionsRequest(key=by_key("both"))
        )
        (call,) = calls.interactions
        assert (call.engine_id, call.result, call.attempt) == ("far", "SUCCESS", 1)
        assert (len(call.request_digest), len(call.answer_digest)) == (64, 64)
        assert call.duration.ToMicroseconds() > 0
        again = await house.invoices.IngestInvoice(an_asking("both", near(), far()), timeout=10)
        assert (again.replayed, again.tax, again.totals) == (True, ESTIMATED, answer.totals)


@pytest.mark.long
async def test_an_engine_that_is_killed_and_comes_back(database: Database, tmp_path: Path) -> None:
    async with a_house_with_an_engine(database, tmp_path) as (house, engine):
        await engine.end()
        answer = await house.invoices.IngestInvoice(an_asking("killed", near(), far()), timeout=10)
        assert (answer.tax, answer.tax_failure.code, answer.status) == (
            FAILED,
            "UNREACHABLE",
            pb.INVOICE_STATUS_DRAFT,
        )
        found = await shown(house, "killed", answer.position)
        assert [len(line.content.taxes) for line in found.lines] == [0, 0]
        names = await house.happened("killed")
        assert names[4:8] == ["TaxEngineCalled"] * 3 + ["TaxEstimationFailed"]
        back = await an_engine(tmp_path, int(engine.endpoint.rpartition(":")[2]))
        try:
            found = await until_estimated(house, "killed")
        finally:
            await back.end()
        assert [line.tax_amount.value for line in found.lines] == ["93.95", "10.00"]


async def test_an_engine_that_is_slow(database: Database, tmp_path: Path) -> None:
    async with a_house_with_an_engine(database, tmp_path) as (house, engine):
        engine.tell(signal.SIGSTOP)
        answer = await house.invoices.IngestInvoice(an_asking("slow", far()), timeout=5)
        assert (answer.tax, answer.tax_failure.code) == (FAILED, "TIMEOUT")
        loop = asyncio.get_running_loop()
        began = loop.time()
        early = await house.invoices.IngestInvoice(an_asking("early", far()), timeout=0.5)
        assert (early.tax, loop.time() - began < 0.5) == (PENDING, True)
        engine.tell(signal.SIGCONT)
        for key in ("slow", "early"):
            assert (await until_estimated(house, key)).totals.total_tax.units == 10


@pytest.mark.long
@pytest.mark.parametrize(
    "lie",
    ["no-lines", "line-twice", "other-line", "other-currency", "too-fine", "not-a-number", "other-code"],
)
async def test_an_engine_that_lies(database: Database, lie: str) -> None:
    endpoint = f"127.0.0.1:{free_port()}"
    liar = await started(sys.executable, LIAR, endpoint, lie, endpoint=endpoint)
    try:
        async with at_home(database.app_dsn) as house:
            await house.reference.ApplyReferenceData(apply(taxes(endpoint)))
            answer = await house.invoices.IngestInvoice(an_asking("lied-to", far(), near()), timeout=10)
            assert (answer.tax, answer.tax_failure.code) == (FAILED, "NONSENSE")
            found = await shown(house, "lied-to", answer.position)
            assert (found.tax_status, found.totals.total_tax.units) == (pb.TAX_STATUS_PENDING, 0)
            assert not any(line.content.taxes for line in found.lines)
    finally:
        await liar.end()


async def test_two_followers_estimate_once(database: Database, tmp_path: Path) -> None:
    async with a_house_with_an_engine(database, tmp_path) as (house, _), at_home(database.app_dsn):
        for each in range(10):
            await house.invoices.IngestInvoice(an_asking(f"twice-{each}", far(), defer_tax=True))
        for each in range(10):
            await until_estimated(house, f"twice-{each}")
            assert (await house.happened(f"twice-{each}")).count("TaxEstimated") == 1
