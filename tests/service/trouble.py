"""A service that fails in every way, behind the real server; it exists in tests alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from service.config import Config
from service.server import Server, build

from .house import LOOPBACK

NAME = "daybook.test.v1.Trouble"
SECRET = "postgresql://owner:hunter2@db/book"

Context = grpc.aio.ServicerContext[Any, Any]


class Unspeakable(Exception):
    """An error that cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError(SECRET)


@dataclass(slots=True)
class Trouble:
    """What the service is asked for is a `StringValue` that names the trouble."""

    release: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def one(self, request: StringValue, context: Context) -> Any:
        match request.value:
            case "raise":
                raise ValueError(SECRET)
            case "raise what cannot be told":
                raise Unspeakable
            case "cancel":
                raise asyncio.CancelledError
            case "assert":
                raise AssertionError(SECRET)
            case "another's timeout":
                raise TimeoutError(SECRET)
            case "answer nonsense":
                return SECRET
            case "sleep":
                await asyncio.sleep(60)
            case "wait":
                self.waiting.release()
                await self.release.wait()
            case _:
                pass
        return StringValue(value="well")

    async def many(self, request: StringValue, context: Context) -> AsyncIterator[Any]:
        yield StringValue(value="first")
        yield await self.one(request, context)

    async def both(self, requests: AsyncIterator[StringValue], context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            yield await self.one(request, context)

    def register(self, server: grpc.aio.Server) -> None:
        coders = (StringValue.FromString, StringValue.SerializeToString)
        methods = {
            "One": grpc.unary_unary_rpc_method_handler(self.one, *coders),
            "Many": grpc.unary_stream_rpc_method_handler(self.many, *coders),
            "Both": grpc.stream_stream_rpc_method_handler(self.both, *coders),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, methods),))


@dataclass(frozen=True, slots=True)
class Troubled:
    """The running server, and what to call it with."""

    server: Server
    trouble: Trouble
    channel: grpc.aio.Channel

    def one(self, said: str, timeout: float | None = 20.0, raw: bytes | None = None) -> Any:
        call = self._method("unary_unary", "One")
        return call(StringValue(value=said).SerializeToString() if raw is None else raw, timeout=timeout)

    def many(self, said: str) -> Any:
        return self._method("unary_stream", "Many")(StringValue(value=said).SerializeToString(), timeout=20.0)

    def both(self, *said: bytes | str) -> Any:
        raws = (
            StringValue(value=each).SerializeToString() if isinstance(each, str) else each for each in said
        )
        return self._method("stream_stream", "Both")(raws, timeout=20.0)

    def both_from(self, end: asyncio.Event) -> Any:
        """A stream that sends one message, and then nothing until its end."""

        async def raws() -> AsyncIterator[bytes]:
            yield StringValue(value="nothing").SerializeToString()
            await end.wait()

        return self._method("stream_stream", "Both")(raws(), timeout=20.0)

    def _method(self, shape: str, name: str) -> Callable[..., Any]:
        of_shape: Any = getattr(self.channel, shape)
        method: Callable[..., Any] = of_shape(f"/{NAME}/{name}", response_deserializer=StringValue.FromString)
        return method


@asynccontextmanager
async def troubled(**settings: Any) -> AsyncIterator[Troubled]:
    trouble = Trouble()
    server = build(Config(listen=LOOPBACK, **settings), {NAME: trouble.register})
    await server.start()
    await server.serving(True)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield Troubled(server, trouble, channel)
    finally:
        trouble.release.set()
        await server.stop()
