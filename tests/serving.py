"""A real `daybook serve` on this machine, as another team's program meets it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

DAYBOOK = Path(sys.executable).parent / "daybook"
READY_SECONDS_MAX = 120
STOP_SECONDS_MAX = 30


def buffering() -> dict[str, str]:
    """The environment of a machine that has not told Python to say everything at once."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """Serves an empty book of its own; what the server said is shown when it fails."""
    data = tempfile.mkdtemp(prefix="daybook-")
    target = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryFile("w+") as said:
        command: list[str | Path] = [DAYBOOK, "serve", "--listen", target, "--data-dir", data, *options]
        server = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            wait_until_ready(target, server)
            yield target
        except BaseException:
            said.seek(0)
            print(said.read())
            raise
        finally:
            stop(server)
            shutil.rmtree(data)


def wait_until_ready(target: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_SECONDS_MAX
    with grpc.insecure_channel(target) as channel:
        while not ready(channel):
            assert server.poll() is None, f"the server ended with {server.returncode}"
            assert time.monotonic() < until, "the server did not become ready"
            time.sleep(0.1)


def ready(channel: grpc.Channel) -> bool:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
    )
    try:
        answer = check(HealthCheckRequest(), timeout=2)
    except grpc.RpcError:
        return False
    return bool(answer.status == HealthCheckResponse.SERVING)


def stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        server.kill()
        raise


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
