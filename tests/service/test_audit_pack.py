"""Packs and receipts of the samples: a stranger verifies them with Python alone; no flipped byte passes."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest

from service.pack import verify
from tests.serving import serving
from tests.test_samples import INVOICES, SAMPLES, contents, run

pytestmark = pytest.mark.long  # its packs come from a service of its own, with a witness

KEY = "nl-de:2026-0467"
FLIPS = 60


@dataclass(frozen=True, slots=True)
class Exported:
    """A pack of all samples, one of an invoice, a receipt, the public key that signs, and a verification."""

    everything: Path
    invoice: Path
    receipt: Path
    key: str
    verified: list[dict[str, dict[str, str]]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("packs")
    everything, invoice, receipt = folder / "all.zip", folder / "one.zip", folder / "receipt.json"
    witness = folder / "witness"
    with serving("--witness", str(witness)) as target:
        run("reference", "apply", str(SAMPLES / "reference.yaml"), "--server", target)
        run("ingest", *INVOICES, "--server", target)
        days = "--from", "2020-01-01", "--to", "2040-12-31"
        run("export", *days, "--output", str(everything), "--server", target)
        run("export", "--key", KEY, "-o", str(invoice), "--server", target)
        run("receipt", "--key", KEY, "-o", str(receipt), "--server", target)
        run("export", "--account", "nobody's", "-o", str(folder / "none.zip"), "--server", target, status=1)
        assert not (folder / "none.zip").exists()
        said = run("verify", "--witness", str(witness), "--json", "--server", target)
        told = [json.loads(line) for line in said.splitlines()]
        yield Exported(everything, invoice, receipt, told[-1]["verdict"]["keys"][0], told)


def test_the_service_verifies_its_own_log_and_its_witness(exported: Exported) -> None:
    verdict = exported.verified[-1]["verdict"]
    assert int(verdict["eventCount"]) > 700
    assert verdict["signedCount"] == verdict["witnessedCount"] == verdict["sealCount"]
    assert "findingCount" not in verdict


def test_a_stranger_with_nothing_but_python_verifies_them(exported: Exported, tmp_path: Path) -> None:
    with zipfile.ZipFile(exported.everything) as pack:
        verifier = Path(pack.extract("verify.py", tmp_path))
    for file in (exported.everything, exported.invoice, exported.receipt):
        for keys in ([], ["--key", exported.key]):
            result = stranger(verifier, file, *keys)
            assert (result.returncode, "VERIFIED" in result.stdout) == (0, True), result.stdout
        result = stranger(verifier, file, "--key", "0" * 64)
        assert (result.returncode, "NOT VERIFIED" in result.stdout) == (1, True)


def test_a_pack_is_not_verified_after_one_flipped_byte(exported: Exported, tmp_path: Path) -> None:
    whole = exported.invoice.read_bytes()
    touched = tmp_path / "touched.zip"
    chosen = random.Random(417).sample(range(len(whole)), FLIPS)
    for at in [*chosen, *range(40), *range(len(whole) - verify.TRAILER_BYTES - 30, len(whole), 3)]:
        touched.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert is_refused(touched), f"byte {at}"
    for cut in (whole[:-1], whole[1:], whole + b"\n", b"", whole[:100]):
        touched.write_bytes(cut)
        assert is_refused(touched)


def test_a_receipt_is_not_verified_after_anything_in_it_was_changed(
    exported: Exported, tmp_path: Path
) -> None:
    whole = exported.receipt.read_text()
    receipt = json.loads(whole)
    touched = tmp_path / "touched.json"
    for old, new in (
        ('\\"amount\\":\\"', '\\"amount\\":\\"1'),
        ('"version":2', '"version":3'),
        ('"position":', '"position":1'),
        ('"signature":"', '"signature":"0'),
        ('\\"root\\":\\"', '\\"root\\":\\"0'),
        ('"personal":"{', '"personal":"{ '),
    ):
        assert old in whole, old
        touched.write_text(whole.replace(old, new, 1))
        assert is_refused(touched), old
    for part in ("events", "seals"):
        touched.write_text(json.dumps(receipt | {part: receipt[part][1:]}))
        assert is_refused(touched)


def test_a_pack_made_anew_with_something_changed_lacks_the_key(exported: Exported, tmp_path: Path) -> None:
    """Whoever changes the report can work out the checksum again, but not sign it."""
    forged = tmp_path / "forged.zip"
    with zipfile.ZipFile(exported.invoice) as pack, zipfile.ZipFile(forged, "w") as anew:
        for name in pack.namelist():
            anew.writestr(name, pack.read(name).replace(b"DRAFT", b"PAID!"))
    body = forged.read_bytes()
    for key, said in ((exported.key, "not signed by the key"), ("0" * 64, "the pack is not signed")):
        forged.write_bytes(with_trailer(body, key))
        with pytest.raises((verify.Wrong, zipfile.BadZipFile), match=said):
            verify.verified(str(forged), [exported.key])


def test_the_tables_say_what_the_invoices_come_to(exported: Exported) -> None:
    with zipfile.ZipFile(exported.everything) as pack:
        invoices, lines, events = (
            list(csv.DictReader(StringIO(pack.read(f"tables/{name}.csv").decode("utf-8-sig"))))
            for name in ("invoices", "lines", "events")
        )
        page = pack.read("report.html").decode()
        evidence = pack.read("events.jsonl").splitlines()
    assert {row["unique_identifier"] for row in invoices} >= {c.unique_identifier for c in contents()} - {""}
    for row in invoices:
        of_it = [line for line in lines if line["invoice_id"] == row["invoice_id"]]
        assert sum(Decimal(line["charge"]) for line in of_it) == Decimal(row["total"])
        assert sum(Decimal(line["tax"]) for line in of_it) == Decimal(row["tax"])
        assert str(len(of_it)) == row["lines"]
        assert row["unique_identifier"] in page.replace("&amp;", "&").replace("&#x27;", "'")
    assert len(events) == len(evidence)
    assert {json.loads(line)["position"] for line in evidence} == {int(row["position"]) for row in events}
    assert all(row["what"] and row["who"] for row in events)


def stranger(verifier: Path, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Isolated: no environment, no site-packages, no current folder."""
    command = [sys.executable, "-I", "-S", str(verifier), str(file), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")


def is_refused(file: Path) -> bool:
    return verify.main([str(file)]) == 1


def with_trailer(body: bytes, key: str) -> bytes:
    """A ZIP without a comment, with a trailer for its bytes."""
    length = verify.TRAILER_BYTES.to_bytes(2, "little")
    whole = body[:-2] + length
    checksum = hashlib.sha256(whole).hexdigest()
    return whole + f"daybook-pack-1 sha256={checksum} key={key} signature={'0' * 128}".encode()
