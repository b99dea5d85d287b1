"""Who runs the server, and who may be whom in it: never root, and nobody but who started it."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .failed import EmbeddedFailed

UNPRIVILEGED = "nobody"  # who runs the server when we are root
SUPERUSER, OWNER, APPLICATION = "postgres", "daybook_owner", "daybook_app"


def is_root() -> bool:
    return os.geteuid() == 0


def as_unprivileged() -> list[str]:
    if not is_root():
        return []
    user = pwd.getpwnam(UNPRIVILEGED)
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--inh-caps=-all"]
    return [setpriv(), *ids, "--"]


def as_child(command: Sequence[str]) -> list[str]:
    """The command, run so that it is told to shut down when this process dies, however that happens."""
    if is_root():
        *unprivileged, end = as_unprivileged()
        return [*unprivileged, "--pdeathsig=INT", end, *command]
    found = shutil.which("setpriv")
    return [found, "--pdeathsig=INT", "--", *command] if found else list(command)


def setpriv() -> str:
    found = shutil.which("setpriv")
    if found is None:
        raise EmbeddedFailed(
            "PostgreSQL is never run by root: install setpriv (util-linux), or be another user"
        )
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the user who runs the server, and wait for it."""
    return subprocess.run(
        [*as_unprivileged(), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",
    )


def ident_map() -> str:
    """Who may be whom: the user who starts the server, and the one who runs it, may be any of our roles."""
    users = {pwd.getpwuid(os.geteuid()).pw_name if is_known() else getpass.getuser()}
    users |= {UNPRIVILEGED} if is_root() else set()
    return "".join(
        f'daybook "{user}" {role}\n' for user in sorted(users) for role in (SUPERUSER, OWNER, APPLICATION)
    )


def is_known() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def give(path: Path) -> None:
    if is_root():
        os.chown(path, server_uid(), -1)


def server_uid() -> int:
    return pwd.getpwnam(UNPRIVILEGED).pw_uid if is_root() else os.geteuid()
