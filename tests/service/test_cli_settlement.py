"""Settling invoices from the command line: payments, credits, voiding, write-offs and what is owed."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import Result

from .test_cli import answer, daybook, invoice, record


@pytest.fixture(scope="module")
def server(shop: str) -> str:
    return shop


def posted(server: str, account: str, *charges: str) -> str:
    """The key of a posted invoice with these lines, taxed by nothing."""
    key = f"test:{uuid4()}"
    content = invoice(key, posted=f"RE-{key}") | {"account_id": account}
    [line] = content["lines"]
    untaxed = [line["taxes"][0] | {"amount": "0.00"}]
    content["lines"] = [line | {"charge_amount": each, "taxes": untaxed} for each in charges or ("100.00",)]
    record(server, content)
    return key


def json_of(server: str, *arguments: str) -> dict[str, Any]:
    return answer(daybook(server, *arguments, "--json"))


def rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.stdout)))


@pytest.fixture
def account() -> str:
    return f"ACC-{uuid4()}"


def test_a_payment_is_recorded_shown_and_taken_back(server: str, account: str) -> None:
    key = posted(server, account)
    pay = ("payment", "record", key, "--amount", "40.00", "--currency", "EUR", "--request-id", "bank-1")
    said = daybook(server, *pay, "--reference", "SEPA 7", "--date", "2026-11-20", "--reason", "statement 3")
    assert "partially settled" in said.stdout
    assert "60.00" in said.stdout
    again = daybook(server, *pay, "--reference", "SEPA 7")
    assert again.stdout.splitlines()[-1].startswith("stood so already; paid: payment ")
    payment = again.stdout.split()[-1]
    part = ("payment", "reverse", payment, key, "--amount", "15.00", "--currency", "EUR")
    position = json_of(server, *part)["position"]
    shown = daybook(server, "show", key, "--min-position", position).stdout
    for text in ("2026-11-20   payment SEPA 7", "payment SEPA 7 taken back", "15.00"):
        assert text in shown
    rest = daybook(server, "payment", "reverse", payment, key).stdout
    assert f"payment {payment} taken back" in rest
    assert "not settled" in rest


def test_what_cannot_be_paid_is_refused_with_its_reason(server: str, account: str) -> None:
    key = posted(server, account)
    pay = ("payment", "record", key, "--currency", "EUR")
    assert "MORE_THAN_BALANCE" in daybook(server, *pay, "--amount", "100.01", status=1).stderr
    assert "nothing is rounded; is '0.001'" in daybook(server, *pay, "--amount", "0.001", status=1).stderr
    assert "--amount: a decimal number" in daybook(server, *pay, "--amount", "much", status=2).stderr
    odd = daybook(server, *pay, "--amount", "1.00", "--date", "soon", status=1)
    assert "a date such as 2026-04-01" in odd.stderr
    half = ("payment", "reverse", str(uuid4()), key, "--amount", "1.00")
    assert "--amount and --currency go together" in daybook(server, *half, status=2).stderr


def test_credit_is_converted_listed_applied_and_taken_back(server: str, account: str) -> None:
    key, other = posted(server, account, "400.00", "-100.00"), posted(server, account, "70.00")
    said = daybook(server, "credit", "convert", key, "--line", "2")
    memo = said.stdout.split()[-1]
    assert "400.00" in said.stdout
    applied = json_of(server, "credit", "apply", memo, other, "--amount", "30.00", "--currency", "EUR")
    shown = daybook(server, "credit", "show", memo, "--min-position", applied["position"]).stdout
    for text in (
        "conversion",
        "EUR 70.00",
        "30.00",
        applied["application"]["applicationId"],
    ):
        assert text in shown
    assert "applied EUR 40.00" in daybook(server, "credit", "apply", memo, other).stdout
    back = ("credit", "unapply", memo, applied["application"]["applicationId"])
    position = json_of(server, *back)["position"]
    assert "was taken back already" in daybook(server, *back).stdout
    there = ("--account", account, "--open", "--origin", "conversion", "--min-position", position)
    [row] = rows(daybook(server, "credit", "list", *there, "--csv"))
    assert (row["credit_memo_id"], row["net_applied"], row["balance"]) == (memo, "40.00", "60.00")
    assert "1 credit memo" in daybook(server, "credit", "list", *there).stdout
    none = ("credit", "list", "--account", account, "--origin", "void")
    assert "no credit memos" in daybook(server, *none).stdout
    [line] = rows(daybook(server, "credit", "show", memo, "--csv"))
    assert (line["invoice_line_number"], line["credit_amount"]) == ("2", "100.00")


def test_an_invoice_is_voided_or_written_off(server: str, account: str) -> None:
    key, lost = posted(server, account), posted(server, account)
    assert "voided by credit memo" in daybook(server, "void", key, "--reason", "entered twice").stdout
    assert "stood so already; voided" in daybook(server, "void", key).stdout
    off = json_of(server, "write-off", lost, "--reason-code", "insolvent")
    assert off["invoice"]["settlement"]["writeOff"]["reasonCode"] == "insolvent"
    refused = daybook(server, "write-off", lost, "--reason-code", "again", status=1)
    assert "INVOICE_WRITTEN_OFF" in refused.stderr
    listed = rows(daybook(server, "list", "--account", account, "--min-position", off["position"], "--csv"))
    assert [(each["status"], each["settlement_status"], each["balance"]) for each in listed] == [
        ("posted", "settled", "0.00"),
        ("voided", "not_applicable", "0.00"),
    ]
    assert listed[0]["net_credits_applied"] == "100.00"
    assert listed[0]["full_settlement_date"]


def test_what_is_owed_is_listed_by_account_and_currency(server: str, account: str) -> None:
    key = posted(server, account)
    position = json_of(server, "payment", "record", key, "--amount", "40.00", "--currency", "EUR")["position"]
    owed = ("receivables", "--account", account, "--min-position", position)
    [row] = rows(daybook(server, *owed, "--csv"))
    assert (row["currency_code"], row["open_invoices"], row["net"]) == ("EUR", "1", "60.00")
    assert "1 receivable" in daybook(server, *owed).stdout
    assert json_of(server, *owed)["accountId"] == account
    assert "nothing is owed" in daybook(server, "receivables", "--account", "nobody").stdout
