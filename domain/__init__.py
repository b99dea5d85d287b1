"""The rules: what an invoice is and what may happen to it. Standard library only."""
