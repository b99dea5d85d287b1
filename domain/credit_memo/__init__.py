"""A credit memo: what an invoice charged and nobody owes. Made of an invoice, and applied to invoices."""

from ..invoice.settlement_events import CreditOrigin
from .decide import (
    NOTHING,
    ApplicationNotFound,
    Apply,
    CreditElsewhere,
    CreditStays,
    Decision,
    MoreThanCredit,
    NotFound,
    Unapply,
    UsedUp,
    require_left,
)
from .events import (
    EVENTS,
    CreditMemoApplied,
    CreditMemoLineAdded,
    CreditMemoPosted,
    CreditMemoUnapplied,
    Event,
    Header,
)
from .state import Application, CreditMemo, Totals, evolve, fold, tax_of

__all__ = [
    "EVENTS",
    "NOTHING",
    "Application",
    "ApplicationNotFound",
    "Apply",
    "CreditElsewhere",
    "CreditMemo",
    "CreditMemoApplied",
    "CreditMemoLineAdded",
    "CreditMemoPosted",
    "CreditMemoUnapplied",
    "CreditOrigin",
    "CreditStays",
    "Decision",
    "Event",
    "Header",
    "MoreThanCredit",
    "NotFound",
    "Totals",
    "Unapply",
    "UsedUp",
    "evolve",
    "fold",
    "require_left",
    "tax_of",
]
