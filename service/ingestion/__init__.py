"""Ingests invoices: one, many at once, and in streams. A part of the servicer of invoices."""

from .ingestion import Ingestion, tax_is_due
from .replies import Replies, write_findings
from .window import Window

__all__ = ["Ingestion", "Replies", "Window", "tax_is_due", "write_findings"]
