"""For callers: a channel with sensible settings, and an error that can be read.

with connect("127.0.0.1:50051") as channel:
    invoices = InvoiceServiceStub(channel)
    try:
        answer = invoices.IngestInvoice(request, timeout=5)
    except grpc.RpcError as error:
        print(explain(error))
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol, TypeVar, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from .v1.invoice_service_pb2 import InvoiceFailure

MESSAGE_BYTES_MAX = 16 * 1024 * 1024

SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)

OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
]


@dataclass(frozen=True, slots=True)
class Tls:
    """How the server is trusted, and the caller if it has a certificate; all in PEM."""

    roots: bytes | None = None
    """Who may vouch for the server; the machine's own roots when None."""
    certificate: bytes | None = None
    key: bytes | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.roots, self.key, self.certificate)


def connect(target: str, tls: Tls | None = None) -> grpc.Channel:
    """A channel to `host:port`; without `tls` it is in clear text, for the same machine only.

    A call that finds the service unavailable is made again, up to four times within its deadline. Give
    every invoice its `unique_identifier`: it makes the second time harmless. Give every call a `timeout`.
    """
    if tls is None:
        return grpc.insecure_channel(target, OPTIONS)
    return grpc.secure_channel(target, tls.credentials(), OPTIONS)


def connect_async(target: str, tls: Tls | None = None) -> grpc.aio.Channel:
    """The same for asyncio."""
    if tls is None:
        return grpc.aio.insecure_channel(target, OPTIONS)
    return grpc.aio.secure_channel(target, tls.credentials(), OPTIONS)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where, which rule (stable), and for people what would be right."""

    path: str
    rule: str
    description: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the service said about a call that failed."""

    code: grpc.StatusCode
    message: str
    reason: str
    """Stable, UPPER_SNAKE; empty when the failure lies between caller and service."""
    facts: Mapping[str, str]
    findings: tuple[Finding, ...]
    """At most 25; the message tells how many there are."""
    retry_after: timedelta | None
    """After which it is worth asking again."""

    def __str__(self) -> str:
        head = f"{self.code.name} {self.reason}".rstrip()
        return "\n".join(
            [f"{head}: {self.message}", *(f"  {f.path}: {f.description}" for f in self.findings)]
        )


def explain(error: grpc.RpcError) -> Explanation:
    """The error of a failed call, synchronous or not, with the details that the service attached."""
    call = cast("Failed", error)
    return explained(call.code(), call.details() or "", attached(call))


def explain_failure(failure: InvoiceFailure) -> Explanation:
    """The same of one invoice among many, with all of its findings that were told."""
    [code] = [each for each in grpc.StatusCode if each.value[0] == failure.status.code]
    told = explained(code, failure.status.message, failure.status.details)
    if not failure.finding_count:
        return told
    findings = tuple(Finding(each.path, each.rule, each.description) for each in failure.findings)
    return replace(told, findings=findings, facts={**told.facts, "findings": str(failure.finding_count)})


def explained(code: grpc.StatusCode, message: str, details: Sequence[Any]) -> Explanation:
    info = next(each(details, ErrorInfo), ErrorInfo())
    retry = next(each(details, RetryInfo), None)
    broken = [v for bad in each(details, BadRequest) for v in bad.field_violations]
    forbidden = [v for failure in each(details, PreconditionFailure) for v in failure.violations]
    return Explanation(
        code=code,
        message=message,
        reason=info.reason,
        facts=dict(info.metadata),
        findings=(
            *(Finding(v.field, v.reason, v.description) for v in broken),
            *(Finding(v.subject, v.type, v.description) for v in forbidden),
        ),
        retry_after=retry.retry_delay.ToTimedelta() if retry else None,
    )


class Failed(Protocol):
    """What the errors of both kinds of channel can tell, which their common type does not say."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def attached(call: Failed) -> list[Any]:
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            with suppress(DecodeError):
                return list(Status.FromString(value).details)
    return []


M = TypeVar("M", bound=Message)


def each(details: Iterable[Any], kind: type[M]) -> Iterator[M]:
    for detail in details:
        message = kind()
        if detail.Unpack(message):
            yield message
