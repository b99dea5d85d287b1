"""The catalogue of errors: every reason is documented, and every error is small, stable and complete."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TypeVar

import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from grpc import StatusCode

from domain.findings import Findings, Malformed, Rule
from domain.refusal import Refused
from projections.projection import NotCaughtUp, NotReady
from service.errors import MESSAGE_BYTES_MAX, STATUS_BYTES_MAX, Fault, Unreadable, fault_of, reasons
from store.log import DeadlineExceeded, OutcomeUnknown, Overloaded, Unavailable

M = TypeVar("M", bound=Message)

HOUSE = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \| (.+) \| (.+) \|$", re.MULTILINE)


def test_every_reason_is_documented_with_its_status_what_it_means_and_what_to_do() -> None:
    importlib.import_module("service.bootstrap")  # which loads all that can refuse
    rows = ROW.findall((HOUSE / "docs/errors.md").read_text())
    assert {reason: status for reason, status, _, _ in rows} == {
        reason: code.name for reason, code in reasons().items()
    }
    assert len(rows) == len(reasons())
    assert all(len(meaning) > 20 and len(advice) >= 10 for _, _, meaning, advice in rows)


def test_every_reason_that_the_contract_names_can_be_answered() -> None:
    contract = "\n".join(path.read_text() for path in (HOUSE / "protos/daybook").rglob("*.proto"))
    named = set(re.findall(r"reason\s(?://\s)?`([A-Z_]+)`", contract))
    assert {"OUTCOME_UNKNOWN", "UNKNOWN_FIELD", "PAGE_TOKEN"} <= named
    assert named - reasons().keys() == set()


def test_reasons_keep_their_form_and_no_two_refusals_share_one() -> None:
    kinds = refusals(Refused)
    assert all(re.fullmatch(r"[A-Z][A-Z_]{1,62}[A-Z]", reason) for reason in reasons())
    assert len({kind.reason for kind in kinds}) == len(kinds)


def refusals(kind: type[Refused]) -> list[type[Refused]]:
    ours = [each for each in kind.__subclasses__() if not each.__module__.startswith("tests.")]
    return [*ours, *(more for each in ours for more in refusals(each))]


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (Unreadable(), StatusCode.INVALID_ARGUMENT, "UNREADABLE_MESSAGE"),
        (Overloaded(0.25), StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (Unavailable("secret host"), StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
        (NotReady("invoices"), StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
        (OutcomeUnknown(), StatusCode.DEADLINE_EXCEEDED, "OUTCOME_UNKNOWN"),
        (DeadlineExceeded(), StatusCode.DEADLINE_EXCEEDED, "DEADLINE"),
        (TimeoutError("secret"), StatusCode.DEADLINE_EXCEEDED, "DEADLINE"),
        (NotCaughtUp("invoices", 1, 2), StatusCode.DEADLINE_EXCEEDED, "NOT_CAUGHT_UP"),
        (KeyError("secret"), StatusCode.INTERNAL, "INTERNAL"),
        (OSError("secret"), StatusCode.INTERNAL, "INTERNAL"),
    ],
)
def test_an_exception_is_answered_by_its_nearest_ancestor(
    error: Exception, code: StatusCode, reason: str
) -> None:
    fault = fault_of(error)
    assert (fault.code, fault.reason) == (code, reason)
    assert "secret" not in fault.text
    assert fault.text


def test_what_may_have_been_written_is_told_from_what_was_not() -> None:
    assert "nothing was written" in fault_of(DeadlineExceeded()).text
    assert "nothing was written" in fault_of(Unavailable("")).text
    assert "same key" in fault_of(OutcomeUnknown()).text
    assert "nothing was written" not in fault_of(TimeoutError()).text


def test_an_overloaded_service_says_after_how_long_to_ask_again() -> None:
    [retry] = details(fault_of(Overloaded(0.25)), RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 250


def test_what_the_state_of_things_forbids_is_said_as_such() -> None:
    [failure] = details(
        Fault(StatusCode.FAILED_PRECONDITION, "NOT_DRAFT", "it is posted"), PreconditionFailure
    )
    assert [(each.type, each.description) for each in failure.violations] == [("NOT_DRAFT", "it is posted")]


def test_twenty_five_ordinary_findings_fit_and_the_others_are_counted() -> None:
    findings = Findings()
    for number in range(40):
        path = f"invoice.lines[{number}].ship_from_address"
        findings.add(path, Rule.NO_SUCH_ADDRESS_GROUP, value="'headquarters'", have="main, depot, plant")
    fault = fault_of(Malformed(findings))
    [bad] = details(fault, BadRequest)
    [info] = details(fault, ErrorInfo)
    assert len(bad.field_violations) == 25
    assert info.metadata["findings"] == "40"
    first = bad.field_violations[0]
    assert (first.field, first.reason) == ("invoice.lines[0].ship_from_address", "NO_SUCH_ADDRESS_GROUP")
    assert first.description == "no address group 'headquarters' in this invoice (have: main, depot, plant)"


@pytest.mark.parametrize("character", ["x", "é", "語", "𝔉"])
def test_however_long_its_texts_an_error_fits_into_trailers(character: str) -> None:
    long = character * 5000
    findings = Findings()
    for number in range(40):
        findings.add(f"invoice.labels[{number}{long}]", Rule.DECIMAL, value=long)
    facts = {"number": long, "legal_entity_id": long, "invoice_ids": long}
    for fault in (
        fault_of(Malformed(findings)),
        Fault(StatusCode.FAILED_PRECONDITION, "NUMBER_AMBIGUOUS", long, facts, retry_after=1.0),
    ):
        status = fault.status()
        assert status.ByteSize() <= STATUS_BYTES_MAX
        assert len(status.message.encode()) <= MESSAGE_BYTES_MAX
        assert status.message.endswith("…")
    [bad] = details(fault_of(Malformed(findings)), BadRequest)
    assert len(bad.field_violations) >= 2


def details(fault: Fault, kind: type[M]) -> list[M]:
    found = []
    for detail in fault.status().details:
        message = kind()
        if detail.Unpack(message):
            found.append(message)
    return found
