"""Audit packs: one file about some invoices, with all that proves it, for people who have nothing of ours."""
