"""Sees to rebuilds: each in a process of its own, so that neither callers nor read models wait for it.

Any number of processes may look after them; one of them starts the process, and another one starts it again
should the first be gone: what it has done so far is kept.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import asdict

import structlog

from projections import rebuilds
from projections.leases import sole
from projections.projection import LOST, Pool, Projection
from store.log import Unavailable

from .config import Config
from .supervisor import cause

REBUILDER = "rebuilder"  # the role of that process
LOOK_SECONDS = 0.25  # between looks whether anything is asked for
PAUSE_SECONDS = 1.0  # when somebody else sees to it, or it has ended badly

log_line = structlog.get_logger()


async def see_to_rebuilds(config: Config, pool: Pool, projections: tuple[Projection, ...]) -> None:
    """Until cancelled; a process that is under way then is ended, and gone on with by whoever comes next."""
    ours = {(each.name, each.code) for each in projections}
    while True:
        pause = LOOK_SECONDS
        try:
            asked = [each for each in await rebuilds.open_(pool) if (each.projection, each.code) in ours]
            if asked:
                pause = PAUSE_SECONDS
                async with sole(config.database_url, REBUILDER) as alone:
                    if alone and await _process(config) == 0:
                        pause = 0.0
        except (*LOST, Unavailable, TimeoutError) as away:
            log_line.warning("rebuilds wait", because=str(away))
        await asyncio.sleep(pause)


async def _process(config: Config) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.process", REBUILDER, stdin=PIPE, stdout=DEVNULL, start_new_session=True
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(asdict(config)).encode() + b"\n")
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()  # it may be killed at any time
            await process.wait()
    if status:
        log_line.warning("the rebuilder ended", cause=cause(status))
    return status
