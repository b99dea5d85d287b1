"""A PostgreSQL of our own: the server from a wheel, under a data folder, looked after as a child process.

It listens on a socket only, trusts nobody but the user who started it (peer authentication), keeps fsync on,
and goes when we go, even when we are killed. One process looks after a data folder and a second is refused;
others share the database through connection strings that follow from the folder alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ..migrate import migrate
from .binaries import reachable_binaries
from .failed import EmbeddedFailed, FolderTaken
from .folder import (
    ABRUPT_SECONDS_MAX,
    ORDERLY_SECONDS_MAX,
    end_process,
    make_socket_folder,
    runs_in,
    socket_folder,
)
from .user import APPLICATION, OWNER, SUPERUSER, UNPRIVILEGED, as_child, give, ident_map, is_root, run

logger = logging.getLogger(__name__)

DATABASE = "daybook"

RECOVERY_WORD_SECONDS = 2.0
PAUSE_SECONDS = 0.05
RESTART_PAUSE_SECONDS = 0.2
RESTART_PAUSE_SECONDS_MAX = 5.0
STARTS_MAX = 5
SAID_BYTES = 2000

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
    "cluster_name": "daybook",
}
AUTHENTICATION = """\
local all all peer map=daybook
local replication postgres peer map=daybook
"""

Say = Callable[[str], None]


class Embedded:
    """The PostgreSQL of a data folder, while this runs. What a person should know it tells through `say`."""

    def __init__(self, folder: Path, *, say: Say = logger.info) -> None:
        self.folder = folder.absolute()
        self._say = say
        self._cluster = self.folder / "postgres"
        self._sockets = socket_folder(self.folder)
        self._lock: IO[str] | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._minder: asyncio.Task[None] | None = None
        self._binaries = Path()
        self.starts = 0

    @property
    def made(self) -> bool:
        """Whether the folder holds a database."""
        return (self._cluster / "PG_VERSION").exists()

    @property
    def owner_dsn(self) -> str:
        """For migrations."""
        return self.dsn(OWNER)

    @property
    def app_dsn(self) -> str:
        """For everything else."""
        return self.dsn(APPLICATION)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def dsn(self, role: str, database: str = DATABASE) -> str:
        return make_conninfo(host=str(self._sockets), port=5432, user=role, dbname=database)

    async def __aenter__(self) -> Embedded:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Come up: make what is missing, wait out a recovery, migrate; from then on restart what dies."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_folder()
        try:
            await asyncio.to_thread(self._make_ready)
            await self._launch()
            await self._furnish()
        except BaseException:
            await self.stop()
            raise
        self._minder = asyncio.create_task(self._mind(), name="embedded PostgreSQL")

    async def stop(self) -> None:
        """Let it finish what it is writing, and go."""
        if self._minder is not None:
            self._minder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._minder
            self._minder = None
        if self._child is not None and self._child.returncode is None:
            await self._end(self._child)
        self._child = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_folder(self) -> None:
        lock = (self.folder / "serve.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            lock.close()
            raise FolderTaken(f"{self.folder} is looked after by process {pid} already") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _make_ready(self) -> None:
        """Binaries that can be run, a cluster that is whole, nothing left over from an earlier life."""
        self._share_folder()
        self._binaries = reachable_binaries(self.folder)
        if not self.made:
            self._make_cluster()
        self._same_version()
        (self._cluster / "pg_hba.conf").write_text(AUTHENTICATION)
        (self._cluster / "pg_ident.conf").write_text(ident_map())
        make_socket_folder(self._sockets)
        self._end_orphan()

    def _share_folder(self) -> None:
        """As root, let the unprivileged user pass through the data folder; nothing outside it is changed."""
        if not is_root():
            return
        self.folder.chmod(0o711)
        if run("test", "-x", str(self.folder)).returncode:
            raise EmbeddedFailed(
                f"the user {UNPRIVILEGED}, who runs PostgreSQL when daybook is run by root, cannot reach "
                f"{self.folder}; choose a data folder outside of private homes (--data-dir)"
            )

    def _make_cluster(self) -> None:
        self._say(f"making a new database in {self.folder}")
        fresh = self.folder / "postgres.partial"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        give(fresh)
        options = ["--auth=peer", "--data-checksums", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        made = run(str(self._binaries / "bin" / "initdb"), "-D", str(fresh), "-U", SUPERUSER, *options)
        if made.returncode:
            raise EmbeddedFailed(f"initdb failed: {made.stdout[-SAID_BYTES:].strip()}")
        fresh.rename(self._cluster)

    def _same_version(self) -> None:
        here = (self._cluster / "PG_VERSION").read_text().strip()
        said = run(str(self._binaries / "bin" / "postgres"), "--version").stdout
        if here not in said.replace(".", " ").split():
            raise EmbeddedFailed(f"{self._cluster} was made by PostgreSQL {here}; this is {said.strip()}")

    def _end_orphan(self) -> None:
        """End a server of this folder whose keeper died before it; remove the mark of a dead one."""
        mark = self._cluster / "postmaster.pid"
        try:
            pid = int(mark.read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        if runs_in(pid, self._cluster):
            self._say("ending a PostgreSQL that an earlier process left behind")
            end_process(pid, self._cluster)
        mark.unlink(missing_ok=True)

    async def _launch(self) -> None:
        """Start the server and wait until it takes connections, however long its recovery lasts."""
        said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        settings = {**SETTINGS, "unix_socket_directories": str(self._sockets)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "bin" / "postgres"), "-D", str(self._cluster), *options]
        with said:
            for attempt in range(1, STARTS_MAX + 1):
                self.starts += 1
                self._child = await asyncio.create_subprocess_exec(
                    *as_child(command),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                    cwd="/",
                )
                if await self._comes_up(self._child):
                    return
                if attempt < STARTS_MAX:
                    await asyncio.sleep(RESTART_PAUSE_SECONDS * attempt)
            said.seek(0)
            raise EmbeddedFailed(f"PostgreSQL does not start: {said.read()[-SAID_BYTES:].strip()}")

    async def _comes_up(self, child: asyncio.subprocess.Process) -> bool:
        loop = asyncio.get_running_loop()
        started = told = loop.time()
        while child.returncode is None:
            try:
                connection = await psycopg.AsyncConnection.connect(self.dsn(SUPERUSER, "postgres"))
            except psycopg.OperationalError as error:
                if loop.time() - told > RECOVERY_WORD_SECONDS:
                    told = loop.time()
                    self._say(f"waiting for the database, {told - started:.0f} s so far: {_last_line(error)}")
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                await connection.close()
                return True
        return False

    async def _furnish(self) -> None:
        """The roles, the database and its migrations; all of it may be there already."""
        admin = await psycopg.AsyncConnection.connect(self.dsn(SUPERUSER, "postgres"), autocommit=True)
        async with admin:
            for role in (OWNER, APPLICATION):
                known = await admin.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
                if not known.rowcount:
                    await admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            known = await admin.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if not known.rowcount:
                named = sql.Identifier(DATABASE), sql.Identifier(OWNER)
                await admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*named))
        await migrate(self.owner_dsn, APPLICATION)

    async def _mind(self) -> None:
        """Start the server again whenever it ends, and say so."""
        pause = RESTART_PAUSE_SECONDS
        while True:
            assert self._child is not None
            status = await self._child.wait()
            self._say(f"the database server ended ({_cause(status)}); starting it again")
            try:
                await self._launch()
            except (EmbeddedFailed, OSError) as error:
                self._say(str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, RESTART_PAUSE_SECONDS_MAX)
            else:
                self._say("the database server is back")
                pause = RESTART_PAUSE_SECONDS

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        """Fast shutdown: open transactions are undone, what is committed is on disk."""
        for number, seconds in ((signal.SIGINT, ORDERLY_SECONDS_MAX), (signal.SIGQUIT, ABRUPT_SECONDS_MAX)):
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), seconds)
                return
        raise EmbeddedFailed(f"PostgreSQL (process {child.pid}) does not end")


def _cause(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
