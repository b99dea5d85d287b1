"""What an invoice and its lines were made from."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from domain import billing, invoice
from domain.findings import Findings, Malformed, Rule
from domain.invoice import (
    Ingest,
    LineReferenceContent,
    LineReferenceKind,
    ReferenceContent,
    ReferenceKind,
    SourceContent,
)

from .examples import RULES, a_line, an_invoice, with_line
from .spec import INVOICE_ID, state_of, when

CREDIT_MEMO = UUID("6f1f7a0e-6d0c-5b0a-8f0e-2b7d3c1a9e55")
LINE = "invoice.lines[0].reference"
FREE_KINDS = [
    ReferenceKind.ORDER,
    ReferenceKind.OPPORTUNITY,
    ReferenceKind.ORDER_SUMMARY,
    ReferenceKind.QUOTE,
]


@pytest.mark.parametrize("kind", FREE_KINDS)
def test_a_foreign_document_is_not_looked_up(kind: ReferenceKind) -> None:
    when(Ingest(an_invoice(reference=ReferenceContent(kind, "whatever 7")))).finds_all({})


@pytest.mark.parametrize("kind", [ReferenceKind.DEBIT_MEMO, ReferenceKind.CREDIT_MEMO])
def test_a_memo_is_in_this_book(kind: ReferenceKind) -> None:
    asked = when(Ingest(an_invoice(reference=ReferenceContent(kind, "M-1"))))
    asked.finds("invoice.reference.id", Rule.NO_SUCH_MEMO)


def ingest_by_credit_memo(text: str) -> invoice.Decision:
    command = Ingest(an_invoice(reference=ReferenceContent(ReferenceKind.CREDIT_MEMO, text)))
    rules = replace(RULES, credit_memos=frozenset((CREDIT_MEMO,)))
    return billing.ingest(command, None, INVOICE_ID, rules, Findings())


@pytest.mark.parametrize("text", [str(CREDIT_MEMO), str(CREDIT_MEMO).upper()])
def test_a_credit_memo_of_this_book_is_called_by_its_id(text: str) -> None:
    content = an_invoice(reference=ReferenceContent(ReferenceKind.CREDIT_MEMO, text))
    assert billing.named(content) == {CREDIT_MEMO}
    drafted = ingest_by_credit_memo(text).events[0]
    assert isinstance(drafted, invoice.InvoiceDrafted)
    assert drafted.header.reference == invoice.Reference(ReferenceKind.CREDIT_MEMO, str(CREDIT_MEMO))


@pytest.mark.parametrize("text", ["M-1", str(UUID(int=8))])
def test_another_credit_memo_is_none_of_this_book(text: str) -> None:
    with pytest.raises(Malformed) as malformed:
        ingest_by_credit_memo(text)
    assert [each.rule for each in malformed.value.findings] == [Rule.NO_SUCH_MEMO]


def test_a_memos_line_is_in_this_book() -> None:
    reference = LineReferenceContent(LineReferenceKind.DEBIT_MEMO_LINE, "ML-1")
    when(Ingest(with_line(reference=reference))).finds(f"{LINE}.id", Rule.NO_SUCH_MEMO)


def test_every_kind_is_one_of_the_six_or_another_one_with_a_name() -> None:
    assert {kind.name for kind in ReferenceKind} == {
        "ORDER",
        "DEBIT_MEMO",
        "CREDIT_MEMO",
        "OPPORTUNITY",
        "ORDER_SUMMARY",
        "QUOTE",
        "OTHER",
    }


@pytest.mark.parametrize("kind", [*ReferenceKind])
@pytest.mark.parametrize("name", ["", "  ", "contract"])
def test_another_kind_and_only_another_kind_is_named(kind: ReferenceKind, name: str) -> None:
    found = when(Ingest(an_invoice(reference=ReferenceContent(kind, "X", kind_name=name)))).found()
    named = bool(name.strip())
    assert (found.get("invoice.reference.kind_name") is Rule.KIND_NAME) == (
        named != (kind is ReferenceKind.OTHER)
    )


def test_an_empty_reference_is_none() -> None:
    when(Ingest(an_invoice(reference=ReferenceContent()))).finds_all(
        {"invoice.reference.id": Rule.REQUIRED, "invoice.reference.kind": Rule.REQUIRED}
    )


@pytest.mark.parametrize(
    "reference",
    [
        LineReferenceContent(LineReferenceKind.ORDER_ITEM, "oi-1"),
        LineReferenceContent(LineReferenceKind.ORDER_ITEM, "oi-1", "O-1"),
        LineReferenceContent(order_id="O-1"),
        LineReferenceContent(LineReferenceKind.QUOTE_LINE_ITEM, "q-1", "O-1", "crm"),
        LineReferenceContent(LineReferenceKind.OTHER, "x", kind_name="delivery"),
    ],
)
def test_a_line_names_a_thing_an_order_or_both(reference: LineReferenceContent) -> None:
    (line,) = when(Ingest(with_line(reference=reference))).lines
    assert line.reference is not None
    assert (line.reference.kind, line.reference.id) == (reference.kind, reference.id)
    assert line.reference.order_id == reference.order_id


@pytest.mark.parametrize(
    ("reference", "path", "rule"),
    [
        (LineReferenceContent(), LINE, Rule.ID_OR_ORDER),
        (LineReferenceContent(system="crm"), LINE, Rule.ID_OR_ORDER),
        (LineReferenceContent(order_id="  "), LINE, Rule.ID_OR_ORDER),
        (LineReferenceContent(id="oi-1"), f"{LINE}.kind", Rule.REQUIRED),
        (LineReferenceContent(id="oi-1", order_id="O-1"), f"{LINE}.kind", Rule.REQUIRED),
        (LineReferenceContent(LineReferenceKind.ORDER_ITEM), f"{LINE}.id", Rule.REQUIRED),
        (LineReferenceContent(LineReferenceKind.ORDER_ITEM, order_id="O"), f"{LINE}.id", Rule.REQUIRED),
        (LineReferenceContent(LineReferenceKind.OTHER, "x"), f"{LINE}.kind_name", Rule.KIND_NAME),
        (
            LineReferenceContent(LineReferenceKind.ORDER_ITEM, "x", kind_name="y"),
            f"{LINE}.kind_name",
            Rule.KIND_NAME,
        ),
        (LineReferenceContent(order_id="O-1", kind_name="y"), f"{LINE}.kind_name", Rule.KIND_NAME),
    ],
)
def test_a_line_reference_is_whole(reference: LineReferenceContent, path: str, rule: Rule) -> None:
    when(Ingest(with_line(reference=reference))).finds(path, rule)


def test_an_invoice_belongs_to_the_order_it_refers_to_and_to_those_its_lines_name() -> None:
    def of(order: str) -> LineReferenceContent:
        return LineReferenceContent(order_id=order)

    lines = (
        a_line(reference=of("O-2")),
        a_line(),
        a_line(reference=of("O-3")),
        a_line(reference=of("O-2")),
    )
    content = an_invoice(reference=ReferenceContent(ReferenceKind.ORDER, "O-1"), lines=lines)
    assert when(Ingest(content)).becomes.order_ids == {"O-1", "O-2", "O-3"}


def test_a_reference_to_something_else_lists_the_invoice_under_no_order() -> None:
    content = an_invoice(reference=ReferenceContent(ReferenceKind.QUOTE, "O-1"))
    assert state_of(when(Ingest(content)).decide().events).order_ids == set()


def test_a_line_of_another_order_than_the_invoices_is_fine() -> None:
    line = a_line(reference=LineReferenceContent(order_id="O-9"))
    content = an_invoice(reference=ReferenceContent(ReferenceKind.ORDER, "O-1"), lines=(line,))
    when(Ingest(content)).finds_all({})


def test_a_source_names_its_system() -> None:
    when(Ingest(an_invoice(source=SourceContent(id="77")))).finds("invoice.source.system", Rule.REQUIRED)
    when(Ingest(an_invoice(source=SourceContent("legacy")))).finds_all({})
