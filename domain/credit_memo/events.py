"""What happens to a credit memo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from ..invoice.events import TaxRow
from ..invoice.settlement_events import CreditOrigin


@dataclass(frozen=True, slots=True)
class Header:
    """A credit memo without its lines. It is always made of an invoice of this book."""

    invoice_id: UUID
    origin: CreditOrigin
    account_id: str
    currency: str
    legal_entity_id: str
    invoice_number: str = ""
    accounting_period_id: str = ""
    reason_code: str = ""


@dataclass(frozen=True, slots=True)
class CreditMemoPosted:
    """Stands first in every credit memo, which is final from the beginning."""

    header: Header
    posted_date: date
    size: int  # events of this append in the memo's stream, this one included


@dataclass(frozen=True, slots=True)
class CreditMemoLineAdded:
    """Credits so much, without tax, and the taxes of that."""

    number: int
    name: str
    credit: Decimal  # has the sign of what it takes back
    invoice_line: int = 0  # that it mirrors; 0 where it stands for the whole invoice
    rows: tuple[TaxRow, ...] = ()
    start_date: date | None = None
    end_date: date | None = None
    tax_treatment_id: str = ""
    product_id: str = ""
    product_name: str = ""


@dataclass(frozen=True, slots=True)
class CreditMemoApplied:
    """It takes so much off the balance of an invoice."""

    application_id: UUID
    invoice_id: UUID
    amount: Decimal
    effective_date: date
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class CreditMemoUnapplied:
    """An application was taken back, whole."""

    application_id: UUID
    amount: Decimal
    effective_date: date
    request_id: str = ""


Event = CreditMemoPosted | CreditMemoLineAdded | CreditMemoApplied | CreditMemoUnapplied
EVENTS: tuple[type, ...] = (CreditMemoPosted, CreditMemoLineAdded, CreditMemoApplied, CreditMemoUnapplied)
