"""What a tax engine is: it is asked about all its lines of an invoice at once, and answers with rows.

The rate-table engine is here and pure. Engines elsewhere are called by the service, and answer the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum

from .money import CURRENCIES, ZERO, Currency, Rounding
from .reference import Basis, Rated, RateTable, TaxRate

RATE_TABLE_VERSION = "rate-table/1"
ROUNDING = Rounding.HALF_AWAY_FROM_ZERO
HUNDREDTHS = -2

# Wide enough that nothing is rounded before a row's amount is.
_EXACT = Context(prec=120, rounding=ROUND_HALF_UP)


class TransactionType(StrEnum):
    """Which way the money goes."""

    DEBIT = "DEBIT"
    CREDIT = "CREDIT"  # the invoice comes to less than nothing


@dataclass(frozen=True, slots=True)
class Place:
    """An address as an engine is told it. Parts that were erased are empty."""

    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    latitude: Decimal | None = None
    longitude: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line as an engine is asked about it."""

    number: int
    amount: Decimal
    quantity: Decimal
    unit_price: Decimal
    tax_code: str
    product_code: str
    product_id: str
    name: str
    ship_to: Place
    bill_to: Place
    ship_from: Place | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """All lines of one invoice for one engine."""

    engine_id: str
    document_code: str
    transaction_type: TransactionType
    transaction_date: date  # today, where the legal entity is
    effective_date: date  # whose rules hold
    currency: str
    legal_entity_id: str
    account_id: str
    seller_code: str
    lines: tuple[Line, ...]
    commit: bool = False  # the result is to be filed under the document code


class RowBasis(StrEnum):
    """What a row's amount was worked out of."""

    GROSS = "GROSS"
    NET = "NET"
    FLAT = "FLAT"
    ENGINE = "ENGINE"  # an engine elsewhere knows


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """Whose tax it is."""

    country: str = ""
    level: str = ""
    name: str = ""
    region: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class EstimatedRow:
    """One tax on one line, and what it was worked out of."""

    amount: Decimal
    rate: Decimal
    name: str
    taxable_amount: Decimal
    basis: RowBasis
    rate_id: str = ""
    rate_version: int | None = None
    exempt_amount: Decimal | None = None
    exempt_reason: str = ""
    transaction_number: str = ""
    imposition_type: str = ""
    jurisdiction: Jurisdiction | None = None


@dataclass(frozen=True, slots=True)
class EstimatedLine:
    """The taxes of one line; none where no rate matches."""

    number: int
    tax_code: str = ""
    rows: tuple[EstimatedRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine says to a request: each of its lines, once."""

    engine_version: str
    lines: tuple[EstimatedLine, ...] = field(default_factory=tuple)


def estimate(request: Request, rates: RateTable) -> Answer:
    """The rate-table engine: every matching rate makes a row, in order; no match, no tax."""
    currency = CURRENCIES[request.currency]
    lines = tuple(
        EstimatedLine(
            line.number, line.tax_code, rows(line.amount, _matching(line, request, rates), currency)
        )
        for line in request.lines
    )
    return Answer(RATE_TABLE_VERSION, lines)


def _matching(line: Line, request: Request, rates: RateTable) -> list[Rated]:
    place = line.ship_to
    criteria = (
        place.state.strip().casefold(),
        line.product_code,
        request.legal_entity_id,
        request.currency,
    )
    return rates.matching(line.tax_code, place.country.strip().upper(), criteria, request.effective_date)


def rows(charge: Decimal, rates: Iterable[Rated], currency: Currency) -> tuple[EstimatedRow, ...]:
    """The rows of one line. Each is rounded, and what is taken of the net is taken of rounded amounts."""
    made: list[EstimatedRow] = []
    net = charge
    for each in rates:
        row = _row(charge, net, each, currency)
        made.append(row)
        net += row.amount
    return tuple(made)


def _row(charge: Decimal, net: Decimal, rated: Rated, currency: Currency) -> EstimatedRow:
    rate = rated.rate
    if rate.flat_amount is not None:
        flat = -rate.flat_amount if charge < 0 else rate.flat_amount
        return _made(flat, ZERO, charge, RowBasis.FLAT, rated, currency)
    assert rate.percentage is not None
    basis, of = _basis(rate, charge, net)
    share = _EXACT.multiply(of, rate.percentage).scaleb(HUNDREDTHS, _EXACT)
    return _made(share, rate.percentage, of, basis, rated, currency)


def _basis(rate: TaxRate, charge: Decimal, net: Decimal) -> tuple[RowBasis, Decimal]:
    return (RowBasis.NET, net) if rate.basis is Basis.NET else (RowBasis.GROSS, charge)


def _made(
    exact: Decimal, percentage: Decimal, of: Decimal, basis: RowBasis, rated: Rated, currency: Currency
) -> EstimatedRow:
    amount = exact.quantize(currency.unit, ROUNDING.value, _EXACT)
    return EstimatedRow(
        amount=amount or abs(amount),  # there is no negative zero in a book
        rate=percentage,
        name=rated.rate.name,
        taxable_amount=of,
        basis=basis,
        rate_id=rated.rate.id,
        rate_version=rated.version or None,
    )
