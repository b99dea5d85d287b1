"""Lists as they were: asked by the same methods and by SQL, whatever has happened since, until dropped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from daybook.v1 import audit_service_pb2 as audit_pb
from daybook.v1 import edition_service_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1.edition_service_pb2_grpc import EditionServiceStub
from tests.postgres import Database

from .house import House, refused
from .messages import a_line, a_posted_invoice, a_tax, an_invoice, by_key, cancel, get, ingest, revise

if TYPE_CHECKING:
    from daybook.v1.edition_service_pb2_grpc import EditionServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")


def editions(house: House) -> EditionServiceAsyncStub:
    return EditionServiceStub(house.channel)


def of(name: str) -> dict[str, Any]:
    return {"metadata": (("daybook-edition", name),)}


async def build(
    house: House, name: str, *read_models: str, **point: Any
) -> Sequence[pb.BuildEditionResponse]:
    request = pb.BuildEditionRequest(
        name=name, read_models=read_models, point=audit_pb.HistoryPoint(**point) if point else None
    )
    return [answer async for answer in editions(house).BuildEdition(request, timeout=120)]


def instant(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


@pytest.mark.long
async def test_every_list_is_answered_as_it_was_and_the_live_ones_as_they_are(
    own_server: House, database: Database
) -> None:
    for number in range(3):
        await own_server.invoices.IngestInvoice(ingest(a_posted_invoice(f"posted-{number}", f"R-{number}")))
    last = await own_server.invoices.IngestInvoice(ingest(an_invoice("draft")))
    asked = query_pb.ListInvoicesRequest(min_position=last.position)
    then = await own_server.queries.ListInvoices(asked)
    owed = query_pb.ListReceivablesRequest(min_position=last.position)
    owed_then = await own_server.queries.ListReceivables(owed)
    draft = await own_server.queries.GetInvoice(get(by_key("draft")))
    moment = datetime.now(UTC)
    await own_server.invoices.ReviseInvoice(revise("draft", an_invoice("draft", [a_line("1.00")])))
    await own_server.invoices.CancelInvoice(cancel("draft"))
    line = a_line("9.00", taxes=[a_tax()])
    await own_server.invoices.IngestInvoice(ingest(a_posted_invoice("later", "R-9", lines=[line])))

    told = await build(own_server, "then", time=instant(moment))
    assert {each.read_model for each in told if each.ready} == {each.read_model for each in told}
    assert told[0].edition.position == last.position
    assert told[0].edition.time == instant(moment)
    assert list((await own_server.queries.ListInvoices(asked, **of("then"))).invoices) == list(then.invoices)
    seen = await own_server.queries.ListReceivables(owed, **of("then"))
    assert list(seen.receivables) == list(owed_then.receivables)
    assert (await own_server.queries.GetInvoice(get(by_key("draft")), **of("then"))).invoice == draft.invoice
    said = await refused(own_server.queries.GetInvoice(get(by_key("later")), **of("then")))
    assert said.reason == "INVOICE_NOT_FOUND"
    head = (await own_server.invoices.CancelInvoice(cancel("draft"))).position
    now = await own_server.queries.ListInvoices(query_pb.ListInvoicesRequest(min_position=head))
    assert len(now.invoices) == 5

    with psycopg.connect(database.app_dsn) as connection:
        [table] = connection.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^invoices_v[0-9]+_at_then$'"
        ).fetchone() or [""]
        counted = connection.execute(f"SELECT count(*) FROM projections.{table}".encode()).fetchone()
        assert counted == (4,)
    await editions(own_server).DropEdition(pb.DropEditionRequest(name="then"))
    said = await refused(own_server.queries.ListInvoices(asked, **of("then")))
    assert said.reason == "EDITION_NOT_FOUND"
    with psycopg.connect(database.app_dsn) as connection:
        left = connection.execute("SELECT count(*) FROM pg_class WHERE relname ~ '_at_then'").fetchone()
    assert left == (0,)
    assert not (await editions(own_server).ListEditions(pb.ListEditionsRequest())).editions


async def test_an_append_that_the_position_cuts_in_two_is_not_in_it(own_server: House) -> None:
    first = await own_server.invoices.IngestInvoice(ingest(an_invoice("whole")))
    await own_server.invoices.IngestInvoice(ingest(an_invoice("cut", [a_line(), a_line()])))
    within = (await own_server.history("cut"))[1].position
    log, epoch, _ = first.position.split(".")
    await build(own_server, "cut", "invoices", position=f"{log}.{epoch}.{within}")
    found = await own_server.queries.ListInvoices(query_pb.ListInvoicesRequest(), **of("cut"))
    assert [each.content.unique_identifier for each in found.invoices] == ["whole"]


@pytest.mark.long
async def test_an_edition_is_built_once_and_of_one_point(own_server: House) -> None:
    first = await own_server.invoices.IngestInvoice(ingest(an_invoice("one")))
    await build(own_server, "once", "invoices", position=first.position)
    second = await own_server.invoices.IngestInvoice(ingest(an_invoice("two")))
    again = await build(own_server, "once", "invoices", "receivables")
    assert [(each.read_model, each.ready) for each in again] == [
        ("invoices", True),
        ("receivables", False),
        ("receivables", True),
    ]
    [kept] = (await editions(own_server).ListEditions(pb.ListEditionsRequest())).editions
    assert (kept.name, kept.position) == ("once", first.position)
    assert list(kept.read_models) == ["invoices", "receivables"]
    said = await refused(build(own_server, "once", position=second.position))
    assert said.reason == "EDITION_OF_ANOTHER_POINT"
    said = await refused(
        own_server.queries.ListOrderInvoices(query_pb.ListOrderInvoicesRequest(order_id="o"), **of("once"))
    )
    assert (said.reason, "invoices-by-order" in said.message) == ("EDITION_NOT_FOUND", True)


async def test_what_cannot_be_built_is_told_with_every_finding(server: House) -> None:
    said = await refused(build(server, "year_end", "nothing", version=3))
    assert [(each.path, each.rule) for each in said.findings] == [
        ("name", "EDITION_NAME"),
        ("read_models[0]", "NO_SUCH_ENTRY"),
        ("point.version", "NO_VERSION"),
    ]
    for name, reason in (("never", "EDITION_NOT_FOUND"), ("no'name", "BROKEN_RULES")):
        said = await refused(editions(server).DropEdition(pb.DropEditionRequest(name=name)))
        assert said.reason == reason
        said = await refused(server.queries.ListInvoices(query_pb.ListInvoicesRequest(), **of(name)))
        assert said.reason == "EDITION_NOT_FOUND"
