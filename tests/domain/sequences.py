"""Sequence policies for tests about numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from domain import reference
from domain.reference import Comparison, SequenceCondition, SequencePolicy

INVOICES = SequencePolicy("invoices", "Invoices", "de", "R-{SequenceValue}", width=5)


def a_policy(id: str = "invoices", **changes: Any) -> SequencePolicy:  # noqa: A002
    return replace(INVOICES, id=id, **changes)


def where(field: str, value: str) -> SequenceCondition:
    return SequenceCondition(field, Comparison.EQUALS, value)


def unless(field: str, value: str) -> SequenceCondition:
    return SequenceCondition(field, Comparison.NOT_EQUALS, value)


def required(*policies: SequencePolicy) -> tuple[reference.Entry, ...]:
    """The policies, and a setting that wants a number of everything that is posted."""
    settings = reference.Settings("net-30", "de", "standard", number_required_at_posting=True)
    return (*policies, settings)
