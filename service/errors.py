"""What callers hear when something is refused or fails: one status, one reason, the facts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from domain import credit_memo, debit_memo, invoice, numbering, reference, sequence
from domain.findings import Finding, Malformed, Rule
from domain.refusal import Refused
from projections.editions import NoSuchEdition
from projections.generations import NoSuchGeneration, NoSuchProjection
from projections.projection import NotCaughtUp
from store.log import DeadlineExceeded, OutcomeUnknown, Overloaded, Unavailable

from .past import NotYetDrafted

DOMAIN = "daybook"
VIOLATIONS_MAX = 25

# An error travels in trailers, and many clients take 8 KiB of them at the most: text there is percent-encoded
# (three bytes for one) and details are base64 (four for three), so that these come to less.
MESSAGE_BYTES_MAX = 480
STATUS_BYTES_MAX = 4_800
PATH_BYTES_MAX = 400
FACT_BYTES_MAX = 1_024
ANY_BYTES = 64  # the name of a detail's type, around it
ELLIPSIS = "…"

RETRY_CONTENDED = 0.05  # seconds


class Contended(Refused):
    reason = "CONTENDED"
    because = "others wrote first {attempts} times in a row; ask again"


class Unreadable(Exception):
    """The bytes of a request are not its message."""


class NoReferenceData(Refused):
    reason = "NO_REFERENCE_DATA"
    because = "the book has no reference data yet; load it with: daybook reference apply FILE"


class StreamNotFound(Refused):
    reason = "STREAM_NOT_FOUND"
    because = "nothing ever happened to {what}"


class BatchRefused(Refused):
    reason = "BATCH_REFUSED"
    because = (
        "nothing is wrong with it, but with {count} others of a batch that is recorded whole or not at all"
    )


class ShuttingDown(Exception):
    """The server takes no new calls; `facts` say how far a stream had come."""

    def __init__(self, **facts: str) -> None:
        super().__init__()
        self.facts = facts


class Ended(asyncio.CancelledError):
    """A stream was ended from outside; `facts` say how far it had come."""

    def __init__(self, **facts: str) -> None:
        super().__init__()
        self.facts = facts


STATUS: dict[type[BaseException], StatusCode] = {
    Malformed: StatusCode.INVALID_ARGUMENT,
    Unreadable: StatusCode.INVALID_ARGUMENT,
    invoice.NotFound: StatusCode.NOT_FOUND,
    invoice.IngestedDifferently: StatusCode.ALREADY_EXISTS,
    invoice.PaymentNotFound: StatusCode.NOT_FOUND,
    invoice.RequestDiffers: StatusCode.ALREADY_EXISTS,
    credit_memo.NotFound: StatusCode.NOT_FOUND,
    credit_memo.ApplicationNotFound: StatusCode.NOT_FOUND,
    debit_memo.NotFound: StatusCode.NOT_FOUND,
    debit_memo.CreatedDifferently: StatusCode.ALREADY_EXISTS,
    debit_memo.VersionMoved: StatusCode.ABORTED,
    StreamNotFound: StatusCode.NOT_FOUND,
    NotYetDrafted: StatusCode.NOT_FOUND,
    NoSuchEdition: StatusCode.NOT_FOUND,
    numbering.NumberTaken: StatusCode.ALREADY_EXISTS,
    sequence.SeriesNotFound: StatusCode.NOT_FOUND,
    invoice.VersionMoved: StatusCode.ABORTED,
    reference.StaleBase: StatusCode.ABORTED,
    NoSuchProjection: StatusCode.NOT_FOUND,
    NoSuchGeneration: StatusCode.NOT_FOUND,
    Contended: StatusCode.ABORTED,
    Overloaded: StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: StatusCode.UNAVAILABLE,
    ShuttingDown: StatusCode.UNAVAILABLE,
    OutcomeUnknown: StatusCode.DEADLINE_EXCEEDED,
    NotCaughtUp: StatusCode.DEADLINE_EXCEEDED,
    DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    asyncio.TimeoutError: StatusCode.DEADLINE_EXCEEDED,
    Refused: StatusCode.FAILED_PRECONDITION,
}  # the nearest ancestor speaks; a stranger is our own fault: INTERNAL, logged, nothing leaked

REASON: dict[type[BaseException], str] = {
    Malformed: "BROKEN_RULES",
    Unreadable: "UNREADABLE_MESSAGE",
    Overloaded: "OVERLOADED",
    Unavailable: "STORE_UNAVAILABLE",
    ShuttingDown: "SHUTTING_DOWN",
    OutcomeUnknown: "OUTCOME_UNKNOWN",
    NotCaughtUp: "NOT_CAUGHT_UP",
    DeadlineExceeded: "DEADLINE",
    asyncio.TimeoutError: "DEADLINE",
}
INTERNAL = "INTERNAL"
RULES_OF_THEIR_OWN = (Rule.UNKNOWN_FIELD, Rule.PAGE_TOKEN)  # broken, they are a reason by themselves

SAID: dict[type[BaseException], str] = {
    OutcomeUnknown: "the deadline passed in the middle of a write; ask again with the same key",
    NotCaughtUp: "the deadline passed before the read model had seen min_position; ask again",
    DeadlineExceeded: "the deadline passed; nothing was written",
    asyncio.TimeoutError: "the deadline passed",
    Unavailable: "the store is out of reach; nothing was written; ask again",
    ShuttingDown: "the server is going down; ask another, or again",
    Unreadable: "the request's bytes are not its message",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it is answered."""

    code: StatusCode
    reason: str
    text: str
    facts: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    finding_count: int = 0
    retry_after: float | None = None

    def status(self) -> Status:
        message = cut(self.text, MESSAGE_BYTES_MAX)
        status = Status(code=self.code.value[0], message=message)
        status.details.add().Pack(ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self._metadata()))
        if self.retry_after is not None:
            delay = Duration()
            delay.FromTimedelta(timedelta(seconds=self.retry_after))
            status.details.add().Pack(RetryInfo(retry_delay=delay))
        if self.code is StatusCode.FAILED_PRECONDITION:
            violation = PreconditionFailure.Violation(type=self.reason, description=message)
            status.details.add().Pack(PreconditionFailure(violations=[violation]))
        if self.findings:
            status.details.add().Pack(self._violations(STATUS_BYTES_MAX - status.ByteSize()))
        return status

    def _metadata(self) -> dict[str, str]:
        facts = {name: cut(value, FACT_BYTES_MAX) for name, value in self.facts.items()}
        return facts | ({"findings": str(self.finding_count)} if self.findings else {})

    def _violations(self, bytes_max: int) -> BadRequest:
        """The first findings, as many as the trailers bear."""
        request = BadRequest()
        for finding in self.findings[:VIOLATIONS_MAX]:
            request.field_violations.add(
                field=cut(finding.path, PATH_BYTES_MAX),
                description=cut(str(finding), FACT_BYTES_MAX),
                reason=finding.rule.name,
            )
            if request.ByteSize() > bytes_max - ANY_BYTES:
                request.field_violations.pop()
                break
        return request


def cut(text: str, bytes_max: int) -> str:
    """The text, or as much of it as these bytes hold."""
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    return encoded[: bytes_max - len(ELLIPSIS.encode())].decode(errors="ignore") + ELLIPSIS


def fault_of(error: BaseException) -> Fault:
    """How an exception is answered. What is not ours says nothing of itself."""
    ancestors = type(error).__mro__
    code = _status(type(error))
    if code is StatusCode.INTERNAL:
        return Fault(code, INTERNAL, "an internal error; it was logged")
    if isinstance(error, Refused):
        retry = RETRY_CONTENDED if isinstance(error, Contended) else None
        return Fault(code, error.reason, str(error), error.facts, retry_after=retry)
    if isinstance(error, Malformed):
        return _malformed(code, error)
    reason = next(REASON[each] for each in ancestors if each in REASON)
    text = next((SAID[each] for each in ancestors if each in SAID), str(error))
    facts, retry_after = getattr(error, "facts", {}), getattr(error, "retry_after", None)
    return Fault(code, reason, text, facts, retry_after=retry_after)


def _status(kind: type[BaseException]) -> StatusCode:
    return next((STATUS[each] for each in kind.__mro__ if each in STATUS), StatusCode.INTERNAL)


def _malformed(code: StatusCode, error: Malformed) -> Fault:
    findings = error.findings
    reason = findings[0].rule.name if findings[0].rule in RULES_OF_THEIR_OWN else REASON[Malformed]
    more = f" (and {error.count - 1} more findings)" if error.count > 1 else ""
    text = f"{findings[0].path}: {findings[0]}{more}"
    return Fault(code, reason, text, findings=findings, finding_count=error.count)


def reasons() -> Mapping[str, StatusCode]:
    """Every reason that can be answered by what is loaded, and the status that it comes with."""
    known = {reason: _status(kind) for kind, reason in REASON.items()}
    known |= {rule.name: STATUS[Malformed] for rule in RULES_OF_THEIR_OWN}
    known |= {each.reason: _status(each) for each in _refusals(Refused)}
    return dict(sorted(known.items())) | {INTERNAL: StatusCode.INTERNAL}


def _refusals(kind: type[Refused]) -> Iterable[type[Refused]]:
    for each in kind.__subclasses__():
        yield each
        yield from _refusals(each)


async def answer(fault: Fault, context: grpc.aio.ServicerContext[object, object]) -> None:
    """Ends the call with this error; never returns."""
    status = fault.status()
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(fault.code, status.message, trailers)
