"""`history`, `replay`, `as-of`, `diff`, `events` and `feed` against a real service."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from .test_cli import daybook, ingest, invoice


@pytest.fixture(scope="module")
def server(shop: str) -> str:
    return shop


@pytest.fixture
def key(server: str) -> str:
    """An invoice that was ingested and then updated."""
    key = f"test:{uuid4()}"
    ingest(server, invoice(key), "--as", "Bo", "--reason", "first")
    daybook(server, "update", "--key", key, "--description", "late", "--as", "Ada", "--reason", "asked for")
    return key


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_history_tells_who_what_and_why(server: str, key: str) -> None:
    said = daybook(server, "history", "--key", key).stdout
    assert "Drafted for account" in said
    assert "Updated: description is now “late”" in said
    told = rows(daybook(server, "history", "--key", key, "--csv").stdout)
    assert [(each["who"], each["reason"]) for each in (told[0], told[-1])] == [
        ("Bo", "first"),
        ("Ada", "asked for"),
    ]
    objects = [
        json.loads(line) for line in daybook(server, "history", "--key", key, "--json").stdout.splitlines()
    ]
    assert [each["type"] for each in objects] == [each["type"] for each in told]
    assert objects[0]["invoiceDrafted"]["content"]["uniqueIdentifier"] == key


def test_many_events_of_a_kind_are_counted_unless_each_is_asked_for(server: str) -> None:
    key = f"test:{uuid4()}"
    many = invoice(key)
    many["lines"] = many["lines"] * 9
    ingest(server, many)
    assert "and 8 more LineAdded" in daybook(server, "history", "--key", key).stdout
    assert "Line 9, " in daybook(server, "history", "--key", key, "--every").stdout


def test_replay_shows_the_state_after_each_change(server: str, key: str) -> None:
    told = rows(daybook(server, "replay", "--key", key, "--csv").stdout)
    assert [(each["what"], each["who"]) for each in told] == [
        ("InvoiceDrafted", "Bo"),
        ("InvoiceUpdated", "Ada"),
    ]
    assert told[0]["with_tax"] == told[1]["with_tax"] != ""
    every = rows(daybook(server, "replay", "--key", key, "--csv", "--every").stdout)
    assert [each["#"] for each in every] == [str(n) for n in range(1, len(every) + 1)]
    assert "InvoiceUpdated" in daybook(server, "replay", "--key", key).stdout


def test_as_of_shows_the_invoice_as_it_stood(server: str, key: str) -> None:
    last = len(rows(daybook(server, "history", "--key", key, "--csv").stdout))
    then = json.loads(daybook(server, "as-of", "--key", key, "--at", str(last - 1), "--json").stdout)
    now = json.loads(daybook(server, "as-of", "--key", key, "--json").stdout)
    assert ("description" in then["content"], now["content"]["description"]) == (False, "late")
    assert f"After event {last}" in daybook(server, "as-of", "--key", key).stdout
    position = rows(daybook(server, "history", "--key", key, "--csv").stdout)[-1]["position"]
    at = (datetime.now().astimezone() + timedelta(hours=1)).isoformat()
    today = datetime.now().astimezone().date().isoformat()
    for point in (position, at, today):
        assert json.loads(daybook(server, "as-of", "--key", key, "--at", point, "--json").stdout) == now
    said = daybook(server, "as-of", "--key", key, "--at", "2020-01-01", status=1)
    assert "NOT_YET_DRAFTED" in said.output
    assert "a version such as 3" in daybook(server, "as-of", "--key", key, "--at", "then", status=2).output


def test_diff_tells_what_is_otherwise_and_who_did_it(server: str, key: str) -> None:
    last = len(rows(daybook(server, "history", "--key", key, "--csv").stdout))
    [told] = rows(daybook(server, "diff", "--key", key, "--from", str(last - 1), "--csv").stdout)
    assert (told["path"], told["after"], told["who"], told["why"]) == (
        "content.description",
        "late",
        "Ada",
        "asked for",
    )
    assert "late" in daybook(server, "diff", "--key", key, "--from", str(last - 1)).stdout
    assert "no difference" in daybook(server, "diff", "--key", key, "--from", str(last)).stdout


def test_events_tells_of_everything_else(server: str) -> None:
    assert "set: 30 days" in daybook(server, "events", "payment-term", "net-30").stdout
    assert "Settings set" in daybook(server, "events", "settings").stdout
    assert "one of invoice, debit-memo" in daybook(server, "events", "nothing", status=2).output
    assert "STREAM_NOT_FOUND" in daybook(server, "events", "tax-rate", "none", status=1).output


def test_feed_prints_json_lines_and_goes_on_after_a_token(server: str, key: str) -> None:
    lines = daybook(server, "feed", "--until-now", "--tokens").stdout.splitlines()
    said = [json.loads(line) for line in lines]
    assert said[0]["type"]
    token = next(each["resumeToken"] for each in said if "resumeToken" in each)
    before = [each["position"] for each in said[: said.index({"resumeToken": token})]]
    rest = daybook(server, "feed", "--until-now", "--after", token).stdout.splitlines()
    positions = [each["position"] for each in said if "position" in each]
    assert before + [json.loads(line)["position"] for line in rest] == positions
    updated = daybook(server, "feed", "--until-now", "--type", "InvoiceUpdated").stdout
    assert {json.loads(line)["type"] for line in updated.splitlines()} == {"InvoiceUpdated"}
    assert "no event type" in daybook(server, "feed", "--type", "Nothing", status=1).output


def test_lists_as_they_were_are_asked_by_edition(server: str, key: str) -> None:
    before = rows(daybook(server, "list", "--all", "--csv").stdout)
    said = daybook(server, "editions", "build", "yearend", "invoices").stdout
    assert "invoices: ready" in said
    ingest(server, invoice(f"{key}-later"))
    assert rows(daybook(server, "list", "--all", "--csv", "--edition", "yearend").stdout) == before
    assert "yearend" in daybook(server, "editions").stdout
    daybook(server, "receivables", "--edition", "yearend", status=1)
    assert "dropped" in daybook(server, "editions", "drop", "yearend").stdout
    assert "no editions" in daybook(server, "editions").stdout
