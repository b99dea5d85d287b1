"""How a peer serves: one method, the message it ingests, and the same limits as the service."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import uvloop

from daybook.v1 import invoice_service_pb2 as service_pb

OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 200),
    ("grpc.max_connection_age_ms", 20 * 60_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.so_reuseport", 0),
]

Request = service_pb.IngestInvoiceRequest
Streamed = service_pb.StreamIngestInvoicesRequest
Ingest = Callable[[Request, Any], Any]


def generic(
    ingest: Ingest, write: Callable[[Any], bytes], each: Callable[[Any, Any], Any] | None = None
) -> grpc.GenericRpcHandler:
    """IngestInvoice, a stream of them for who takes it, and nothing else."""
    methods: dict[str, Any] = {
        "IngestInvoice": grpc.unary_unary_rpc_method_handler(
            ingest, request_deserializer=Request.FromString, response_serializer=write
        )
    }
    if each:
        methods["StreamIngestInvoices"] = grpc.stream_stream_rpc_method_handler(
            each, request_deserializer=Streamed.FromString, response_serializer=Streamed.SerializeToString
        )
    return grpc.method_handlers_generic_handler("daybook.v1.InvoiceService", methods)


def answer(invoice_id: object) -> service_pb.IngestInvoiceResponse:
    return service_pb.IngestInvoiceResponse(invoice_id=str(invoice_id))


async def serve(
    listen: str, ingest: Callable[[Request, Any], Awaitable[Any]], write: Any, each: Any = None
) -> None:
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((generic(ingest, write, each),))
    server.add_insecure_port(listen)
    await server.start()
    await server.wait_for_termination()


def run(serving: Callable[[], Awaitable[None]]) -> None:
    """Until the process is told to stop."""

    async def whole() -> None:
        await serving()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(whole())


def arguments() -> list[str]:
    return sys.argv[1:]
