"""The generated code is what the pinned tools make of the contract, and the contract breaks nobody."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
TOOLS = HOUSE / ".tools/bin/python"
BUF = Path(sys.executable).parent / "buf"


def test_the_committed_code_is_what_the_contract_generates() -> None:
    verdict = check(HOUSE)
    assert verdict.returncode == 0, verdict.stdout


def test_a_changed_contract_makes_the_committed_code_stale(copy: Path) -> None:
    change(copy, "message Reference {", "message Reference {\n  // New.\n  string extra = 99;")
    assert "stale, run `make protos`: daybook/v1/invoice_pb2.py" in check(copy).stdout


def test_a_field_without_a_comment_is_found(copy: Path) -> None:
    change(copy, "message Reference {", "message Reference {\n  string extra = 99;")
    assert 'Field "extra" should have a non-empty comment' in check(copy).stdout


def test_a_contract_out_of_form_is_found(copy: Path) -> None:
    change(copy, "message Reference {", "message   Reference {")
    assert "buf format: FAILED" in check(copy).stdout


def test_a_change_that_breaks_a_caller_of_the_last_release_is_found(copy: Path) -> None:
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "release"], ["tag", "v1"]):
        git(copy, *command)
    change(copy, "message Reference {", "message Renamed {")
    change(copy, "  Reference reference", "  Renamed reference")
    assert 'Previously present message "Reference" was deleted' in check(copy).stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(HOUSE / "protos", tmp_path / "protos")
    shutil.copy(HOUSE / "buf.yaml", tmp_path)
    return tmp_path


def change(house: Path, old: str, new: str) -> None:
    for source in (house / "protos/daybook/v1").glob("*.proto"):
        source.write_text(source.read_text().replace(old, new))


def check(house: Path) -> subprocess.CompletedProcess[str]:
    assert TOOLS.exists(), "the contract's tools are missing: `make test` brings them"
    script = house / "protos/check.py"
    return subprocess.run([TOOLS, script, "--buf", BUF], capture_output=True, text=True, check=False)


def git(where: Path, *arguments: str) -> None:
    author = ["-c", "user.name=daybook", "-c", "user.email=daybook@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", where, *author, *arguments], check=True)
