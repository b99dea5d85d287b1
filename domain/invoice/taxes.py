"""The rules of tax rows that a sender brings: kept verbatim, never worked out again."""

from __future__ import annotations

from operator import attrgetter

from ..dates import check_required_date
from ..findings import Findings, Rule
from ..money import ZERO, Currency
from ..texts import check_free_text, check_required
from .amounts import check_amount
from .content import LineContent, TaxContent
from .events import TaxImported, TaxRow, TaxTexts

TAX_ROWS_PER_LINE_MAX = 100

_NAMES = ("transaction_number", "name", "code", "document_number")
_names = attrgetter(*_NAMES)
_NO_TEXTS = TaxTexts()


def check_taxes(
    number: int, line: LineContent, path: str, currency: Currency | None, findings: Findings
) -> TaxImported | None:
    """The taxes of the line with this number; None where something is wrong."""
    path = f"{path}.taxes"
    if len(line.taxes) > TAX_ROWS_PER_LINE_MAX:
        findings.add(path, Rule.TOO_MANY, limit=TAX_ROWS_PER_LINE_MAX, count=len(line.taxes))
        return None
    rows = tuple(
        row
        for index, said in enumerate(line.taxes)
        if (row := _check_row(said, f"{path}[{index}]", currency, findings))
    )
    descriptions = tuple(row.description for row in line.taxes)
    return TaxImported(number, rows, TaxTexts(descriptions) if any(descriptions) else _NO_TEXTS)


def _check_row(said: TaxContent, path: str, currency: Currency | None, findings: Findings) -> TaxRow | None:
    for name, value in zip(_NAMES, _names(said), strict=True):
        check_required(value, f"{path}.{name}", findings)
    check_free_text(said.description, f"{path}.description", findings)
    check_required_date(said.effective_date, f"{path}.effective_date", findings)
    if said.rate is None:
        findings.add(f"{path}.rate", Rule.REQUIRED)
    exempt = ZERO if said.exempt_amount is None else said.exempt_amount
    exempt_amount = check_amount(exempt, f"{path}.exempt_amount", currency, findings)
    amount = check_amount(said.amount, f"{path}.amount", currency, findings)
    if findings or said.rate is None or said.effective_date is None:
        return None
    assert amount is not None
    assert exempt_amount is not None
    return TaxRow(
        transaction_number=said.transaction_number,
        amount=amount,
        rate=said.rate,
        name=said.name,
        code=said.code,
        effective_date=said.effective_date,
        document_number=said.document_number,
        exempt_amount=exempt_amount,
    )
