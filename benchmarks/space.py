"""What space an invoice takes: in the log, and in the read models, indexes included."""

from __future__ import annotations

from .goals import BYTES, Goal, told
from .postgres import Postgres

SIZE = """
    SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
    WHERE relkind IN ('r', 'm') AND relnamespace = '{schema}'::regnamespace
"""


def measured(postgres: Postgres, database: str, invoices: int) -> list[Goal]:
    """Of a book of so many invoices, all of them alike."""
    return [
        told(f"{what}, an invoice", [postgres.count(database, SIZE.format(schema=schema)) / invoices], BYTES)
        for what, schema in (
            ("the log, with what is personal and indexes", "daybook"),
            ("all read models, with indexes", "projections"),
        )
    ]
