"""Posting from the command line: one, many, and the proof that no number is missing."""

from __future__ import annotations

import csv
import io
import json
from uuid import uuid4

import pytest

from .test_cli import answer, daybook, invoice, record


@pytest.fixture(scope="module")
def server(shop: str) -> str:
    return shop


def drafts(server: str, count: int) -> list[str]:
    """Their keys."""
    keys = [f"test:{uuid4()}" for _ in range(count)]
    record(server, *map(invoice, keys))
    return keys


def numbers(server: str) -> list[str]:
    listed = daybook(server, "numbers", "nl-de-invoices", "--period", "2026", "--json").stdout
    return [json.loads(line)["number"] for line in listed.splitlines()]


def test_one_is_posted_and_shown_and_posting_it_again_changes_nothing(server: str) -> None:
    [key] = drafts(server, 1)
    said = daybook(server, "post", "--key", key).stdout
    assert "posted as DE-2026-" in said
    assert "was posted already" in daybook(server, "post", key).stdout
    assert answer(daybook(server, "post", key, "--json"))["content"]["uniqueIdentifier"] == key


def test_many_are_posted_with_a_result_each_whatever_the_others_are_refused_for(server: str) -> None:
    first, canceled, second, third = drafts(server, 4)
    daybook(server, "cancel", canceled)
    said = daybook(server, "post", first, canceled, second, "nobody", "--key", third, "--csv", status=1)
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    assert [row["invoice"] for row in rows] == [first, canceled, second, "nobody", third]
    assert [row["outcome"] for row in rows] == ["posted", "refused", "posted", "refused", "posted"]
    assert [row["reason"] for row in rows] == ["", "NOT_DRAFT", "", "INVOICE_NOT_FOUND", ""]
    given = [row["invoice_number"] for row in rows if row["invoice_number"]]
    assert numbers(server)[-3:] == given == sorted(given)
    assert "3 posted, 2 refused" in said.stderr
    table = daybook(server, "post", first, canceled, status=1).stdout.splitlines()
    assert table[0].split() == ["replayed", given[0], first]
    assert table[1].split() == ["refused", "–", canceled]
    assert table[2].strip().startswith("NOT_DRAFT: ")
    assert table[-1] == "1 replayed, 1 refused"


def test_lines_of_standard_input_are_posted_in_their_order(server: str) -> None:
    keys = drafts(server, 120)  # more than go into one call
    said = daybook(server, "post", "-", "--json", typed="\n".join([*keys, "", keys[0]]) + "\n")
    results = [json.loads(line) for line in said.stdout.splitlines()]
    assert [each["key"]["uniqueIdentifier"] for each in results] == [*keys, keys[0]]
    given = [each["response"]["invoice"]["invoiceNumber"] for each in results]
    assert numbers(server)[-120:] == given[:-1]
    assert results[-1]["response"]["replayed"] is True
    assert "120 posted, 1 replayed" in said.stderr
    assert "nothing to post" in daybook(server, "post", "-").stdout


def test_a_series_is_listed_and_proved_from_its_first_number_to_its_last(server: str) -> None:
    daybook(server, "post", *drafts(server, 2))
    assert "nl-de-invoices" in daybook(server, "numbers").stdout
    given = numbers(server)
    assert given == [f"DE-2026-{n:05}" for n in range(1, len(given) + 1)]
    proved = daybook(server, "numbers", "nl-de-invoices", "--period", "2026").stdout
    assert f"{len(given)} numbers, {given[0]} to {given[-1]}: none missing" in proved
    assert "SERIES_NOT_FOUND" in daybook(server, "numbers", "nl-us-invoices", status=1).stderr


@pytest.mark.parametrize("arguments", [(), ("--number", "1"), ("x", "--legal-entity", "nl-de")])
def test_who_does_not_say_which_is_told_so(server: str, arguments: tuple[str, ...]) -> None:
    assert daybook(server, "post", *arguments, status=2).stderr
