"""The samples are what they say: good ones are recorded, faulty ones get the errors beside them."""

import json
from collections import Counter
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daybook.v1 import invoice_pb2 as pb
from domain.findings import Rule
from domain.money import CURRENCIES
from service.cli import app
from service.cli.files import Reading
from service.cli.remote import ingestion
from service.cli.trees import Tree

from .serving import serving

SAMPLES = Path(__file__).parents[1] / "samples"
INVOICES = tuple(str(path) for path in sorted((SAMPLES / "invoices").iterdir()))
FAULTY = tuple(str(path) for path in sorted((SAMPLES / "faulty").glob("*.yaml")))
WITHOUT_DEFAULTS = SAMPLES / "faulty/without-defaults"
BYTES_MAX = 300_000  # of all samples together

WITHOUT_SAMPLE = {
    Rule.TOTAL_TOO_LARGE,  # takes a thousand lines
    Rule.MEMO_BRINGS,  # take a posted debit memo
    Rule.MEMO_DIFFERS,
    Rule.MEMO_STAYS_DRAFT,
    # and what no ingestion can break:
    Rule.AFTER_TODAY,
    Rule.COUNTRY,
    Rule.DRY_RUN_ONLY,
    Rule.ENDPOINT,
    Rule.MASK,
    Rule.NAMES_ENGINE,
    Rule.MEMO_STAYS,
    Rule.NOT_CHANGEABLE,
    Rule.NOT_POSITIVE,
    Rule.PAGE_TOKEN,
    Rule.SET_FOR_ALL,
    Rule.PATTERN,
    Rule.PERCENT_OR_FLAT,
    Rule.PERIODS_OVERLAP,
    Rule.POSITION,
    Rule.RESTART_WITHOUT_DATE,
    Rule.SAME_PATTERN,
    Rule.SERIES_BEGUN,
    Rule.STAYS_DRAFT,
    Rule.STILL_USED,
    Rule.TIME_ZONE,
    Rule.UNIQUE_IDENTIFIER_DIFFERS,
    Rule.INSTANT,
    Rule.EDITION_NAME,
    Rule.EITHER,
    Rule.NO_VERSION,
    Rule.UUID_TEXT,
    Rule.HEX_TEXT,
}


def test_the_faulty_samples_get_just_the_errors_that_stand_beside_them(shop: str) -> None:
    found = told("ingest", "--dry-run", *FAULTY, server=shop)
    assert found == beside(*FAULTY)


@pytest.mark.long
def test_without_defaults_the_samples_get_the_errors_that_stand_beside_them() -> None:
    faulty = str(WITHOUT_DEFAULTS / "defaults.yaml")
    with serving() as bare:
        run("reference", "apply", str(WITHOUT_DEFAULTS / "reference.yaml"), "--server", bare)
        assert told("ingest", "--dry-run", faulty, server=bare) == beside(faulty)


def test_nearly_every_rule_of_ingestion_has_a_faulty_sample() -> None:
    samples = beside(*FAULTY, str(WITHOUT_DEFAULTS / "defaults.yaml"))
    shown = {rule for errors in samples.values() for _, rule in errors}
    assert {rule.name for rule in set(Rule) - WITHOUT_SAMPLE} - shown == set()


def test_a_refused_sample_writes_nothing_and_the_good_ones_are_recorded(shop: str) -> None:
    drafted = ("feed", "--type", "InvoiceDrafted", "--until-now", "--server", shop)
    before = run(*drafted)
    run("ingest", *FAULTY, "--server", shop, status=1)
    assert run(*drafted) == before
    said = run("ingest", *INVOICES, "--server", shop, "--window", "1", "--json")
    answers = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert Counter(answer["outcome"] for answer in answers) == {"recorded": len(contents())}
    seen = ("--server", shop, "--min-position", answers[-1]["position"])
    assert len(run("order", "SO-2026-00417", *seen, "--json").splitlines()) == 6


def test_there_are_samples_of_all_that_an_invoice_can_be() -> None:
    every = contents()
    lines = [line for content in every for line in content.lines]
    decimals = {CURRENCIES[content.currency_code].decimals for content in every}
    orders = Counter(content.reference.id for content in every if is_order(content.reference))
    assert len(every) >= 25
    assert decimals == {0, 2, 3}
    assert len({content.currency_code for content in every}) >= 10
    assert orders.most_common(1)[0][1] >= 5
    assert {content.reference.kind for content in every} >= {
        pb.REFERENCE_KIND_ORDER,
        pb.REFERENCE_KIND_ORDER_SUMMARY,
        pb.REFERENCE_KIND_OPPORTUNITY,
        pb.REFERENCE_KIND_QUOTE,
        pb.REFERENCE_KIND_OTHER,
        pb.REFERENCE_KIND_UNSPECIFIED,
    }
    assert any(not is_order(c.reference) and any(n.reference.order_id for n in c.lines) for c in every)
    assert any(len(line.taxes) >= 4 for line in lines)
    assert any(line.HasField("usage_overage_quantity") for line in lines)
    assert any(line.ship_from_address for line in lines)
    assert any(all(line.charge_amount.value.startswith("-") for line in content.lines) for content in every)
    assert max(len(content.lines) for content in every) == 500
    assert {bool(content.unique_identifier) for content in every} == {True, False}


def test_a_charge_is_quantity_times_price_unless_it_says_why_not() -> None:
    for content in contents():
        unit = CURRENCIES[content.currency_code].unit
        for line in content.lines:
            product = Decimal(line.quantity.value) * Decimal(line.unit_price.value)
            agreed = abs(product - Decimal(line.charge_amount.value)) < unit
            assert agreed or line.description, (content.unique_identifier, line.name, product)


def test_a_tax_is_what_its_rate_makes_of_what_is_not_exempt() -> None:
    for content in contents():
        unit = CURRENCIES[content.currency_code].unit
        for line in content.lines:
            for row in line.taxes:
                rate = Decimal(row.rate.value)
                fraction = rate if rate < 1 else rate / 100
                base = Decimal(line.charge_amount.value) - Decimal(row.exempt_amount.value or 0)
                assert abs(base * fraction - Decimal(row.amount.value)) < unit, (
                    content.invoice_number,
                    row.name,
                )


def test_the_samples_are_light() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < BYTES_MAX


Errors = dict[str, list[tuple[str, str]]]


def beside(*names: str) -> Errors:
    """The errors that stand beside each invoice in these files, by its place."""
    found: Errors = {}
    for written in Reading(names, stdin()):
        assert isinstance(written.tree, dict)
        errors = written.tree["errors"]
        assert isinstance(errors, list)
        found[written.place] = sorted(map(path_and_rule, errors))
    return found


def told(*arguments: str, server: str) -> Errors:
    """The errors that each invoice got, by its place."""
    said = run(*arguments, "--server", server, "--json", status=1)
    answers = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {each["place"]: sorted(map(path_and_rule, each["errors"])) for each in answers}


def path_and_rule(error: Tree) -> tuple[str, str]:
    assert isinstance(error, dict)
    return str(error["path"]), str(error["rule"])


def contents() -> list[pb.InvoiceContent]:
    read = [ingestion(written.tree) for written in Reading(INVOICES, stdin())]
    assert not any(problems for _, problems in read)
    return [request.invoice for request, _ in read]


def is_order(reference: pb.Reference) -> bool:
    return reference.kind == pb.REFERENCE_KIND_ORDER


def stdin() -> BytesIO:
    return BytesIO()


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == status, result.output
    return result.stdout
