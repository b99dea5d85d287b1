"""Calendar dates that a book takes."""

from __future__ import annotations

from datetime import date

from .findings import Findings, Rule

DATE_LEAST, DATE_MOST = date(1900, 1, 1), date(2999, 12, 31)


def is_taken(day: date) -> bool:
    return DATE_LEAST <= day <= DATE_MOST


def check_date(day: date, path: str, findings: Findings) -> None:
    if not is_taken(day):
        findings.add(path, Rule.OUT_OF_RANGE, least=DATE_LEAST, most=DATE_MOST, value=day)


def check_required_date(day: date | None, path: str, findings: Findings) -> None:
    if day is None:
        findings.add(path, Rule.REQUIRED)
    elif not is_taken(day):
        check_date(day, path, findings)
