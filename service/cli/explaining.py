"""Where each tax of an invoice comes from, on paper."""

from __future__ import annotations

from daybook.v1 import invoice_pb2 as pb

from .forms import choice, day
from .printing import add, bare_table, console, number


def print_explanations(invoice: pb.Invoice) -> None:
    screen = console()
    if not any(line.tax_explanations for line in invoice.lines):
        screen.print("No tax of this invoice was worked out; what there is was brought.")
        return
    table = bare_table()
    for name in ("#", "tax", "engine", "rate", "basis"):
        table.add_column(name)
    for name in ("taken of", "rate in %", "amount"):
        table.add_column(name, justify="right")
    for name in ("rounding", "rules of", "reference data at"):
        table.add_column(name)
    for line in invoice.lines:
        for row, why in zip(line.content.taxes, line.tax_explanations, strict=False):
            add(
                table,
                str(line.line_number),
                row.name,
                f"{why.engine_id} ({why.engine_version})",
                f"{why.rate_id} v{why.rate_version}" if why.rate_id else why.jurisdiction.name,
                choice(pb.TaxRowBasis.DESCRIPTOR, why.basis),
                number(why.taxable_amount),
                row.rate.value,
                number(row.amount),
                why.rounding.replace("_", " ").lower() or "the engine's",
                day(why.effective_date),
                why.reference_data_position,
            )
    screen.print(table)
