"""What must hold of engines, treatments and rates by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from ..dates import check_date
from ..findings import Findings, Rule, shown
from ..money import CURRENCIES
from ..texts import check_required, check_text
from .entries import EngineType, TaxEngine, TaxRate, TaxTreatment

CODE_MAX = 80
ITEMS_MAX = 1_000  # products of one treatment
TIMEOUT_MS_MAX = 60_000
PERCENT_MOST = Decimal(1000)
PRIORITY_MOST = 1_000_000
RATES_MAX = 10_000  # of one question what if

_COUNTRY = re.compile(r"[A-Z]{2}").fullmatch
_ENDPOINT = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}").fullmatch


def check_engine(engine: TaxEngine, path: str, findings: Findings) -> None:
    check_text(engine.seller_code, f"{path}.seller_code", findings)
    remote = engine.type is EngineType.REMOTE
    if remote != bool(engine.endpoint) or (remote and not _ENDPOINT(engine.endpoint)):
        findings.add(f"{path}.endpoint", Rule.ENDPOINT, value=shown(engine.endpoint))
    if not 0 <= engine.timeout_ms <= TIMEOUT_MS_MAX:
        facts = {"least": 0, "most": TIMEOUT_MS_MAX, "value": engine.timeout_ms}
        findings.add(f"{path}.timeout_ms", Rule.OUT_OF_RANGE, **facts)


def check_treatment(treatment: TaxTreatment, path: str, findings: Findings) -> None:
    check_text(treatment.tax_code, f"{path}.tax_code", findings, limit=CODE_MAX)
    check_text(treatment.product_code, f"{path}.product_code", findings, limit=CODE_MAX)
    if treatment.engine_id and not treatment.taxable:
        findings.add(f"{path}.engine_id", Rule.NAMES_ENGINE, value=shown(treatment.engine_id))
    if len(treatment.items) > ITEMS_MAX:
        findings.add(f"{path}.items", Rule.TOO_MANY, limit=ITEMS_MAX, count=len(treatment.items))
        return
    first: dict[str, str] = {}
    for index, item in enumerate(treatment.items):
        at = f"{path}.items[{index}]"
        check_required(item.product_id, f"{at}.product_id", findings)
        check_text(item.tax_code, f"{at}.tax_code", findings, limit=CODE_MAX)
        check_text(item.product_code, f"{at}.product_code", findings, limit=CODE_MAX)
        if (stands := first.setdefault(item.product_id, at)) is not at:
            facts = {"value": shown(item.product_id), "first": stands}
            findings.add(f"{at}.product_id", Rule.DUPLICATE, **facts)


def check_rate(rate: TaxRate, path: str, findings: Findings) -> None:
    check_required(rate.tax_code, f"{path}.tax_code", findings, limit=CODE_MAX)
    check_text(rate.state, f"{path}.state", findings, limit=CODE_MAX)
    check_text(rate.product_code, f"{path}.product_code", findings, limit=CODE_MAX)
    if not _COUNTRY(rate.country):
        findings.add(f"{path}.country", Rule.COUNTRY, value=shown(rate.country))
    if rate.currency and rate.currency not in CURRENCIES:
        findings.add(f"{path}.currency", Rule.CURRENCY, value=shown(rate.currency))
    if (rate.percentage is None) == (rate.flat_amount is None):
        findings.add(f"{path}.percentage", Rule.PERCENT_OR_FLAT)
    if rate.percentage is not None and abs(rate.percentage) > PERCENT_MOST:
        _out_of_range(f"{path}.percentage", PERCENT_MOST, rate.percentage, findings)
    if rate.priority is not None and abs(rate.priority) > PRIORITY_MOST:
        _out_of_range(f"{path}.priority", PRIORITY_MOST, rate.priority, findings)
    _check_dates(rate, path, findings)


def check_rates(rates: Sequence[TaxRate], path: str, findings: Findings) -> None:
    """Rates that stand for themselves, whether or not the book has what they name."""
    if len(rates) > RATES_MAX:
        findings.add(path, Rule.TOO_MANY, limit=RATES_MAX, count=len(rates))
        return
    first: dict[str, str] = {}
    for index, rate in enumerate(rates):
        at = f"{path}[{index}]"
        check_required(rate.id, f"{at}.id", findings)
        check_required(rate.name, f"{at}.name", findings)
        check_rate(rate, at, findings)
        if (stands := first.setdefault(rate.id, at)) is not at:
            findings.add(f"{at}.id", Rule.DUPLICATE, value=shown(rate.id), first=f"{stands}.id")


def _out_of_range(path: str, most: Decimal | int, value: Decimal | int, findings: Findings) -> None:
    findings.add(path, Rule.OUT_OF_RANGE, least=-most, most=most, value=value)


def _check_dates(rate: TaxRate, path: str, findings: Findings) -> None:
    start, end = rate.start_date, rate.end_date
    if start is not None:
        check_date(start, f"{path}.start_date", findings)
    if end is not None:
        check_date(end, f"{path}.end_date", findings)
    if start is not None and end is not None and end < start:
        findings.add(f"{path}.end_date", Rule.ENDS_BEFORE_START, start=start, end=end)
