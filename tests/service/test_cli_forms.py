"""What people write and what the contract says are the same thing, there and back."""

import io
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToJson
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from service.cli.forms import content_key, digest, message, tree
from service.cli.json_trees import json_tree
from service.cli.reference import Writer, as_yaml
from service.cli.trees import Plain, Tree
from service.cli.yaml_trees import read_yaml

DAYS = st.dates().map(lambda day: {"year": day.year, "month": day.month, "day": day.day})
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=4).map(
    lambda value: {"value": format(value, "f")}
)


def contents(kind: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of a message of this kind, some of them."""
    if kind.full_name == "google.type.Date":
        return DAYS
    if kind.full_name == "google.type.Decimal":
        return DECIMALS
    return st.fixed_dictionaries({}, optional={each.name: values(each) for each in kind.fields})


def values(each: FieldDescriptor) -> st.SearchStrategy[Any]:
    if each.message_type is not None and each.message_type.GetOptions().map_entry:
        return st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
    if each.is_repeated:
        return st.lists(one(each), max_size=2)
    return one(each)


def one(each: FieldDescriptor) -> st.SearchStrategy[Any]:
    if each.message_type is not None:
        return contents(each.message_type)
    if each.enum_type is not None:
        return st.sampled_from(sorted(each.enum_type.values_by_number))
    if each.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if each.cpp_type == FieldDescriptor.CPPTYPE_INT32:
        return st.integers(-(2**31), 2**31 - 1)
    if each.cpp_type == FieldDescriptor.CPPTYPE_INT64:
        return st.integers(-(2**63), 2**63 - 1)
    return st.text(max_size=8) | st.sampled_from(
        ["null", "~", "true", "0012", "2026-04-01", "NO", "-", "a: b"]
    )


INVOICES = st.deferred(lambda: contents(pb.InvoiceContent.DESCRIPTOR)).map(
    lambda said: pb.InvoiceContent(**said)
)
ENTRIES = st.deferred(lambda: contents(reference_pb.ReferenceData.DESCRIPTOR)).map(
    lambda said: reference_pb.ReferenceData(**said)
)


@given(INVOICES)
@settings(max_examples=60, deadline=None)
def test_an_invoice_is_the_same_after_the_canonical_json(said: pb.InvoiceContent) -> None:
    for keep in (True, False):
        text = MessageToJson(said, preserving_proto_field_name=keep, indent=None)
        assert message(pb.InvoiceContent, json_tree(text.encode())) == (said, [])


@given(INVOICES)
@settings(max_examples=60, deadline=None)
def test_an_invoice_is_the_same_after_the_hand_writable_form(said: pb.InvoiceContent) -> None:
    assert message(pb.InvoiceContent, tree(said)) == (said, [])
    text = yaml.dump(tree(said), Dumper=Writer, allow_unicode=True)
    (written,) = read_yaml(io.BytesIO(text.encode()), "x")
    assert message(pb.InvoiceContent, written.tree) == (said, [])


@given(ENTRIES)
@settings(max_examples=40, deadline=None)
def test_reference_data_that_is_shown_can_be_applied_again(said: reference_pb.ReferenceData) -> None:
    things = list(read_yaml(io.BytesIO(as_yaml(said).encode()), "x"))
    again = message(reference_pb.ReferenceData, things[0].tree if things else {})
    assert again == (said, [])


@pytest.mark.parametrize(
    "status", ["posted", "POSTED", "INVOICE_STATUS_POSTED", " Posted ", Plain("2"), "invoice-status-posted"]
)
def test_a_status_has_many_spellings(status: str) -> None:
    assert content(status=status).status == pb.INVOICE_STATUS_POSTED


def test_a_kind_of_two_words_may_be_written_with_a_space() -> None:
    said = content(reference={"kind": "order summary", "id": "7"})
    assert said.reference.kind == pb.REFERENCE_KIND_ORDER_SUMMARY


@pytest.mark.parametrize("text", ["250.00", "1e3", "NaN", "1,5", ""])
def test_a_decimal_is_carried_verbatim_for_the_service_to_judge(text: str) -> None:
    said = content(lines=[{"quantity": Plain(text)}])
    assert said.lines[0].quantity.value == text


def test_a_date_that_no_calendar_has_is_carried_for_the_service_to_judge() -> None:
    assert content(due_date="2026-02-30").due_date.day == 30


def test_a_key_may_be_written_either_way() -> None:
    assert content(accountId="A") == content(account_id="A")


def test_nothing_is_not_set() -> None:
    said = content(due_date=None, reference=None, description=None)
    assert said == pb.InvoiceContent()


def test_a_truth_is_told_from_a_text() -> None:
    assert content(should_calculate_tax=True).should_calculate_tax
    assert content(should_calculate_tax=Plain("true")).should_calculate_tax
    assert not content(should_calculate_tax=Plain("false")).should_calculate_tax
    assert content(description=Plain("true")).description == "true"


@pytest.mark.parametrize(
    ("said", "path", "rule", "words"),
    [
        ({"acount_id": "A"}, "acount_id", "UNKNOWN_FIELD", "did you mean account_id?"),
        ({"lines": [{}, {"chargeAmout": "1"}]}, "lines[1].chargeAmout", "UNKNOWN_FIELD", "charge_amount"),
        ({"zzz": "1"}, "zzz", "UNKNOWN_FIELD", "(have: unique_identifier, status, "),
        ({"account_id": "A", "accountId": "A"}, "account_id", "DUPLICATE", "same field"),
        ({"status": "final"}, "status", "ENUM", "one of draft, posted, canceled, voided; is 'final'"),
        ({"status": Plain("9")}, "status", "ENUM", "is '9'"),
        ({"invoice_date": "02.11.2026"}, "invoice_date", "DATE", "2026-04-01"),
        ({"invoice_date": True}, "invoice_date", "FORM", "a date"),
        ({"invoice_date": {"year": "x"}}, "invoice_date.year", "FORM", "whole number"),
        ({"invoice_date": {"year": "9999999999"}}, "invoice_date.year", "OUT_OF_RANGE", "too large"),
        ({"lines": {"name": "x"}}, "lines", "FORM", "a list; is fields and their values"),
        ({"lines": ["x"]}, "lines[0]", "FORM", "fields and their values; is the text 'x'"),
        ({"lines": [{"quantity": []}]}, "lines[0].quantity", "FORM", "a decimal"),
        ({"labels": []}, "labels", "FORM", "names and their values"),
        ({"labels": {"a": True}}, "labels['a']", "FORM", "a text"),
        ({"labels": {"a": "\ud800"}}, "labels['a']", "CHARACTERS", "surrogate"),
        ({"account_id": "\ud800"}, "account_id", "CHARACTERS", "surrogate"),
        ({"account_id": []}, "account_id", "FORM", "a text; is a list"),
        ({"should_calculate_tax": "yes"}, "should_calculate_tax", "FORM", "true or false"),
        ([], "", "FORM", "fields and their values; is a list"),
    ],
)
def test_what_cannot_be_said_is_told_with_its_path(said: Tree, path: str, rule: str, words: str) -> None:
    (problem,) = message(pb.InvoiceContent, said)[1]
    assert (problem.path, problem.rule) == (path, rule)
    assert words in problem.description


def test_all_that_cannot_be_said_is_told_at_once() -> None:
    _, problems = message(pb.InvoiceContent, {"a": "", "status": "x", "lines": [{"b": ""}]}, "invoice")
    assert [problem.path for problem in problems] == ["invoice.a", "invoice.status", "invoice.lines[0].b"]


def test_a_flood_of_problems_is_bounded() -> None:
    problems = message(pb.InvoiceContent, {f"x{n}" * 99: "" for n in range(5000)})[1]
    assert len(problems) == 1000
    assert all(len(problem.path) < 100 and len(problem.description) < 600 for problem in problems)


SENSOR: dict[str, Tree] = {"account_id": "A", "lines": [{"quantity": "1.0", "unit_price": "10.50"}]}


def test_the_key_of_a_keyless_invoice_follows_from_what_it_says() -> None:
    said = content(**SENSOR)
    same = [
        content(lines=[{"unitPrice": {"value": "10.5"}, "quantity": Plain("1")}], accountId="A"),
        content(account_id="A", lines=[{"quantity": "+01.00", "unit_price": "010.5"}]),
    ]
    other = [
        content(account_id="A", lines=[{"quantity": "1", "unit_price": "105"}]),
        content(account_id="A", lines=[{"quantity": "-1.0", "unit_price": "10.50"}]),
        content(account_id="B", lines=SENSOR["lines"]),
        content(**SENSOR, description="1.0"),
        content(**SENSOR, description="1.00"),
    ]
    assert {digest(each) for each in same} == {digest(said)}
    assert len({digest(each) for each in [said, *other]}) == 1 + len(other)


def test_the_key_of_a_keyless_invoice_is_for_ever() -> None:
    assert content_key(digest(content(**SENSOR)), 2) == (
        "file:0bc50000c611784fd95d27242e8befc9653ad07c4261b49e94ecb816b646d683:2"
    )


def content(**said: Tree) -> pb.InvoiceContent:
    filled, problems = message(pb.InvoiceContent, said)
    assert problems == []
    return filled
