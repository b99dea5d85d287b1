"""The command line against a real service: what people see, what programs read, and the exit status."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from typer.testing import CliRunner, Result

from service.cli import app

from ..serving import serving

SAMPLES = Path(__file__).parents[2] / "samples"
REFERENCE = str(SAMPLES / "reference.yaml")


@pytest.fixture(scope="module")
def server(shop: str) -> str:
    return shop


@pytest.fixture
def key() -> str:
    return f"test:{uuid4()}"


def test_an_invoice_goes_in_and_is_shown_in_full(server: str, key: str) -> None:
    said = ingest(server, invoice(key, posted=f"RE-{key}"))
    assert f"recorded  EUR          11.90  posted    RE-{key}" in said.stdout
    assert "1 recorded in" in said.stdout
    position = record(server, invoice(key, posted=f"RE-{key}"))
    shown = daybook(server, "show", key, "--min-position", position).stdout
    for text in ("Hanse Windkraft AG (ACC-1)", "Am Sandtorkai 41", "Sensor", "Umsatzsteuer", "EUR 11.90"):
        assert text in shown
    assert "due date            2026-12-02 (filled in)" in shown


def test_the_same_file_again_changes_nothing(server: str, key: str) -> None:
    first = ingest(server, invoice(key), "--json")
    again = ingest(server, invoice(key), "--json")
    assert [outcome(first), outcome(again)] == ["recorded", "replayed"]
    assert answer(first)["position"] == answer(again)["position"]


def test_a_keyless_invoice_gets_a_key_of_its_content_and_of_how_often_it_stands_there(server: str) -> None:
    keyless = invoice("", name=str(uuid4()))
    said = [json.loads(line) for line in ingest(server, [keyless, keyless], "--json").stdout.splitlines()]
    keys = [each["uniqueIdentifier"] for each in said]
    assert [each["outcome"] for each in said] == ["recorded", "recorded"]
    assert [text.rsplit(":", 1)[1] for text in keys] == ["1", "2"]
    assert keys[0].startswith("file:")
    again = ingest(server, [keyless, keyless, keyless], "--json").stdout.splitlines()
    assert [json.loads(line)["outcome"] for line in again] == ["replayed", "replayed", "recorded"]


def test_other_content_under_the_same_key_is_refused_naming_what_differs(server: str, key: str) -> None:
    ingest(server, invoice(key))
    said = ingest(server, invoice(key, name="Gateway"), status=1)
    assert "refused" in said.stdout
    assert "INGESTED_DIFFERENTLY" in said.stdout
    assert "lines[0].name" in said.stdout


def test_what_was_refused_is_written_down_mended_and_sent_again(
    server: str, key: str, tmp_path: Path
) -> None:
    good, bad = invoice(key), invoice(f"{key}:2", currency="EURO")
    refused = tmp_path / "refused.jsonl"
    said = ingest(server, [good, bad], "--refused", str(refused), status=1)
    assert f"1 recorded, 1 refused (see {refused})" in said.stdout
    (kept,) = (json.loads(line) for line in refused.read_text().splitlines())
    assert kept["errors"][0]["path"] == "invoice.currency_code"
    assert kept["errors"][0]["rule"] == "CURRENCY"
    kept["invoice"]["currency_code"] = "EUR"
    mended = tmp_path / "mended.jsonl"
    mended.write_text(json.dumps(kept))
    assert "1 recorded" in daybook(server, "ingest", str(mended)).stdout


def test_what_is_read_is_not_written_over(server: str, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(invoice("k")))
    daybook(server, "ingest", str(file), "--refused", str(tmp_path / "." / "x.jsonl"), status=2)
    assert file.read_text()


def test_a_dry_run_checks_everything_and_records_nothing(server: str, key: str) -> None:
    valid = json.loads(ingest(server, invoice(key), "--dry-run", "--json").stdout)
    assert valid["outcome"] == "valid"
    assert [line["content"]["name"] for line in valid["invoice"]["lines"]] == ["Sensor"]
    daybook(server, "show", "--key", key, status=1)
    said = ingest(server, invoice(key, currency="EURO"), "--dry-run", status=1)
    assert "invoice.currency_code: an ISO 4217 code" in said.stdout


def test_results_stand_in_the_order_of_the_file(server: str, key: str) -> None:
    many = [invoice(f"{key}:{n}") for n in range(60)]
    said = ingest(server, many, "--csv", "--window", "32")
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    assert [row["unique_identifier"] for row in rows] == [f"{key}:{n}" for n in range(60)]
    assert {row["total_with_tax"] for row in rows} == {"10.00"}
    assert "60 recorded" in said.stderr


def test_quiet_says_only_what_was_refused(server: str, key: str) -> None:
    said = ingest(server, [invoice(key), invoice(f"{key}:2", currency="")], "--quiet", status=1)
    assert said.stdout.count("recorded  ") == 0
    assert "invoice.currency_code: required" in said.stdout


def test_a_list_is_filtered_paged_and_counted(server: str, key: str) -> None:
    label = key.replace(":", "-")
    position = record(server, *(invoice(f"{key}:{n}", label=label) for n in range(7)))
    wanted = ("list", "--label", f"run={label}", "--min-position", position, "--json")
    keys = [f"{key}:{n}" for n in reversed(range(7))]
    assert listed(daybook(server, *wanted, "--all")) == keys
    assert listed(daybook(server, *wanted, "--limit", "3")) == keys[:3]
    table = daybook(server, "list", "--label", f"run={label}").stdout
    assert "7 invoices" in table
    assert "Hanse Windkraft AG" in table
    rows = csv.DictReader(io.StringIO(daybook(server, "list", "--label", f"run={label}", "--csv").stdout))
    assert {(row["total"], row["currency_code"], row["status"]) for row in rows} == {
        ("10.00", "EUR", "draft")
    }


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        (("--account", "ACC-1", "--status", "draft"), 1),
        (("--status", "posted", "--status", "voided"), 0),
        (("--settlement", "not-applicable"), 1),
        (("--overdue",), 0),
        (("--date-from", "2026-11-02", "--date-to", "2026-11-02"), 1),
        (("--date-from", "2026-11-03"), 0),
        (("--due-from", "2026-12-02", "--due-to", "2026-12-02"), 1),
        (("--posted-from", "2026-01-01"), 0),
        (("--posted-to", "2026-01-01"), 0),
        (("--reference-kind", "order", "--reference-id", "SO-1"), 1),
        (("--reference-kind", "quote"), 0),
        (("--total-min", "10", "--total-max", "10.00"), 1),
        (("--total-min", "10.01"), 0),
        (("--currency", "EUR", "--legal-entity", "nl-de"), 1),
        (("--source-system", "erp", "--source-id", "1"), 1),
        (("--purchase-order", "PO-1"), 1),
        (("--number", "RE-0"), 0),
    ],
)
def test_every_condition_of_a_list_counts(server: str, conditions: tuple[str, ...], count: int) -> None:
    position = record(server, invoice("test:conditions", label="conditions"))
    said = daybook(
        server, "list", "--label", "run=conditions", *conditions, "--json", "--min-position", position
    )
    assert len(listed(said)) == count


def test_an_order_lists_what_names_it_in_its_reference_or_in_a_line(server: str, key: str) -> None:
    order = f"SO-{uuid4()}"
    by_reference = invoice(f"{key}:1", order=order)
    by_line = invoice(f"{key}:2")
    by_line["lines"][0]["reference"] = {"order_id": order}
    position = record(server, by_reference, by_line)
    said = daybook(server, "order", order, "--json", "--min-position", position)
    assert listed(said) == [f"{key}:2", f"{key}:1"]
    assert f"order {order}: 2 invoices" in daybook(server, "order", order).stdout


def test_an_order_that_no_invoice_names_has_none(server: str) -> None:
    assert daybook(server, "order", "SO-nobody").stdout == "order SO-nobody: no invoices\n"
    assert daybook(server, "order", "SO-nobody", "--json").stdout == ""


def test_an_invoice_is_found_by_each_of_its_names(server: str, key: str) -> None:
    position = record(server, invoice(key, posted=key))
    by_key = answer(daybook(server, "show", "--key", key, "--json", "--min-position", position))
    names = (
        (by_key["invoiceId"],),
        (by_key["invoiceId"].upper(),),
        (key,),
        ("--number", key, "--legal-entity", "nl-de"),
    )
    for name in names:
        assert answer(daybook(server, "show", *name, "--json"))["invoiceId"] == by_key["invoiceId"]


@pytest.mark.parametrize(
    "names", [(), ("a", "--key", "b"), ("--number", "1"), ("--key", "a", "--legal-entity", "nl-de")]
)
def test_one_name_is_needed_and_one_is_enough(server: str, names: tuple[str, ...]) -> None:
    said = daybook(server, "show", *names, status=2).stderr
    assert "say which invoice" in said or "go together" in said


def test_all_lines_are_shown_however_many(server: str, key: str) -> None:
    long = invoice(key)
    long["lines"] = [dict(long["lines"][0], name=f"Sensor {n}") for n in range(1203)]
    position = record(server, long)
    shown = answer(daybook(server, "show", key, "--json", "--min-position", position))
    assert [line["content"]["name"] for line in shown["lines"]] == [f"Sensor {n}" for n in range(1203)]
    rows = list(csv.DictReader(io.StringIO(daybook(server, "show", key, "--csv").stdout)))
    assert sum(Decimal(row["charge_amount"]) for row in rows) == Decimal("12030.00")


def test_what_a_line_comes_to_has_all_the_decimals_of_its_currency(server: str, key: str) -> None:
    said = invoice(key)
    [line] = said["lines"]
    said["lines"] = [line | {"charge_amount": "7"}, line | {"charge_amount": "7.5"}]
    position = record(server, said)
    rows = csv.DictReader(
        io.StringIO(daybook(server, "show", key, "--csv", "--min-position", position).stdout)
    )
    found = [(row["charge_amount"], row["tax_amount"], row["amount_with_tax"]) for row in rows]
    assert found == [("7.00", "0.00", "7.00"), ("7.50", "0.00", "7.50")]


def test_a_draft_is_canceled_revised_and_updated(server: str, key: str, tmp_path: Path) -> None:
    ingest(server, invoice(key))
    assert "canceled" in daybook(server, "cancel", key, "--reason", "not wanted").stdout
    assert "was canceled already" in daybook(server, "cancel", key).stdout
    file = tmp_path / "revised.yaml"
    file.write_text(yaml.safe_dump(invoice(key, name="Gateway")))
    assert "total" in daybook(server, "revise", str(file), "--dry-run").stdout
    revised = answer(daybook(server, "revise", str(file), "--json"))
    assert (revised["status"], revised["lineCount"]) == ("INVOICE_STATUS_DRAFT", 1)
    assert "stood so already" in daybook(server, "revise", str(file)).stdout
    updated = answer(
        daybook(server, "update", key, "--description", "new", "--label", "a=b", "--label", "c=", "--json")
    )
    assert updated["content"]["labels"] == {"a": "b", "c": ""}
    assert updated["content"]["description"] == "new"
    bare = answer(daybook(server, "update", key, "--description", "", "--no-labels", "--json"))["content"]
    assert "labels" not in bare
    assert "description" not in bare


def test_a_revision_that_breaks_rules_tells_them(server: str, key: str, tmp_path: Path) -> None:
    ingest(server, invoice(key))
    file = tmp_path / "revised.yaml"
    file.write_text(yaml.safe_dump(invoice(key, currency="EURO")))
    for how in ((), ("--dry-run",)):
        assert (
            "invoice.currency_code: an ISO 4217"
            in daybook(server, "revise", str(file), *how, status=1).stderr
        )
    stale = invoice(key, name="Gateway")
    file.write_text(yaml.safe_dump(stale))
    said = daybook(server, "revise", str(file), "--expected-version", "99", status=1)
    assert "VERSION_MOVED" in said.stderr


def test_a_posted_invoice_changes_its_reference(server: str, key: str) -> None:
    ingest(server, invoice(key, posted=key))
    said = daybook(
        server,
        "update",
        key,
        "--reference-kind",
        "order",
        "--reference-id",
        "SO-77",
        "--json",
        "--as",
        "Jürgen",
    )
    assert answer(said)["content"]["reference"] == {"kind": "REFERENCE_KIND_ORDER", "id": "SO-77"}


def test_a_posted_invoice_cannot_be_canceled(server: str, key: str) -> None:
    ingest(server, invoice(key, posted=key))
    assert "NOT_DRAFT" in daybook(server, "cancel", key, status=1).stderr
    error = json.loads(daybook(server, "cancel", key, "--json", status=1).stderr)
    assert (error["code"], error["reason"]) == ("FAILED_PRECONDITION", "NOT_DRAFT")


@pytest.mark.parametrize(
    "arguments",
    [
        ("update", "x"),
        ("update", "x", "--label", "novalue"),
        ("update", "x", "--label", "a=b", "--no-labels"),
        ("update", "x", "--reference-id", "1", "--no-reference"),
        ("list", "--json", "--csv"),
        ("list", "--tls-cert", "x.pem"),
        ("list", "--tls-ca", "/no/such/file.pem"),
        ("list", "--limit", "0"),
        ("ingest", "/no/such/file.yaml"),
        ("ingest", "-", "-"),
        ("ingest",),
        ("revise", "/no/such/file.yaml"),
        ("reference", "apply", "/no/such/file.yaml"),
        ("nonsense",),
    ],
)
def test_a_command_that_is_wrong_ends_with_status_2(server: str, arguments: tuple[str, ...]) -> None:
    assert daybook(server, *arguments, status=2).stderr


def test_conditions_that_cannot_be_said_are_told(server: str) -> None:
    said = daybook(server, "list", "--status", "final", "--date-from", "2.11.2026", status=1)
    assert "filter.invoice_date_from: a date such as 2026-04-01" in said.stderr
    assert "filter.statuses[0]: one of draft, posted, canceled, voided; is 'final'" in said.stderr


def test_a_service_that_is_not_there_ends_with_status_3_and_a_probe_with_1() -> None:
    for verb in (("show", "x"), ("list",), ("reference", "show")):
        assert "cannot be reached" in daybook("127.0.0.1:1", *verb, "--timeout", "2", status=3).stderr
    assert "unavailable" in daybook("127.0.0.1:1", "status", status=1).stdout


def test_a_service_that_serves_says_so(server: str) -> None:
    assert daybook(server, "status").stdout == f"{server}: serving\n"
    assert "serving" in daybook(server, "status", "--of", "daybook.v1.InvoiceService").stdout
    assert "not found" in daybook(server, "status", "--of", "nothing", status=1).stdout


def test_what_is_shown_of_the_reference_data_can_be_applied_again(server: str, tmp_path: Path) -> None:
    shown = daybook(server, "reference", "show").stdout
    file = tmp_path / "again.yaml"
    file.write_text(shown)
    assert "0 changed" in daybook(server, "reference", "apply", str(file), "--prune").stdout
    assert yaml.safe_load(shown)["payment_terms"][0]["days"] == 0
    assert "days: 0\n" in shown
    assert "taxable: false\n" in shown


def test_a_dry_run_shows_the_difference_and_a_stale_base_is_refused(server: str, tmp_path: Path) -> None:
    before = daybook(server, "reference", "show").stdout
    file = tmp_path / "change.yaml"
    file.write_text(
        "payment_terms:\n- {id: net-14, name: a fortnight, type: period_based, days: 14}\n"
        "- {id: new, name: New, type: EOM_PLUS_X, days: 3}\n"
    )
    said = daybook(server, "reference", "apply", str(file), "--dry-run").stdout
    assert "~   payment term   net-14   name: 14 days net → a fortnight" in said
    assert "+   payment term   new" in said
    assert "2 would change" in said
    assert daybook(server, "reference", "show").stdout == before
    assert "STALE_BASE" in daybook(server, "reference", "apply", str(file), "--base", "999", status=1).stderr


def test_reference_data_that_cannot_be_said_is_told_with_its_path(server: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("payment_term:\n- {id: x}\n")
    said = daybook(server, "reference", "apply", str(file), status=1).stderr
    assert "data.payment_term: unknown field 'payment_term'; did you mean payment_terms?" in said
    file.write_text("legal_entities:\n- {id: x, name: X, time_zone: Mars/Olympus}\n")
    assert (
        "data.legal_entities[0].time_zone"
        in daybook(server, "reference", "apply", str(file), status=1).stderr
    )


@pytest.mark.long
def test_an_empty_book_says_how_to_load_reference_data() -> None:
    with serving() as empty:
        said = ingest(empty, invoice("k"), status=1)
        assert "daybook reference apply FILE" in said.output
        assert "version 0" in daybook(empty, "reference", "show").stdout


def invoice(
    key: str,
    *,
    name: str = "Sensor",
    currency: str = "EUR",
    posted: str = "",
    label: str = "",
    order: str = "",
) -> dict[str, Any]:
    """An invoice as a person would write it."""
    line = {
        "name": name,
        "start_date": "2026-11-02",
        "end_date": "2026-11-02",
        "quantity": "1",
        "unit_price": "10.00",
        "charge_amount": "10.00",
    }
    tax = {
        "transaction_number": "T-1",
        "name": "Umsatzsteuer",
        "code": "DE-S",
        "rate": "0.19",
        "amount": "1.90",
        "effective_date": "2026-11-02",
        "document_number": "D-1",
    }
    address = {
        "key": "main",
        "street": "Am Sandtorkai 41",
        "city": "Hamburg",
        "state": "Hamburg",
        "postal_code": "20457",
        "country": "DE",
    }
    return {
        "unique_identifier": key,
        "account_id": "ACC-1",
        "account_name": "Hanse Windkraft AG",
        "bill_to_contact_id": "CON-1",
        "invoice_date": "2026-11-02",
        "currency_code": currency,
        "purchase_order_number": "PO-1",
        "source": {"system": "erp", "id": "1"},
        "reference": {"kind": "order", "id": order or "SO-1"},
        "labels": {"run": label} if label else {},
        "address_groups": [address],
        "billing_address": "main",
        "shipping_address": "main",
        "lines": [line | ({"taxes": [tax]} if posted else {})],
        **({"status": "posted", "tax_status": "posted", "invoice_number": posted} if posted else {}),
    }


def ingest(server: str, what: object, *options: str, status: int = 0) -> Result:
    return daybook(server, "ingest", "-", *options, status=status, typed=json.dumps(what))


def daybook(server: str, *arguments: str, status: int = 0, typed: str = "") -> Result:
    result = CliRunner().invoke(app, list(arguments), input=typed, env={"DAYBOOK_SERVER": server})
    assert result.exit_code == status, result.output
    return result


def answer(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout.splitlines()[0]))


def outcome(result: Result) -> str:
    return str(answer(result)["outcome"])


def listed(result: Result) -> list[str]:
    return [json.loads(line)["content"]["uniqueIdentifier"] for line in result.stdout.splitlines()]


def record(server: str, *what: dict[str, Any]) -> str:
    """Ingests one after the other; the position of the last."""
    said = ingest(server, list(what), "--json", "--window", "1")
    return str(json.loads(said.stdout.splitlines()[-1])["position"])
