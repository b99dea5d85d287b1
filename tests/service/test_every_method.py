"""What holds for every method of the contract, those to come included, whatever is sent to it."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from tests.postgres import Database

from .contract import (
    END_OF_GROUP,
    GROUP,
    METHODS,
    SERVICES,
    STRANGE,
    UNKNOWN,
    VARINT,
    ask,
    clean,
    crowded,
    failures,
    field,
    fields,
    maps,
    nested,
    numbers,
    path,
    places,
    tag,
    texts,
    varint,
)
from .house import House, at_home
from .messages import an_invoice, ingest

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)

JUNK = {
    "an endless number": b"\xff" * 11,
    "half a field": tag(1, 2) + b"\x7f" + b"short",
    "field number zero": b"\x00\x00",
    "a group that never ends": tag(UNKNOWN, GROUP),
    "the end of no group": tag(UNKNOWN, END_OF_GROUP),
    "a wire type that there is not": tag(1, 7),
    "groups a thousand deep": tag(UNKNOWN, GROUP) * 1000 + tag(UNKNOWN, END_OF_GROUP) * 1000,
    "a megabyte of noise": b"\xae" * 1_000_000,
}


async def test_every_service_of_the_contract_is_served(server: House) -> None:
    assert set(server.server.names) == {service.full_name for service in SERVICES}


@each_method
async def test_bytes_that_are_no_message_are_unreadable(server: House, method: MethodDescriptor) -> None:
    reasons = {"UNREADABLE_MESSAGE"}
    if not method.input_type.fields:
        reasons.add("UNKNOWN_FIELD")  # the decoder of a message without fields lets field number zero pass
    for what, junk in JUNK.items():
        answer = await ask(server.channel, method, junk)
        assert answer.error is not None, what
        assert answer.code is Code.INVALID_ARGUMENT, what
        assert clean(answer.error)[0] in reasons, what


@each_method
async def test_a_text_that_is_not_utf_8_is_unreadable(server: House, method: MethodDescriptor) -> None:
    for _, chain in texts(method.input_type):
        answer = await ask(server.channel, method, nested(chain, b"\xc3\x28"))
        assert answer.error is not None
        assert clean(answer.error)[0] == "UNREADABLE_MESSAGE"


@each_method
async def test_a_field_that_the_contract_does_not_know_is_refused_wherever_it_stands(
    server: House, method: MethodDescriptor
) -> None:
    sent = {str(UNKNOWN): STRANGE}
    sent |= {f"{name}.{UNKNOWN}": nested(chain, STRANGE) for name, chain in places(method.input_type)}
    head = await server.head()
    for name, raw in sent.items():
        answer = await ask(server.channel, method, raw)
        assert answer.error is not None, name
        reason, bad = clean(answer.error)
        assert (answer.code, reason) == (Code.INVALID_ARGUMENT, "UNKNOWN_FIELD")
        assert [(each.field, each.reason) for each in bad.field_violations] == [(name, "UNKNOWN_FIELD")]
    assert await server.head() == head


@each_method
async def test_a_field_unknown_to_a_map_is_refused(server: House, method: MethodDescriptor) -> None:
    for _, chain in maps(method.input_type):
        entry = field(1, b"key") + field(2, b"value") + STRANGE
        answer = await ask(server.channel, method, nested(chain, entry))
        assert answer.error is not None
        assert clean(answer.error)[0] == "UNKNOWN_FIELD"


@each_method
async def test_an_empty_message_is_answered_or_refused_for_a_reason(
    server: House, method: MethodDescriptor
) -> None:
    answer = await ask(server.channel, method, b"")
    if answer.error is not None:
        reason, bad = clean(answer.error)
        assert (answer.code, reason) == (Code.INVALID_ARGUMENT, "BROKEN_RULES")
        assert bad.field_violations


FEW_TEXTS = ("NaN", "a\x00b")
LARGE_NUMBERS = (2**31 - 1, 2**63 - 1, 2**64 - 1)  # the last one is also minus one
MORE_TEXTS = ("x" * 1_000_000, "𝔉" * 250_000, "1e999999", "-Infinity", "9" * 41, "\u202e\ufeff")


@each_method
@pytest.mark.parametrize(
    "some", [FEW_TEXTS, pytest.param(MORE_TEXTS, marks=pytest.mark.long)], ids=["few", "more"]
)
async def test_whatever_stands_in_a_text_there_is_an_answer_or_a_reason(
    server: House, method: MethodDescriptor, some: tuple[str, ...]
) -> None:
    for text in some:
        for name, chain in texts(method.input_type):
            answer = await ask(server.channel, method, nested(chain, text.encode()))
            if answer.error is not None:
                reason = clean(answer.error)[0]
                assert reason not in ("INTERNAL", "UNREADABLE_MESSAGE"), (name, text[:10])


@each_method
async def test_whatever_number_is_sent_there_is_an_answer_or_a_reason(
    server: House, method: MethodDescriptor
) -> None:
    for name, (*outer, last) in numbers(method.input_type):
        for value in LARGE_NUMBERS:
            raw = nested(tuple(outer), tag(last.number, VARINT) + varint(value))
            answer = await ask(server.channel, method, raw)
            if answer.error is not None:
                assert clean(answer.error)[0] not in ("INTERNAL", "UNREADABLE_MESSAGE"), (name, value)


@each_method
async def test_a_deadline_that_is_too_short_ends_the_call_and_nothing_else(
    server: House, method: MethodDescriptor
) -> None:
    ended = {Code.OK, Code.DEADLINE_EXCEEDED, Code.INVALID_ARGUMENT}
    if method.server_streaming:
        ended.add(Code.RESOURCE_EXHAUSTED)  # background work of calls that have ended is ended after them
    for seconds in (0.0001, 0.001, 0.005, 0.02, 0.05):
        answer = await ask(server.channel, method, b"", seconds)
        assert answer.code in ended
    tries = 300
    while (answer := await ask(server.channel, method, b"")).code is Code.RESOURCE_EXHAUSTED and tries:
        tries -= 1
        await asyncio.sleep(0.1)
    assert answer.code in (Code.OK, Code.INVALID_ARGUMENT)


@each_method
async def test_a_request_whose_caller_has_gone_is_let_go(server: House, method: MethodDescriptor) -> None:
    calls = [asyncio.create_task(ask(server.channel, method, b"")) for _ in range(20)]
    for n, call in enumerate(calls):
        await asyncio.sleep(0.0005 * (n % 3))
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    lanes = server.server.outermost
    for _ in range(3000):
        if not (lanes.unary.running or lanes.streams.running):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("some calls go on for nobody")


async def test_unknown_fields_beyond_counting_are_refused_without_being_counted(server: House) -> None:
    for method in METHODS:
        began = time.process_time()
        answer = await ask(server.channel, method, STRANGE * 1_000_000)
        assert answer.error is not None
        assert clean(answer.error)[0] == "UNKNOWN_FIELD"
        assert time.process_time() - began < CROWD_CPU_SECONDS_MAX


CROWD_BYTES = 1_000_000
CROWD_CPU_SECONDS_MAX = 1.5  # 0.3 at the most, where nothing is looked at that is too much


@pytest.mark.long
@each_method
async def test_as_many_as_fit_of_anything_are_refused_before_they_are_looked_at(
    server: House, method: MethodDescriptor
) -> None:
    for name, chain in fields(method.input_type):
        if not chain[-1].is_repeated:
            continue
        began = time.process_time()
        answer = await ask(server.channel, method, crowded(chain, CROWD_BYTES))
        reason = clean(answer.error)[0] if answer.error else set(failures(method, answer))
        assert reason in ("BROKEN_RULES", {"BROKEN_RULES"}), name
        assert time.process_time() - began < CROWD_CPU_SECONDS_MAX, name


async def test_what_was_refused_is_not_kept(server: House) -> None:
    ingestion = method_named("IngestInvoice")
    [lines] = [chain for name, chain in fields(ingestion.input_type) if name == "invoice.lines"]
    crowd = crowded(lines, CROWD_BYTES)
    await ask(server.channel, ingestion, crowd)
    gc.collect()
    gc.disable()
    try:
        before = memory()
        for _ in range(6):
            await ask(server.channel, ingestion, crowd)
        assert memory() - before < 300_000_000  # one takes 100 MB while it is read
    finally:
        gc.enable()


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_a_message_over_the_limit_is_refused_unread_and_the_next_one_is_served(
    database: Database,
) -> None:
    async with at_home(database.app_dsn, message_bytes_max=65_536) as house:
        large = field(UNKNOWN, bytes(70_000))
        for answer in await asyncio.gather(*(ask(house.channel, method, large) for method in METHODS)):
            assert answer.error is not None
            assert answer.code is Code.RESOURCE_EXHAUSTED
            assert "65536" in (answer.error.details() or "")
        assert (await ask(house.channel, METHODS[0], b"")).code is not Code.RESOURCE_EXHAUSTED


async def test_a_method_that_there_is_not_is_unimplemented(server: House) -> None:
    for name in (f"{path(METHODS[0])}s", "/daybook.v1.NoService/Method", "/nothing"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await untyped(server.channel).unary_unary(name)(b"")
        assert caught.value.code() is Code.UNIMPLEMENTED


def untyped(channel: grpc.aio.Channel) -> Any:
    """A channel for bytes, of which the stubs do not know."""
    return channel


async def test_more_metadata_than_is_taken_is_refused(server: House) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.invoices.IngestInvoice(
            ingest(an_invoice("never")), metadata=(("daybook-actor", "x" * 40_000),)
        )
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED
    assert await server.happened("never") == []


async def test_texts_of_any_script_do_not_make_an_error_too_large_for_its_trailers(server: House) -> None:
    widest = "\U0001d509" * 255
    content = an_invoice(
        description="\x00" + widest,
        legal_entity_id=widest,
        payment_term_id=widest,
        invoice_number="\x00" + widest,
        labels={widest: "", f"\x00{widest[:62]}": ""},
    )
    content.lines.extend([content.lines[0]] * 30)
    for line in content.lines:
        line.tax_treatment_id = widest
    taken = an_invoice(invoice_number=widest)
    await server.invoices.IngestInvoice(ingest(taken))
    again = an_invoice(invoice_number=widest)
    differs = an_invoice(taken.unique_identifier, [*taken.lines] * 30, account_name=widest)
    for request in map(ingest, (content, again, differs)):
        for _ in range(20):
            answer = await ask(server.channel, method_named("IngestInvoice"), request.SerializeToString())
            assert answer.error is not None
            assert answer.code in (Code.INVALID_ARGUMENT, Code.ALREADY_EXISTS)
            clean(answer.error)


def method_named(name: str) -> MethodDescriptor:
    return next(method for method in METHODS if method.name == name)
