"""Exact amounts: currencies and their smallest units, decimals as callers write them, rounding as asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from enum import Enum

from .findings import Rule, shown

TEXT_MAX = 40  # characters of a decimal
INTEGER_DIGITS_MAX = 15
DECIMALS_MAX = 12  # of quantities, unit prices and rates
COORDINATE_DECIMALS_MAX = 15

_ORDINARY = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,12})?").fullmatch  # within every bound at a glance
_DECIMAL = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?").fullmatch
_TOO_LARGE = Decimal(10) ** INTEGER_DIGITS_MAX
ZERO = Decimal(0)


class Rounding(Enum):
    """How the last unit falls."""

    HALF_AWAY_FROM_ZERO = ROUND_HALF_UP
    HALF_EVEN = ROUND_HALF_EVEN


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 currency and how many decimals its smallest unit has."""

    code: str
    decimals: int
    unit: Decimal

    def rounded(self, amount: Decimal, rounding: Rounding) -> Decimal:
        return amount.quantize(self.unit, rounding.value)

    def exactly(self, amount: Decimal) -> Decimal | None:
        """The same amount in this currency's units, or None where it is finer than the smallest."""
        whole = amount.quantize(self.unit)
        return whole if whole == amount else None


class NotDecimal(Exception):
    """A text is not a decimal that can be kept."""

    def __init__(self, rule: Rule, **facts: object) -> None:
        self.rule = rule
        self.facts = facts
        super().__init__(rule.value.format(**facts))


def decimal(text: str, decimals_max: int = DECIMALS_MAX) -> Decimal:
    """Reads a decimal as a caller wrote it, verbatim; bounded before any arithmetic sees it."""
    if _ORDINARY(text) and decimals_max >= DECIMALS_MAX:
        return _unsigned(Decimal(text))
    if len(text) > TEXT_MAX or not _DECIMAL(text):
        raise NotDecimal(Rule.DECIMAL, value=shown(text))
    point = text.find(".")
    if point >= 0 and len(text) - point - 1 > decimals_max:
        raise NotDecimal(Rule.TOO_FINE, limit=decimals_max, count=len(text) - point - 1)
    value = Decimal(text)
    if abs(value) >= _TOO_LARGE:
        raise NotDecimal(Rule.TOO_LARGE, limit=INTEGER_DIGITS_MAX)
    return _unsigned(value)


def _unsigned(value: Decimal) -> Decimal:
    """There is no negative zero in a book."""
    return value or abs(value)


def plain(value: Decimal) -> str:
    """A decimal as text without exponent."""
    return format(value, "f")


def normal(value: Decimal) -> str:
    """The one text of a value: 1, 1.0 and 1.00 are the same."""
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def _currencies(codes: str, decimals: int) -> dict[str, Currency]:
    unit = Decimal(1).scaleb(-decimals)
    return {code: Currency(code, decimals, unit) for code in codes.split()}


# ISO 4217: the active codes that have a smallest unit. No metals, bond units or test codes.
CURRENCIES: dict[str, Currency] = {
    **_currencies("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 0),
    **_currencies(
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
        "GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL "
        "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR "
        "PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
        "TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
        2,
    ),
    **_currencies("BHD IQD JOD KWD LYD OMR TND", 3),
    **_currencies("CLF UYW", 4),
}
