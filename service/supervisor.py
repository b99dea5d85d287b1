"""Looks after the processes of one `serve`: workers, follower and store; each is started again when it dies.

A child gets its settings on its standard input, says `ready` on its standard output, and goes when the input
ends: nothing outlives its supervisor, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace

from .config import BadSetting, Config

READY = b"ready"
READY_SECONDS_MAX = 120.0
PAUSE_SECONDS_MIN = 0.1  # before a child is started again; doubled while it dies young
PAUSE_SECONDS_MAX = 2.0
YOUNG_SECONDS = 2.0
ANSWER_SECONDS_MAX = 5.0  # for a worker that says it is ready
KILL_SECONDS = 10.0  # beyond the grace of its calls

Say = Callable[[str], None]


class CannotStart(Exception):
    """A child ended before it was ever ready (it said why on standard error), or nobody answers."""


class Child:
    """One process that is looked after."""

    def __init__(self, name: str, role: str, config: Config, say: Say) -> None:
        self.name = name
        self._role = role
        self._config = config
        self._say = say
        self._process: Process | None = None
        self._minder: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Starts it and waits until it is ready; from then on it is started again whenever it ends."""
        self._process = await self._launch()
        self._minder = asyncio.create_task(self._mind(), name=f"minder of {self.name}")

    async def stop(self, grace: float) -> None:
        """Tells it to finish, and waits until it has."""
        if self._minder is not None:
            self._minder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._minder
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), grace + KILL_SECONDS)
        except TimeoutError:
            self._say(f"{self.name} does not finish; killing it")
            self._process.kill()
            await self._process.wait()

    async def _launch(self) -> Process:
        command = (sys.executable, "-m", "service.process", self._role)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        except OSError as error:  # the machine has no room for it now
            raise CannotStart(f"{self.name} does not start ({error.strerror})") from error
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        process.stdin.write(json.dumps(asdict(self._config)).encode() + b"\n")
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                await process.stdin.drain()
                said = await process.stdout.readline()
        except ConnectionError:  # it ended before it had read its settings
            said = b""
        except TimeoutError:
            said = b"nothing in time"
        if said.strip() != READY:
            if said:  # who ended by itself is not killed as well: how it ended would be lost
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            raise CannotStart(f"{self.name} does not start ({cause(await process.wait())})")
        return process

    async def _mind(self) -> None:
        pause = PAUSE_SECONDS_MIN
        clock = asyncio.get_running_loop().time
        while True:
            assert self._process is not None
            began = clock()
            status = await self._process.wait()
            young = clock() - began < YOUNG_SECONDS
            pause = min(2 * pause, PAUSE_SECONDS_MAX) if young else PAUSE_SECONDS_MIN
            self._say(f"{self.name} ended ({cause(status)}); starting it again")
            await asyncio.sleep(pause)
            try:
                await self._launch()
            except CannotStart as error:
                self._say(str(error))
            else:
                self._say(f"{self.name} is back")


def cause(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


@contextlib.asynccontextmanager
async def looked_after(config: Config, say: Say) -> AsyncIterator[None]:
    """The follower and the workers of a settled configuration, until the context is left."""
    follower = Child("the follower", "follower", config, say)
    workers = [
        Child("the worker" if config.workers == 1 else f"worker {number}", "worker", config, say)
        for number in range(1, config.workers + 1)
    ]
    started: list[Child] = []
    try:
        for child in (follower, *workers):
            started.append(child)
            await child.start()
        await answered(config.listen)
        yield
    finally:
        await _stop([each for each in started if each is not follower], config.grace_seconds)
        await _stop([each for each in started if each is follower], 0)


async def answered(listen: str) -> None:
    """Nobody is told that we serve before somebody answers there."""
    host, _, port = listen.rpartition(":")
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError as error:
        raise CannotStart(
            f"the workers say that they serve, but nobody answers on {listen}: {error}"
        ) from error
    writer.close()


async def _stop(children: Sequence[Child], grace: float) -> None:
    await asyncio.gather(*(child.stop(grace) for child in children))


@contextmanager
def port_held(config: Config) -> Iterator[Config]:
    """Settles the port, so that workers can share it and a clash with somebody else's server is an error.

    Port 0 becomes one that nobody has; it is held from the moment on when it is chosen.
    """
    host, _, port = config.listen.rpartition(":")
    family, kind, protocol, _, address = _resolved(host.strip("[]"), int(port), config)
    with socket.socket(family, kind, protocol) as held:
        try:
            if int(port):
                _check_free(family, kind, protocol, address)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(address)
        except OSError as error:
            raise BadSetting(f"listen: {config.listen}: {error.strerror}") from error
        yield replace(config, listen=f"{host}:{held.getsockname()[1]}")


def _check_free(family: int, kind: int, protocol: int, address: tuple[str, int]) -> None:
    """Without sharing: who serves there already shares it with nobody else's server."""
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _resolved(host: str, port: int, config: Config) -> tuple[int, int, int, str, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadSetting(f"listen: {config.listen}: {error.strerror}") from error
    return found[0]  # type: ignore[return-value]
