"""The caller that the README shows, in an environment with the client and nothing of the server."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from .serving import serving
from .test_distributions import requirements

HOUSE = Path(__file__).parents[1]
CALLER = re.findall(r"```python\n(.*?)```", (HOUSE / "README.md").read_text(), re.DOTALL)[0]
REFERENCE = HOUSE / "samples/reference.yaml"
NEWEST = ["-c", str(HOUSE / "constraints.txt")]
TYPES = ["types-grpcio", "types-protobuf"]


def test_the_caller_has_fifteen_lines() -> None:
    assert len([line for line in CALLER.splitlines() if line]) == 15


@pytest.mark.long
@pytest.mark.parametrize("versions", ["floor", "newest"])
def test_the_caller_of_the_readme_runs_on(versions: str, tmp_path: Path) -> None:
    python = environment(tmp_path, *(floors() if versions == "floor" else NEWEST))
    with serving() as target:
        daybook = Path(sys.executable).parent / "daybook"
        run(daybook, "reference", "apply", REFERENCE, "--server", target)
        said = run(python, "-c", CALLER.replace("127.0.0.1:50051", target), where=tmp_path)
    assert 'unique_identifier: "1"' in said


@pytest.mark.long
def test_the_client_keeps_its_promises_on_the_floor(tmp_path: Path) -> None:
    python = environment(tmp_path, "pytest", "pytest-asyncio", *floors())
    run(
        python, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", HOUSE / "tests/test_client.py"
    )


@pytest.mark.long
def test_the_caller_of_the_readme_is_typed(tmp_path: Path) -> None:
    python = environment(tmp_path, *TYPES, *NEWEST)
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "mistaken.py").write_text(CALLER.replace("order_id=", "order="))
    strict = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        "/dev/null",
        "--follow-untyped-imports",
    ]
    strict += ["--python-executable", str(python)]
    run(*strict, "caller.py", where=tmp_path)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(*strict, "mistaken.py", where=tmp_path)
    assert 'Unexpected keyword argument "order"' in caught.value.stdout


@pytest.mark.long
def test_a_caller_gets_nothing_of_the_server(tmp_path: Path) -> None:
    python = environment(tmp_path, *NEWEST)
    installed = run(python, "-m", "pip", "list", "--format=freeze")
    names = {line.partition("==")[0] for line in installed.splitlines()}
    assert names - {"pip", "setuptools"} == {
        "daybook",
        "googleapis-common-protos",
        "grpcio",
        "protobuf",
        "typing_extensions",
    }
    for room in ("domain", "store", "projections", "service"):
        run(
            python,
            "-c",
            f"import importlib.util; assert importlib.util.find_spec({room!r}) is None",
            where=tmp_path,
        )


def floors() -> list[str]:
    return [f"{name}=={oldest}" for name, oldest in requirements(HOUSE / "protos/pyproject.toml").items()]


def environment(folder: Path, *packages: str) -> Path:
    """An empty environment with `./protos` and what else is named."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv/bin/python"
    run(python, "-m", "pip", "install", "-q", HOUSE / "protos", *packages)
    return python


def run(*command: str | Path, where: Path = HOUSE) -> str:
    done = subprocess.run(command, cwd=where, check=False, text=True, capture_output=True, timeout=300)
    if done.returncode:
        print(done.stdout, done.stderr)
        done.check_returncode()
    return done.stdout
