"""The caller that stands in where h2load is missing: it costs four times the CPU, so rates are lower."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import uvloop

from .invoice import frame
from .shapes import FRAME_HEAD, frames


async def call(target: str, name: str, callers: int, calls: int, message: bytes) -> dict[str, object]:
    starts: list[float] = []
    took: list[float] = []
    answer_bytes = 0
    left = calls

    async def caller(channel: grpc.aio.Channel) -> None:
        nonlocal left, answer_bytes
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(name)
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


async def stream(target: str, name: str, body: bytes) -> bytes:
    """All messages of a body in one stream; the answers, one after the other."""

    async def messages() -> AsyncIterator[bytes]:
        for each in frames(body):
            yield each

    async with grpc.aio.insecure_channel(target) as channel:
        method: Any = channel.stream_stream(name)
        return b"".join([frame(each) async for each in method(messages())])


async def streams(target: str, name: str, bodies: Sequence[bytes]) -> bytes:
    answers = await asyncio.gather(*(stream(target, name, each) for each in bodies))
    return b"".join(answers)


def main(target: str, name: str, *rest: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if not rest[0].isdigit():
            sys.stdout.buffer.write(
                runner.run(streams(target, name, [Path(each).read_bytes() for each in rest]))
            )
            return
        callers, calls, request, log = rest
        message = Path(request).read_bytes()[FRAME_HEAD:]
        told = runner.run(call(target, name, int(callers), int(calls), message))
    Path(log).write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
