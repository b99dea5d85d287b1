"""Ingests invoices: one, many at once, and in streams. A part of the servicer of invoices."""

from .ingestion import AT_ONCE, Ingestion, failure, tax_is_due
from .replies import Replies, write_findings
from .window import Window

__all__ = ["AT_ONCE", "Ingestion", "Replies", "Window", "failure", "tax_is_due", "write_findings"]
