"""Several processes, changing reference data, callers who go away: what is decided rests on what stands."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import grpc
import pytest

from daybook.v1 import reference_data_service_pb2 as reference_pb
from domain import identity, invoice, reference
from domain.findings import Findings, Malformed
from service.bootstrap import now
from service.errors import Contended, NoReferenceData, fault_of
from service.reference_data import writes
from service.snapshot import Snapshot
from service.transact import ATTEMPTS_MAX, Book, Outcome
from service.wire.content import read_content
from service.wire.reference_data import read_apply
from store import schema
from store.log import Appended, Meta, Series, Who, Write
from store.memory import MemoryLog
from store.postgres import open_log
from tests.postgres import Database

from .house import House, at_home, refused, turn_held
from .messages import a_posted_invoice, a_term, an_invoice, apply, ingest, revise

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATER = 30.0  # seconds
META = Meta(Who("local", "somebody"))
EMPTY_BOOK = "daybook reference apply"


# Another process


@dataclass(frozen=True, slots=True)
class Process:
    """A process that decides; `stale` makes one that has heard of nothing since it started."""

    book: Book

    async def ingest(self, content: invoice.Content, *, dry_run: bool = False) -> Outcome[invoice.Invoice]:
        invoice_id = identity.invoice(content.unique_identifier)
        until = asyncio.get_running_loop().time() + LATER
        return await self.book.transact(
            invoice_id,
            lambda state, rules: invoice.ingest(
                invoice.Ingest(content), state, invoice_id, rules, Findings()
            ),
            META,
            until,
            presumed_new=True,
            dry_run=dry_run,
        )


@asynccontextmanager
async def stale(dsn: str) -> AsyncIterator[Process]:
    codec = schema.codec()
    async with await open_log(dsn, codec) as log:
        snapshot = Snapshot(log, codec.decode, schema.REFERENCE_TOPICS)
        await snapshot.refresh()
        yield Process(Book(log, snapshot, now))


def content(key: str, **changes: Any) -> invoice.Content:
    return read_content(an_invoice(key, **changes), Findings(), lines_max=10)


async def test_what_was_decided_with_reference_data_that_moved_on_is_decided_again(
    own_server: House, database: Database
) -> None:
    async with stale(database.app_dsn) as elsewhere:
        changed = await own_server.reference.ApplyReferenceData(apply(a_term("net-30", days=5)))
        assert elsewhere.book.snapshot.current.version == 1
        outcome = await elsewhere.ingest(content("raced"))
    assert outcome.state.header.due_date == date(2026, 11, 25)
    drafted = (await own_server.history("raced"))[0].event
    assert drafted.reference_position == int(changed.position.rpartition(".")[2])


async def test_a_payment_term_that_was_withdrawn_meanwhile_is_not_used(
    own_server: House, database: Database
) -> None:
    async with stale(database.app_dsn) as elsewhere:
        await own_server.reference.ApplyReferenceData(apply(a_term("net-60", status=3)))
        with pytest.raises(Malformed, match="net-60"):
            await elsewhere.ingest(content("withdrawn", payment_term_id="net-60"))
    assert await own_server.happened("withdrawn") == []


async def test_a_payment_term_that_was_introduced_meanwhile_is_used(
    own_server: House, database: Database
) -> None:
    async with stale(database.app_dsn) as elsewhere:
        await own_server.reference.ApplyReferenceData(apply(a_term("brand-new", days=1)))
        outcome = await elsewhere.ingest(content("introduced", payment_term_id="brand-new"))
    assert outcome.state.header.due_date == date(2026, 11, 21)


async def test_a_dry_run_rests_on_what_stands_though_nothing_guards_it(
    own_server: House, database: Database
) -> None:
    async with stale(database.app_dsn) as elsewhere:
        await own_server.reference.ApplyReferenceData(apply(a_term("net-30", days=5)))
        outcome = await elsewhere.ingest(content("dry"), dry_run=True)
    assert outcome.state.header.due_date == date(2026, 11, 25)


async def test_numbers_that_may_be_given_twice_since_a_moment_ago_are_given_twice(
    own_server: House, database: Database
) -> None:
    async with stale(database.app_dsn) as elsewhere:
        await own_server.invoices.IngestInvoice(ingest(a_posted_invoice(number="twin")))
        allowed = reference_pb.ReferenceData(settings=reference_pb.Settings(duplicate_numbers_allowed=True))
        await own_server.reference.ApplyReferenceData(apply(allowed))
        outcome = await elsewhere.ingest(content("second", invoice_number="twin"))
    assert outcome.state.number == "twin"


async def test_a_process_that_started_on_an_empty_book_hears_of_the_first_reference_data(
    empty_server: House, database: Database
) -> None:
    async with stale(database.app_dsn) as elsewhere:
        with pytest.raises(NoReferenceData):
            await elsewhere.ingest(content("too early"))
        await empty_server.reference.ApplyReferenceData(apply())
        assert (await elsewhere.ingest(content("in time"))).recorded is not None


@pytest.mark.long
async def test_two_services_on_one_book_are_one_service(own_server: House, database: Database) -> None:
    async with at_home(database.app_dsn) as other:
        first, second = own_server.invoices, other.invoices
        request = ingest(an_invoice("shared"))
        answers = await asyncio.gather(*(each.IngestInvoice(request) for each in [first, second] * 20))
        assert sorted(answer.replayed for answer in answers) == [False] + [True] * 39
        assert len({answer.position for answer in answers}) == 1
        for n in range(10):
            await own_server.reference.ApplyReferenceData(apply(a_term(f"term {n}")))
            await second.IngestInvoice(ingest(an_invoice(payment_term_id=f"term {n}")))
        revised = await second.ReviseInvoice(revise("shared", an_invoice("shared", account_id="b")))
        assert revised.invoice.version == 6
        assert (await first.IngestInvoice(request)).invoice.content.account_id == "b"


# An empty book


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_empty_book_refuses_and_names_the_command_that_helps(
    empty_server: House, dry_run: bool
) -> None:
    request = ingest(an_invoice("first"), validate_only=dry_run)
    error = await refused(empty_server.invoices.IngestInvoice(request))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_REFERENCE_DATA")
    assert EMPTY_BOOK in error.message
    assert await empty_server.head() == 0


# Losing every race


class Contested(MemoryLog):
    """A log in which somebody else always writes first to one stream."""

    contested: UUID | None = None

    async def append(
        self,
        writes: Sequence[Write],
        meta: Meta,
        *,
        deadline: float | None = None,
        caller: str = "",
        series: Series | None = None,
    ) -> Appended:
        if writes[-1].stream == self.contested:
            rivals = [Write(self.contested, writes[-1].expected, (invoice.InvoiceUpdated(()),))]
            await super().append(rivals, meta)
        return await super().append(writes, meta, deadline=deadline, caller=caller, series=series)


async def test_who_loses_every_race_has_written_nothing_and_is_told_to_ask_again() -> None:
    codec = schema.codec()
    log = Contested(codec)
    snapshot = Snapshot(log, codec.decode, schema.REFERENCE_TOPICS)
    plan = reference.plan(read_apply(apply(), Findings()), await snapshot.refresh(), Findings())
    await log.append(writes(plan, snapshot.current), META)
    book = Book(log, snapshot, now)
    ingested = await Process(book).ingest(content("busy"))
    log.contested = identity.invoice("busy")
    command = invoice.Update(frozenset({"description"}), description="never")
    with pytest.raises(Contended) as caught:
        await book.transact(
            log.contested,
            lambda state, _: invoice.update(command, state, log.contested, Findings()),
            META,
            asyncio.get_running_loop().time() + LATER,
        )
    fault = fault_of(caught.value)
    assert (fault.code, fault.reason) == (grpc.StatusCode.ABORTED, "CONTENDED")
    assert fault.retry_after is not None
    history = await log.read(log.contested)
    assert history.version == ingested.state.version + ATTEMPTS_MAX
    assert {event.changed for event in history.events[ingested.state.version :]} == {()}


# Callers who go away

GIVEN_UP = 50


async def usual_seconds(house: House) -> float:
    """How long an ingestion takes on this machine, now."""
    began = time.monotonic()
    for _ in range(10):
        await house.invoices.IngestInvoice(ingest())
    return (time.monotonic() - began) / 10


@pytest.mark.long
async def test_callers_who_give_up_at_any_moment_and_ask_again_make_one_invoice_each(
    own_server: House, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(11)
    outcomes = []
    usual = await usual_seconds(own_server)
    for n in range(GIVEN_UP):
        request = ingest(an_invoice(f"given up {n}", invoice_number=f"G-{n}"))
        call = own_server.invoices.IngestInvoice(request, timeout=chance.choice([LATER, usual]))
        hang_up = asyncio.get_running_loop().call_later(chance.uniform(0, 1.5 * usual), call.cancel)
        with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
            await call
        hang_up.cancel()
        answer = await own_server.invoices.IngestInvoice(request)
        outcomes.append((call.cancelled(), answer.replayed))
        again = await own_server.invoices.IngestInvoice(request)
        assert (again.replayed, again.position) == (True, answer.position)
        assert len(await own_server.history(f"given up {n}")) == 3
        assert len((await own_server.log.read(identity.number("de", f"G-{n}"))).recorded) == 1
    record_property("given up and recorded all the same", outcomes.count((True, True)))
    assert {(True, True), (True, False)} <= set(outcomes), (
        "no call was given up before, or none after its commit"
    )


async def test_a_deadline_that_passes_while_the_log_is_held_leaves_the_key_free(
    own_server: House, database: Database
) -> None:
    request = ingest(an_invoice("impatient"))
    async with turn_held(database.app_dsn):
        error = await refused(own_server.invoices.IngestInvoice(request, timeout=0.3))
        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    answer = await own_server.invoices.IngestInvoice(request)
    again = await own_server.invoices.IngestInvoice(request)
    assert again.position == answer.position
    assert len(await own_server.history("impatient")) == 3
