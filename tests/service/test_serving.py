"""What programs that know nothing of invoices ask, who may come in, and that nothing is forgotten."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.json_format import MessageToJson
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_service_pb2_grpc as invoice_grpc
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import reference_data_service_pb2_grpc as reference_grpc
from service.bootstrap import READ_MODELS, running
from service.config import BadSetting, Config
from service.server import Server
from service.supervisor import CannotStart, answered, port_held
from store.log import Who
from tests.postgres import Database

from .certificates import Authority, needs_openssl
from .contract import SERVICES
from .house import LOOPBACK, House, at_home, position
from .messages import (
    a_posted_invoice,
    an_invoice,
    apply,
    by_key,
    cancel,
    get,
    ingest,
    revise,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVING = health_pb2.HealthCheckResponse.SERVING
REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
OURS = {service.full_name for service in SERVICES}


# Health


def health(house: House) -> Any:
    stub: Any = health_pb2_grpc.HealthStub
    return stub(house.channel)


async def test_health_is_told_for_the_whole_and_for_each_service(server: House) -> None:
    for name in ("", *OURS):
        answer = await health(server).Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == SERVING
    listed = await health(server).List(health_pb2.HealthListRequest())  # type: ignore[attr-defined]
    told = {name: each.status for name, each in listed.statuses.items()}
    read_models = {f"projections/{each.wire_name}" for each in READ_MODELS}
    assert {name: told[name] for name in told.keys() - read_models} == dict.fromkeys(("", *OURS), SERVING)
    assert all(told[name] == SERVING for name in told.keys() & read_models)


async def test_of_a_service_that_there_is_not_no_health_is_told(server: House) -> None:
    strange = health_pb2.HealthCheckRequest(service="daybook.v1.NoService")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health(server).Check(strange)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watch = health(server).Watch(strange)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


# Reflection


Asked = reflection_pb2.ServerReflectionRequest


async def reflected(house: House, version: str, asked: Asked) -> list[Any]:
    channel: Any = house.channel
    call = channel.stream_stream(
        f"/{version}/ServerReflectionInfo",
        Asked.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )(iter([asked]))
    return [answer async for answer in call]


@pytest.mark.parametrize("version", REFLECTIONS)
async def test_the_server_tells_its_whole_contract(server: House, version: str) -> None:
    [listed] = await reflected(server, version, Asked(list_services=""))
    names = {each.name for each in listed.list_services_response.service}
    assert OURS | {"grpc.health.v1.Health"} <= names
    for service in SERVICES:
        [found] = await reflected(server, version, Asked(file_containing_symbol=service.full_name))
        raws = found.file_descriptor_response.file_descriptor_proto
        files = [FileDescriptorProto.FromString(raw) for raw in raws]
        assert service.name in {each.name for file in files for each in file.service}
    [missing] = await reflected(server, version, Asked(file_containing_symbol="daybook.v1.Nothing"))
    assert missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


# Another client


async def buf(house: House, method: str, request: str, *options: str) -> tuple[int, dict[str, Any]]:
    """`buf curl`, which knows the contract only by reflection."""
    url = f"http://{house.target}/daybook.v1.{method}"
    command = (Path(sys.executable).parent / "buf", "curl", "--http2-prior-knowledge", "--protocol", "grpc")
    process = await asyncio.create_subprocess_exec(
        *command, *options, "-d", request, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out or error)


@pytest.mark.parametrize("reflection", ["grpc-v1", "grpc-v1alpha"])
async def test_a_client_that_knows_the_contract_by_reflection_ingests_and_reads(
    server: House, reflection: str
) -> None:
    options = ("--reflect-protocol", reflection, "-H", "daybook-actor: curl")
    request = MessageToJson(ingest(an_invoice(reflection)))
    status, written = await buf(server, "InvoiceService/IngestInvoice", request, *options)
    assert (status, written["status"]) == (0, "INVOICE_STATUS_DRAFT")
    asked = {"key": {"uniqueIdentifier": reflection}, "minPosition": written["position"]}
    status, read = await buf(server, "InvoiceQueryService/GetInvoice", json.dumps(asked), *options)
    assert (status, read["invoice"]["invoiceId"]) == (0, written["invoiceId"])
    assert (await server.history(reflection))[0].meta.who == Who("claimed", "curl")


async def test_a_client_that_knows_the_contract_by_reflection_reads_errors(server: House) -> None:
    status, said = await buf(server, "InvoiceService/CancelInvoice", "{}")
    assert (status, said["code"]) == (8 * grpc.StatusCode.INVALID_ARGUMENT.value[0], "invalid_argument")
    assert "google.rpc.ErrorInfo" in {each["type"] for each in said["details"]}


# Who may come in


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path).found()


@asynccontextmanager
async def secured(
    database: Database, credentials: grpc.ChannelCredentials, **files: str
) -> AsyncIterator[Any]:
    config = Config(listen=LOOPBACK, database_url=database.app_dsn, **files)  # type: ignore[arg-type]
    async with (
        running(config) as server,
        grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel,
    ):
        yield channel


async def ingested(channel: grpc.aio.Channel, key: str) -> str:
    await reference_grpc.ReferenceDataServiceStub(channel).ApplyReferenceData(apply(), timeout=10)
    said = (("daybook-actor", "somebody else"),)
    request = ingest(an_invoice(key))
    answer = await invoice_grpc.InvoiceServiceStub(channel).IngestInvoice(request, timeout=10, metadata=said)
    return answer.invoice_id


async def who(database: Database, key: str) -> Who:
    async with at_home(database.app_dsn) as house:
        return (await house.history(key))[0].meta.who


@needs_openssl
async def test_with_tls_the_server_proves_who_it_is_and_callers_claim(
    database: Database, authority: Authority
) -> None:
    certificate, key = authority.vouch("server", "DNS:localhost")
    credentials = authority.credentials()
    async with secured(database, credentials, tls_cert=str(certificate), tls_key=str(key)) as channel:
        await ingested(channel, "claimed")
    assert await who(database, "claimed") == Who("claimed", "somebody else")


@needs_openssl
@pytest.mark.parametrize(
    ("names", "proven"),
    [
        (("URI:spiffe://books/billing", "DNS:billing"), "spiffe://books/billing"),
        (("DNS:billing",), "billing"),
        ((), "the caller"),
    ],
    ids=["uri", "dns", "common name"],
)
async def test_with_certificates_on_both_sides_who_called_is_proven_whatever_is_claimed(
    database: Database, authority: Authority, names: Sequence[str], proven: str
) -> None:
    certificate, key = authority.vouch("server", "DNS:localhost")
    caller = authority.credentials(authority.vouch("the caller", *names))
    files = {"tls_cert": str(certificate), "tls_key": str(key), "client_ca": str(authority.certificate)}
    async with secured(database, caller, **files) as channel:
        await ingested(channel, "proven")
    assert await who(database, "proven") == Who("mtls", proven)


@needs_openssl
async def test_who_shows_no_certificate_or_that_of_a_stranger_is_not_let_in(
    database: Database, authority: Authority
) -> None:
    certificate, key = authority.vouch("server", "DNS:localhost")
    stranger = Authority(authority.folder, "stranger").found().vouch("the caller", "DNS:billing")
    files = {"tls_cert": str(certificate), "tls_key": str(key), "client_ca": str(authority.certificate)}
    for credentials in (authority.credentials(), authority.credentials(stranger)):
        async with secured(database, credentials, **files) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ingested(channel, "never")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


# The port


async def test_a_port_that_somebody_listens_on_is_refused_by_its_name(server: House) -> None:
    with pytest.raises(BadSetting, match=rf"listen: {server.target}: Address already in use"):
        hold(server.target)
    for target in ("nowhere.invalid:50051", "192.0.2.1:50051"):
        with pytest.raises(BadSetting, match=f"listen: {target}: "):
            hold(target)


def hold(target: str) -> str:
    with port_held(Config(listen=target)) as settled:
        return settled.listen


@pytest.mark.parametrize("target", ["127.0.0.1:0", "localhost:0"])
async def test_a_port_that_is_left_to_the_machine_is_settled_and_held(target: str) -> None:
    with port_held(Config(listen=target)) as settled:
        assert int(settled.listen.rpartition(":")[2]) > 0
        with pytest.raises(BadSetting, match="Address already in use"):
            hold(settled.listen)


async def test_a_port_that_is_left_to_the_machine_is_nobody_elses() -> None:
    with ExitStack() as held:
        settled = [held.enter_context(port_held(Config(listen="127.0.0.1:0"))).listen for _ in range(200)]
    assert len(set(settled)) == len(settled)


async def test_nobody_is_told_of_a_service_that_does_not_answer() -> None:
    with port_held(Config(listen="127.0.0.1:0")) as settled:
        with pytest.raises(CannotStart, match=f"nobody answers on {settled.listen}"):
            await answered(settled.listen)
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), *parted(settled.listen), reuse_port=True
        )
        async with server:
            await answered(settled.listen)


def parted(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host, int(port)


# Stopped and started again


async def test_stopped_and_started_again_it_knows_all_that_it_acknowledged(database: Database) -> None:
    async with at_home(database.app_dsn) as house:
        before = await filled(house)
        after = await answers(house)
    async with at_home(database.app_dsn) as house:
        assert await answers(house) == after
        for request, answer in before:
            again = await house.invoices.IngestInvoice(request)
            assert again.replayed
            assert (again.invoice_id, again.position) == (answer.invoice_id, answer.position)
        new = await house.invoices.IngestInvoice(ingest(an_invoice("afterwards")))
        assert new.position.rpartition(".")[0] == before[0][1].position.rpartition(".")[0]
        assert position(new.position) > max(position(answer.position) for _, answer in before)


async def filled(house: House) -> list[tuple[Any, Any]]:
    await house.reference.ApplyReferenceData(apply())
    requests = [ingest(an_invoice(f"draft {n}")) for n in range(5)]
    requests += [ingest(a_posted_invoice(f"posted {n}", number=f"R-{n}")) for n in range(5)]
    written = [(request, await house.invoices.IngestInvoice(request)) for request in requests]
    await house.invoices.ReviseInvoice(revise("draft 1", an_invoice("draft 1", account_id="other")))
    await house.invoices.IngestInvoice(ingest(an_invoice("last")))
    return written


async def answers(house: House) -> list[Any]:
    """All that can be read of the book, in full."""
    newest = await house.invoices.CancelInvoice(cancel("last"))
    listed = await house.queries.ListInvoices(query_pb.ListInvoicesRequest(min_position=newest.position))
    full = [await house.queries.GetInvoice(get(by_key(f"posted {n}"))) for n in range(5)]
    stands = await house.reference.GetReferenceData(reference_pb.GetReferenceDataRequest())
    return [listed, full, stands]


@pytest.mark.long
async def test_a_book_with_a_database_of_its_own_is_there_again_after_a_restart(place: Path) -> None:
    config = Config(listen=LOOPBACK, data_dir=str(place / "data"))
    async with running(config, quiet) as server, calling(server) as channel:
        written = await ingested(channel, "kept")
    async with running(config, quiet) as server, calling(server) as channel:
        again = await invoice_grpc.InvoiceServiceStub(channel).CancelInvoice(cancel("kept"))
    assert again.invoice.invoice_id == written


def quiet(_: str) -> None:
    """What a server says while it starts is not what this is about."""


def calling(server: Server) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the database's user can pass through, wherever pytest keeps its own."""
    made = Path(tempfile.mkdtemp(prefix="daybook-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)
