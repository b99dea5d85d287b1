"""An engine elsewhere that files and never answers: nothing is filed twice, or filed and forgotten."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import unfinished_work_service_pb2 as work_pb
from domain import identity, invoice
from tests.postgres import Database
from tests.serving import free_port

from .house import House, at_home
from .messages import an_invoice, apply, by_key, cancel, day, ingest, post, revise
from .test_taxes import far, near, started, taxes

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENGINE = Path(__file__).with_name("filing_engine.py")
POSTED, FAILED = service_pb.POSTING_OUTCOME_POSTED, service_pb.POSTING_OUTCOME_FAILED
SECONDS_MAX = 90


@dataclass(frozen=True)
class Desk:
    """The engine's folder: what it has filed, and whether it answers."""

    folder: Path
    endpoint: str

    @property
    def filed(self) -> Sequence[str]:
        file = self.folder / "filed"
        return file.read_text().splitlines() if file.exists() else []

    def silent(self, is_silent: bool) -> None:
        file = self.folder / "silent"
        file.touch() if is_silent else file.unlink(missing_ok=True)


@asynccontextmanager
async def a_desk(folder: Path) -> AsyncIterator[Desk]:
    endpoint = f"127.0.0.1:{free_port()}"
    engine = await started(sys.executable, ENGINE, endpoint, folder, endpoint=endpoint)
    try:
        yield Desk(folder, endpoint)
    finally:
        await engine.end()


@asynccontextmanager
async def a_house(database: Database, desk: Desk, *keys: str) -> AsyncIterator[House]:
    """With drafts whose tax the engine works out."""
    async with at_home(database.app_dsn) as house:
        await house.reference.ApplyReferenceData(apply(taxes(desk.endpoint, timeout_ms=500)))
        for key in keys:
            await house.invoices.IngestInvoice(ingest(an_invoice(key, [far(), near()])))
        yield house


def code(key: str, purpose: str = "post") -> str:
    return invoice.document_code(identity.invoice(key), purpose, "far")


async def until_happened(house: House, key: str, event: str) -> list[str]:
    async with asyncio.timeout(SECONDS_MAX):
        while event not in (happened := await house.happened(key)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return happened


async def test_an_engine_that_answers_files_once_and_its_taxes_are_posted(
    database: Database, tmp_path: Path
) -> None:
    async with a_desk(tmp_path) as desk, a_house(database, desk, "filed") as house:
        answer = await house.invoices.PostInvoice(post("filed", view=pb.INVOICE_VIEW_FULL))
        assert answer.posting == POSTED
        assert answer.invoice.lines[0].tax_amount.value == "1"
        again = await house.invoices.PostInvoice(post("filed"))
        assert again.replayed
        assert desk.filed == [f"filed {code('filed')}"]
        happened = await house.happened("filed")
        assert happened[-5:] == [
            "PostingTaxRequested",
            "TaxEngineCalled",
            "TaxPosted",
            "TaxPosted",
            "InvoicePosted",
        ]


async def test_what_was_filed_without_an_answer_is_posted_by_the_background_and_filed_once(
    database: Database, tmp_path: Path
) -> None:
    async with a_desk(tmp_path) as desk, a_house(database, desk, "silent") as house:
        desk.silent(True)
        answer = await house.invoices.PostInvoice(post("silent"))
        assert (answer.posting, answer.failure.code) == (FAILED, "TIMEOUT")
        assert answer.invoice.status == pb.INVOICE_STATUS_DRAFT
        listed = await house.unfinished.ListUnfinishedWork(
            work_pb.ListUnfinishedWorkRequest(min_position=answer.position)
        )
        assert [each.kind for each in listed.work] == [work_pb.UNFINISHED_WORK_KIND_POSTING]
        desk.silent(False)
        await until_happened(house, "silent", "InvoicePosted")
        assert desk.filed == [f"filed {code('silent')}"]
        posted = await house.invoices.PostInvoice(post("silent", view=pb.INVOICE_VIEW_FULL))
        assert posted.replayed
        assert posted.invoice.lines[0].tax_amount.value == "1"


async def test_a_posting_whose_process_has_gone_is_finished_by_another(
    database: Database, tmp_path: Path
) -> None:
    async with a_desk(tmp_path) as desk:
        desk.silent(True)
        async with a_house(database, desk, "left behind") as house:
            call = asyncio.ensure_future(house.invoices.PostInvoice(post("left behind")))
            async with asyncio.timeout(SECONDS_MAX):
                while not desk.filed:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        await asyncio.gather(call, return_exceptions=True)
        desk.silent(False)
        async with at_home(database.app_dsn) as house:
            await until_happened(house, "left behind", "InvoicePosted")
        assert desk.filed == [f"filed {code('left behind')}"]


@pytest.mark.parametrize("revised", [False, True])
async def test_what_was_filed_for_a_draft_that_was_given_up_is_voided(
    database: Database, tmp_path: Path, revised: bool
) -> None:
    async with a_desk(tmp_path) as desk, a_house(database, desk, "given up") as house:
        desk.silent(True)
        await house.invoices.PostInvoice(post("given up"))
        if revised:
            await house.invoices.ReviseInvoice(revise("given up", an_invoice("given up", [far("50.00")])))
        else:
            await house.invoices.CancelInvoice(cancel("given up"))
        await until_happened(house, "given up", "TaxVoided")
        desk.silent(False)
        assert desk.filed == [f"filed {code('given up')}", f"voided {code('given up')}"]
        if revised:
            answer = await house.invoices.PostInvoice(post("given up"))
            assert answer.posting == POSTED
            assert desk.filed[2:] == [f"filed {code('given up', 'post-2')}"]


async def test_a_posting_that_has_become_impossible_is_given_up_and_voided(
    database: Database, tmp_path: Path
) -> None:
    async with a_desk(tmp_path) as desk, a_house(database, desk, "too late") as house:
        desk.silent(True)
        await house.invoices.PostInvoice(post("too late"))
        closed = reference_pb.AccountingPeriod(
            id="de-2026",
            legal_entity_id="de",
            name="2026",
            start_date=day(date(2026, 1, 1)),
            end_date=day(date(2026, 12, 31)),
            status=reference_pb.PERIOD_STATUS_CLOSED,
        )
        await house.reference.ApplyReferenceData(
            apply(reference_pb.ReferenceData(accounting_periods=[closed]))
        )
        happened = await until_happened(house, "too late", "TaxVoided")
        assert "InvoicePosted" not in happened
        assert desk.filed == [f"filed {code('too late')}", f"voided {code('too late')}"]


async def test_voiding_an_invoice_voids_its_document(database: Database, tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk, a_house(database, desk, "voided") as house:
        await house.invoices.PostInvoice(post("voided"))
        await house.invoices.VoidInvoice(service_pb.VoidInvoiceRequest(key=by_key("voided")))
        await until_happened(house, "voided", "TaxVoided")
        assert desk.filed == [f"filed {code('voided')}", f"voided {code('voided')}"]
