"""The gRPC server on one screen: services, the interceptor, limits, health, reflection, shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import _async as health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import _async as reflection
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from .config import Config
from .interceptors.outermost import OURS, EditionNamed, Outermost
from .logs import CallLines

REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
METADATA_BYTES_MAX = 16 * 1024
DRAIN_SECONDS = 0.2  # between saying NOT_SERVING and refusing, for those who watch


class Health(health.HealthServicer):
    """Health with `List`, which the package leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, bool] = {}

    async def List(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        statuses = {
            name: health_pb2.HealthCheckResponse(status=kind(yes)) for name, yes in self._said.items()
        }
        return health_pb2.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]

    async def say(self, names: Iterable[str], serving: bool) -> None:
        for name in names:
            self._said[name] = serving
            await self.set(name, kind(serving))

    async def enter_graceful_shutdown(self) -> None:
        await self.say(list(self._said), serving=False)
        await super().enter_graceful_shutdown()


def kind(serving: bool) -> Any:
    return health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(slots=True)
class Server:
    """A running server."""

    grpc: grpc.aio.Server
    health: Health
    outermost: Outermost
    names: tuple[str, ...]
    port: int
    grace: float

    async def start(self) -> None:
        await self.grpc.start()

    async def serving(self, yes: bool) -> None:
        await self.health.say(("", *self.names), yes)

    async def stop(self) -> None:
        """Says so, refuses what comes, lets what runs finish."""
        await self.health.enter_graceful_shutdown()
        await asyncio.sleep(DRAIN_SECONDS)
        self.outermost.close(self.grace)
        await self.grpc.stop(self.grace)


Register = Callable[[grpc.aio.Server], None]


def build(
    config: Config, services: Mapping[str, Register], edition_named: EditionNamed | None = None
) -> Server:
    """Puts the server together; it does not serve yet."""
    outermost = Outermost(
        config.calls_max, config.streams_max, edition_named, CallLines(config.log_level, OURS)
    )
    server = grpc.aio.server(interceptors=(outermost,), options=_options(config))
    checks = Health()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = []
    for name, register in services.items():
        register(server)
        names.append(name)
    _reflect(server, (*names, "grpc.health.v1.Health"))
    port = _listen(server, config)
    return Server(server, checks, outermost, tuple(names), port, float(config.grace_seconds))


def _options(config: Config) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.message_bytes_max),
        ("grpc.max_send_message_length", 4 * config.message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", 200),
        ("grpc.max_connection_age_ms", 20 * 60_000),
        ("grpc.max_connection_age_grace_ms", 30_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
        ("grpc.so_reuseport", 1),  # the supervisor holds the port, and refuses a clash
    ]


def _reflect(server: grpc.aio.Server, names: Iterable[str]) -> None:
    """Reflection under both of its names; the messages are the same."""
    v1alpha = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name
    servicer = reflection.ReflectionServicer(service_names=[*names, v1alpha])
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler(REFLECTION_V1, {"ServerReflectionInfo": method})
    server.add_generic_rpc_handlers((generic,))


def _listen(server: grpc.aio.Server, config: Config) -> int:
    if not config.tls_cert:
        return server.add_insecure_port(config.listen)
    pair = (Path(config.tls_key).read_bytes(), Path(config.tls_cert).read_bytes())
    roots = Path(config.client_ca).read_bytes() if config.client_ca else None
    credentials = grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)
    return server.add_secure_port(config.listen, credentials)
