"""Payment terms and the due dates that follow from them."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from enum import StrEnum
from typing import assert_never


class TermType(StrEnum):
    PERIOD_BASED = "PERIOD_BASED"
    EOM_PLUS_X = "EOM_PLUS_X"


def due_date(kind: TermType, days: int, invoice_date: date) -> date:
    """Invoice date plus days, or the last day of its month plus days."""
    match kind:
        case TermType.PERIOD_BASED:
            start = invoice_date
        case TermType.EOM_PLUS_X:
            start = invoice_date.replace(day=monthrange(invoice_date.year, invoice_date.month)[1])
        case _:
            assert_never(kind)
    return start + timedelta(days=days)
