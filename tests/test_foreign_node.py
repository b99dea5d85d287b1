"""A team that writes no Python calls the service, and understands its answers and its refusals."""

import os
import shutil
import subprocess
from pathlib import Path

import google.type.money_pb2
import pytest

from .serving import serving

HOUSE = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "foreign/node"
GOOGLE = Path(google.type.money_pb2.__file__).parents[2]

pytestmark = pytest.mark.long


@pytest.fixture
def client(tmp_path: Path) -> list[str]:
    if shutil.which("npm") is None:
        assert os.environ.get("CI") != "true", "the verdict needs Node"
        pytest.skip("Node is not installed")
    copy = shutil.copytree(FOLDER, tmp_path / "node", ignore=shutil.ignore_patterns("node_modules"))
    bring = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(bring, cwd=copy, check=True, capture_output=True, timeout=300)
    return ["node", str(copy / "client.js")]


def test_a_node_client_ingests_lists_and_reads_its_refusals(client: list[str]) -> None:
    with serving() as target:
        includes = f"{HOUSE / 'protos'}:{GOOGLE}"
        call = subprocess.run(
            [*client, target, includes], capture_output=True, text=True, timeout=60, check=False
        )
    assert call.returncode == 0, call.stdout + call.stderr
    steps = [line for line in call.stdout.splitlines() if not line.startswith(" ")]
    assert len(steps) == 6
