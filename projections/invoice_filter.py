"""Which invoices a list shows: a filter, and the SQL condition that says the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from domain import invoice

Parameters = dict[str, object]


@dataclass(frozen=True, slots=True)
class Today:
    """The date of one instant, where each legal entity is; `elsewhere` where we know none."""

    elsewhere: date
    at: Mapping[str, date] = field(default_factory=dict)

    @property
    def latest(self) -> date:
        return max(self.elsewhere, *self.at.values()) if self.at else self.elsewhere


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """All of these conditions; what is empty or None does not matter. Ranges include their ends."""

    account_id: str = ""
    statuses: frozenset[invoice.Status] = frozenset()
    settlements: frozenset[invoice.Settlement] = frozenset()
    overdue: Today | None = None
    invoice_date_from: date | None = None
    invoice_date_to: date | None = None
    due_date_from: date | None = None
    due_date_to: date | None = None
    posted_date_from: date | None = None
    posted_date_to: date | None = None
    reference_kind: invoice.ReferenceKind | None = None
    reference_id: str = ""
    total_with_tax_min: Decimal | None = None
    total_with_tax_max: Decimal | None = None
    currency: str = ""
    source_system: str = ""
    source_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    purchase_order_number: str = ""
    legal_entity_id: str = ""
    number: str = ""


EVERY = InvoiceFilter()

EQUAL = (
    "account_id",
    "reference_kind",
    "reference_id",
    "currency",
    "source_system",
    "source_id",
    "purchase_order_number",
    "legal_entity_id",
    "number",
)
AT_LEAST = {
    "invoice_date_from": "invoice_date",
    "due_date_from": "due_date",
    "posted_date_from": "posted_date",
    "total_with_tax_min": "total_with_tax",
}
AT_MOST = {
    "invoice_date_to": "invoice_date",
    "due_date_to": "due_date",
    "posted_date_to": "posted_date",
    "total_with_tax_max": "total_with_tax",
}
# The first date is an index's; the second is the legal entity's own.
OVERDUE = """status = 'POSTED' AND balance > 0 AND due_date < %(latest_today)s
    AND due_date < coalesce((%(todays)s::jsonb ->> legal_entity_id)::date, %(today_elsewhere)s)"""


def condition(filter: InvoiceFilter) -> tuple[str, Parameters]:  # noqa: A002
    """The condition on a row of `invoices`, and its parameters. It names no table."""
    parameters: Parameters = {}
    parts = [*_equal(filter, parameters), *_ranges(filter, parameters), *_one_of(filter, parameters)]
    if filter.labels:
        parameters["labels"] = json.dumps(dict(filter.labels))
        parts.append("labels @> %(labels)s::jsonb")
    if filter.overdue is not None:
        parts.append(OVERDUE)
        parameters |= todays(filter.overdue)
    if _cannot_be_stored(filter):
        return "false", {}
    return " AND ".join(parts) or "true", parameters


def _equal(filter: InvoiceFilter, parameters: Parameters) -> Iterator[str]:  # noqa: A002
    for name in EQUAL:
        if value := getattr(filter, name):
            parameters[name] = str(value)
            yield f"{name} = %({name})s"


def _ranges(filter: InvoiceFilter, parameters: Parameters) -> Iterator[str]:  # noqa: A002
    for columns, sign in ((AT_LEAST, ">="), (AT_MOST, "<=")):
        for name, column in columns.items():
            if (value := getattr(filter, name)) is not None:
                parameters[name] = value
                yield f"{column} {sign} %({name})s"


def _one_of(filter: InvoiceFilter, parameters: Parameters) -> Iterator[str]:  # noqa: A002
    for column, values in (("status", filter.statuses), ("settlement", filter.settlements)):
        if len(values) == 1:
            parameters[column] = next(iter(values)).value
            yield f"{column} = %({column})s"
        elif values:
            parameters[column] = sorted(value.value for value in values)
            yield f"{column} = ANY(%({column})s)"


def todays(today: Today) -> Parameters:
    return {
        "latest_today": today.latest,
        "todays": json.dumps({entity: day.isoformat() for entity, day in today.at.items()}),
        "today_elsewhere": today.elsewhere,
    }


def _cannot_be_stored(filter: InvoiceFilter) -> bool:  # noqa: A002
    """No invoice holds a NUL, and PostgreSQL would not even be asked for one."""
    texts = [getattr(filter, name) for name in EQUAL if getattr(filter, name)]
    return any("\0" in text for text in (*texts, *filter.labels, *filter.labels.values()))
