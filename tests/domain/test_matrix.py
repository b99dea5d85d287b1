"""Status, tax status, calculation, treatment and tax rows: every combination."""

from __future__ import annotations

from itertools import product

import pytest

from domain.findings import Rule
from domain.invoice import Content, Ingest, Status, TaxStatus

from .examples import a_line, a_posted_invoice, a_tax, an_invoice
from .spec import when

ANY = object()
SOME = object()

# status, tax status, calculate, taxable, rows: as the rules are written down, not as they are coded
ACCEPTED = [
    (Status.DRAFT, TaxStatus.PENDING, ANY, ANY, 0),
    (Status.DRAFT, TaxStatus.ESTIMATED, ANY, ANY, ANY),
    (Status.POSTED, TaxStatus.POSTED, False, True, SOME),
    (Status.POSTED, TaxStatus.POSTED, False, False, 0),
]
REFUSED = [
    ((Status.DRAFT, TaxStatus.PENDING, ANY, ANY, SOME), Rule.TAX_ROWS_WHILE_PENDING),
    ((Status.DRAFT, TaxStatus.POSTED, ANY, ANY, ANY), Rule.TAX_POSTED_ON_DRAFT),
    ((Status.POSTED, TaxStatus.PENDING, ANY, ANY, ANY), Rule.TAX_NOT_POSTED),
    ((Status.POSTED, TaxStatus.ESTIMATED, ANY, ANY, ANY), Rule.TAX_NOT_POSTED),
    ((Status.POSTED, ANY, True, ANY, ANY), Rule.CALCULATE_ON_POSTED),
    ((Status.POSTED, ANY, ANY, True, 0), Rule.TAX_ROW_MISSING),
    ((Status.POSTED, ANY, ANY, False, SOME), Rule.TAX_ROW_ON_NONTAXABLE),
]
PATHS = {
    Rule.TAX_ROWS_WHILE_PENDING: "invoice.lines[0].taxes",
    Rule.TAX_POSTED_ON_DRAFT: "invoice.tax_status",
    Rule.TAX_NOT_POSTED: "invoice.tax_status",
    Rule.CALCULATE_ON_POSTED: "invoice.should_calculate_tax",
    Rule.TAX_ROW_MISSING: "invoice.lines[0].taxes",
    Rule.TAX_ROW_ON_NONTAXABLE: "invoice.lines[0].taxes",
}
CASES = list(
    product([None, Status.DRAFT, Status.POSTED], [None, *TaxStatus], [False, True], [False, True], [0, 1, 2])
)


def holds(pattern: tuple[object, ...], case: tuple[object, ...]) -> bool:
    return all(
        want is ANY or (bool(have) if want is SOME else want == have)
        for want, have in zip(pattern, case, strict=True)
    )


def content(
    status: Status | None, tax_status: TaxStatus | None, calculate: bool, taxable: bool, rows: int
) -> Content:
    base = a_posted_invoice() if status is Status.POSTED else an_invoice()
    treatment = "standard" if taxable else "exempt"
    line = a_line(tax_treatment_id=treatment, taxes=tuple(a_tax(name=f"tax {n}") for n in range(rows)))
    return an_invoice(
        status=status,
        tax_status=tax_status,
        should_calculate_tax=calculate,
        posted_date=base.posted_date,
        invoice_number=base.invoice_number,
        lines=(line,),
    )


@pytest.mark.parametrize(("status", "tax_status", "calculate", "taxable", "rows"), CASES)
def test_the_matrix_decides(
    status: Status | None, tax_status: TaxStatus | None, calculate: bool, taxable: bool, rows: int
) -> None:
    case = (status or Status.DRAFT, tax_status or TaxStatus.PENDING, calculate, taxable, rows)
    accepted = any(holds(pattern, case) for pattern in ACCEPTED)
    faults = {PATHS[rule]: rule for pattern, rule in REFUSED if holds(pattern, case)}
    assert accepted == (not faults), "the table contradicts itself"
    when(Ingest(content(status, tax_status, calculate, taxable, rows))).finds_all(faults)


def test_taxable_and_nontaxable_lines_stand_together_on_a_posted_invoice() -> None:
    lines = (a_line(taxes=(a_tax(),)), a_line(tax_treatment_id="exempt"))
    when(Ingest(a_posted_invoice(lines=lines))).finds_all({})


def test_each_line_is_held_against_the_matrix() -> None:
    lines = (a_line(), a_line(taxes=(a_tax(),)), a_line(tax_treatment_id="exempt", taxes=(a_tax(),)))
    when(Ingest(a_posted_invoice(lines=lines))).finds_all(
        {
            "invoice.lines[0].taxes": Rule.TAX_ROW_MISSING,
            "invoice.lines[2].taxes": Rule.TAX_ROW_ON_NONTAXABLE,
        }
    )


def test_the_default_treatment_decides_whether_a_line_is_taxable() -> None:
    when(Ingest(a_posted_invoice(lines=(a_line(),)))).finds("invoice.lines[0].taxes", Rule.TAX_ROW_MISSING)


@pytest.mark.parametrize("status", [Status.CANCELED, Status.VOIDED])
def test_an_invoice_is_ingested_as_draft_or_posted(status: Status) -> None:
    when(Ingest(an_invoice(status=status))).finds("invoice.status", Rule.DRAFT_OR_POSTED)


def test_rows_on_a_pending_draft_are_found_even_where_the_treatment_is_unknown() -> None:
    line = a_line(tax_treatment_id="none such", taxes=(a_tax(),))
    when(Ingest(an_invoice(lines=(line,)))).finds_all(
        {
            "invoice.lines[0].taxes": Rule.TAX_ROWS_WHILE_PENDING,
            "invoice.lines[0].tax_treatment_id": Rule.NO_SUCH_ENTRY,
        }
    )
