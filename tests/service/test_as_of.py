"""An invoice as it stood: at a version, at an instant, at a position; and what became of it since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from daybook.v1 import audit_service_pb2 as pb
from daybook.v1 import invoice_pb2, invoice_query_service_pb2
from daybook.v1 import invoice_service_pb2 as service_pb

from .house import House, refused
from .messages import (
    a_line,
    a_posted_invoice,
    a_tax,
    an_address,
    an_invoice,
    by_id,
    by_key,
    cancel,
    get,
    ingest,
    number,
    revise,
    update,
)
from .test_debit_memos import billing, posted
from .test_settlement import euros, payment

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the live read model answered, and when."""

    answer: invoice_query_service_pb2.GetInvoiceResponse
    at: datetime

    @property
    def version(self) -> int:
        return self.answer.invoice.version


def instant(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def a_point(**said: Any) -> pb.HistoryPoint:
    return pb.HistoryPoint(**said)


async def as_of(house: House, key: str, point: pb.HistoryPoint, **asked: Any) -> pb.GetInvoiceAsOfResponse:
    return await house.audit.GetInvoiceAsOf(pb.GetInvoiceAsOfRequest(key=by_key(key), point=point, **asked))


async def seen(house: House, key: str, position: str) -> Seen:
    answer = await house.queries.GetInvoice(get(by_key(key), min_position=position))
    return Seen(answer, datetime.now(UTC))


class Life:
    """A random but repeatable life of an invoice, looked at after each change."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.random, self.key = house, Random(seed), f"life-{seed}-{id(self)}"

    async def lived(self, changes: int) -> Sequence[Seen]:
        answer = await self.house.invoices.IngestInvoice(ingest(self.content(), reason="begun"))
        looked = [await seen(self.house, self.key, answer.position)]
        while len(looked) <= changes:
            position = await self.change()
            if position:
                looked.append(await seen(self.house, self.key, position))
        return looked

    async def change(self) -> str:
        now = (await self.house.queries.GetInvoice(get(by_key(self.key)))).invoice
        draft = now.status == invoice_pb2.INVOICE_STATUS_DRAFT
        what = self.random.choice(["revise", "revise", "update", "cancel" if draft else "revise"])
        because = f"because {self.random.randrange(1000)}"
        if what == "revise":
            request = revise(self.key, self.content(), reason=because)
            return (await self.house.invoices.ReviseInvoice(request)).position
        if what == "cancel":
            return (await self.house.invoices.CancelInvoice(cancel(self.key, reason=because))).position
        change = service_pb.InvoiceChange(
            description=self.random.choice(["", "late", "urgent"]),
            labels={"n": str(self.random.randrange(3))},
        )
        request_ = update(self.key, "description", "labels", change=change, reason=because)
        return (await self.house.invoices.UpdateInvoice(request_)).position

    def content(self) -> invoice_pb2.InvoiceContent:
        taxed = self.random.random() < 0.5
        return an_invoice(
            self.key,
            [self.line(taxed) for _ in range(self.random.randrange(1, 6))],
            description=self.random.choice(["", "a text"]),
            purchase_order_number=self.random.choice(["", "PO-1", "PO-2"]),
            labels={} if self.random.random() < 0.5 else {"team": self.random.choice("ab")},
            tax_status=invoice_pb2.TAX_STATUS_ESTIMATED if taxed else invoice_pb2.TAX_STATUS_PENDING,
            address_groups=[
                an_address(street=self.random.choice(["Hauptstraße 1", "Am Hof 2"])),
                *([an_address("depot")] if self.random.random() < 0.5 else []),
            ],
        )

    def line(self, taxed: bool) -> invoice_pb2.LineContent:
        rows = [a_tax(self.random.choice(["1.00", "2.00"]), name=name) for name in ("VAT", "City")]
        return a_line(
            self.random.choice(["1.00", "2.50", "3.00"]),
            name=self.random.choice(["Support", "Licence", "Travel"]),
            quantity=number(self.random.randrange(1, 4)),
            taxes=rows[: self.random.randrange(3)] if taxed else [],
        )


@pytest.mark.parametrize("seed", range(3))
async def test_as_of_any_moment_is_what_the_live_answer_was_then(server: House, seed: int) -> None:
    life = Life(server, seed)
    looked = await life.lived(changes=8)
    for each in looked:
        for point in (
            a_point(version=each.version),
            a_point(time=instant(each.at)),
            a_point(position=each.answer.position),
        ):
            found = await as_of(server, life.key, point)
            assert found.invoice == each.answer.invoice
            assert found.newest_event.version == each.version
    assert (await as_of(server, life.key, a_point())).invoice == looked[-1].answer.invoice


async def test_an_invoice_of_a_memo_has_its_lineage_as_it_was(server: House) -> None:
    memo_id = await posted(server, "lineage")
    answer = await server.invoices.IngestInvoice(billing("of lineage", memo_id))
    live = await server.queries.GetInvoice(get(by_key("of lineage"), min_position=answer.position))
    found = await as_of(server, "of lineage", a_point(position=answer.position))
    assert found.lineage == live.lineage
    assert found.lineage.order_id == "order of lineage"
    await server.invoices.CancelInvoice(cancel("of lineage"))
    then = await as_of(server, "of lineage", a_point(version=live.invoice.version))
    assert then.lineage.debit_memo == live.lineage.debit_memo
    since = await as_of(server, "of lineage", a_point())
    assert since.lineage.debit_memo.ready
    assert not then.lineage.debit_memo.ready


async def test_payments_and_the_credit_memo_of_a_void_are_seen_from_when_they_were_made(
    server: House,
) -> None:
    content = a_posted_invoice(number="void-1")
    key = content.unique_identifier
    answer = await server.invoices.IngestInvoice(ingest(content))
    await server.invoices.RecordPayment(payment(answer.invoice_id, "10.00"))
    back = service_pb.ReversePaymentRequest(
        key=by_key(key), payment_id=await paid_by(server, key), amount=euros("10.00"), request_id="back"
    )
    await server.invoices.ReversePayment(back)
    void = await server.invoices.VoidInvoice(service_pb.VoidInvoiceRequest(key=by_key(key)))
    live = await server.queries.GetInvoice(get(by_key(key), min_position=void.position))
    found = await as_of(server, key, a_point(position=void.position))
    assert found.invoice == live.invoice
    assert found.lineage == live.lineage
    assert [each.invoice_id for each in found.lineage.credit_memos] == [answer.invoice_id]
    before = await as_of(server, key, a_point(version=live.invoice.version - 2))
    assert before.invoice.totals.net_payments_applied.units == 10
    assert (before.invoice.status, list(before.lineage.credit_memos)) == (
        invoice_pb2.INVOICE_STATUS_POSTED,
        [],
    )


async def paid_by(house: House, key: str) -> str:
    """The payment of an invoice that has one."""
    [paid] = [each.event.payment_id for each in await house.history(key) if each.name == "PaymentRecorded"]
    return str(paid)


async def test_posted_imports_age_as_of_the_instant(server: House) -> None:
    content = a_posted_invoice(number="age-1")
    answer = await server.invoices.IngestInvoice(ingest(content))
    live = await server.queries.GetInvoice(
        get(by_key(content.unique_identifier), min_position=answer.position)
    )
    found = await as_of(server, content.unique_identifier, a_point(time=instant(datetime.now(UTC))))
    assert found.invoice == live.invoice
    later = await as_of(
        server, content.unique_identifier, a_point(time=instant(datetime.now(UTC) + timedelta(days=900)))
    )
    assert later.invoice == live.invoice  # what is still to come is not known


async def test_the_basic_view_and_a_mask_leave_out_what_is_not_asked_for(server: House) -> None:
    content = an_invoice()
    await server.invoices.IngestInvoice(ingest(content))
    key = content.unique_identifier
    basic = await as_of(server, key, a_point(version=3), view=invoice_pb2.INVOICE_VIEW_BASIC)
    assert (len(basic.invoice.lines), basic.invoice.line_count, basic.next_page_token) == (0, 1, "")
    masked = await as_of(server, key, a_point(), read_mask={"paths": ["totals.balance"]})
    assert masked.invoice == invoice_pb2.Invoice(
        totals=invoice_pb2.InvoiceTotals(balance=masked.invoice.totals.balance)
    )
    assert masked.invoice.totals.balance.units == 250


async def test_lines_come_in_pages_of_the_same_version_whatever_happens_meanwhile(server: House) -> None:
    content = an_invoice(lines=[a_line(f"{n}.00") for n in range(1, 12)])
    key = content.unique_identifier
    await server.invoices.IngestInvoice(ingest(content))
    request = pb.GetInvoiceAsOfRequest(key=by_key(key), page_size=5)
    numbers = []
    for turn in range(3):
        page = await server.audit.GetInvoiceAsOf(request)
        numbers += [line.line_number for line in page.invoice.lines]
        assert page.invoice.line_count == 11
        request.page_token = page.next_page_token
        if not turn:
            await server.invoices.ReviseInvoice(revise(key, an_invoice(key)))
    assert numbers == list(range(1, 12))
    assert request.page_token == ""


async def test_more_lines_than_a_page_holds_are_all_there(server: House) -> None:
    content = an_invoice(lines=[a_line("1.00")] * 1201)
    await server.invoices.IngestInvoice(ingest(content))
    request = pb.GetInvoiceAsOfRequest(key=by_key(content.unique_identifier))
    lengths = []
    while True:
        page = await server.audit.GetInvoiceAsOf(request)
        lengths.append(len(page.invoice.lines))
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert lengths == [500, 500, 201]


async def test_a_position_in_the_middle_of_an_append_is_before_it(server: House) -> None:
    content = an_invoice()
    key = content.unique_identifier
    first = await server.invoices.IngestInvoice(ingest(content))
    await server.invoices.ReviseInvoice(revise(key, an_invoice(key, [a_line("1.00"), a_line("2.00")])))
    kept = await server.history(key)
    log, epoch, _ = first.position.split(".")
    within = await as_of(server, key, a_point(position=f"{log}.{epoch}.{kept[4].position}"))
    assert within.invoice.version == 3
    half = await as_of(server, key, a_point(version=5))  # event by event, for those who want to see each
    assert (half.invoice.version, half.invoice.line_count) == (5, 0)


async def test_points_before_the_beginning_and_after_the_end_are_told_apart(server: House) -> None:
    content = an_invoice()
    key = content.unique_identifier
    before = datetime.now(UTC)
    await server.invoices.IngestInvoice(ingest(content))
    assert (await refused(as_of(server, key, a_point(time=instant(before))))).reason == "NOT_YET_DRAFTED"
    said = await refused(as_of(server, key, a_point(version=4)))
    assert (said.reason, said.facts["version"], said.facts["asked"]) == ("VERSION_AHEAD", "3", "4")
    assert (await refused(as_of(server, "never", a_point(version=1)))).reason == "INVOICE_NOT_FOUND"
    assert (await refused(as_of(server, "never", a_point()))).reason == "INVOICE_NOT_FOUND"
    for point, path, rule in (
        (a_point(version=0), "point.version", "OUT_OF_RANGE"),
        (a_point(time=Timestamp(seconds=2**60)), "point.time", "INSTANT"),
        (a_point(position="x"), "point.position", "POSITION"),
    ):
        said = await refused(as_of(server, key, point))
        assert [(each.path, each.rule) for each in said.findings] == [(path, rule)]
    other = a_point(position="0123456789ab.1.7")
    assert (await refused(as_of(server, key, other))).reason == "LOG_RESTORED"


# What became of it


async def compared(
    house: House, key: str, first: int, second: int | None = None, **asked: Any
) -> pb.CompareInvoiceResponse:
    to = pb.HistoryPoint(version=second) if second else None
    said: dict[str, Any] = {"from": pb.HistoryPoint(version=first)}
    return await house.audit.CompareInvoice(pb.CompareInvoiceRequest(key=by_key(key), to=to, **said, **asked))


def told(differences: Iterable[pb.InvoiceDifference]) -> set[tuple[str, str, str]]:
    return {(each.path, each.before, each.after) for each in differences}


async def test_each_difference_names_the_event_the_person_and_the_reason(server: House) -> None:
    content = an_invoice(lines=[a_line("250.00"), a_line("10.00", name="Travel")])
    key = content.unique_identifier
    await server.invoices.IngestInvoice(ingest(content))
    new = an_invoice(
        key,
        [a_line("10.00", name="Travel"), a_line("99.00"), a_line("5.00", name="Licence")],
        purchase_order_number="PO-7",
    )
    await server.invoices.ReviseInvoice(
        revise(key, new, reason="was too much"), metadata=(("daybook-actor", "Ada"),)
    )
    change = service_pb.InvoiceChange(description="late")
    await server.invoices.UpdateInvoice(
        update(key, "description", change=change, reason="asked for"), metadata=(("daybook-actor", "Bo"),)
    )
    answer = await compared(server, key, 4)
    assert (answer.from_version, answer.to_version) == (4, 10)
    by_path = {each.path: each for each in answer.differences}
    events = {each.version: each for each in answer.events}
    assert told(answer.differences) >= {
        ("content.description", "", "late"),
        ("content.purchase_order_number", "", "PO-7"),
        ("totals.total_with_tax", "EUR 260.00", "EUR 114.00"),
        ("lines[2].content.charge_amount", "250.00", "99.00"),
        ("lines[3]", "", "Licence: 5.00 + 0 tax"),
    }
    assert by_path["lines[2].content.charge_amount"].path_before == "lines[1].content.charge_amount"
    assert by_path["lines[3]"].kind == pb.DIFFERENCE_KIND_ADDED
    blamed = {path: events[each.version] for path, each in by_path.items()}
    assert blamed["content.description"].type == "InvoiceUpdated"
    assert (blamed["content.description"].who.id, blamed["content.description"].reason) == ("Bo", "asked for")
    for path in ("lines[2].content.charge_amount", "lines[3]", "totals.total_with_tax"):
        assert (blamed[path].type, blamed[path].who.id, blamed[path].reason) == (
            "InvoiceRevised",
            "Ada",
            "was too much",
        )


async def test_a_line_that_was_put_in_front_is_the_only_difference_among_the_lines(server: House) -> None:
    lines = [a_line(f"{n}.00", name=f"Line {n}") for n in range(1, 6)]
    content = an_invoice(lines=lines)
    key = content.unique_identifier
    await server.invoices.IngestInvoice(ingest(content))
    await server.invoices.ReviseInvoice(revise(key, an_invoice(key, [a_line("9.00", name="New"), *lines])))
    answer = await compared(server, key, 7)
    assert [each.path for each in answer.differences if each.path.startswith("lines")] == ["lines[1]"]
    await server.invoices.ReviseInvoice(revise(key, an_invoice(key, lines[::-1])))
    back = await compared(server, key, 7)
    changed = {each.path for each in back.differences}
    assert {"lines[1].line_number", "lines[5].line_number"} <= changed
    assert not any("charge" in path for path in changed)


async def test_addresses_and_taxes_are_matched_by_key_and_by_name(server: House) -> None:
    estimated: dict[str, Any] = {"tax_status": invoice_pb2.TAX_STATUS_ESTIMATED}
    first = an_invoice(
        lines=[a_line(taxes=[a_tax("1.00"), a_tax("2.00", name="City")])],
        address_groups=[an_address(), an_address("old")],
        **estimated,
    )
    key = first.unique_identifier
    await server.invoices.IngestInvoice(ingest(first))
    second = an_invoice(
        key,
        [a_line(taxes=[a_tax("2.50", name="City"), a_tax("3.00", name="State")])],
        address_groups=[an_address("new"), an_address(street="Am Hof 2")],
        **estimated,
    )
    await server.invoices.ReviseInvoice(revise(key, second))
    found = (await compared(server, key, 5)).differences
    assert told(found) >= {
        ('content.address_groups["main"].street', "Hauptstraße 1", "Am Hof 2"),
        ('content.address_groups["old"]', "Hauptstraße 1, Würzburg, Bayern, 97070, DE", ""),
        ('content.address_groups["new"]', "", "Hauptstraße 1, Würzburg, Bayern, 97070, DE"),
        ("lines[1].content.taxes[0].amount", "2.00", "2.50"),
    }
    assert {each.kind for each in found if "old" in each.path} == {pb.DIFFERENCE_KIND_REMOVED}


@pytest.mark.parametrize("seed", range(20, 22))
async def test_a_difference_is_blamed_on_the_change_that_made_it_so(server: House, seed: int) -> None:
    life = Life(server, seed)
    states = {each.version: each.answer.invoice for each in await life.lived(changes=6)}
    for first, one in states.items():
        for second, other in ((each, state) for each, state in states.items() if each >= first):
            answer = await compared(server, life.key, first, second, page_size=500)
            assert not answer.next_page_token
            told_ = {each.path for each in answer.differences}
            assert {name for name, of in SIMPLE.items() if of(one) != of(other)} == told_ & {*SIMPLE}
            assert {each.version for each in answer.events} == {each.version for each in answer.differences}
            for each in answer.differences:
                assert_blamed(each, states, first, second)


def assert_blamed(
    difference: pb.InvoiceDifference, states: Mapping[int, invoice_pb2.Invoice], first: int, second: int
) -> None:
    """Just before the event the field did not say so, just after it, and ever since, it did."""
    assert difference.before != difference.after
    assert first < difference.version <= second
    if difference.path in SIMPLE:
        said = {version: SIMPLE[difference.path](state) for version, state in states.items()}
        assert said[first] == difference.before
        assert said[max(version for version in states if version < difference.version)] != difference.after
        since = [version for version in states if difference.version <= version <= second]
        assert {said[version] for version in since} == {difference.after}


SIMPLE: dict[str, Callable[[invoice_pb2.Invoice], str]] = {
    "status": lambda i: invoice_pb2.InvoiceStatus.Name(i.status).removeprefix("INVOICE_STATUS_"),
    "content.description": lambda i: i.content.description,
    "content.purchase_order_number": lambda i: i.content.purchase_order_number,
    'content.labels["team"]': lambda i: i.content.labels.get("team", ""),
    "totals.total": lambda i: f"EUR {i.totals.total.units}.{i.totals.total.nanos // 10**7:02}",
}


async def test_differences_come_in_pages(server: House) -> None:
    content = an_invoice(lines=[a_line("1.00", name=f"Line {n}") for n in range(30)])
    key = content.unique_identifier
    await server.invoices.IngestInvoice(ingest(content))
    changed = an_invoice(key, [a_line("2.00", name=f"Line {n}") for n in range(30)])
    await server.invoices.ReviseInvoice(revise(key, changed))
    whole = (await compared(server, key, 32, page_size=500)).differences
    said: dict[str, Any] = {"from": pb.HistoryPoint(version=32)}
    request = pb.CompareInvoiceRequest(key=by_key(key), page_size=50, **said)
    pages: list[pb.InvoiceDifference] = []
    while True:
        page = await server.audit.CompareInvoice(request)
        pages += page.differences
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert pages == list(whole)
    assert len(whole) > 90


async def test_points_the_wrong_way_round_are_refused(server: House) -> None:
    content = an_invoice()
    answer = await server.invoices.IngestInvoice(ingest(content))
    said = await refused(compared(server, content.unique_identifier, 3, 2))
    assert [(each.path, each.rule) for each in said.findings] == [("to", "OUT_OF_RANGE")]
    empty = pb.CompareInvoiceRequest(key=by_id(answer.invoice_id))
    assert [each.path for each in (await refused(server.audit.CompareInvoice(empty))).findings] == ["from"]
