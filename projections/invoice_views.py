"""What people see of the read model `invoices` with plain SQL: every invoice, and sums by account."""

from __future__ import annotations

from .projection import View

ALL_INVOICES = View(
    name="invoices",
    about="Every invoice as it stands: one row each, of any status. Worked out from the log.",
    columns={
        "invoice_id": ("invoice_id", "Its id, for ever."),
        "unique_identifier": ("unique_identifier", "The sender's own key; null where it brought none."),
        "number": ("number", "Its number; null before it has one. Of one legal entity, no two share it."),
        "status": ("status", "DRAFT, POSTED, CANCELED (a draft that was given up) or VOIDED."),
        "tax_status": ("tax_status", "How far its tax is: PENDING, ESTIMATED or POSTED."),
        "settlement": (
            "settlement",
            "NOT_APPLICABLE before posting; NOT_SETTLED, PARTIALLY_SETTLED, SETTLED.",
        ),
        "legal_entity_id": ("legal_entity_id", "The company that invoices."),
        "account_id": ("account_id", "Who is invoiced."),
        "reference_kind": ("reference_kind", "What it was made from: ORDER, DEBIT_MEMO, and others."),
        "reference_id": ("reference_id", "The id of what it was made from."),
        "source_system": ("source_system", "The system that it was imported from."),
        "source_id": ("source_id", "Its id there."),
        "purchase_order_number": ("purchase_order_number", "The buyer's order."),
        "invoice_date": ("invoice_date", "The date on the invoice."),
        "due_date": ("due_date", "When it is to be paid."),
        "posted_date": ("posted_date", "When it was posted, where the legal entity is; null for drafts."),
        "currency": ("currency", "Of all amounts in this row, as ISO 4217 has it."),
        "total": ("total", "All lines, without tax."),
        "total_with_tax": ("total_with_tax", "All lines, with tax."),
        "balance": ("balance", "What is open."),
        "line_count": ("line_count", "How many lines it has."),
        "labels": ("labels", "Names and values that the sender gave it, as JSON."),
        "version": ("version", "How many events it has; in the log, its stream's version."),
        "created": ("created", "When its first event was recorded."),
        "updated": ("updated", "When its newest event was recorded."),
        "position": ("position", "Where its newest event stands in the log."),
    },
)
BY_ACCOUNT = View(
    name="invoices_by_account",
    about="What each account was invoiced: a row for each account, legal entity, currency and status.",
    columns={
        "account_id": ("account_id", "Who is invoiced."),
        "legal_entity_id": ("legal_entity_id", "The company that invoices."),
        "currency": ("currency", "Of all amounts in this row, as ISO 4217 has it."),
        "status": ("status", "DRAFT, POSTED, CANCELED or VOIDED."),
        "invoices": ("count(*)", "How many invoices there are of these."),
        "total": ("sum(total)", "All their lines, without tax."),
        "total_with_tax": ("sum(total_with_tax)", "All their lines, with tax."),
        "balance": ("sum(balance)", "What is open of them."),
        "first_invoice_date": ("min(invoice_date)", "The earliest of their dates."),
        "last_invoice_date": ("max(invoice_date)", "The latest of their dates."),
    },
    source="{table} GROUP BY account_id, legal_entity_id, currency, status",
)
