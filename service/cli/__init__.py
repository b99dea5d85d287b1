"""`daybook`: the command line; all but `serve`, `migrate`, `tax-engine` and `demo` are its clients.

Exit status: 0 well; 1 the service said no; 2 the command itself is wrong; 3 the service could not be asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from . import (
    audit_verbs,
    edition_verbs,
    invoice_verbs,
    memo_verbs,
    projection_verbs,
    proof_verbs,
    reference_verbs,
    server_verbs,
    settlement_verbs,
    tax_verbs,
)
from .options import verb

app = typer.Typer(
    name="daybook",
    help="A company's sales day book: every invoice written down once, in order, and never rubbed out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
memo = typer.Typer(no_args_is_help=True, help="Debit memos: charged later, invoiced once.")
payment = typer.Typer(no_args_is_help=True, help="Payments: recorded, and taken back.")
credit = typer.Typer(no_args_is_help=True, help="Credit memos: made of invoices, applied to invoices.")
reference = typer.Typer(no_args_is_help=True, help="The data that decisions rest on.")
projections = typer.Typer(
    invoke_without_command=True, help="How the read models fare; and how to work them out anew."
)
editions = typer.Typer(invoke_without_command=True, help="Lists as they were.")
seal_key = typer.Typer(no_args_is_help=True, help="The keys that sign the seals of the log.")

VERBS: dict[str, Callable[..., None]] = {
    "serve": server_verbs.serve,
    "ingest": invoice_verbs.ingest,
    "order": invoice_verbs.order,
    "show": invoice_verbs.show,
    "list": invoice_verbs.list_,
    "post": invoice_verbs.post,
    "numbers": invoice_verbs.numbers,
    "cancel": invoice_verbs.cancel,
    "void": settlement_verbs.void,
    "write-off": settlement_verbs.write_off,
    "receivables": settlement_verbs.receivables,
    "revise": invoice_verbs.revise,
    "update": invoice_verbs.update,
    **audit_verbs.VERBS,
    "estimate": tax_verbs.estimate,
    "unfinished": tax_verbs.unfinished,
    "tax-engine": tax_verbs.tax_engine,
    "rebuild": projection_verbs.rebuild,
    "verify": proof_verbs.verify,
    "receipt": proof_verbs.receipt,
    "export": proof_verbs.export,
    "status": server_verbs.status,
    "migrate": server_verbs.migrate,
    "backup": server_verbs.backup,
    "restore": server_verbs.restore,
    "demo": server_verbs.demo,
}
for name, command in VERBS.items():
    app.command(name)(verb(command))
for name, command in memo_verbs.VERBS.items():
    memo.command(name)(verb(command))
app.add_typer(memo, name="memo")
for name, command in settlement_verbs.PAYMENT_VERBS.items():
    payment.command(name)(verb(command))
app.add_typer(payment, name="payment")
for name, command in settlement_verbs.CREDIT_VERBS.items():
    credit.command(name)(verb(command))
app.add_typer(credit, name="credit")
reference.command("apply")(verb(reference_verbs.apply))
reference.command("show")(verb(reference_verbs.show))
app.add_typer(reference, name="reference")
projections.callback()(verb(projection_verbs.projections))
for name, command in projection_verbs.VERBS.items():
    projections.command(name)(verb(command))
app.add_typer(projections, name="projections")
editions.callback()(verb(edition_verbs.editions))
for name, command in edition_verbs.VERBS.items():
    editions.command(name)(verb(command))
app.add_typer(editions, name="editions")
for name, command in proof_verbs.SEAL_KEY_VERBS.items():
    seal_key.command(name)(verb(command))
app.add_typer(seal_key, name="seal-key")


def main() -> None:
    """The entry of the installed command."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
