"""The embedded PostgreSQL comes up from nothing, comes back from everything, goes when its keeper goes."""

# ruff: noqa: ASYNC110, ASYNC220, ASYNC221, ASYNC240 - processes and files are what is tested, and nothing waits

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.embedded import SUPERUSER, Embedded, EmbeddedFailed, FolderTaken
from store.log import Unavailable
from store.postgres import PostgresLog, open_log

from .events import META, assert_whole, codec, everything, new

pytestmark = pytest.mark.long  # each makes and starts a cluster of its own

KEEPER = """
import asyncio, sys
from pathlib import Path
from store.embedded import Embedded

async def keep():
    async with Embedded(Path(sys.argv[1]), say=lambda word: None) as embedded:
        print(embedded.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(keep())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="daybook-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def keeper(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", KEEPER, str(folder)], stdout=subprocess.PIPE, text=True)


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def written(log: PostgresLog) -> None:
    while True:
        with contextlib.suppress(Unavailable):
            await log.append([new(2)], META)
            return


async def until_gone(pid: int, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while is_running(pid):
        assert time.monotonic() < until, f"{pid} is still there"
        await asyncio.sleep(0.05)


async def test_it_comes_up_from_an_empty_folder_in_seconds_and_remembers(folder: Path) -> None:
    started = time.monotonic()
    async with Embedded(folder) as embedded:
        assert time.monotonic() - started < 15
        async with await open_log(embedded.app_dsn, codec()) as log:
            await log.append([new(3)], META)
            identity = log.identity
    async with Embedded(folder) as embedded, await open_log(embedded.app_dsn, codec()) as log:
        assert len(await everything(log)) == 3
        assert log.identity == identity


async def test_what_it_promises_of_durability_is_on(folder: Path) -> None:
    async with Embedded(folder) as embedded:
        with psycopg.connect(embedded.app_dsn) as connection:
            for setting, value in {
                "fsync": "on",
                "synchronous_commit": "on",
                "full_page_writes": "on",
                "data_checksums": "on",
                "listen_addresses": "",
                "server_encoding": "UTF8",
            }.items():
                assert connection.execute(f"SHOW {setting}".encode()).fetchone() == (value,)


async def test_it_never_runs_as_root_and_nobody_else_gets_in(folder: Path) -> None:
    async with Embedded(folder) as embedded:
        assert Path(f"/proc/{embedded.pid}").stat().st_uid != 0
        if os.geteuid() == 0:
            daemon = pwd.getpwnam("daemon").pw_uid
            there = f"{folder}/sockets"
            stranger = subprocess.run(
                ["setpriv", f"--reuid={daemon}", "--clear-groups", "ls", there],
                check=False,
                capture_output=True,
            )
            assert stranger.returncode != 0
        assert "trust" not in (folder / "postgres" / "pg_hba.conf").read_text()


async def test_it_is_started_again_when_it_dies_and_says_so(folder: Path) -> None:
    said: list[str] = []
    async with (
        Embedded(folder, say=said.append) as embedded,
        await open_log(embedded.app_dsn, codec()) as log,
    ):
        for _ in range(3):
            starts = embedded.starts
            assert embedded.pid is not None
            os.kill(embedded.pid, signal.SIGKILL)
            while embedded.starts == starts:
                await asyncio.sleep(0.05)
            await written(log)
        assert_whole(await everything(log))
    assert any("starting it again" in word for word in said)
    assert any("is back" in word for word in said)


async def test_a_second_keeper_of_a_folder_is_refused_and_names_the_first(folder: Path) -> None:
    async with Embedded(folder) as embedded:
        with pytest.raises(FolderTaken, match=str(os.getpid())):
            await Embedded(folder).start()
        async with await open_log(embedded.app_dsn, codec()) as log:
            await log.append([new()], META)


async def test_it_goes_when_its_keeper_is_killed_and_the_next_takes_over(folder: Path) -> None:
    for _ in range(2):
        process = await asyncio.to_thread(keeper, folder)
        assert process.stdout is not None
        pid = int(await asyncio.to_thread(process.stdout.readline))
        assert is_running(pid)
        process.kill()
        await asyncio.to_thread(process.communicate)
        async with Embedded(folder) as embedded:  # it may still be shutting down
            assert embedded.pid != pid
        await until_gone(pid)


async def test_one_left_behind_is_ended_first(folder: Path) -> None:
    async with Embedded(folder):
        pass
    command = [str(path) for path in [_binaries() / "postgres", "-D", folder / "postgres"]]
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}/sockets"]
    orphan = subprocess.Popen(
        [*_as_server(), *command, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (folder / "sockets" / ".s.PGSQL.5432").exists():
        await asyncio.sleep(0.05)
    said: list[str] = []
    async with Embedded(folder, say=said.append) as embedded:
        assert orphan.wait() == 0
        with psycopg.connect(embedded.app_dsn) as connection:
            connection.execute("SELECT 1")
    assert any("left behind" in word for word in said)


async def test_the_mark_of_a_dead_server_is_no_hindrance(folder: Path) -> None:
    async with Embedded(folder):
        pass
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}/postgres\n")
    async with Embedded(folder) as embedded:
        assert embedded.pid is not None


async def test_a_cluster_that_was_half_made_is_made_again(folder: Path) -> None:
    half = folder / "postgres.partial"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    async with Embedded(folder) as embedded:
        assert embedded.pid is not None
    assert not half.exists()


async def test_a_long_path_gets_its_socket_elsewhere(folder: Path) -> None:
    deep = folder / ("deep" * 30)
    if os.geteuid() == 0:
        folder.chmod(0o711)
    async with Embedded(deep) as embedded:
        with psycopg.connect(embedded.app_dsn) as connection:
            connection.execute("SELECT 1")
    shutil.rmtree(embedded._sockets)


async def test_a_cluster_of_another_version_is_refused_with_reason(folder: Path) -> None:
    async with Embedded(folder):
        pass
    (folder / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedFailed, match="made by PostgreSQL 12"):
        await Embedded(folder).start()
    await Embedded(folder).stop()


async def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    async with Embedded(folder):
        pass
    (folder / "postgres" / "postgresql.conf").write_text("nonsense = on\n")
    with pytest.raises(EmbeddedFailed, match="nonsense"):
        await Embedded(folder).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_without_root_too(folder: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    data = folder / "data"
    folder.chmod(0o711)
    data.mkdir()
    os.chown(data, daemon.pw_uid, daemon.pw_gid)
    done = subprocess.run(
        [
            *("setpriv", f"--reuid={daemon.pw_uid}", f"--regid={daemon.pw_gid}", "--clear-groups", "--"),
            *(sys.executable, "-c", KEEPER.replace("sleep(600)", "sleep(0)"), str(data)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]},
    )
    if "Permission denied" in done.stderr:
        pytest.skip("this Python lies in a private home")
    assert int(done.stdout) > 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is kept out of its own folders")
async def test_a_folder_in_a_private_home_is_refused_with_advice(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(EmbeddedFailed, match="--data-dir"):
        await Embedded(private / "data").start()
    assert private.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
async def test_binaries_out_of_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.chmod(0o711)
    private = folder / "private"
    package = _binaries().parent.parent
    shutil.copytree(package, private / package.name, symlinks=True)
    shutil.copytree(f"{package}.libs", private / f"{package.name}.libs")
    private.chmod(0o700)
    out_of_reach = private / package.name / _binaries().parent.name
    monkeypatch.setattr("store.embedded.binaries.binaries_of_wheel", lambda: out_of_reach)
    for _ in range(2):
        async with Embedded(folder / "data") as embedded:
            with psycopg.connect(embedded.dsn(SUPERUSER)) as connection:
                connection.execute("SELECT 1")


def _binaries() -> Path:
    from store.embedded.binaries import binaries_of_wheel

    return binaries_of_wheel() / "bin"


def _as_server() -> list[str]:
    from store.embedded.user import as_unprivileged

    return as_unprivileged()
