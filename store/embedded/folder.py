"""What lies beside the database of a data folder: its sockets, and a server that was left behind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import tempfile
import time
from pathlib import Path

from .failed import EmbeddedFailed
from .user import give, server_uid

SOCKET_PATH_MAX = 107
SOCKET_FILE = ".s.PGSQL.5432"
ORDERLY_SECONDS_MAX = 60.0
ABRUPT_SECONDS_MAX = 10.0
LOOK_SECONDS = 0.05


def socket_folder(folder: Path) -> Path:
    """Inside the data folder, or, where that path is too long for a socket, a name that follows from it."""
    inside = folder / "sockets"
    if len(os.fsencode(inside / SOCKET_FILE)) <= SOCKET_PATH_MAX:
        return inside
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"daybook-{os.geteuid()}-{name}"


def make_socket_folder(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        give(folder)
    if folder.is_symlink() or folder.stat().st_uid not in {os.geteuid(), server_uid()}:
        raise EmbeddedFailed(f"{folder} belongs to somebody else")


def runs_in(pid: int, cluster: Path) -> bool:
    """Whether that process is a PostgreSQL on this cluster."""
    process = Path("/proc") / str(pid)
    try:
        return (
            process.joinpath("exe").readlink().name.startswith("postgres")
            and process.joinpath("cwd").resolve() == cluster.resolve()
        )
    except OSError:
        return False


def end_process(pid: int, cluster: Path) -> None:
    for number, seconds in ((signal.SIGINT, ORDERLY_SECONDS_MAX), (signal.SIGQUIT, ABRUPT_SECONDS_MAX)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not runs_in(pid, cluster):
                return
            time.sleep(LOOK_SECONDS)
    raise EmbeddedFailed(f"PostgreSQL (process {pid}) was left behind and does not end")
