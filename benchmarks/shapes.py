"""What a call is: which method, which message, how many invoices it is about, what it is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message

from daybook.client import connect
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_query_service_pb2_grpc as query_grpc
from daybook.v1 import invoice_service_pb2 as service_pb

from .invoice import METHOD, ORDER, as_large_as, framed, request

ONE, PACED, BATCH, STREAM = "one a call", "paced", "64 a call", "streams"
GET, LIST, ECHO_GET, ECHO_LIST = "GetInvoice", "ListOrderInvoices", "size of GetInvoice", "size of a list"

STREAM_METHOD = "/daybook.v1.InvoiceService/StreamIngestInvoices"
BATCH_METHOD = "/daybook.v1.InvoiceService/BatchIngestInvoices"
QUERIES = "/daybook.v1.InvoiceQueryService"
BATCHED = 64
LISTED = 10  # invoices of an order, on one page
FRAME_HEAD = 5
SECONDS = 60
PACE = 1000.0  # calls a second


class WrongAnswer(Exception):
    """A call was answered something else than is right."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One call, made again and again."""

    method: str
    frame: bytes
    invoices: int = 1  # that a call is about
    records: bool = True  # or only asks
    least: int = 100  # calls of a slice
    pace: float = 0.0  # calls a second at the most; as fast as may be where it is none
    answer_bytes: int = 40  # at least: a gRPC frame with an invoice's id in it
    answer: bytes | None = None  # exactly, where it is always the same; but for the order of labels
    parse: Callable[[bytes], Message] = service_pb.IngestInvoiceRequest.FromString  # such an answer
    answered: Callable[[bytes], int] | None = None  # counts the right answers of streams

    def require_right(self, calls: int, answer_bytes: int) -> None:
        """Raises WrongAnswer where all answers together cannot be so large."""
        if self.answered:
            wrong = False  # they were counted one by one
        elif self.answer is not None:
            wrong = answer_bytes != calls * (FRAME_HEAD + len(self.answer))
        else:
            wrong = answer_bytes < calls * self.answer_bytes
        if wrong:
            raise WrongAnswer(f"{self.method}: {answer_bytes} bytes in answer to {calls} calls")

    def require_same(self, target: str) -> None:
        """Asks once more, and raises WrongAnswer where the answer is not what it was."""
        if self.answer is not None:
            now = asked(target, self.method, self.frame[FRAME_HEAD:])
            if self.parse(now) != self.parse(self.answer):
                raise WrongAnswer(f"{self.method}: the answer has changed")


def one() -> Shape:
    return Shape(METHOD, framed(request()))


def paced() -> Shape:
    return Shape(METHOD, framed(request()), pace=PACE)


def batch() -> Shape:
    message = service_pb.BatchIngestInvoicesRequest(requests=[request()] * BATCHED)
    return Shape(BATCH_METHOD, framed(message), invoices=BATCHED, least=10, answer_bytes=BATCHED * 40)


def stream() -> Shape:
    return Shape(STREAM_METHOD, b"", least=1000, answered=recorded)


def echo_stream() -> Shape:
    return Shape(STREAM_METHOD, b"", records=False, least=1000, answered=echoed)


def echo(size: int = 0) -> Shape:
    """What an echo is asked: the measured invoice, or as many bytes as another answers."""
    message = as_large_as(size) if size else request()
    return Shape(METHOD, framed(message), records=False, answer=message.SerializeToString())


def get(target: str) -> Shape:
    """The newest invoice of the order."""
    newest = query_pb.ListOrderInvoicesRequest(order_id=ORDER, page_size=1)
    with connect(target) as channel:
        [found] = (
            query_grpc.InvoiceQueryServiceStub(channel).ListOrderInvoices(newest, timeout=SECONDS).invoices
        )
    question = query_pb.GetInvoiceRequest()
    question.key.invoice_id = found.invoice_id
    parse = query_pb.GetInvoiceResponse.FromString
    shape = _read(target, "GetInvoice", question, parse)
    if not parse(shape.answer or b"").invoice.content.account_name:
        raise WrongAnswer("an invoice without its names")
    return shape


def listed(target: str) -> Shape:
    """The newest invoices of an order that has all there are."""
    question = query_pb.ListOrderInvoicesRequest(order_id=ORDER, page_size=LISTED)
    parse = query_pb.ListOrderInvoicesResponse.FromString
    shape = _read(target, "ListOrderInvoices", question, parse)
    answer = parse(shape.answer or b"")
    if len(answer.invoices) != LISTED:
        raise WrongAnswer(f"{len(answer.invoices)} invoices of the order, not {LISTED}")
    return shape


def _read(target: str, method: str, question: Message, parse: Callable[[bytes], Message]) -> Shape:
    path = f"{QUERIES}/{method}"
    answer = asked(target, path, question.SerializeToString())
    return Shape(path, framed(question), records=False, answer=answer, parse=parse)


def asked(target: str, method: str, message: bytes) -> bytes:
    """One call, in bytes."""
    with connect(target) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        return call(message, timeout=SECONDS)


WRITES: dict[str, Callable[[], Shape]] = {ONE: one, PACED: paced, BATCH: batch, STREAM: stream}
READS: dict[str, Callable[[str], Shape]] = {GET: get, LIST: listed}


def frames(answers: bytes) -> Iterator[bytes]:
    """The messages of a stream, or of several, one after the other."""
    end = 0
    while end < len(answers):
        begin = end + FRAME_HEAD
        end = begin + int.from_bytes(answers[end + 1 : begin], "big")
        yield answers[begin:end]


def echoed(answers: bytes) -> int:
    """How many invoices came back from the echo."""
    return sum(1 for _ in frames(answers))


def recorded(answers: bytes) -> int:
    """How many invoices of the streams were recorded, by their answers; raises WrongAnswer on any other."""
    ids = set[str]()
    for each in frames(answers):
        for streamed in service_pb.StreamIngestInvoicesResponse.FromString(each).results:
            if not streamed.result.response.invoice_id:
                raise WrongAnswer(str(streamed))
            ids.add(streamed.result.response.invoice_id)
    return len(ids)
