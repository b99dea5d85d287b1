"""`daybook cancel`, `revise` and `update`: changes to one invoice, each answered with how it stands now."""

from __future__ import annotations

from uuid import uuid4

import typer

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb

from . import faults
from .forms import message
from .in_full import print_invoice
from .invoice_verbs import Change
from .options import Author, Named, Service, Shape, Stop
from .printing import console, invoice_table, print_invoices
from .reading import labels_of
from .remote import authored, ingestion, key_of, remote, understood, written_in


def cancel(service: Service, author: Author, shape: Shape, named: Named) -> None:
    shape.check()
    request = authored(service_pb.CancelInvoiceRequest(key=key_of(named)), author)
    with remote(service) as there:
        answer = there.invoices.CancelInvoice(request, timeout=service.timeout, metadata=author.metadata())
    said(answer.invoice, shape, "was canceled already" if answer.replayed else "canceled")


def revise(
    service: Service,
    author: Author,
    shape: Shape,
    *,
    file: str,
    named: Named,
    expected_version: int,
    request_id: str,
    dry_run: bool,
) -> None:
    shape.check()
    written = written_in(file)
    content = understood(ingestion(written.tree), written.place).invoice
    request = service_pb.ReviseInvoiceRequest(
        key=revised(named, content),
        invoice=content,
        expected_version=expected_version,
        request_id=request_id or str(uuid4()),
        validate_only=dry_run,
    )
    with remote(service) as there:
        answer = there.invoices.ReviseInvoice(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    if answer.findings:
        for each in answer.findings:
            typer.echo(faults.finding_line(faults.found(each)), err=True)
        raise typer.Exit(faults.REFUSED)
    if dry_run:
        print_invoice(answer.invoice, shape)
    else:
        said(answer.invoice, shape, "stood so already" if answer.replayed else "revised")


def revised(named: Named, content: pb.InvoiceContent) -> service_pb.InvoiceKey:
    if any((named.invoice, named.key, named.number)):
        return key_of(named)
    if not content.unique_identifier:
        raise Stop("the file has no unique identifier; say which invoice")
    return service_pb.InvoiceKey(unique_identifier=content.unique_identifier)


def update(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    change: Change,
    *,
    expected_version: int,
    request_id: str,
) -> None:
    shape.check()
    request = service_pb.UpdateInvoiceRequest(
        key=key_of(named),
        change=changed(change),
        expected_version=expected_version,
        request_id=request_id or str(uuid4()),
    )
    request.update_mask.paths.extend(mask(change))
    if not request.update_mask.paths:
        raise Stop("say what to change: --description, --label, --reference-kind …")
    with remote(service) as there:
        answer = there.invoices.UpdateInvoice(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    said(answer.invoice, shape, "stood so already" if answer.replayed else "updated")


def changed(change: Change) -> service_pb.InvoiceChange:
    if change.label and change.no_labels:
        raise Stop("--label and --no-labels exclude each other")
    if refers(change) and change.no_reference:
        raise Stop("--reference-… and --no-reference exclude each other")
    new = service_pb.InvoiceChange(description=change.description or "")
    for key, value in labels_of(change.label).items():
        new.labels[key] = str(value)
    if refers(change):
        new.reference.CopyFrom(reference_of(change))
    return new


def refers(change: Change) -> bool:
    return any(
        (change.reference_kind, change.reference_id, change.reference_system, change.reference_kind_name)
    )


def reference_of(change: Change) -> pb.Reference:
    parts = {
        "kind": change.reference_kind or None,
        "id": change.reference_id,
        "system": change.reference_system,
        "kind_name": change.reference_kind_name,
    }
    return understood(message(pb.Reference, dict(parts), "reference"), "this reference")


def mask(change: Change) -> list[str]:
    meant = {
        "description": change.description is not None,
        "labels": bool(change.label) or change.no_labels,
        "reference": refers(change) or change.no_reference,
    }
    return [name for name, is_meant in meant.items() if is_meant]


def said(invoice: pb.Invoice, shape: Shape, what: str) -> None:
    """How the invoice stands now."""
    if shape.as_json or shape.as_csv:
        print_invoices([[invoice]], shape)
        return
    screen = console()
    screen.print(invoice_table([invoice], screen.width))
    screen.print(what)
