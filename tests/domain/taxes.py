"""Rates, engines and treatments for tests about tax."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from domain import invoice, reference, tax
from domain.money import CURRENCIES
from domain.reference import At, Basis, Entry, TaxRate, set_event

from .examples import NOW, REFERENCE, RULES, an_address, an_invoice

ENGINE = reference.TaxEngine("rates", "Rates", reference.EngineType.RATE_TABLE)
SECOND = reference.TaxEngine("rates-2", "Others", reference.EngineType.RATE_TABLE)
FAR = reference.TaxEngine("far", "Far away", reference.EngineType.REMOTE, "127.0.0.1:1")
TAXED = reference.TaxTreatment("taxed", "Taxed", True, "T", engine_id="rates")
TAXED_TWO = reference.TaxTreatment("taxed-2", "Taxed otherwise", True, "U", engine_id="rates-2")
TAXED_FAR = reference.TaxTreatment("taxed-far", "Taxed far away", True, "F", engine_id="far")
UNTAXED = reference.TaxTreatment("untaxed", "Untaxed", False)
DAY = date(2026, 11, 20)


def a_rate(id: str, percentage: str = "", /, **changes: Any) -> TaxRate:  # noqa: A002
    rate = TaxRate(id, f"Tax {id}", "T", "DE", percentage=Decimal(percentage) if percentage else None)
    return replace(rate, **changes)


def flat(id: str, amount: str, /, **changes: Any) -> TaxRate:  # noqa: A002
    return a_rate(id, flat_amount=Decimal(amount), **changes)


def net(id: str, percentage: str, /, **changes: Any) -> TaxRate:  # noqa: A002
    return a_rate(id, percentage, basis=Basis.NET, **changes)


def rules(*entries: Entry) -> invoice.Rules:
    """The rules with these entries applied, one after the other, on top of the examples'."""
    standing = (ENGINE, SECOND, FAR, TAXED, TAXED_TWO, TAXED_FAR, UNTAXED)
    at = REFERENCE.position
    events = [
        (set_event(each), At(1, at + number, NOW - timedelta(days=1)))
        for number, each in enumerate((*standing, *entries), 1)
    ]
    return replace(RULES, reference=reference.fold(REFERENCE, events))


def taxes(charge: str, *rates: TaxRate, currency: str = "EUR") -> list[str]:
    """The rows of one line that all these rates match."""
    matching = reference.table(rates).matching("T", "DE", ("", "", "", currency), DAY)
    return [str(row.amount) for row in tax.rows(Decimal(charge), matching, CURRENCIES[currency])]


def a_draft(*lines: invoice.LineContent, **changes: Any) -> invoice.Content:
    """A draft that asks for its tax."""
    content = an_invoice(should_calculate_tax=True, address_groups=(an_address(),), lines=lines)
    return replace(content, **changes)
