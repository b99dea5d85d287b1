"""The verbs about taxes against a real service and a real engine in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from typer.testing import CliRunner, Result

from service.cli import app

from ..serving import DAYBOOK, free_port

SAMPLES = Path(__file__).parents[2] / "samples"
RATES = {
    "tax_rates": [{"id": "far", "name": "Far tax", "tax_code": "F", "country": "DE", "percentage": "10"}]
}
WHAT_IF = {
    "tax_rates": [{"id": "w", "name": "What if", "tax_code": "DE-S", "country": "DE", "percentage": "25"}]
}


def daybook(target: str, *arguments: str, status: int = 0) -> Result:
    said = CliRunner().invoke(app, [*arguments, "--server", target], env={"COLUMNS": "300"})
    assert said.exit_code == status, said.output
    return said


@pytest.fixture(scope="module")
def endpoint() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def server(shop: str, tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> str:
    """The samples' reference data, and a treatment whose engine is elsewhere."""
    data = {
        "tax_engines": [{"id": "far", "name": "Far", "type": "remote", "endpoint": endpoint}],
        "tax_treatments": [
            {"id": "far", "name": "Far", "taxable": True, "tax_code": "F", "engine_id": "far"}
        ],
    }
    daybook(shop, "reference", "apply", str(written(tmp_path_factory.mktemp("data"), "reference", data)))
    return shop


@contextmanager
def an_engine(folder: Path, endpoint: str) -> Iterator[None]:
    command: list[str | Path] = [DAYBOOK, "tax-engine", written(folder, "rates", RATES), "--listen", endpoint]
    engine = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert engine.stdout is not None
        assert engine.stdout.readline() == f"daybook tax-engine serves 1 rates on {endpoint}\n"
        yield
    finally:
        engine.terminate()
        assert engine.wait(30) == 0
        if engine.stdout is not None:
            engine.stdout.close()


def written(folder: Path, name: str, data: Any) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(data, default_flow_style=False))
    return file


def sample(key: str, **line: Any) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((SAMPLES / "invoices/de-tax-to-be-worked-out.yaml").read_text())
    data["unique_identifier"] = key
    data["lines"][0] |= line
    return data


def test_show_explains_every_row_and_what_if_changes_nothing(server: str, tmp_path: Path) -> None:
    key = f"cli:{uuid4()}"
    said = daybook(server, "ingest", str(written(tmp_path, "invoice", sample(key))), "--json")
    position = json.loads(said.stdout)["position"]
    shown = daybook(server, "show", key, "--explain", "--min-position", position).stdout
    for text in ("EUR 12,029.28", "rates (rate-table/1)", "de-19 v1", "gross", "half away from zero"):
        assert text in shown
    assert (
        "EUR 15,828.00"
        in daybook(server, "estimate", key, "--rates", str(written(tmp_path, "what-if", WHAT_IF))).stdout
    )
    assert "12,029.28" in daybook(server, "estimate", key, "--on", "2020-01-01").stdout
    assert "12,029.28" in daybook(server, "estimate", key).stdout


def test_what_could_not_be_estimated_is_listed_and_tried_again(
    server: str, endpoint: str, tmp_path: Path
) -> None:
    key = f"cli:{uuid4()}"
    file = str(written(tmp_path, "invoice", sample(key, tax_treatment_id="far")))
    daybook(server, "ingest", file)
    failed = daybook(server, "estimate", key, status=1)
    assert "UNREACHABLE far" in failed.output
    listed = daybook(server, "unfinished").stdout
    assert key in listed
    assert "UNREACHABLE" in listed
    with an_engine(tmp_path, endpoint):
        retried = daybook(server, "unfinished", "--retry").output
        assert "tax estimated" in retried or "0 tried again" in retried
        assert "EUR 6,331.20" in daybook(server, "estimate", key).stdout


def test_an_engine_does_not_serve_a_file_that_breaks_the_rules(tmp_path: Path) -> None:
    bad = {"tax_rates": [{"id": "a", "name": "A", "tax_code": "T", "country": "Germany"}]}
    said = CliRunner().invoke(app, ["tax-engine", str(written(tmp_path, "bad", bad))])
    assert said.exit_code == 2
    assert "tax_rates[0].country: an ISO 3166 code" in said.output
    none = CliRunner().invoke(app, ["tax-engine", str(written(tmp_path, "none", {}))])
    assert "there are no tax_rates" in none.output
