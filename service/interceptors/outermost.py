"""The outermost interceptor: admits, decodes, bounds the time, maps every failure, logs one line.

It takes the method with its deserializer off, so that nothing fails below it, and nothing of an
exception reaches the caller.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from domain.findings import Findings, Malformed, Rule
from store.log import Overloaded

from ..errors import Fault, ShuttingDown, Unreadable, answer, fault_of

log = structlog.get_logger()

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Behavior: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
StreamBehavior: TypeAlias = Callable[[Any, Context], Any]

OURS = "/daybook."
DEADLINE_MAX = 120.0  # seconds; what a caller has at most, and when it says nothing
ANSWER_MARGIN = 0.02  # seconds kept back, so that an answer still reaches the caller
RETRY_AFTER = 0.5  # seconds


@dataclass(slots=True)
class Lane:
    """How many calls of a kind may run at once."""

    most: int
    running: int = 0

    def enter(self) -> None:
        if self.running >= self.most:
            raise Overloaded(RETRY_AFTER)
        self.running += 1

    def leave(self) -> None:
        self.running -= 1


class Outermost(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Surrounds every method of every service."""

    def __init__(self, unary_max: int = 2000, streams_max: int = 500) -> None:
        self.unary = Lane(unary_max)
        self.streams = Lane(streams_max)
        self.closing = False

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method: Any = await continuation(handler_call_details)
        if method is None:
            return None
        name = handler_call_details.method
        if not method.request_streaming and not method.response_streaming:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(name, method.unary_unary, method.request_deserializer),
                request_deserializer=None,
                response_serializer=method.response_serializer,
            )
        return self._streaming(name, method)

    def _unary(self, name: str, behavior: Behavior, decode: Callable[[bytes], Message]) -> Behavior:
        async def call(raw: bytes, context: Context) -> Any:
            began = time.perf_counter()
            fault: Fault | None = None
            try:
                self._admit(self.unary)
                try:
                    request = decoded(raw, decode)
                    async with asyncio.timeout(budget(context)):
                        return await behavior(request, context)
                finally:
                    self.unary.leave()
            except grpc.aio.AbortError:
                raise  # the standard services answer for themselves
            except (Exception, asyncio.CancelledError) as error:
                fault = reported(name, error)
            finally:
                line(name, context, began, fault)
            await answer(fault, context)
            return None

        return call

    def _streaming(self, name: str, method: Any) -> grpc.RpcMethodHandler[Any, Any]:
        if method.request_streaming and method.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(name, method.stream_stream, method.request_deserializer, messages),
                request_deserializer=None,
                response_serializer=method.response_serializer,
            )
        if method.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(name, method.unary_stream, method.request_deserializer, decoded),
                request_deserializer=None,
                response_serializer=method.response_serializer,
            )
        raise NotImplementedError(f"{name}: no method of the contract takes a stream and gives one answer")

    def _stream(
        self,
        name: str,
        behavior: StreamBehavior,
        decode: Callable[[bytes], Message],
        read: Callable[[Any, Callable[[bytes], Message]], Any],
    ) -> StreamBehavior:
        async def call(raw: Any, context: Context) -> AsyncIterator[Any]:
            began = time.perf_counter()
            fault: Fault | None = None
            try:
                self._admit(self.streams)
                try:
                    replies = behavior(read(raw, decode), context)
                    if inspect.isawaitable(replies):  # the method writes to the context by itself
                        await replies
                    else:
                        async for reply in replies:
                            yield reply
                    return
                finally:
                    self.streams.leave()
            except grpc.aio.AbortError:
                raise
            except (Exception, asyncio.CancelledError) as error:
                fault = reported(name, error)
            finally:
                line(name, context, began, fault)
            await answer(fault, context)

        return call

    def _admit(self, lane: Lane) -> None:
        lane.enter()
        if self.closing:
            lane.leave()
            raise ShuttingDown


def budget(context: Context) -> float:
    """Seconds that a call may take."""
    remaining: float | None = context.time_remaining()  # None without a deadline, whatever the stubs say
    return DEADLINE_MAX if remaining is None else max(0.0, min(DEADLINE_MAX, remaining - ANSWER_MARGIN))


def decoded(raw: bytes, decode: Callable[[bytes], Message]) -> Message:
    """The message in the bytes; refused when it holds what the contract does not know."""
    try:
        message = decode(raw)
    except (DecodeError, ValueError, RecursionError) as fault:
        raise Unreadable from fault
    size = message.ByteSize()
    message.DiscardUnknownFields()  # type: ignore[attr-defined,unused-ignore]
    if message.ByteSize() != size:
        raise Malformed(unknown_fields(decode(raw)))
    return message


async def messages(raws: AsyncIterator[bytes], decode: Callable[[bytes], Message]) -> AsyncIterator[Message]:
    async for raw in raws:
        yield decoded(raw, decode)


UNKNOWN_MAX = 25


def unknown_fields(message: Message) -> Findings:
    """Where a message holds fields that the contract does not know, by number."""
    findings = Findings()
    _find_unknown(message, "", findings)
    if not findings:
        findings.add("request", Rule.UNKNOWN_FIELD, field="inside a map entry")
    return findings


def _find_unknown(message: Message, path: str, findings: Findings) -> None:
    for unknown in UnknownFieldSet(message):  # type: ignore[attr-defined]
        number = unknown.field_number
        findings.add(f"{path}{number}", Rule.UNKNOWN_FIELD, field=f"number {number}")
    for field, value in message.ListFields():
        if (
            findings.count >= UNKNOWN_MAX
            or field.message_type is None
            or field.message_type.GetOptions().map_entry
        ):
            continue
        if field.is_repeated:
            for index, each in enumerate(value):
                _find_unknown(each, f"{path}{field.name}[{index}].", findings)
        else:
            _find_unknown(value, f"{path}{field.name}.", findings)


def _holds_messages(field: FieldDescriptor) -> bool:
    kind: Descriptor | None = field.message_type
    return kind is not None and not kind.GetOptions().map_entry


def reported(name: str, error: BaseException) -> Fault:
    """What the caller hears of a failure: what `errors` says, and no more.

    A method that was cancelled from outside is gone; one that cancels itself would leave its caller waiting.
    """
    task = asyncio.current_task()
    assert task is not None
    if isinstance(error, asyncio.CancelledError) and task.cancelling():
        raise error
    fault = fault_of(error)
    if fault.code is grpc.StatusCode.INTERNAL:
        log.error("call failed", method=name, exc_info=error)
    return fault


def line(name: str, context: Context, began: float, fault: Fault | None) -> None:
    """One line a call, without its content; those of probes and tools only when asked for."""
    say = log.info if name.startswith(OURS) else log.debug
    say(
        "call",
        method=name.rpartition("/")[2],
        code=fault.code.name if fault else "OK",
        reason=fault.reason if fault else None,
        peer=context.peer(),
        ms=round((time.perf_counter() - began) * 1000, 2),
    )
