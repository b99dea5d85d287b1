"""Engines elsewhere: called with a deadline, a bounded number of times, and not too many at once."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import grpc
from grpc import StatusCode

from domain import invoice, tax
from domain.invoice import Asked, EngineFailed, FailureCode, Said, TaxEngineCalled
from domain.reference import TaxEngine

from .wire import tax_engine

ATTEMPTS_MAX = 3  # while an engine is out of reach
PAUSE_SECONDS = 0.15  # after the first of them, then doubled
TIMEOUT_MS = 5_000  # for one call, where the engine's entry does not say
CONCURRENT_MAX = 32  # calls of one engine at a time, in this process
ANSWER_BYTES_MAX = 16 * 1024 * 1024
SUCCESS = "SUCCESS"
VOID = "void"

_OPTIONS = [
    ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
    ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
    ("grpc.enable_retries", 0),  # each call is on record, so that each is ours
    # An engine that is back is reached by the next attempt.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
]


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Voided:
    """What came of voiding one document, and the calls that it took."""

    calls: tuple[TaxEngineCalled, ...]
    failure: EngineFailed | None = None


@dataclass(slots=True)
class _Asking:
    """One engine asked about one document."""

    engine: TaxEngine
    document_code: str
    purpose: str
    body: bytes
    calls: list[TaxEngineCalled] = field(default_factory=list)

    def record(self, began: float, result: str, status: str, answer: bytes | None = None) -> None:
        self.calls.append(
            TaxEngineCalled(
                engine_id=self.engine.id,
                document_code=self.document_code,
                purpose=self.purpose,
                attempt=len(self.calls) + 1,
                micros=int((time.monotonic() - began) * 1_000_000),
                result=result,
                request_digest=hashlib.sha256(self.body).hexdigest(),
                status=status,
                answer_digest="" if answer is None else hashlib.sha256(answer).hexdigest(),
            )
        )


class Engines:
    """The engines that this process knows how to reach."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, bool], grpc.aio.Channel] = {}
        self._at_once: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(CONCURRENT_MAX)
        )

    async def ask(self, asked: Iterable[Asked], purpose: str) -> Said:
        """Asks each engine, all at the same time; what fails is an answer too."""
        asked = tuple(asked)
        asking = [
            _Asking(each.engine, each.request.document_code, purpose, tax_engine.written(each.request))
            for each in asked
        ]
        answers = await asyncio.gather(
            *(
                self._answer(one, tax_engine.METHOD, partial(_calculated, each))
                for one, each in zip(asking, asked, strict=True)
            )
        )
        return Said(
            {each.engine.id: (each.request, got) for each, got in zip(asked, answers, strict=True)},
            tuple(call for each in asking for call in each.calls),
        )

    async def void(self, engine: TaxEngine, document_code: str) -> Voided:
        """Has an engine void a document, whether or not it had filed it."""
        asking = _Asking(engine, document_code, VOID, tax_engine.written_void(document_code))
        answer = await self._answer(
            asking, tax_engine.VOID, partial(tax_engine.read_void, engine.id, document_code)
        )
        return Voided(tuple(asking.calls), answer if isinstance(answer, EngineFailed) else None)

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

    async def _answer(self, asking: _Asking, method: str, read: Callable[[bytes], T]) -> T | EngineFailed:
        async with self._at_once[asking.engine.id]:
            pause = PAUSE_SECONDS
            for _ in range(ATTEMPTS_MAX - 1):
                try:
                    return await self._call(asking, method, read)
                except EngineFailed as failed:
                    if failed.code is not FailureCode.UNREACHABLE:
                        return failed
                await asyncio.sleep(pause)
                pause *= 2
            try:
                return await self._call(asking, method, read)
            except EngineFailed as failed:
                return failed

    async def _call(self, asking: _Asking, method: str, read: Callable[[bytes], T]) -> T:
        engine, began = asking.engine, time.monotonic()
        try:
            answer = await self._method(engine, method)(
                asking.body, timeout=(engine.timeout_ms or TIMEOUT_MS) / 1000, wait_for_ready=False
            )
        except grpc.aio.AioRpcError as error:
            failure = _failure(engine, error)
            asking.record(began, failure.code.value, error.code().name)
            raise failure from error
        try:
            said = read(answer)
        except EngineFailed as failure:
            asking.record(began, failure.code.value, StatusCode.OK.name, answer)
            raise
        asking.record(began, SUCCESS, StatusCode.OK.name, answer)
        return said

    def _method(self, engine: TaxEngine, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
        key = engine.endpoint, engine.tls
        channel = self._channels.get(key)
        if channel is None:
            credentials = grpc.ssl_channel_credentials()
            channel = self._channels[key] = (
                grpc.aio.secure_channel(engine.endpoint, credentials, options=_OPTIONS)
                if engine.tls
                else grpc.aio.insecure_channel(engine.endpoint, options=_OPTIONS)
            )
        return channel.unary_unary(method)


def _calculated(asked: Asked, answer: bytes) -> tax.Answer:
    read = tax_engine.read(answer, asked.request)
    invoice.check_answer(asked, read, asked.request.currency)
    return read


def _failure(engine: TaxEngine, error: grpc.aio.AioRpcError) -> EngineFailed:
    code = error.code()
    if code is StatusCode.DEADLINE_EXCEEDED:
        because = f"no answer within {engine.timeout_ms or TIMEOUT_MS} ms"
        return EngineFailed(engine.id, FailureCode.TIMEOUT, because)
    if code is StatusCode.UNAVAILABLE:
        return EngineFailed(engine.id, FailureCode.UNREACHABLE, f"{engine.endpoint} is out of reach")
    because = "".join(each if each.isprintable() else " " for each in error.details() or "")
    return EngineFailed(engine.id, FailureCode.REFUSED, f"{code.name}: {because}")
