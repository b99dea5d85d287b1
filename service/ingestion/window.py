"""A stream of invoices: what arrives while others are recorded is recorded next, together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from daybook.v1 import invoice_service_pb2 as pb
from store.log import Overloaded, Unavailable

from ..calls import Caller
from ..transact import Outcome
from .ingestion import Ingested, Ingestion, Said, lacks_tax

INVOICES_MAX = 256  # of a stream that have no result yet
BYTES_MAX = 32 * 1024 * 1024  # of these
GROUP_MAX = 64  # recorded together
GROUPS_MAX = 2  # one is written while the next is decided

Results: TypeAlias = Sequence[pb.StreamedResult]


@dataclass(frozen=True, slots=True)
class Arrived:
    """One invoice of the stream."""

    index: int
    request: pb.IngestInvoiceRequest
    size: int


class Window:
    """The invoices of one stream that are under way. Nothing more is taken while there are too many."""

    def __init__(
        self,
        ingestion: Ingestion,
        caller: Caller,
        until: Callable[[], float],
    ) -> None:
        self._ingestion = ingestion
        self._caller = caller
        self._until = until
        self._arrived: deque[Arrived] = deque()
        self._results: list[pb.StreamedResult] = []
        self._count = self._bytes = 0  # without a result
        self._groups: set[asyncio.Task[None]] = set()
        self._taxes: set[asyncio.Task[None]] = set()
        self._over = False  # no more are taken
        self._reading: asyncio.Task[None] | None = None
        self._trouble: Exception | None = None
        self._broken = False  # by an error of ours
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self, requests: AsyncIterator[pb.StreamIngestInvoicesRequest]) -> AsyncIterator[Results]:
        """Results as they come. What ended the stream is raised once all that was taken has its result."""
        self._reading = asyncio.create_task(self._take(requests), name="reader of a stream")
        try:
            while not self._broken and not (self._over and not self._count and not self._results):
                await self._news.wait()
                self._news.clear()
                self._record()
                if self._results:
                    results, self._results = self._results, []
                    yield results
        finally:
            going = (self._reading, *self._groups, *self._taxes)
            for task in going:
                task.cancel()
            await asyncio.gather(*going, return_exceptions=True)
        if self._trouble:
            raise self._trouble

    async def _take(self, requests: AsyncIterator[pb.StreamIngestInvoicesRequest]) -> None:
        index = 0
        try:
            async for each in requests:
                arrived = Arrived(index, each.request, each.ByteSize())
                index += 1
                self._arrived.append(arrived)
                self._count += 1
                self._bytes += arrived.size
                self._news.set()
                while self._count >= INVOICES_MAX or self._bytes >= BYTES_MAX:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:
            self._trouble = self._trouble or error
        finally:
            self._over = True
            self._news.set()

    def _record(self) -> None:
        """Starts as many groups as may be under way."""
        while self._arrived and len(self._groups) < GROUPS_MAX:
            group = [self._arrived.popleft() for _ in range(min(GROUP_MAX, len(self._arrived)))]
            self._start(self._recorded(group), self._groups)

    def _start(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        among.add(task)
        task.add_done_callback(partial(self._ended, among))

    def _ended(self, among: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        among.discard(task)
        self._news.set()
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._trouble, self._broken = error, True

    async def _recorded(self, group: Sequence[Arrived]) -> None:
        until = self._until()
        said = await self._ingestion.read([each.request for each in group], self._caller, keyed=True)
        outcomes = await self._patiently(said, until)
        for each, one, outcome in zip(group, said, outcomes, strict=True):
            if isinstance(outcome, Outcome) and lacks_tax(one, outcome):
                self._start(self._taxed(each, one, outcome, until), self._taxes)
            else:
                self._answer(each, one, outcome)

    async def _patiently(self, said: Sequence[Said], until: float) -> Sequence[Ingested | Exception]:
        """Where too much waits to be written this waits too, and so does the caller."""
        loop = asyncio.get_running_loop()
        outcomes = list(await self._ingestion.record_each(said, until))
        while crowded := {n: each for n, each in enumerate(outcomes) if isinstance(each, Overloaded)}:
            pause = max(each.retry_after for each in crowded.values())
            if loop.time() + pause >= until:
                break
            await asyncio.sleep(pause)
            again = await self._ingestion.record_each([said[n] for n in crowded], until)
            for n, outcome in zip(crowded, again, strict=True):
                outcomes[n] = outcome
        return outcomes

    async def _taxed(self, each: Arrived, said: Said, outcome: Ingested, until: float) -> None:
        self._answer(each, said, await self._ingestion.taxed(said, outcome, until))

    def _answer(self, each: Arrived, said: Said, outcome: Ingested | Exception) -> None:
        if isinstance(outcome, Unavailable):
            self._stop(outcome)
        result = self._ingestion.result(said, outcome)
        self._results.append(pb.StreamedResult(index=each.index, result=result))
        self._count -= 1
        self._bytes -= each.size
        self._room.set()
        self._news.set()

    def _stop(self, trouble: Exception) -> None:
        """Takes no more; what was taken goes on."""
        self._trouble = self._trouble or trouble
        self._over = True
        if self._reading is not None:
            self._reading.cancel()
