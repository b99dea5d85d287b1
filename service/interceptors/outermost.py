"""The outermost interceptor: admits, decodes, bounds the time, maps every failure, logs one line.

It takes the method with its deserializer and serializer off, so that nothing fails below it, and nothing
of an exception reaches the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from domain.findings import Findings, Malformed, Rule
from projections.editions import Edition, asked
from store.deadlines import Deadlines
from store.log import OutcomeUnknown, Overloaded

from ..errors import Ended, Fault, ShuttingDown, Unreadable, answer, fault_of
from ..logs import CallLines

log = structlog.get_logger()

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Behavior: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
StreamBehavior: TypeAlias = Callable[[Any, Context], Any]

EditionNamed: TypeAlias = Callable[[str], Awaitable[Edition]]

OURS = "/daybook."
EDITION = "daybook-edition"  # in the metadata of a query
GONE = Fault(grpc.StatusCode.CANCELLED, "", "the caller went away")
DEADLINE_MAX = 120.0  # seconds; what a caller has at most, and when it says nothing
LAST_WORDS_SECONDS = 1.0  # of the grace, to tell those that outlast it
ANSWER_MARGIN = 0.02  # seconds kept back, so that an answer still reaches the caller
RETRY_AFTER = 0.5  # seconds

UNKNOWN_MAX = 25  # unknown fields that are named
UNKNOWN_BYTES_MAX = 64 * 1024  # of unknown fields that are looked through for their names
PARTS_MAX = 100_000  # messages in a request that are


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


class Coder:
    """Bytes to a method's messages, and back."""

    def __init__(self, method: Any) -> None:
        self._decode: Callable[[bytes], Message] = method.request_deserializer
        self.reply: Callable[[Any], bytes] = method.response_serializer

    def request(self, raw: bytes) -> Message:
        return decoded(raw, self._decode)

    def written(self, reply: Any) -> bytes:
        """A reply that is in bytes already, as some methods answer, is passed on as it is."""
        return reply if isinstance(reply, bytes) else self.reply(reply)


class Incoming:
    """The requests of a stream, until its caller ends it, or the server does, which is raised."""

    def __init__(self, raws: AsyncIterator[bytes], coder: Coder) -> None:
        self._raws = raws
        self._coder = coder
        self._closed = False
        self._waiting: asyncio.Task[Any] | None = None

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> Message:
        if self._closed:
            raise ShuttingDown
        self._waiting = asyncio.current_task()
        try:
            raw = await anext(self._raws)
        except asyncio.CancelledError:
            if not self._closed or self._waiting is None:
                raise
            self._waiting.uncancel()
            raise ShuttingDown from None
        finally:
            self._waiting = None
        return self._coder.request(raw)

    def close(self) -> None:
        """Takes no more; the method goes on with what it has taken."""
        self._closed = True
        if self._waiting is not None:
            self._waiting.cancel()


class Outermost(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Surrounds every method of every service."""

    def __init__(
        self,
        unary_max: int = 2000,
        streams_max: int = 500,
        edition_named: EditionNamed | None = None,
        lines: CallLines | None = None,
    ) -> None:
        self._edition_named = edition_named
        self._lines = lines or CallLines("info", OURS)
        self._methods: dict[str, Any] = {}  # surrounded already
        self.unary = Lane(unary_max)
        self.streams = Lane(streams_max)
        self.closing = False
        self._endless: set[asyncio.Task[Any]] = set()
        self._incoming: set[Incoming] = set()
        self._running: set[asyncio.Task[Any]] = set()
        self._deadlines: Deadlines[asyncio.Task[Any]] = Deadlines(self._late)
        self._over: set[asyncio.Task[Any]] = set()  # their deadlines, and they do not know yet
        self._cut = False

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        name = handler_call_details.method
        edition = None
        for key, value in handler_call_details.invocation_metadata or ():
            if key == EDITION:
                edition = str(value)
                break
        known: grpc.RpcMethodHandler[Any, Any] | None = self._methods.get(name)
        if known is not None and edition is None:
            return known
        method: Any = await continuation(handler_call_details)
        if method is None:
            return None
        if method.request_streaming or method.response_streaming:
            surrounded = self._streaming(name, method)
        else:
            behavior = self._dated(method.unary_unary, edition)
            surrounded = grpc.unary_unary_rpc_method_handler(
                self._unary(name, behavior, Coder(method)),
                request_deserializer=None,
                response_serializer=None,
            )
        if edition is None:
            self._methods[name] = surrounded
        return surrounded

    def _dated(self, behavior: Behavior, edition: str | None) -> Behavior:
        """The method, asking the edition of the read models that the call's metadata names, if any."""
        find = self._edition_named
        if edition is None or find is None:
            return behavior

        async def call(request: Any, context: Context) -> Any:
            with asked(await find(edition)):
                return await behavior(request, context)

        return call

    def _unary(self, name: str, behavior: Behavior, coder: Coder) -> Behavior:
        async def call(raw: bytes, context: Context) -> Any:
            reply, fault = await self._done(name, behavior, coder, raw, context)
            if fault is None:
                return reply
            del raw  # the error raised here holds this frame until the garbage is collected
            await answer(fault, context)
            return None

        return call

    async def _done(
        self, name: str, behavior: Behavior, coder: Coder, raw: bytes, context: Context
    ) -> tuple[bytes, Fault | None]:
        began = time.perf_counter()
        fault: Fault | None = GONE
        task = asyncio.current_task()
        assert task is not None
        try:
            self._admit(self.unary)
            self._running.add(task)
            self._deadlines.add(task, asyncio.get_running_loop().time() + budget(context))
            try:
                reply = coder.written(await behavior(coder.request(raw), context))
            finally:
                self._deadlines.discard(task)
                self._running.discard(task)
                self.unary.leave()
            fault = None
            return reply, None
        except grpc.aio.AbortError:
            raise  # the standard services answer for themselves
        except (Exception, asyncio.CancelledError) as error:
            fault = reported(name, self._meant(error, task))
            return b"", fault
        finally:
            self._over.discard(task)
            self._line(name, context.peer(), began, fault)

    def _late(self, task: asyncio.Task[Any]) -> None:
        self._over.add(task)
        task.cancel()

    def _meant(self, error: BaseException, task: asyncio.Task[Any]) -> BaseException:
        """What really ended a call: its deadline, or the grace that it outlasts, of which it is told so."""
        if not isinstance(error, asyncio.CancelledError) or not task.cancelling():
            return error
        if task in self._over and not task.uncancel():
            return TimeoutError()
        if self._cut:
            task.uncancel()
            return OutcomeUnknown()
        return error

    def _line(self, name: str, peer: str, began: float, fault: Fault | None) -> None:
        seconds = time.perf_counter() - began
        if fault is None:
            self._lines.say(name, peer, seconds)
        else:
            self._lines.say(name, peer, seconds, fault.code.name, fault.reason)

    def _streaming(self, name: str, method: Any) -> grpc.RpcMethodHandler[Any, Any]:
        coder = Coder(method)
        if method.request_streaming and method.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(
                    name,
                    method.stream_stream,
                    coder,
                    lambda raws: Incoming(raws, coder),
                    self._drained_by_close,
                ),
                request_deserializer=None,
                response_serializer=coder.written,
            )
        if method.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(name, method.unary_stream, coder, coder.request, self._ended_by_close),
                request_deserializer=None,
                response_serializer=coder.written,
            )
        raise NotImplementedError(f"{name}: no method of the contract takes a stream and gives one answer")

    def _stream(
        self,
        name: str,
        behavior: StreamBehavior,
        coder: Coder,
        read: Callable[[Any], Any],
        closing: Callable[[Any], AbstractContextManager[None]],
    ) -> StreamBehavior:
        async def call(raw: Any, context: Context) -> AsyncIterator[Any]:
            peer = context.peer()  # once the caller is gone, asking for it crashes the process
            began = time.perf_counter()
            fault: Fault | None = GONE
            try:
                self._admit(self.streams)
                try:
                    request = read(raw)
                    with closing(request):
                        async for reply in replies(behavior, request, context):
                            yield coder.reply(reply)
                finally:
                    self.streams.leave()
                fault = None
                return
            except grpc.aio.AbortError:
                raise
            except (Exception, asyncio.CancelledError) as error:
                fault = reported(name, error)
            finally:
                self._line(name, peer, began, fault)
            del raw
            await answer(fault, context)

        return call

    @contextlib.contextmanager
    def _ended_by_close(self, _: Message) -> Iterator[None]:
        """A stream may go on for ever: when the server closes it is ended, and its caller told why."""
        task = asyncio.current_task()
        assert task is not None
        self._endless.add(task)
        try:
            yield
        except asyncio.CancelledError as end:
            if not self.closing:
                raise
            task.uncancel()
            raise ShuttingDown(**(end.facts if isinstance(end, Ended) else {})) from None
        finally:
            self._endless.discard(task)

    @contextlib.contextmanager
    def _drained_by_close(self, incoming: Incoming) -> Iterator[None]:
        """What came in is answered when the server closes, as long as that lasts no longer than the grace."""
        self._incoming.add(incoming)
        try:
            with self._cut_off_at_the_end():
                yield
        finally:
            self._incoming.discard(incoming)

    @contextlib.contextmanager
    def _cut_off_at_the_end(self) -> Iterator[None]:
        """A call that outlasts the grace is told so, and does not just break off."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._cut:
                raise
            task.uncancel()
            raise OutcomeUnknown from None
        finally:
            self._running.discard(task)

    def close(self, grace: float) -> None:
        """Takes no new calls and ends the streams; what was asked for goes on until nearly the end."""
        self.closing = True
        for task in self._endless:
            task.cancel()
        for incoming in self._incoming:
            incoming.close()
        asyncio.get_running_loop().call_later(max(0.0, grace - LAST_WORDS_SECONDS), self._cut_off)

    def _cut_off(self) -> None:
        self._cut = True
        for task in self._running:
            task.cancel()

    def _admit(self, lane: Lane) -> None:
        lane.enter()
        if self.closing:
            lane.leave()
            raise ShuttingDown


async def replies(behavior: StreamBehavior, request: Any, context: Context) -> AsyncIterator[Any]:
    answered = behavior(request, context)
    if inspect.isawaitable(answered):  # the method writes to the context by itself
        await answered
        return
    async for reply in answered:
        yield reply


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
    if unknown := size - message.ByteSize():
        raise Malformed(unknown_fields(decode(raw) if unknown <= UNKNOWN_BYTES_MAX else None))
    return message


def unknown_fields(message: Message | None) -> Findings:
    """Where a message holds fields that the contract does not know; None: more of them than is looked at."""
    findings = Findings()
    for path, part in islice(parts(message), PARTS_MAX) if message else ():
        for unknown in UnknownFieldSet(part):  # type: ignore[attr-defined]
            number = unknown.field_number
            findings.add(f"{path}{number}", Rule.UNKNOWN_FIELD, field=f"number {number}")
        if findings.count >= UNKNOWN_MAX:
            break
    if not findings:
        findings.add("request", Rule.UNKNOWN_FIELD, field="somewhere in it")
    return findings


def parts(message: Message, path: str = "") -> Iterator[tuple[str, Message]]:
    """A message and all those in it but the entries of maps, each with the beginning of its fields' paths."""
    yield path, message
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            for index, each in enumerate(value):
                yield from parts(each, f"{path}{field.name}[{index}].")
        else:
            yield from parts(value, f"{path}{field.name}.")


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
