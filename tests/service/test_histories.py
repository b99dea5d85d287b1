"""Histories over the wire: every stream, page by page, with who and why, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from daybook.v1 import audit_service_pb2 as pb
from daybook.v1 import event_pb2
from daybook.v1 import invoice_service_pb2 as service_pb
from tests.postgres import Database

from .house import House, refused
from .messages import (
    a_line,
    a_posted_invoice,
    a_term,
    an_invoice,
    apply,
    by_id,
    by_key,
    by_number,
    cancel,
    ingest,
    revise,
    update,
)
from .test_debit_memos import billing, posted

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def invoice_events(house: House, key: service_pb.InvoiceKey, **asked: Any) -> Sequence[event_pb2.Event]:
    answer = await house.audit.ListInvoiceEvents(pb.ListInvoiceEventsRequest(key=key, **asked))
    return answer.events


async def events(house: House, kind: event_pb2.StreamKind.ValueType, **key: str) -> Sequence[event_pb2.Event]:
    request = pb.ListEventsRequest(key=pb.StreamKey(kind=kind, **key))
    return (await house.audit.ListEvents(request)).events


async def test_the_history_of_an_invoice_tells_who_did_what_and_why(server: House) -> None:
    content = an_invoice(lines=[a_line(), a_line("10.00")], account_name="Ada & Co.")
    key = content.unique_identifier
    by = (("daybook-actor", "Ada"),)
    first = await server.invoices.IngestInvoice(
        ingest(content, reason="order came in", correlation_id="o-1"), metadata=by
    )
    await server.invoices.CancelInvoice(
        cancel(key, reason="ordered twice"), metadata=(("daybook-actor", "Bo"),)
    )
    found = await invoice_events(server, by_key(key))
    assert [each.type for each in found] == [
        "InvoiceDrafted",
        "AddressGroupAssigned",
        "LineAdded",
        "LineAdded",
        "InvoiceCanceled",
    ]
    assert [each.version for each in found] == [1, 2, 3, 4, 5]
    assert {(each.who.id, each.reason, each.correlation_id) for each in found[:4]} == {
        ("Ada", "order came in", "o-1")
    }
    assert (found[4].who.id, found[4].reason) == ("Bo", "ordered twice")
    assert found[4].who.kind == event_pb2.ACTOR_KIND_CLAIMED
    assert found[3].position == first.position
    assert found[0].sentence == (
        "Drafted for account Ada & Co. (acc-1), in EUR, dated 2026-11-20, due 2026-12-20"
    )
    assert found[3].sentence == "Line 2, “Support”: 10.00 charged for 2026-11-01 to 2026-11-30"
    assert found[0].business_date == content.invoice_date
    assert found[2].line_added.content.charge_amount.value == "250.00"


async def test_each_event_names_the_digest_of_the_one_before(server: House) -> None:
    content = an_invoice()
    await server.invoices.IngestInvoice(ingest(content))
    found = await invoice_events(server, by_key(content.unique_identifier))
    kept = await server.history(content.unique_identifier)
    assert [each.digest for each in found] == [each.digest for each in kept]
    assert [each.previous_digest for each in found] == ["", *(each.digest for each in found[:-1])]


async def test_a_history_comes_in_pages_and_none_is_missing_or_there_twice(server: House) -> None:
    content = an_invoice(lines=[a_line(f"{n}.00") for n in range(1, 20)])
    answer = await server.invoices.IngestInvoice(ingest(content))
    request = pb.ListInvoiceEventsRequest(key=by_id(answer.invoice_id), page_size=4)
    versions: list[int] = []
    while True:
        page = await server.audit.ListInvoiceEvents(request)
        assert len(page.events) <= 4
        versions += [each.version for each in page.events]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert versions == list(range(1, 22))
    request.key.CopyFrom(by_key(content.unique_identifier))
    assert (await refused(server.audit.ListInvoiceEvents(request))).reason == "PAGE_TOKEN"


async def test_an_invoice_is_found_by_its_number_and_the_number_has_a_history(server: House) -> None:
    content = a_posted_invoice(number="H-1")
    answer = await server.invoices.IngestInvoice(ingest(content))
    found = await invoice_events(server, by_number("H-1"))
    assert found[-1].invoice_posted.number == "H-1"
    assert found[-1].business_date == found[-1].invoice_posted.posted_date
    [claimed] = await events(server, event_pb2.STREAM_KIND_NUMBER, id="H-1", legal_entity_id="de")
    assert claimed.number_claimed.invoice_id == answer.invoice_id
    assert claimed.stream_kind == event_pb2.STREAM_KIND_NUMBER


async def test_the_history_of_a_memo_leads_to_its_invoice(server: House) -> None:
    memo_id = await posted(server, "H-memo")
    answer = await server.invoices.IngestInvoice(billing("of H-memo", memo_id))
    found = await events(server, event_pb2.STREAM_KIND_DEBIT_MEMO, id="H-memo")
    assert {each.stream_id for each in found} == {memo_id}
    assert found[0].type == "DebitMemoDrafted"
    assert found[-1].debit_memo_billed.invoice_id == answer.invoice_id


async def test_who_changed_a_term_is_told_with_both_of_its_states(own_server: House) -> None:
    await own_server.reference.ApplyReferenceData(
        apply(a_term("net-30", days=45), reason="new policy"), metadata=(("daybook-actor", "Ada"),)
    )
    found = await events(own_server, event_pb2.STREAM_KIND_PAYMENT_TERM, id="net-30")
    assert [each.payment_term_set.entry.days for each in found] == [30, 45]
    assert (found[1].who.id, found[1].reason) == ("Ada", "new policy")
    assert "45 days" in found[1].sentence
    applied = await events(own_server, event_pb2.STREAM_KIND_REFERENCE_DATA)
    assert [each.reference_data_applied.changed for each in applied] == [0, 1]
    [settings] = await events(own_server, event_pb2.STREAM_KIND_SETTINGS)
    assert settings.settings_set.entry.default_legal_entity_id == "de"
    by_id_alone = await events(own_server, event_pb2.STREAM_KIND_UNSPECIFIED, id=settings.stream_id)
    assert list(by_id_alone) == [settings]


async def test_what_was_erased_shows_as_erased(own_server: House, database: Database) -> None:
    content = an_invoice(account_name="Ada & Co.", description="for Ada")
    answer = await own_server.invoices.IngestInvoice(ingest(content))
    async with await psycopg.AsyncConnection.connect(database.owner_dsn) as connection:
        await connection.execute("SELECT daybook.erase_personal(%s)", (answer.invoice_id,))
    found = await invoice_events(own_server, by_id(answer.invoice_id))
    assert [each.personal_data_erased for each in found] == [True, True, False]
    assert found[0].invoice_drafted.content.account_name == ""
    assert found[0].invoice_drafted.content.account_id == "acc-1"
    assert found[1].address_group_assigned.address_group.country == "DE"
    assert "Ada" not in str(found)
    kept = await own_server.history(content.unique_identifier)
    assert [each.digest for each in found] == [each.digest for each in kept]


async def test_what_never_was_is_not_found_and_half_a_key_is_refused(server: House) -> None:
    said = await refused(invoice_events(server, by_key("never")))
    assert said.reason == "INVOICE_NOT_FOUND"
    said = await refused(events(server, event_pb2.STREAM_KIND_TAX_RATE, id="never"))
    assert (said.reason, said.message) == ("STREAM_NOT_FOUND", "nothing ever happened to tax rate 'never'")
    said = await refused(events(server, event_pb2.STREAM_KIND_NUMBER))
    assert [each.path for each in said.findings] == ["key.id", "key.legal_entity_id"]
    said = await refused(events(server, event_pb2.STREAM_KIND_UNSPECIFIED, id="no uuid"))
    assert [each.rule for each in said.findings] == ["UUID_TEXT"]
    [settings] = await events(server, event_pb2.STREAM_KIND_SETTINGS)
    said = await refused(invoice_events(server, by_id(settings.stream_id)))
    assert said.reason == "INVOICE_NOT_FOUND"


async def test_revisions_and_updates_are_told_in_words(server: House) -> None:
    content = an_invoice()
    key = content.unique_identifier
    await server.invoices.IngestInvoice(ingest(content))
    await server.invoices.ReviseInvoice(revise(key, an_invoice(key, lines=[a_line("99.00")])))
    change = service_pb.InvoiceChange(description="late", labels={"team": "north"})
    await server.invoices.UpdateInvoice(update(key, "description", "labels", change=change))
    found = await invoice_events(server, by_key(key))
    assert found[3].sentence.startswith("Revised: content replaced for account acc-1, in EUR")
    assert found[-1].sentence == "Updated: description is now “late”; labels are now team=north"
