"""What is installed where: the client gets stubs and nothing of the server, each package one owner."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

HOUSE = Path(__file__).parents[1]


def test_the_client_distribution_holds_typed_stubs_and_nothing_of_the_server(tmp_path: Path) -> None:
    files = wheel(HOUSE / "protos", tmp_path)
    assert {Path(name).parts[0] for name in files} == {"daybook", "daybook-0.1.0.dist-info"}
    assert {
        "daybook/py.typed",
        "daybook/client.py",
        "daybook/feed.py",
        "daybook/v1/invoice_pb2.pyi",
    } <= files


def test_the_server_distribution_leaves_the_stubs_to_the_client(tmp_path: Path) -> None:
    files = wheel(HOUSE, tmp_path)
    assert {Path(name).parts[0] for name in files} == {
        "domain",
        "store",
        "projections",
        "service",
        "daybook_server-0.1.0.dist-info",
    }


def test_the_migrations_travel_with_the_server(tmp_path: Path) -> None:
    here = {str(path.relative_to(HOUSE)) for path in HOUSE.glob("store/**/*.sql")}
    assert here
    assert here <= wheel(HOUSE, tmp_path)


def test_the_floors_are_what_the_generated_code_was_made_for() -> None:
    floors = requirements(HOUSE / "protos/pyproject.toml")
    sources = "".join(path.read_text() for path in (HOUSE / "protos/daybook/v1").glob("*_pb2*.py"))
    assert f"Protobuf Python Version: {floors['protobuf']}" in sources
    assert f"GRPC_GENERATED_VERSION = '{floors['grpcio']}'" in sources


def test_client_and_server_promise_the_same_floors() -> None:
    server, client = requirements(HOUSE / "pyproject.toml"), requirements(HOUSE / "protos/pyproject.toml")
    assert {name: server[name] for name in client} == client


def requirements(project: Path) -> dict[str, str]:
    """The oldest version promised of each dependency."""
    stated = tomllib.loads(project.read_text())["project"]["dependencies"]
    return dict(re.findall(r"^([\w-]+).*>=([\d.]+)", "\n".join(stated), re.MULTILINE))


def wheel(project: Path, into: Path) -> set[str]:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    (built,) = into.glob("*.whl")
    return set(ZipFile(built).namelist())
