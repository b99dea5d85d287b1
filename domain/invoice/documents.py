"""The documents of an invoice at engines elsewhere: filed as it is posted, voided when it does not count."""

from __future__ import annotations

from .events import TaxVoidRequested
from .state import Invoice


def void_documents(invoice: Invoice, because: str) -> tuple[TaxVoidRequested, ...]:
    """What else happens when an invoice, or the posting of a draft, is given up."""
    filed = tuple(invoice.posting.documents.values())
    return (TaxVoidRequested(filed, because),) if filed else ()
