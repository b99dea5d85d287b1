"""The read models over the wire: how they fare, rebuilt while asked, back again, dropped, resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import grpc
import psycopg
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import projection_service_pb2 as pb
from daybook.v1 import unfinished_work_service_pb2 as work_pb
from service.bootstrap import READ_MODELS
from tests.postgres import Database

from .house import House, at_home, refused
from .messages import an_invoice, apply, ingest

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = [each.wire_name for each in READ_MODELS]


async def found(house: House, name: str = "invoices") -> pb.Projection:
    answer = await house.projections.ListProjections(pb.ListProjectionsRequest())
    return next(each for each in answer.projections if each.name == name)


async def rebuilt(house: House, name: str = "invoices", *, validate_only: bool = False) -> list[pb.Rebuild]:
    asked = pb.RebuildProjectionRequest(name=name, validate_only=validate_only)
    return [answer.rebuild async for answer in house.projections.RebuildProjection(asked, timeout=60)]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def caught_up(house: House) -> None:
    async def all_have() -> bool:
        return not any([(await found(house, name)).events_behind for name in NAMES])

    await until(all_have)


async def state(house: House) -> pb.ProjectionState.ValueType:
    return (await found(house)).state


async def healthy(house: House, name: str) -> bool:
    answer = await HealthStub(house.channel).Check(HealthCheckRequest(service=name))  # type: ignore[attr-defined]
    return bool(answer.status == HealthCheckResponse.SERVING)


async def test_every_read_model_is_listed_with_where_it_is(server: House) -> None:
    await server.invoices.IngestInvoice(ingest(an_invoice("listed")))
    await caught_up(server)
    answer = await server.projections.ListProjections(pb.ListProjectionsRequest())
    assert [each.name for each in answer.projections] == NAMES
    for each in answer.projections:
        assert each.state == pb.PROJECTION_STATE_FOLLOWING
        assert (each.position, each.events_behind) == (answer.head, 0)
        assert not each.HasField("time_behind")
        assert any(one.live and one.generation == each.generation for one in each.generations)


async def test_every_read_model_is_rebuilt_alike_while_it_is_asked(own_server: House) -> None:
    for number in range(5):
        await own_server.invoices.IngestInvoice(ingest(an_invoice(f"rebuilt {number}")))
    await caught_up(own_server)
    asking = asyncio.create_task(asked_all_the_time(own_server))
    for told in await asyncio.gather(*(rebuilt(own_server, name) for name in NAMES)):
        last = told[-1]
        assert (last.state, last.generation, last.error) == (pb.REBUILD_STATE_DONE, 2, "")
        assert last.done_events == last.total_events > 0
        assert (last.comparison.differing_rows, list(last.comparison.differences)) == (0, [])
        assert last.comparison.live_digest == last.comparison.built_digest
        now = await found(own_server, last.name)
        assert [(each.generation, each.live) for each in now.generations] == [(1, False), (2, True)]
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def asked_all_the_time(house: House) -> None:
    while True:
        listed = await house.queries.ListInvoices(query_pb.ListInvoicesRequest())
        assert len(listed.invoices) == 5
        await asyncio.sleep(0.01)


async def test_a_row_changed_by_hand_is_found_by_a_check_and_put_right_by_a_rebuild(
    own_server: House, database: Database
) -> None:
    answer = await own_server.invoices.IngestInvoice(ingest(an_invoice("altered")))
    await caught_up(own_server)
    async with await psycopg.AsyncConnection.connect(database.app_dsn, autocommit=True) as hand:
        await hand.execute("UPDATE projections.invoices_v1_g1 SET balance = balance + 1")
    checked = (await rebuilt(own_server, validate_only=True))[-1]
    assert (checked.state, checked.comparison.differing_rows) == (pb.REBUILD_STATE_DONE, 1)
    [difference] = checked.comparison.differences
    assert (difference.table, difference.column) == ("rows", "balance")
    assert answer.invoice_id in difference.key
    assert float(difference.live) == float(difference.built) + 1
    assert [each.generation for each in (await found(own_server)).generations] == [1]
    await rebuilt(own_server)
    assert not (await rebuilt(own_server, validate_only=True))[-1].comparison.differing_rows


async def test_one_goes_back_and_drops_what_is_not_wanted(own_server: House) -> None:
    await rebuilt(own_server)
    await own_server.invoices.IngestInvoice(ingest(an_invoice("since")))
    dropping = pb.DropGenerationRequest(name="invoices", generation=2)
    assert (await refused(own_server.projections.DropGeneration(dropping))).reason == "GENERATION_IN_USE"
    answer = await own_server.projections.RevertProjection(
        pb.RevertProjectionRequest(name="invoices"), timeout=30
    )
    assert (answer.rebuild.state, answer.rebuild.generation) == (pb.REBUILD_STATE_DONE, 1)
    listed = await own_server.queries.ListInvoices(query_pb.ListInvoicesRequest())
    assert [each.content.unique_identifier for each in listed.invoices] == ["since"]
    await own_server.projections.DropGeneration(dropping)
    assert [each.generation for each in (await found(own_server)).generations] == [1]
    again = await refused(own_server.projections.DropGeneration(dropping))
    assert (again.reason, again.code) == ("GENERATION_NOT_FOUND", grpc.StatusCode.NOT_FOUND)


async def test_two_at_once_are_refused_and_one_can_be_canceled(own_server: House) -> None:
    for number in range(30):
        await own_server.invoices.IngestInvoice(ingest(an_invoice(f"slow {number}")))
    slowly = pb.RebuildProjectionRequest(name="invoices", max_events_per_second=1)
    call = own_server.projections.RebuildProjection(slowly)
    async for _ in call:
        break
    again = own_server.projections.RebuildProjection(slowly)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [_ async for _ in again]
    assert "REBUILD_RUNNING" in str(caught.value.trailing_metadata())
    canceled = await own_server.projections.CancelRebuild(
        pb.CancelRebuildRequest(name="invoices"), timeout=60
    )
    assert canceled.rebuild.state == pb.REBUILD_STATE_CANCELED
    nothing = await refused(own_server.projections.CancelRebuild(pb.CancelRebuildRequest(name="invoices")))
    assert nothing.reason == "NO_REBUILD_RUNNING"


async def test_an_unknown_read_model_is_not_found(server: House) -> None:
    unknown = await refused(server.projections.ResumeProjection(pb.ResumeProjectionRequest(name="x")))
    assert (unknown.reason, unknown.code) == ("PROJECTION_NOT_FOUND", grpc.StatusCode.NOT_FOUND)


async def test_what_stands_still_shows_everywhere_and_nothing_else_does(
    own_server: House, database: Database
) -> None:
    await own_server.invoices.IngestInvoice(ingest(an_invoice("before")))
    await caught_up(own_server)
    resuming = pb.ResumeProjectionRequest(name="invoices")
    async with await psycopg.AsyncConnection.connect(database.admin_dsn, autocommit=True) as admin:
        sql = """INSERT INTO daybook.events (originator_id, originator_version, topic, state)
            VALUES (%s, 1, 'InvoiceDrafted', '{"v":9,"meta":{}}')"""
        await admin.execute(sql, (uuid4(),))

        async def stuck() -> bool:
            return await state(own_server) == pb.PROJECTION_STATE_STANDING_STILL

        await until(stuck)
        shown = await found(own_server)
        assert (shown.trouble.event, shown.events_behind) == ("InvoiceDrafted", 1)
        assert "version 9, newer than this program" in shown.trouble.error
        work = await own_server.unfinished.ListUnfinishedWork(work_pb.ListUnfinishedWorkRequest())
        assert "invoices" in [each.projection for each in work.work]
        assert all(each.kind == work_pb.UNFINISHED_WORK_KIND_PROJECTION for each in work.work)

        async def told() -> bool:
            return not await healthy(own_server, "projections/invoices")

        await until(told)
        assert await healthy(own_server, ""), "the service serves"
        assert await healthy(own_server, "projections/debit-memos"), "others go on"
        still = await own_server.projections.ResumeProjection(resuming)
        assert still.projection.state == pb.PROJECTION_STATE_STANDING_STILL, "nothing is skipped"


async def test_a_read_model_that_is_new_to_a_book_is_built_before_it_answers(database: Database) -> None:
    async with at_home(database.app_dsn) as house:
        await house.reference.ApplyReferenceData(apply())
        await house.invoices.IngestInvoice(ingest(an_invoice("before")))
        await caught_up(house)
    async with await psycopg.AsyncConnection.connect(database.app_dsn, autocommit=True) as hand:
        await hand.execute("DELETE FROM projections.live WHERE projection = 'invoices'")
        await hand.execute("DELETE FROM projections.checkpoints WHERE projection = 'invoices'")
        await hand.execute("DROP TABLE projections.invoices_v1_g1, projections.invoices_v1_g1_lines CASCADE")
    async with at_home(database.app_dsn) as house:
        assert await state(house) == pb.PROJECTION_STATE_NOT_READY
        answer = await refused(house.queries.ListInvoices(query_pb.ListInvoicesRequest()))
        assert answer.reason == "STORE_UNAVAILABLE"

        async def ready() -> bool:
            return await state(house) == pb.PROJECTION_STATE_FOLLOWING

        await until(ready)
        listed = await house.queries.ListInvoices(query_pb.ListInvoicesRequest())
        assert [each.content.unique_identifier for each in listed.invoices] == ["before"]
