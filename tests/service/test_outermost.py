"""Around every call: nothing leaks, nobody hangs, too many are turned away, and the end comes in order."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from daybook.client import explain
from service import server as serving
from service.interceptors.outermost import RETRY_AFTER
from tests.postgres import Database

from .contract import STRANGE, clean
from .house import at_home, turn_held
from .messages import an_invoice, apply, ingest
from .trouble import Troubled, troubled

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
EVERYTHING = health_pb2.HealthCheckRequest()
JUNK = b"\xff\xff"


async def failed(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def all_of(stream: Any) -> list[str]:
    return [reply.value async for reply in stream]


# Nothing leaks, nobody hangs


@pytest.mark.parametrize(
    "trouble", ["raise", "raise what cannot be told", "assert", "answer nonsense", "cancel"]
)
@pytest.mark.parametrize("shape", ["one", "many", "both"])
async def test_of_a_failure_of_ours_the_caller_hears_that_and_no_more(trouble: str, shape: str) -> None:
    async with troubled() as there:
        error = await failed(there.one(trouble) if shape == "one" else all_of(getattr(there, shape)(trouble)))
        assert (error.code(), clean(error)[0]) == (Code.INTERNAL, "INTERNAL")
        assert "hunter2" not in f"{error.details()} {error.trailing_metadata()} {error.debug_error_string()}"
        assert "Error" not in (error.details() or "")
        assert (await there.one("nothing")).value == "well"


async def test_what_failed_is_in_the_log_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    async with troubled() as there:
        await failed(there.one("raise"))
    said = capsys.readouterr().out
    assert "call failed" in said
    assert "ValueError" in said
    assert "hunter2" in said


async def test_a_call_is_one_line_in_the_form_of_all_other_lines(capsys: pytest.CaptureFixture[str]) -> None:
    async with troubled() as there:
        await there.one("nothing")
        await failed(there.one("raise"))
    lines = [json.loads(each) for each in capsys.readouterr().err.splitlines() if '"event": "call"' in each]
    assert [(each["method"], each["code"], each["reason"]) for each in lines] == [
        ("One", "OK", None),
        ("One", "INTERNAL", "INTERNAL"),
    ]
    for each in lines:
        assert each["level"] == "info"
        assert each["ms"] > 0
        assert each["peer"].startswith("ipv")
        assert datetime.fromisoformat(each["timestamp"]).tzinfo is not None


async def test_a_deadline_is_kept_by_a_method_that_takes_its_time() -> None:
    async with troubled() as there:
        began = time.monotonic()
        error = await failed(there.one("sleep", timeout=0.4))
        assert error.code() is Code.DEADLINE_EXCEEDED
        assert time.monotonic() - began < 5
        assert await running(there, 0)


async def test_a_caller_without_a_deadline_has_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.interceptors.outermost.DEADLINE_MAX", 0.2)
    async with troubled() as there:
        error = await failed(there.one("sleep", timeout=None))
        assert (error.code(), clean(error)[0]) == (Code.DEADLINE_EXCEEDED, "DEADLINE")


async def test_a_stream_goes_on_after_what_it_has_said_and_ends_with_the_error() -> None:
    async with troubled() as there:
        stream = there.both("nothing", "nothing", "raise", "nothing")
        assert [(await stream.read()).value for _ in range(2)] == ["well", "well"]
        assert clean(await failed(stream.read()))[0] == "INTERNAL"


@pytest.mark.parametrize(("raw", "reason"), [(JUNK, "UNREADABLE_MESSAGE"), (STRANGE, "UNKNOWN_FIELD")])
async def test_a_message_in_a_stream_is_read_as_strictly_as_any(raw: bytes, reason: str) -> None:
    async with troubled() as there:
        error = await failed(all_of(there.both("nothing", raw)))
        assert (error.code(), clean(error)[0]) == (Code.INVALID_ARGUMENT, reason)


async def test_a_call_that_its_caller_gave_up_is_let_go_and_so_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with troubled() as there:
        call = there.one("wait")
        await asyncio.wait_for(started(there), 5)
        call.cancel()
        assert await running(there, 0)
    assert '"code": "CANCELLED"' in capsys.readouterr().err


async def started(there: Troubled) -> None:
    await there.trouble.waiting.acquire()


async def running(there: Troubled, calls: int) -> bool:
    """Whether so many calls are running, soon."""
    for _ in range(500):
        if there.server.outermost.unary.running + there.server.outermost.streams.running == calls:
            return True
        await asyncio.sleep(0.01)
    return False


# Too many


async def test_one_call_too_many_is_turned_away_unread_and_told_when_to_come_back() -> None:
    async with troubled(calls_max=2) as there:
        calls = [asyncio.ensure_future(there.one("wait")) for _ in range(2)]
        for _ in calls:
            await started(there)
        error = await failed(there.one("", raw=JUNK))
        assert (error.code(), clean(error)[0]) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert explain(error).retry_after == timedelta(seconds=RETRY_AFTER)
        there.trouble.release.set()
        assert [(await call).value for call in calls] == ["well", "well"]
        assert (await there.one("nothing")).value == "well"


async def test_streams_and_single_calls_do_not_take_each_others_place() -> None:
    async with troubled(calls_max=1, streams_max=1) as there:
        stream = there.both("wait")
        waiting = asyncio.ensure_future(all_of(stream))
        await started(there)
        assert (await there.one("nothing")).value == "well"
        error = await failed(all_of(there.both("nothing")))
        assert clean(error)[0] == "OVERLOADED"
        there.trouble.release.set()
        assert await waiting == ["well"]


async def test_calls_that_fail_give_their_place_back() -> None:
    async with troubled(calls_max=1, streams_max=1) as there:
        for trouble in ("raise", "cancel") * 2:
            assert clean(await failed(there.one(trouble)))[0] == "INTERNAL"
            assert clean(await failed(all_of(there.many(trouble))))[0] == "INTERNAL"
            assert clean(await failed(there.one("", raw=JUNK)))[0] == "UNREADABLE_MESSAGE"
        assert (await there.one("nothing")).value == "well"


# The end


def watching(channel: grpc.aio.Channel) -> Any:
    health: Any = health_pb2_grpc.HealthStub(channel)
    return health.Watch(EVERYTHING)


async def test_the_end_is_announced_then_what_comes_is_refused_and_what_runs_is_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "DRAIN_SECONDS", 1.0)
    async with troubled() as there:
        watch = watching(there.channel)
        assert (await watch.read()).status == SERVING
        call = asyncio.ensure_future(there.one("wait"))
        await started(there)
        stop = asyncio.create_task(there.server.stop())
        assert (await watch.read()).status == NOT_SERVING
        assert (await there.one("nothing")).value == "well"  # who has not heard yet is still served
        await asyncio.sleep(serving.DRAIN_SECONDS + 0.1)
        assert (await failed(there.one("nothing"))).code() is Code.UNAVAILABLE
        assert not stop.done()
        there.trouble.release.set()
        assert (await call).value == "well"
        await asyncio.wait_for(stop, 5)


async def test_a_stream_does_not_hold_up_the_end_and_is_told_of_it() -> None:
    async with troubled() as there:
        watch = watching(there.channel)
        await watch.read()
        stream = asyncio.ensure_future(all_of(there.many("wait")))
        await started(there)
        began = time.monotonic()
        await there.server.stop()
        assert time.monotonic() - began < there.server.grace / 3
        error = await failed(stream)
        assert (error.code(), clean(error)[0]) == (Code.UNAVAILABLE, "SHUTTING_DOWN")


async def test_what_a_stream_has_taken_is_answered_before_it_is_told_of_the_end() -> None:
    async with troubled() as there:
        stream = there.both("nothing", "wait", "nothing")
        assert (await stream.read()).value == "well"
        await started(there)
        stop = asyncio.create_task(there.server.stop())
        for _ in range(500):
            if there.server.outermost.closing:
                break
            await asyncio.sleep(0.01)
        there.trouble.release.set()
        assert (await stream.read()).value == "well"
        error = await failed(stream.read())
        assert (error.code(), clean(error)[0]) == (Code.UNAVAILABLE, "SHUTTING_DOWN")
        await stop


async def test_a_stream_that_nothing_comes_from_is_ended_at_once() -> None:
    async with troubled() as there:
        stream = there.both_from(endless := asyncio.Event())
        assert (await stream.read()).value == "well"
        began = time.monotonic()
        await there.server.stop()
        assert time.monotonic() - began < there.server.grace / 3
        error = await failed(stream.read())
        assert (error.code(), clean(error)[0]) == (Code.UNAVAILABLE, "SHUTTING_DOWN")
        endless.set()


async def test_what_is_being_written_when_the_end_comes_is_written_and_answered(database: Database) -> None:
    async with at_home(database.app_dsn) as house:
        await house.reference.ApplyReferenceData(apply())
        async with turn_held(database.app_dsn):
            call = asyncio.ensure_future(house.invoices.IngestInvoice(ingest(an_invoice("last"))))
            for _ in range(500):
                if house.server.outermost.unary.running:
                    break
                await asyncio.sleep(0.01)
            stop = asyncio.create_task(house.server.stop())
            await asyncio.sleep(0.5)
        answer = await call
        await stop
        assert len(await house.history("last")) == 3
        assert not answer.replayed


async def test_a_call_that_outlasts_the_grace_is_told_that_its_outcome_is_open() -> None:
    async with troubled(grace_seconds=2) as there:
        call = asyncio.ensure_future(there.one("wait"))
        await started(there)
        began = time.monotonic()
        await there.server.stop()
        assert time.monotonic() - began < 10
        error = await failed(call)
        assert (error.code(), clean(error)[0]) == (Code.DEADLINE_EXCEEDED, "OUTCOME_UNKNOWN")
