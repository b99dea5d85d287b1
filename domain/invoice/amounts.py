"""The rules of amounts: in units of the invoice's currency, nothing rounded, and sums that stay exact."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ..findings import Findings, Rule
from ..money import ZERO, Currency
from .events import LineAdded, TaxImported

TOTAL_DIGITS_MAX = 18  # before the decimal point; a total is told in 64 bits

_TOTAL_MOST = Decimal(10) ** TOTAL_DIGITS_MAX


def check_amount(
    amount: Decimal | None, path: str, currency: Currency | None, findings: Findings
) -> Decimal | None:
    """The amount in units of the currency; None where it is missing or finer than that."""
    if amount is None:
        findings.add(path, Rule.REQUIRED)
        return None
    if currency is None:
        return None  # which is a finding of its own
    exact = currency.exactly(amount)
    if exact is None:
        facts = {"currency": currency.code, "decimals": currency.decimals, "value": amount}
        findings.add(path, Rule.FINER_THAN_CURRENCY, **facts)
    return exact


def check_total(lines: Iterable[LineAdded], taxes: Iterable[TaxImported], findings: Findings) -> None:
    """Whatever is summed up of them later, in whatever order, stays within bounds."""
    charges = sum((abs(line.charge) for line in lines), ZERO)
    rows = sum((abs(row.amount) for tax in taxes for row in tax.rows), ZERO)
    if charges + rows >= _TOTAL_MOST:
        findings.add("invoice.lines", Rule.TOTAL_TOO_LARGE, limit=TOTAL_DIGITS_MAX)
