"""Proof over the wire and on the command line: what holds is said to hold, what does not is named."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psycopg
import pytest
from typer.testing import CliRunner

from daybook.client import Explanation, explain
from daybook.v1 import proof_pb2 as pb
from daybook.v1.invoice_service_pb2 import InvoiceKey
from service.bootstrap import now
from service.cli import app
from service.pack import verify as stranger
from service.proof import SEAL_SECONDS_MAX
from store.proof import keys
from store.proof.sealer import Sealer
from tests.postgres import Database
from tests.serving import DAYBOOK

from .house import House, at_home, refused
from .messages import an_invoice, apply, ingest

Code = grpc.StatusCode


class Sealing:
    """A house with a key and a witness, whose log is sealed when the test says so."""

    def __init__(self, house: House, database: Database, folder: Path) -> None:
        self.house = house
        self.database = database
        self.key_file = folder / "seal.key"
        self.witness = folder / "witness"

    @property
    def key(self) -> str:
        return keys.read(self.key_file).current

    async def seal(self) -> None:
        sealer = Sealer(
            self.database.app_dsn,
            self.house.log.identity,
            keys.read(self.key_file),
            now=now,
            witness_file=self.witness,
            age_max=0.0,
        )
        await sealer.step()
        sealer.close()

    async def verify(self, **asked: object) -> list[pb.VerifyLogResponse]:
        return [told async for told in self.house.audit.VerifyLog(pb.VerifyLogRequest(**asked))]  # type: ignore[arg-type]


@pytest.fixture
async def sealing(database: Database, tmp_path: Path) -> AsyncIterator[Sealing]:
    keys.make(tmp_path / "seal.key")
    settings = {"seal_key": str(tmp_path / "seal.key"), "witness": str(tmp_path / "witness")}
    async with at_home(database.app_dsn, **settings) as house:
        await house.reference.ApplyReferenceData(apply())
        await house.invoices.IngestInvoice(ingest(an_invoice("one")))
        made = Sealing(house, database, tmp_path)
        await made.seal()
        yield made


async def test_the_log_is_verified_from_the_beginning_and_from_a_seal(sealing: Sealing) -> None:
    *_, last = await sealing.verify()
    verdict = last.verdict
    assert (verdict.finding_count, verdict.last_seal, list(verdict.keys)) == (0, 1, [sealing.key])
    assert verdict.signed_count == verdict.witnessed_count == verdict.seal_count == 1
    assert verdict.position.endswith(f".{await sealing.house.head()}")
    await sealing.house.invoices.IngestInvoice(ingest(an_invoice("two")))
    await sealing.seal()
    *_, last = await sealing.verify(since_seal=1, since_digest=verdict.last_digest)
    assert (last.verdict.finding_count, last.verdict.last_seal) == (0, 2)
    assert 0 < last.verdict.event_count < verdict.event_count


async def test_what_was_done_behind_the_services_back_is_named(sealing: Sealing) -> None:
    with psycopg.connect(sealing.database.admin_dsn) as admin:
        admin.execute("ALTER TABLE daybook.events DISABLE TRIGGER ALL")
        row = admin.execute(
            "DELETE FROM daybook.events WHERE notification_id ="
            " (SELECT max(notification_id) FROM daybook.events)"
            " RETURNING originator_id, originator_version, notification_id"
        ).fetchone()
        assert row is not None
    told = await sealing.verify()
    [finding] = [each.finding for each in told if each.HasField("finding")]
    assert (finding.fault, finding.seal) == (pb.VERIFICATION_FAULT_MISSING, 1)
    assert (finding.stream_id, finding.version) == (str(row[0]), row[1])
    assert finding.position.endswith(f".{row[2]}")
    assert told[-1].verdict.finding_count == 1
    assert await asyncio.to_thread(client, "verify", "--server", sealing.house.target) == (
        1,
        f"missing: position {row[2]}, stream {row[0]} version {row[1]}: was sealed here and is gone",
    )


async def test_a_verification_that_cannot_begin_says_why(sealing: Sealing) -> None:
    assert (await fault(sealing, since_seal=7)).reason == "SEAL_NOT_TRUSTED"
    assert (await fault(sealing, since_seal=1, since_digest="0" * 64)).reason == "SEAL_NOT_TRUSTED"
    broken = await fault(sealing, since_seal=-1, since_digest="x", keys=["y"])
    assert [(each.path, each.rule) for each in broken.findings] == [
        ("since_seal", "OUT_OF_RANGE"),
        ("keys[0]", "HEX_TEXT"),
        ("since_digest", "HEX_TEXT"),
    ]
    sealing.witness.write_text("nothing\n")
    assert (await fault(sealing)).reason == "WITNESS_UNREADABLE"


async def test_too_many_verifications_at_once_are_told_to_come_again(sealing: Sealing) -> None:
    answers = await asyncio.gather(*(sealing.verify() for _ in range(6)), return_exceptions=True)
    refusals = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert {explain(each).reason for each in refusals} == {"OVERLOADED"}
    verdicts = [each[-1].verdict for each in answers if isinstance(each, list)]
    assert verdicts
    assert {each.finding_count for each in verdicts} == {0}


async def test_seals_are_listed_in_pages(sealing: Sealing) -> None:
    for name in ("two", "three"):
        await sealing.house.invoices.IngestInvoice(ingest(an_invoice(name)))
        await sealing.seal()
    audit = sealing.house.audit
    first = await audit.ListSeals(pb.ListSealsRequest(page_size=2))
    second = await audit.ListSeals(pb.ListSealsRequest(page_size=2, page_token=first.next_page_token))
    seals = [*first.seals, *second.seals]
    assert ([seal.number for seal in seals], second.next_page_token) == ([1, 2, 3], "")
    assert [json.loads(seal.statement)["prev"] for seal in seals] == ["", seals[0].digest, seals[1].digest]
    assert all(keys.is_signed(seal.statement, seal.signature.hex(), sealing.key) for seal in seals)
    rest = await audit.ListSeals(pb.ListSealsRequest(since_seal=2))
    assert [seal.number for seal in rest.seals] == [3]


async def test_a_receipt_is_checked_offline(sealing: Sealing, tmp_path: Path) -> None:
    answer = await sealing.house.audit.GetReceipt(
        pb.GetReceiptRequest(key=InvoiceKey(unique_identifier="one"))
    )
    assert answer.unsealed_event_count == 0
    file = tmp_path / "receipt.json"
    file.write_text(answer.receipt)
    assert "VERIFIED" in stranger.verified(str(file), [sealing.key])
    assert len(json.loads(answer.receipt)["events"]) == len(await sealing.house.history("one"))
    with pytest.raises(stranger.Wrong):
        stranger.verified(str(file), ["0" * 64])


@pytest.mark.long
async def test_a_receipt_waits_for_its_seal(sealing: Sealing) -> None:
    """The house's own sealer is at work."""
    await sealing.house.invoices.IngestInvoice(ingest(an_invoice("late")))
    answer = await sealing.house.audit.GetReceipt(
        pb.GetReceiptRequest(key=InvoiceKey(unique_identifier="late")), timeout=2 * SEAL_SECONDS_MAX
    )
    assert answer.unsealed_event_count == 0
    assert json.loads(answer.receipt)["seals"]


async def test_proof_of_what_there_is_not_is_refused(sealing: Sealing) -> None:
    audit = sealing.house.audit
    nobody = InvoiceKey(unique_identifier="nobody")
    assert (await refused(audit.GetReceipt(pb.GetReceiptRequest(key=nobody)))).reason == "INVOICE_NOT_FOUND"
    for request, reason in (
        (pb.ExportAuditPackRequest(invoice=nobody), "INVOICE_NOT_FOUND"),
        (pb.ExportAuditPackRequest(account_id="nobody"), "NOTHING_TO_EXPORT"),
        (pb.ExportAuditPackRequest(), "BROKEN_RULES"),
        (pb.ExportAuditPackRequest(period=pb.Period()), "BROKEN_RULES"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [chunk async for chunk in audit.ExportAuditPack(request)]
        assert explain(caught.value).reason == reason


async def test_verify_reads_a_database_without_any_service(sealing: Sealing) -> None:
    of = "--database-url", sealing.database.app_dsn, "--witness", str(sealing.witness)
    status, said = await daybook("verify", *of, "--key", str(sealing.key_file))
    assert (status, said) == (0, "VERIFIED")
    status, said = await daybook("verify", *of, "--key", "0" * 64)
    assert (status, said.partition(":")[0]) == (1, "seal key")
    assert (await daybook("verify", *of, "--since", "x"))[0] == 2
    assert (await daybook("verify", *of, "--since", "9"))[0] == 2


async def test_keys_are_made_rotated_and_retired(tmp_path: Path) -> None:
    file = str(tmp_path / "key")
    _, old = await daybook("seal-key", "new", file)
    assert (await daybook("seal-key", "new", file))[0] == 2
    _, new = await daybook("seal-key", "rotate", file)
    assert keys.read(Path(file)).trusted == (new, old)
    assert (await daybook("seal-key", "retire", file)) == (0, old)
    assert (await daybook("seal-key", "show", file)) == (0, new)
    assert keys.read(Path(file)).trusted == (new, old)


async def fault(sealing: Sealing, **asked: object) -> Explanation:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sealing.verify(**asked)
    return explain(caught.value)


def client(*words: str) -> tuple[int, str]:
    """Exit status and the first line of a client in a process of its own: the house says things here."""
    result = subprocess.run([DAYBOOK, *words], capture_output=True, text=True, check=False)
    return result.returncode, result.stdout.partition("\n")[0]


async def daybook(*words: str) -> tuple[int, str]:
    """Exit status and the first line that was said."""
    result = await asyncio.to_thread(CliRunner().invoke, app, list(words))
    return result.exit_code, (result.stdout or result.stderr).partition("\n")[0]
