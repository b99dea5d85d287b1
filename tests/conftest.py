"""What holds for every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from typer.testing import CliRunner

from service.cli import app

from .serving import serving

SAMPLES = Path(__file__).parents[1] / "samples"

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the last line of a run is the runner's own

settings.register_profile("daybook", deadline=None)  # machines are shared: no test is timed
settings.load_profile("daybook")


@pytest.fixture(scope="session")
def shop() -> Iterator[str]:
    """Where a service with the samples' reference data listens, for all who keep to keys of their own."""
    with serving() as target:
        file = str(SAMPLES / "reference.yaml")
        said = CliRunner().invoke(app, ["reference", "apply", file, "--server", target])
        assert said.exit_code == 0, said.output
        yield target
