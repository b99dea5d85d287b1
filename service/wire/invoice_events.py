"""What happens to an invoice and to its number, as it is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daybook.v1 import invoice_event_pb2 as pb
from domain import invoice, numbering
from domain.findings import shown
from domain.money import plain

from .invoices import Positioned, write_address, write_header, write_line, write_rows, write_tax_status
from .publishing import Published
from .values import write_date

NAMES = {"DEBIT_MEMO": "debit memo", "CREDIT_MEMO": "credit memo", "ORDER_SUMMARY": "order summary"}
NO_ENTITY = ""  # a line does not say whose it is: its invoice does


# Details


def _write_content(
    event: invoice.InvoiceDrafted | invoice.InvoiceRevised,
    detail: pb.InvoiceDrafted | pb.InvoiceRevised,
    position: Positioned,
) -> None:
    header, key = event.header, getattr(event, "unique_identifier", "")
    content = write_header(key, invoice.Status.DRAFT, header, event.personal, header.invoice_number, None)
    detail.content.CopyFrom(content)
    detail.defaulted.extend(header.defaulted)
    detail.fingerprint = event.fingerprint
    detail.today.CopyFrom(write_date(event.today))
    detail.reference_data_position = position(event.reference_position)
    detail.event_count = event.size


def _write_revised(event: invoice.InvoiceRevised, detail: pb.InvoiceRevised, position: Positioned) -> None:
    _write_content(event, detail, position)
    detail.request_id = event.request_id


def write_group(event: Any, detail: Any, position: Positioned) -> None:
    detail.address_group.CopyFrom(write_address(event))


def _write_line(event: invoice.LineAdded, detail: pb.LineAdded, position: Positioned) -> None:
    detail.line_number = event.number
    detail.content.CopyFrom(write_line(invoice.Line(event, event.tax_status), NO_ENTITY, position).content)
    detail.taxable = event.taxable
    detail.tax_status = write_tax_status(event.tax_status)


def write_taxes(event: Any, detail: Any, position: Positioned) -> None:
    detail.line_number = event.line
    detail.taxes.extend(write_rows(event.rows, event.personal))


# Sentences


def named(name: str, id_: str) -> str:
    """A thing by its name and its id; by its id alone where the name is erased or was never said."""
    return f"{name} ({id_})" if name and id_ else name or id_


def said(text: str) -> str:
    return f" “{text}”" if text else ""


def dated(event: invoice.InvoiceDrafted | invoice.InvoiceRevised) -> str:
    header, texts = event.header, event.personal or invoice.HeaderTexts()
    made = f", made from {referred(header.reference)}" if header.reference else ""
    number = f", number {header.invoice_number}" if header.invoice_number else ""
    account = named(texts.account_name, header.account_id)
    return (
        f"for account {account}, in {header.currency}, dated {header.invoice_date}, due {header.due_date}"
        f"{number}{made}"
    )


def referred(reference: invoice.Reference) -> str:
    kind = reference.kind_name or NAMES.get(reference.kind.name, reference.kind.name.lower())
    return f"{kind} {reference.id}"


def lined(event: Any) -> str:
    """A line of an invoice or a memo."""
    return (
        f"Line {event.number}, “{event.name}”: {plain(event.charge)} charged for {event.start_date} to"
        f" {event.end_date}"
    )


def addressed(event: Any) -> str:
    place = event.personal
    there = (
        ", ".join(filter(None, (place.street, f"{place.postal_code} {place.city}".strip()))) if place else ""
    )
    return f"Address “{event.group}”: {', '.join(filter(None, (there, event.state, event.country)))}"


def taxed(event: Any) -> str:
    rows = ", ".join(f"{row.name} {plain(row.amount)}" for row in event.rows)
    return f"Line {event.line} came with its taxes: {rows or 'none'}"


def _estimated(event: invoice.TaxEstimated) -> str:
    more = "" if not event.following else "; more engines answer"
    return (
        f"Tax of {lines(len(event.lines))} worked out by {event.engine_id or 'an engine'} by the rules of"
        f" {event.effective_date}: the invoice's tax is {plain(event.total_tax)}{more}"
    )


def lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"


def listed(numbers: Sequence[int]) -> str:
    shown_ = ", ".join(map(str, numbers[:10]))
    return f"{shown_}, …" if len(numbers) > 10 else shown_  # noqa: PLR2004


def _posted_tax(event: invoice.TaxPosted) -> str:
    return (
        f"Tax of {lines(len(event.lines))} worked out for good by {event.engine_id or 'an engine'}, by the"
        f" rules of {event.effective_date}: the invoice's tax is {plain(event.total_tax)}"
    )


def _documents(documents: Sequence[invoice.TaxDocument]) -> str:
    return ", ".join(f"{each.document_code} at {each.engine_id}" for each in documents)


def _called(event: invoice.TaxEngineCalled) -> str:
    return f"Tax engine {event.engine_id} was asked (attempt {event.attempt}): {event.result.lower()}"


def _posted(event: invoice.InvoicePosted) -> str:
    number = f" under number {event.number}" if event.number else ""
    how = "Imported as posted" if event.imported else "Posted"
    return f"{how}{number} on {event.posted_date}: from now on it is owed"


def _updated(event: invoice.InvoiceUpdated) -> str:
    changes = []
    if "description" in event.changed:
        new = event.personal
        changes.append(
            "description erased since"
            if new is None
            else f"description is now{said(new.description) or ' empty'}"
        )
    if "labels" in event.changed:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(event.labels.items()))
        changes.append(f"labels are now {labels or 'none'}")
    if "reference" in event.changed:
        changes.append(f"made from {referred(event.reference)}" if event.reference else "reference removed")
    return f"Updated: {'; '.join(changes)}"


INVOICE_EVENTS: dict[type, Published] = {
    invoice.InvoiceDrafted: Published(
        lambda e: f"Drafted {dated(e)}", _write_content, lambda e: e.header.invoice_date
    ),
    invoice.AddressGroupAssigned: Published(addressed, write_group),
    invoice.LineAdded: Published(lined, _write_line),
    invoice.TaxImported: Published(taxed, write_taxes),
    invoice.TaxEstimationRequested: Published(lambda _: "Tax was asked for, to be worked out later"),
    invoice.TaxEngineCalled: Published(_called),
    invoice.TaxEstimated: Published(_estimated, business_date=lambda e: e.effective_date),
    invoice.TaxSkipped: Published(
        lambda e: f"No tax to work out for lines {listed(e.lines) or 'none'}: not taxable"
    ),
    invoice.TaxEstimationFailed: Published(
        lambda e: f"Tax could not be worked out ({e.code}): {e.because}; nothing changed",
        business_date=lambda e: e.effective_date,
    ),
    invoice.PostingTaxRequested: Published(
        lambda e: f"To be posted: engines are asked to file {_documents(e.documents)}",
        business_date=lambda e: e.day,
    ),
    invoice.TaxPosted: Published(_posted_tax, business_date=lambda e: e.effective_date),
    invoice.PostingFailed: Published(lambda e: f"Could not be posted ({e.code}): {e.because}; still a draft"),
    invoice.TaxVoidRequested: Published(
        lambda e: f"Tax documents are to be voided, as {e.because}: {_documents(e.documents)}"
    ),
    invoice.TaxVoided: Published(lambda e: f"Tax documents were voided: {_documents(e.documents)}"),
    invoice.TaxVoidFailed: Published(
        lambda e: f"Tax engine {e.engine_id} has not voided its document ({e.code}): {e.because}"
    ),
    invoice.InvoicePosted: Published(_posted, business_date=lambda e: e.posted_date),
    invoice.InvoiceRevised: Published(
        lambda e: f"Revised: content replaced {dated(e)}", _write_revised, lambda e: e.header.invoice_date
    ),
    invoice.InvoiceUpdated: Published(_updated),
    invoice.InvoiceCanceled: Published(lambda _: "Canceled: the draft was given up"),
}

NUMBER_EVENTS: dict[type, Published] = {
    numbering.NumberClaimed: Published(
        lambda e: f"Number {shown(e.number)} of {e.legal_entity_id} taken by invoice {e.invoice_id}"
    ),
    numbering.NumberReleased: Published(
        lambda e: f"Number {shown(e.number)} of {e.legal_entity_id} given back by invoice {e.invoice_id}"
    ),
}
