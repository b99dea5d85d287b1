"""Reference data is applied as a whole, by whoever saw what stands, and read as it can be applied again."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING

import grpc
import pytest
from google.type.date_pb2 import Date

from daybook.v1 import reference_data_service_pb2 as pb
from domain import identity

from .house import House, position, refused
from .messages import a_term, an_invoice, apply, day, ingest, reference_data

if TYPE_CHECKING:
    from daybook.v1.reference_data_service_pb2_grpc import ReferenceDataServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
ADDED, CHANGED, REMOVED = (
    pb.REFERENCE_CHANGE_ACTION_ADDED,
    pb.REFERENCE_CHANGE_ACTION_CHANGED,
    pb.REFERENCE_CHANGE_ACTION_REMOVED,
)
NOTHING = pb.GetReferenceDataRequest()


def done(answer: pb.ApplyReferenceDataResponse) -> list[tuple[str, str, int]]:
    return [(change.kind, change.id, change.action) for change in answer.changes]


async def test_an_application_tells_what_it_added_and_becomes_the_next_version(empty_server: House) -> None:
    answer = await empty_server.reference.ApplyReferenceData(apply(reason="opening"))
    assert done(answer) == [
        ("payment_term", "net-30", ADDED),
        ("payment_term", "net-60", ADDED),
        ("payment_term", "eom-15", ADDED),
        ("legal_entity", "de", ADDED),
        ("legal_entity", "us", ADDED),
        ("accounting_period", "de-2026", ADDED),
        ("accounting_period", "us-2026", ADDED),
        ("tax_treatment", "standard", ADDED),
        ("tax_treatment", "exempt", ADDED),
        ("settings", "settings", ADDED),
    ]
    assert (answer.version, answer.unchanged_count) == (1, 0)
    head = (await empty_server.log.read(identity.REFERENCE_HEAD)).recorded
    assert [(each.name, each.position, each.meta.reason) for each in head] == [
        ("ReferenceDataApplied", position(answer.position), "opening")
    ]


async def test_what_is_read_can_be_applied_and_changes_nothing(own_server: House) -> None:
    stands = await own_server.reference.GetReferenceData(NOTHING)
    head = await own_server.head()
    for prune in (False, True):
        request = apply(stands.data, prune=prune, base_version=stands.version)
        answer = await own_server.reference.ApplyReferenceData(request)
        assert done(answer) == []
        assert (answer.version, answer.unchanged_count, answer.position) == (1, 10, "")
    assert await own_server.head() == head
    assert await own_server.reference.GetReferenceData(NOTHING) == stands


async def test_what_is_read_is_what_was_applied_with_what_was_left_out_filled_in(own_server: House) -> None:
    stands = await own_server.reference.GetReferenceData(NOTHING)
    assert [term.id for term in stands.data.payment_terms] == ["eom-15", "net-30", "net-60"]
    assert {term.status for term in stands.data.payment_terms} == {pb.ENTRY_STATUS_ACTIVE}
    assert {period.status for period in stands.data.accounting_periods} == {pb.PERIOD_STATUS_OPEN}
    assert stands.data.settings.number_required_on_posted_import
    assert stands.data.settings.HasField("duplicate_numbers_allowed")
    assert stands.version == 1
    assert position(stands.position) == await own_server.head()
    assert stands.HasField("update_time")


async def test_an_empty_book_has_no_reference_data(empty_server: House) -> None:
    assert await empty_server.reference.GetReferenceData(NOTHING) == pb.GetReferenceDataResponse(
        data=pb.ReferenceData()
    )


async def test_a_dry_run_tells_the_differences_and_writes_nothing(own_server: House) -> None:
    head = await own_server.head()
    data = a_term("net-30", name="30 days net", days=31)
    answer = await own_server.reference.ApplyReferenceData(apply(data, validate_only=True))
    assert done(answer) == [("payment_term", "net-30", CHANGED)]
    [difference] = answer.changes[0].differences
    assert (difference.field, difference.before, difference.after) == ("days", "30", "31")
    assert (answer.version, answer.position) == (1, "")
    assert await own_server.head() == head


async def test_an_entry_replaces_the_one_with_its_id_whole_and_leaves_the_others(own_server: House) -> None:
    await own_server.reference.ApplyReferenceData(apply(a_term("net-60", name="Two months", days=61)))
    stands = await own_server.reference.GetReferenceData(NOTHING)
    assert {term.id: term.days for term in stands.data.payment_terms} == {
        "net-30": 30,
        "net-60": 61,
        "eom-15": 15,
    }
    assert stands.version == 2


async def test_settings_that_are_not_named_stay(own_server: House) -> None:
    data = pb.ReferenceData(settings=pb.Settings(duplicate_numbers_allowed=True))
    answer = await own_server.reference.ApplyReferenceData(apply(data, prune=True))
    assert done(answer) == [("settings", "settings", CHANGED)]
    settings = (await own_server.reference.GetReferenceData(NOTHING)).data.settings
    assert settings.duplicate_numbers_allowed
    assert settings.default_payment_term_id == "net-30"


async def test_pruning_removes_what_is_not_mentioned_of_the_kinds_that_are(own_server: House) -> None:
    data = a_term("net-30", name="30 days net")
    answer = await own_server.reference.ApplyReferenceData(apply(data, prune=True))
    assert done(answer) == [("payment_term", "eom-15", REMOVED), ("payment_term", "net-60", REMOVED)]
    stands = await own_server.reference.GetReferenceData(NOTHING)
    assert [term.id for term in stands.data.payment_terms] == ["net-30"]
    assert len(stands.data.legal_entities) == 2
    back = await own_server.reference.ApplyReferenceData(apply(a_term("net-60")))
    assert done(back) == [("payment_term", "net-60", ADDED)]


async def test_pruning_is_refused_while_something_still_names_the_entry(own_server: House) -> None:
    head = await own_server.head()
    error = await refused(own_server.reference.ApplyReferenceData(apply(a_term("other"), prune=True)))
    assert error.code is Code.INVALID_ARGUMENT
    assert [each.rule for each in error.findings] == ["STILL_USED"]
    assert "settings.default_payment_term_id" in error.findings[0].description
    assert await own_server.head() == head


async def test_an_application_to_a_version_that_has_moved_on_is_turned_away(own_server: House) -> None:
    await own_server.reference.ApplyReferenceData(apply(a_term("new"), base_version=1))
    error = await refused(own_server.reference.ApplyReferenceData(apply(a_term("newer"), base_version=1)))
    assert (error.code, error.reason) == (Code.ABORTED, "STALE_BASE")
    assert error.facts == {"version": "2", "base": "1"}


async def test_an_application_that_is_sent_again_is_answered_though_it_moved_its_own_base(
    own_server: House,
) -> None:
    request = apply(a_term("new"), base_version=1)
    await own_server.reference.ApplyReferenceData(request)
    again = await own_server.reference.ApplyReferenceData(request)
    assert (len(again.changes), again.unchanged_count, again.version) == (0, 1, 2)


async def test_appliers_at_once_all_come_to_pass_one_after_the_other(own_server: House) -> None:
    calls = (own_server.reference.ApplyReferenceData(apply(a_term(f"term {n}"))) for n in range(20))
    answers = await asyncio.gather(*calls)
    assert sorted(answer.version for answer in answers) == list(range(2, 22))
    stands = await own_server.reference.GetReferenceData(NOTHING)
    assert {f"term {n}" for n in range(20)} <= {term.id for term in stands.data.payment_terms}
    assert stands.version == 21


async def test_of_appliers_who_saw_the_same_version_one_wins(own_server: House) -> None:
    calls = (
        own_server.reference.ApplyReferenceData(apply(a_term("contested", days=n), base_version=1))
        for n in range(10)
    )
    answers = await asyncio.gather(*calls, return_exceptions=True)
    lost = [each.code() for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert lost == [Code.ABORTED] * 9
    assert (await own_server.reference.GetReferenceData(NOTHING)).version == 2


async def test_an_application_gets_every_finding_and_is_refused_whole(
    reference: ReferenceDataServiceAsyncStub,
) -> None:
    data = reference_data()
    data.payment_terms.add(id="", name="nameless", type=pb.PAYMENT_TERM_TYPE_PERIOD_BASED)
    data.payment_terms.add(id="net-30", name="again", type=pb.PAYMENT_TERM_TYPE_PERIOD_BASED)
    data.payment_terms.add(id="untyped", name="Untyped", days=3651)
    data.payment_terms.add(id="new kind", name="New kind", type=99, status=99)
    data.legal_entities.add(id="moon", name="Moon", time_zone="Moon/Tranquility")
    data.tax_treatments.add(id="long", name="Long", tax_code="x" * 81)
    data.settings.default_tax_treatment_id = "nothing"
    error = await refused(reference.ApplyReferenceData(apply(data)))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "BROKEN_RULES")
    assert {(each.path, each.rule) for each in error.findings} == {
        ("data.payment_terms[3].id", "REQUIRED"),
        ("data.payment_terms[4].id", "DUPLICATE"),
        ("data.payment_terms[5].type", "REQUIRED"),
        ("data.payment_terms[5].days", "OUT_OF_RANGE"),
        ("data.payment_terms[6].type", "ENUM"),
        ("data.payment_terms[6].status", "ENUM"),
        ("data.legal_entities[2].time_zone", "TIME_ZONE"),
        ("data.tax_treatments[2].tax_code", "TOO_LONG"),
        ("data.settings.default_tax_treatment_id", "NO_SUCH_ENTRY"),
    }
    assert (await reference.GetReferenceData(NOTHING)).version == 1


async def test_a_period_whose_days_cannot_be_read_does_not_shift_the_findings_of_the_next(
    reference: ReferenceDataServiceAsyncStub,
) -> None:
    first, last = day(date(2027, 1, 1)), day(date(2027, 12, 31))
    data = pb.ReferenceData(
        accounting_periods=[
            pb.AccountingPeriod(id="a", legal_entity_id="de", name="A", end_date=last),
            pb.AccountingPeriod(
                id="b",
                legal_entity_id="us",
                name="B",
                start_date=first,
                end_date=Date(year=2027, month=2, day=30),
            ),
            pb.AccountingPeriod(id="c", legal_entity_id="us", name="C"),
            pb.AccountingPeriod(id="d", legal_entity_id="mars", name="D", start_date=last, end_date=first),
        ]
    )
    error = await refused(reference.ApplyReferenceData(apply(data)))
    assert {(each.path, each.rule) for each in error.findings} == {
        ("data.accounting_periods[0].start_date", "REQUIRED"),
        ("data.accounting_periods[1].end_date", "DATE"),
        ("data.accounting_periods[2].start_date", "REQUIRED"),
        ("data.accounting_periods[2].end_date", "REQUIRED"),
        ("data.accounting_periods[3].legal_entity_id", "NO_SUCH_ENTRY"),
        ("data.accounting_periods[3].end_date", "ENDS_BEFORE_START"),
    }


async def test_a_request_without_data_is_refused(reference: ReferenceDataServiceAsyncStub) -> None:
    error = await refused(reference.ApplyReferenceData(pb.ApplyReferenceDataRequest()))
    assert [(each.path, each.rule) for each in error.findings] == [("data", "REQUIRED")]


async def test_what_was_applied_holds_for_the_very_next_invoice(own_server: House) -> None:
    for n in range(20):
        await own_server.reference.ApplyReferenceData(apply(a_term(f"term {n}", days=n)))
        content = an_invoice(payment_term_id=f"term {n}")
        answer = await own_server.invoices.IngestInvoice(ingest(content))
        assert answer.invoice.content.payment_term_id == f"term {n}"


async def test_applying_a_thousand_entries_is_one_change(own_server: House) -> None:
    terms = [
        pb.PaymentTerm(id=f"t{n}", name=f"T{n}", type=pb.PAYMENT_TERM_TYPE_PERIOD_BASED, days=n)
        for n in range(1000)
    ]
    answer = await own_server.reference.ApplyReferenceData(apply(pb.ReferenceData(payment_terms=terms)))
    assert (len(answer.changes), answer.version) == (1000, 2)
    assert len((await own_server.reference.GetReferenceData(NOTHING)).data.payment_terms) == 1003


async def test_what_was_applied_is_read_at_once_and_a_position_of_another_log_is_refused(
    own_server: House,
) -> None:
    applied = await own_server.reference.ApplyReferenceData(apply(a_term("new")))
    request = pb.GetReferenceDataRequest(min_position=applied.position)
    stands = await own_server.reference.GetReferenceData(request)
    assert (stands.version, stands.position) == (applied.version, applied.position)
    request.min_position = f"{'0' * 12}{applied.position[12:]}"
    error = await refused(own_server.reference.GetReferenceData(request))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "LOG_RESTORED")
