"""Series of numbers shown and proved; and what a proof says where something is not as it should be."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import grpc
import pytest
import pytest_asyncio

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import sequence_service_pb2 as sequence_pb
from daybook.v1.sequence_service_pb2_grpc import SequenceServiceStub
from domain import identity
from domain.sequence import NumberAssigned
from store.log import Meta, Who, Write

from .house import House, refused
from .messages import a_policy, a_posted_invoice, an_invoice, apply, ingest, post, postable
from .messages import cancel as canceling

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def own(empty_server: House) -> House:
    await empty_server.reference.ApplyReferenceData(apply(postable(a_policy())))
    return empty_server


async def posted(house: House, *keys: str) -> str:
    """The position of the last of them."""
    since = ""
    for key in keys:
        await house.invoices.IngestInvoice(ingest(an_invoice(key)))
        since = (await house.invoices.PostInvoice(post(key))).position
    return since


def prove(house: House, **said: object) -> object:
    asked = sequence_pb.ProveSequenceRequest(policy_id="invoices", **said)  # type: ignore[arg-type]
    return SequenceServiceStub(house.channel).ProveSequence(asked)


async def proof(house: House, **said: object) -> sequence_pb.ProveSequenceResponse:
    return await prove(house, **said)  # type: ignore[no-any-return, misc]


async def test_a_series_is_shown_from_first_to_last_with_the_invoice_of_each_number(own: House) -> None:
    await own.invoices.IngestInvoice(ingest(a_posted_invoice("brought", number="INV-0002")))
    since = await posted(own, "a", "b", "c")
    answer = await proof(own)
    assert [(each.nth, each.number, each.brought) for each in answer.numbers] == [
        (1, "INV-0001", False),
        (2, "INV-0002", True),
        (3, "INV-0003", False),
        (4, "INV-0004", False),
    ]
    keys = ("a", "brought", "b", "c")
    assert [each.invoice_id for each in answer.numbers] == [str(identity.invoice(key)) for key in keys]
    assert {each.status for each in answer.numbers} == {pb.INVOICE_STATUS_POSTED}
    assert answer.fault_count == 0
    listed = await SequenceServiceStub(own.channel).ListSequences(
        sequence_pb.ListSequencesRequest(min_position=since)
    )
    [series] = listed.series
    assert (series.policy_id, series.legal_entity_id, series.count) == ("invoices", "de", 4)
    assert (series.first_number, series.last_number) == ("INV-0001", "INV-0004")


async def test_a_series_is_proved_page_by_page(own: House) -> None:
    await posted(own, "a", "b", "c")
    first = await proof(own, page_size=2)
    second = await proof(own, page_size=2, page_token=first.next_page_token)
    assert [each.nth for each in (*first.numbers, *second.numbers)] == [1, 2, 3]
    assert not second.next_page_token


async def test_a_series_that_has_given_no_number_cannot_be_proved(own: House) -> None:
    error = await refused(prove(own))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "SERIES_NOT_FOUND")


async def test_a_number_that_nobody_carries_is_found(own: House) -> None:
    await posted(own, "a")
    stray = NumberAssigned("invoices", "", "INV-0002", UUID(int=7), date(2026, 11, 27))
    other = NumberAssigned("invoices", "", "INV-9999", UUID(int=7), date(2026, 11, 27))
    stream = identity.series("invoices", "")
    await own.log.append([Write(stream, 1, (stray, other))], Meta(Who("local", "somebody")))
    answer = await proof(own)
    missing, not_made = (
        (sequence_pb.SEQUENCE_FAULT_KIND_NOT_CLAIMED, sequence_pb.SEQUENCE_FAULT_KIND_NOT_CARRIED),
        sequence_pb.SEQUENCE_FAULT_KIND_OTHER_NUMBER,
    )
    assert [tuple(each.faults) for each in answer.numbers] == [(), missing, (not_made, *missing)]
    assert answer.fault_count == 2


async def test_a_brought_number_whose_draft_was_canceled_is_found(own: House) -> None:
    await own.invoices.IngestInvoice(ingest(an_invoice("draft", invoice_number="INV-0001")))
    await posted(own, "a")
    assert (await proof(own)).fault_count == 0
    await own.invoices.CancelInvoice(canceling("draft"))
    answer = await proof(own)
    assert [bool(each.faults) for each in answer.numbers] == [True, False]
