"""Your own PostgreSQL, set up with nothing but the commands of docs/operations.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.embedded.user import as_unprivileged, give
from tests.serving import DAYBOOK

from .killing import Load, Served, load_reference_data
from .test_kills import check_log, check_read_model

pytestmark = pytest.mark.long

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
BINARIES: list[Path | None] = [*sorted(Path("/usr/lib/postgresql").glob("1[5-9]/bin"))]
START_SECONDS_MAX = 30
AS_TEXT = """
SELECT count(*), min(position), bool_and(who_kind <> ''), bool_and(digest <> '') FROM daybook.log
"""


@pytest.fixture(params=BINARIES or [None], ids=lambda path: path.parent.name if path else "none")
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of the sockets of a PostgreSQL that the machine's package brought."""
    binaries: Path | None = request.param
    if binaries is None or not (binaries / "initdb").exists():
        pytest.skip("this machine has no PostgreSQL of its own")
    folder = Path(tempfile.mkdtemp(prefix="daybook-own-", dir="/tmp"))
    folder.chmod(0o755)
    cluster = folder / "cluster"
    cluster.mkdir(mode=0o700)
    sockets = folder / "sockets"
    sockets.mkdir()
    for each in (cluster, sockets):
        give(each)
    made = by_server(binaries, "initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8")
    subprocess.run(made, check=True, capture_output=True, cwd="/")
    with (folder / "said").open("wb") as said:
        server = subprocess.Popen(
            by_server(binaries, "postgres", "-D", cluster, "-c", "listen_addresses=", "-k", sockets),
            stdout=said,
            stderr=said,
            cwd="/",
        )
    (folder / "bin").symlink_to(binaries)
    try:
        wait_until_up(sockets)
        yield folder
    finally:
        server.terminate()
        server.wait(START_SECONDS_MAX)
        shutil.rmtree(folder)


def by_server(binaries: Path, program: str, *words: str | Path) -> list[str | Path]:
    return [*as_unprivileged(), binaries / program, *words]


def wait_until_up(sockets: Path) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            psycopg.connect(f"host={sockets} user=postgres dbname=postgres").close()
        except psycopg.OperationalError:
            assert time.monotonic() < until
            time.sleep(0.1)
        else:
            return


def commands(folder: Path) -> list[str]:
    """What the guide says, with this machine's address in the place of `db`."""
    text = OPERATIONS.read_text().partition("## Your own PostgreSQL")[2].partition("\n## ")[0]
    block = re.findall(r"^    (.+)$", text, re.MULTILINE)
    assert [line.split()[0] for line in block] == ["createuser", "daybook", "daybook", "daybook"]
    return [re.sub(r"postgresql://(\w+)@db/daybook", address(folder, r"\1"), line) for line in block]


def address(folder: Path, role: str) -> str:
    return f"'postgresql://{role}@/daybook?host={folder}/sockets'"


def test_the_guide_sets_up_two_roles_and_the_service_can_only_add(folder: Path) -> None:
    *preparing, serving = commands(folder)
    path = f"{folder / 'bin'}:{DAYBOOK.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PGHOST": str(folder / "sockets"), "PGUSER": "postgres"}
    for command in preparing:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ERROR" not in done.stderr
    served = Served(database_url=serving.split()[-1].strip("'"))
    try:
        load_reference_data(served.target)
        with Load(served, 4) as load:
            load.wait_for_more(40)
        assert load.failures == []
        check_log(served, load)
        check_read_model(served, load)
        check_rights(served.dsn)
        check_rights(address(folder, "daybook_owner").strip("'"))
    finally:
        served.stop()


def check_rights(dsn: str) -> None:
    """Nobody changes the log; everybody who serves can read it as text."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for change in (
            "UPDATE daybook.events SET state = ''",
            "DELETE FROM daybook.events",
            "TRUNCATE daybook.events",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change.encode())
        row = connection.execute(AS_TEXT.encode()).fetchone()
        assert row is not None
        count, first, named, chained = row
        assert count > 100
        assert first > 0
        assert named
        assert chained
