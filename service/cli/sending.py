"""Sends what files hold: several at a time, again where that may help, answered in the order of the files."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import grpc

from daybook.client import Explanation, Finding
from daybook.v1 import invoice_pb2 as pb
from daybook.v1.invoice_service_pb2 import IngestInvoiceRequest, IngestInvoiceResponse

from . import faults
from .forms import content_key, digest
from .options import Author
from .remote import ASIDE, WRAPPED, authored, ingestion
from .together import Declined, Together
from .trees import Tree, Written

ATTEMPTS_MAX = 8
READ_MAX = 64  # things at once
WAIT_FIRST = 0.1  # seconds; doubled each time
WAIT_MAX = 5.0

AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED}
HOPELESS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.CANCELLED,
}


class Outcome(StrEnum):
    RECORDED = "recorded"
    REPLAYED = "replayed"
    VALID = "valid"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one invoice."""

    place: str
    outcome: Outcome
    content: pb.InvoiceContent
    tree: Tree = None
    answer: IngestInvoiceResponse = field(default_factory=IngestInvoiceResponse)
    errors: tuple[dict[str, str], ...] = ()
    finding_count: int = 0
    reason: str = ""

    def refused_as(self) -> dict[str, object]:
        """As `--refused` writes it: what was said, as it was said, beside what is wrong with it."""
        said = self.tree
        if isinstance(said, dict) and WRAPPED in said:
            wrapped = {name: part for name, part in said.items() if name not in ASIDE}
        else:
            wrapped = {WRAPPED: said}
        return {**wrapped, "place": self.place, "errors": list(self.errors)}


class Interrupted(Exception):
    """The service is out of reach or does not let us in; the rest would fare alike."""

    def __init__(self, place: str, explanation: Explanation) -> None:
        self.place, self.explanation = place, explanation
        super().__init__(place)


@dataclass(slots=True)
class Sender:
    """Ingests whatever is written, each under a key, so that asking again does no harm."""

    together: Together
    author: Author
    validate_only: bool
    window: int
    in_full: bool = False  # what a dry run works out
    seen: Counter[str] = field(default_factory=Counter)

    async def send(self, things: Iterator[Written], more: Callable[[], bool]) -> AsyncIterator[Result]:
        """`more` tells whether the next thing can be had without waiting for it."""
        room = asyncio.Semaphore(self.window)
        sent: asyncio.Queue[asyncio.Task[Result] | None] = asyncio.Queue()

        async def feed() -> None:
            try:
                while some := await asyncio.to_thread(several, things, more):
                    for written in some:
                        await room.acquire()
                        sent.put_nowait(asyncio.create_task(self.ingest(*self.prepared(written))))
            finally:
                sent.put_nowait(None)

        feeding = asyncio.create_task(feed())
        try:
            while (task := await sent.get()) is not None:
                yield await task
                room.release()
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, *unfinished(sent), return_exceptions=True)

    def prepared(self, written: Written) -> tuple[Written, IngestInvoiceRequest, tuple[dict[str, str], ...]]:
        """The request, with a key of its content where it has none; and why there is nothing to send."""
        if written.trouble:
            wrong = {"path": "", "rule": "UNREADABLE", "description": written.trouble}
            return written, IngestInvoiceRequest(), (wrong,)
        request, problems = ingestion(written.tree)
        if self.validate_only:
            request.validate_only = True
            request.view = pb.INVOICE_VIEW_FULL if self.in_full else pb.INVOICE_VIEW_BASIC
        if not problems and not request.invoice.unique_identifier:
            said = digest(request.invoice)
            self.seen[said] += 1
            request.invoice.unique_identifier = content_key(said, self.seen[said])
        return written, authored(request, self.author), tuple(map(faults.error, problems))

    async def ingest(
        self, written: Written, request: IngestInvoiceRequest, wrong: tuple[dict[str, str], ...]
    ) -> Result:
        content = request.invoice
        if wrong:
            wrong = (*wrong, *await self.also_wrong(request, wrong))
            return refused(written, content, wrong, len(wrong), "NOT_UNDERSTOOD")
        try:
            answer = await self.asked(request)
        except Declined as declined:
            explanation = declined.explanation
            if explanation.code in HOPELESS or without_end(explanation):
                raise Interrupted(written.place, explanation) from None
            errors = tuple(faults.errors(explanation))
            count = max(len(errors), int(explanation.facts.get("findings", 0)))
            return refused(written, content, errors, count, explanation.reason)
        return Result(written.place, outcome_of(answer, request.validate_only), content, written.tree, answer)

    async def also_wrong(
        self, request: IngestInvoiceRequest, wrong: tuple[dict[str, str], ...]
    ) -> Iterable[dict[str, str]]:
        """What the service finds in the part that was understood, so that all is told at once."""
        if not request.HasField("invoice"):
            return ()
        request.validate_only = True
        findings: Iterable[Finding] = ()
        try:
            await self.asked(request)
        except Declined as declined:
            findings = declined.explanation.findings
        told = [each["path"] for each in wrong]
        return [
            faults.error(each)
            for each in findings
            if not any(within(each.path, path) or within(path, each.path) for path in told)
        ]

    async def asked(self, request: IngestInvoiceRequest) -> IngestInvoiceResponse:
        """Asks until there is an answer, or no use in asking."""
        wait = WAIT_FIRST
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self.together.ask(request)
            except Declined as declined:
                explanation = declined.explanation
                if attempt == ATTEMPTS_MAX or not worth_asking_again(explanation):
                    raise
            told = explanation.retry_after.total_seconds() if explanation.retry_after else 0.0
            await asyncio.sleep(max(told, wait * random.uniform(0.5, 1.0)))
            wait = min(2 * wait, WAIT_MAX)
        raise AssertionError


def several(things: Iterator[Written], more: Callable[[], bool]) -> list[Written]:
    """The next things, since a thread for each would cost more than all the rest."""
    some: list[Written] = []
    for written in things:
        some.append(written)
        if len(some) == READ_MAX or not more():
            break
    return some


def worth_asking_again(explanation: Explanation) -> bool:
    return explanation.code in AGAIN or explanation.retry_after is not None


def without_end(explanation: Explanation) -> bool:
    """Still overloaded after every attempt; without a time to wait it means too large a message."""
    return explanation.retry_after is not None


def within(path: str, whole: str) -> bool:
    """Whether a path is this field or something in it."""
    return path == whole or path.startswith((f"{whole}.", f"{whole}["))


def outcome_of(answer: IngestInvoiceResponse, validate_only: bool) -> Outcome:
    if validate_only:
        return Outcome.VALID
    return Outcome.REPLAYED if answer.replayed else Outcome.RECORDED


def refused(
    written: Written,
    content: pb.InvoiceContent,
    errors: tuple[dict[str, str], ...],
    count: int,
    reason: str,
) -> Result:
    return Result(
        written.place,
        Outcome.REFUSED,
        content,
        written.tree,
        errors=errors,
        finding_count=count,
        reason=reason,
    )


def unfinished(sent: asyncio.Queue[asyncio.Task[Result] | None]) -> Iterator[asyncio.Task[Result]]:
    """Calls that nobody will wait for any more."""
    while not sent.empty():
        if (task := sent.get_nowait()) is not None:
            task.cancel()
            yield task
