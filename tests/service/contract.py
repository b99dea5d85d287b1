"""The contract as its descriptors have it: every method of every service, those to come included."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

import daybook.v1
from service.errors import DOMAIN, VIOLATIONS_MAX, reasons

CALL_SECONDS_MAX = 20.0
ERROR_BYTES_MAX = 8 * 1024  # what clients take in trailers, text and names included


def _services() -> Iterator[ServiceDescriptor]:
    for module in pkgutil.iter_modules(daybook.v1.__path__, "daybook.v1."):
        if module.name.endswith("_pb2"):
            yield from importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()


SERVICES = tuple(_services())
METHODS = tuple(method for service in SERVICES for method in service.methods)


def path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def new(kind: Descriptor) -> Message:
    return message_factory.GetMessageClass(kind)()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: bytes, or an error."""

    raw: bytes | None
    error: grpc.aio.AioRpcError | None

    @property
    def code(self) -> grpc.StatusCode:
        return self.error.code() if self.error else grpc.StatusCode.OK


async def ask(
    channel: grpc.aio.Channel, method: MethodDescriptor, raw: bytes, seconds: float = CALL_SECONDS_MAX
) -> Answer:
    """Calls a method of any shape with these bytes; of a stream of answers, the first."""
    try:
        return Answer(await _first(channel, method, raw, seconds), None)
    except grpc.aio.AioRpcError as error:
        return Answer(None, error)


async def _first(channel: Any, method: MethodDescriptor, raw: bytes, seconds: float) -> bytes:
    asked = {False: "unary", True: "stream"}[method.client_streaming]
    answered = {False: "unary", True: "stream"}[method.server_streaming]
    call = getattr(channel, f"{asked}_{answered}")(path(method))
    reply = call(iter([raw]) if method.client_streaming else raw, timeout=seconds)
    if not method.server_streaming:
        return bytes(await reply)
    try:
        async for each in reply:
            return bytes(each)
        return b""
    finally:
        reply.cancel()


def clean(error: grpc.aio.AioRpcError) -> tuple[str, BadRequest]:
    """The reason and the violations of an error that is as every error has to be."""
    trailers = error.trailing_metadata() or ()
    [packed] = [value for key, value in trailers if key == "grpc-status-details-bin"]
    assert isinstance(packed, bytes)
    assert len(packed) + len((error.details() or "").encode()) < ERROR_BYTES_MAX
    status = Status.FromString(packed)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info, bad = ErrorInfo(), BadRequest()
    assert [detail.Unpack(info) for detail in status.details].count(True) == 1
    for detail in status.details:
        detail.Unpack(bad)
    assert (info.domain, reasons()[info.reason]) == (DOMAIN, error.code())
    assert len(bad.field_violations) <= VIOLATIONS_MAX
    return info.reason, bad


# Bytes that a caller of another version, or nobody in his right mind, would send

VARINT, LENGTH, GROUP, END_OF_GROUP = 0, 2, 3, 4
UNKNOWN = 15_999


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def field(number: int, content: bytes) -> bytes:
    return tag(number, LENGTH) + varint(len(content)) + content


STRANGE = tag(UNKNOWN, VARINT) + b"\x01"
"""A field that no message has."""


Chain = tuple[FieldDescriptor, ...]
"""A way into a message: each field lies in the one before."""


def below(each: FieldDescriptor) -> Descriptor | None:
    """The message that a field holds; none for an entry of a map."""
    kind = each.message_type
    return None if kind is None or kind.GetOptions().map_entry else kind


def places(kind: Descriptor, depth: int = 3) -> Iterator[tuple[str, Chain]]:
    """Where in a message others lie, as the paths that findings name, down to some depth."""
    for each in kind.fields:
        if (inner := below(each)) is None:
            continue
        name = f"{each.name}[0]" if each.is_repeated else each.name
        yield name, (each,)
        if depth > 1:
            yield from ((f"{name}.{more}", (each, *chain)) for more, chain in places(inner, depth - 1))


def fields(kind: Descriptor) -> Iterator[tuple[str, Chain]]:
    """Every field of a message and of those in it."""
    yield from ((each.name, (each,)) for each in kind.fields)
    for name, chain in places(kind):
        inner = below(chain[-1])
        assert inner is not None
        yield from ((f"{name}.{each.name}", (*chain, each)) for each in inner.fields)


def texts(kind: Descriptor) -> Iterator[tuple[str, Chain]]:
    return (each for each in fields(kind) if each[1][-1].type == FieldDescriptor.TYPE_STRING)


def numbers(kind: Descriptor) -> Iterator[tuple[str, Chain]]:
    whole = (FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)
    return (each for each in fields(kind) if each[1][-1].type in whole)


def maps(kind: Descriptor) -> Iterator[tuple[str, Chain]]:
    for name, chain in fields(kind):
        if (entry := chain[-1].message_type) and entry.GetOptions().map_entry:
            yield name, chain


def nested(chain: Chain, content: bytes) -> bytes:
    """A message that holds these bytes at the end of a chain of fields."""
    for each in reversed(chain):
        content = field(each.number, content)
    return content


def crowded(chain: Chain, size: int) -> bytes:
    """A message with as many of a repeated field as fit into so many bytes."""
    *outer, last = chain
    if last.type == FieldDescriptor.TYPE_ENUM:
        return nested(chain, b"\x01" * size)
    if last.message_type is not None and below(last) is None:
        entries = (field(last.number, field(1, b"%x" % number)) for number in range(size // 9))
        return nested(tuple(outer), b"".join(entries))
    one = field(last.number, b"x" if last.type == FieldDescriptor.TYPE_STRING else b"")
    return nested(tuple(outer), one * (size // len(one)))


def failures(method: MethodDescriptor, answer: Answer) -> list[str]:
    """The reasons why invoices of many were refused, where the answer tells of each."""
    if answer.raw is None or "results" not in method.output_type.fields_by_name:
        return []
    reply: Any = new(method.output_type)
    reply.ParseFromString(answer.raw)
    found = []
    for result in (getattr(each, "result", each) for each in reply.results):
        if result.HasField("failure"):
            info = ErrorInfo()
            assert [detail.Unpack(info) for detail in result.failure.status.details].count(True) == 1
            assert reasons()[info.reason].value[0] == result.failure.status.code
            found.append(info.reason)
    return found
