"""The caller that stands in where h2load is missing: it costs four times the CPU, so rates are lower."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import grpc
import uvloop

from .invoice import METHOD

FRAME_HEAD = 5


async def call(target: str, callers: int, calls: int, message: bytes) -> dict[str, object]:
    starts: list[float] = []
    took: list[float] = []
    answer_bytes = 0
    left = calls

    async def caller(channel: grpc.aio.Channel) -> None:
        nonlocal left, answer_bytes
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        while left:
            left -= 1
            start = time.time()
            answer = await method(message)
            took.append(time.time() - start)
            starts.append(start)
            answer_bytes += FRAME_HEAD + len(answer)

    async with grpc.aio.insecure_channel(target) as channel:
        await asyncio.gather(*(caller(channel) for _ in range(callers)))
    return {"starts": starts, "took": took, "answer_bytes": answer_bytes}


def main(target: str, callers: str, calls: str, request: str, log: str) -> None:
    message = Path(request).read_bytes()[FRAME_HEAD:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(call(target, int(callers), int(calls), message))
    Path(log).write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
