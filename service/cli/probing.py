"""`daybook status`: asks the standard health service, once and at once."""

from __future__ import annotations

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from daybook.client import connect, explain

from .options import Service

PROBE_SECONDS = 3.0


def status(service: Service, of: str) -> int:
    with connect(service.server, service.tls()) as channel:
        try:
            answer = HealthStub(channel).Check(  # type: ignore[attr-defined]
                HealthCheckRequest(service=of), timeout=min(service.timeout, PROBE_SECONDS)
            )
        except grpc.RpcError as error:
            said = explain(error)
            print(f"{service.server}: {said.code.name.lower().replace('_', ' ')}: {said.message}")
            return 1
    name = HealthCheckResponse.ServingStatus.Name(answer.status)
    print(f"{service.server}: {name.lower().replace('_', ' ')}")
    return int(answer.status != HealthCheckResponse.SERVING)
