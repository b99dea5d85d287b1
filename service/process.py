"""What a child of `serve` runs: a worker or the follower, with the settings that it reads from its input."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvloop

from . import bootstrap
from .config import Config
from .logs import set_up
from .rebuilding import REBUILDER
from .server import Server
from .supervisor import READY

YOUNG_OBJECTS = 20_000  # made and not gone, before they are looked through for garbage
ORPHAN_GRACE_SECONDS = 3.0  # the embedded store is gone too, and who comes next wants the port

Role = Callable[[Config], AbstractAsyncContextManager[object]]
ROLES: dict[str, Role] = {
    "worker": bootstrap.working,
    "follower": bootstrap.following,
    REBUILDER: bootstrap.rebuilding,
}

NICE = {"follower": 5}  # callers wait for the workers; what follows takes more at once when it comes later


async def run(role: Role, config: Config) -> None:
    """Until SIGTERM, until the supervisor is gone, or until what is to be done is done."""
    loop = asyncio.get_running_loop()
    stop, orphaned = asyncio.Event(), asyncio.Event()

    def orphan() -> None:
        loop.remove_reader(sys.stdin.fileno())
        orphaned.set()
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), orphan)  # it says no more: only its end can come
    async with role(config) as housed:
        calm_collection()
        os.write(sys.stdout.fileno(), READY + b"\n")
        if isinstance(housed, asyncio.Task):
            housed.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if orphaned.is_set() and isinstance(housed, Server):
            housed.grace = min(housed.grace, ORPHAN_GRACE_SECONDS)


def calm_collection() -> None:
    """What stands at the start stays, and is not looked through again and again for garbage.

    Dozens of invoices are under way at any time, of hundreds of objects each: by the usual threshold they
    would be gone through several times before they go by themselves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def main() -> None:
    config = Config(**json.loads(_line(sys.stdin.fileno())))
    set_up(config.log_level)
    os.nice(NICE.get(sys.argv[1], 0))
    try:
        uvloop.run(run(ROLES[sys.argv[1]], config))
    except bootstrap.CANNOT_START as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        sys.exit(1)


def _line(descriptor: int) -> bytes:
    """One line, and not a byte more, so that the end can be watched for."""
    read = bytearray()
    while not read.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            sys.exit("the supervisor is gone")
        read += byte
    return bytes(read)


if __name__ == "__main__":
    main()
