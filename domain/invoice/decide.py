"""What may be asked of an invoice, and what the book says to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter

from ..findings import Findings, Malformed, Rule, listed, shown
from ..numbering import Number
from ..refusal import Refused
from .content import Content, LineContent, ReferenceContent, fingerprint
from .events import (
    DescriptionTexts,
    Event,
    InvoiceCanceled,
    InvoiceDrafted,
    InvoicePosted,
    InvoiceRevised,
    InvoiceUpdated,
    Reference,
    ReferenceKind,
    Status,
)
from .rules import Checked, Rules, check, check_free_text, check_labels, checked_reference
from .state import Invoice, Line

DIFFERENCES_MAX = 25  # fields that a refusal names


# Refusals


class NotFound(Refused):
    reason = "INVOICE_NOT_FOUND"
    because = "no invoice {key}"


class IngestedDifferently(Refused):
    reason = "INGESTED_DIFFERENTLY"
    because = "{unique_identifier} stands for other content: invoice {invoice_id} differs in {fields}"


class NotDraft(Refused):
    reason = "NOT_DRAFT"
    because = "invoice {invoice_id} is {status}; only a draft can be {verb}"


class ReferenceOfDraft(Refused):
    reason = "REFERENCE_OF_DRAFT"
    because = "invoice {invoice_id} is {status}; the reference can be changed once it is posted"


class MemoReference(Refused):
    reason = "MEMO_REFERENCE"
    because = "the reference to a memo can neither be set nor taken away by an update"


class VersionMoved(Refused):
    reason = "VERSION_MOVED"
    because = "invoice {invoice_id} is at version {version}, not at {expected}; look at it again"


# Commands


@dataclass(frozen=True, slots=True)
class Ingest:
    content: Content


@dataclass(frozen=True, slots=True)
class Revise:
    content: Content
    expected_version: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    changed: frozenset[str]  # of UPDATABLE
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    reference: ReferenceContent | None = None
    expected_version: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    pass


UPDATABLE = ("description", "labels", "reference")


@dataclass(frozen=True, slots=True)
class Decision:
    """The events of the invoice's stream, and the number that they take or give back. No events: nothing changes."""

    events: tuple[Event, ...] = ()
    claim: Number | None = None
    release: Number | None = None


NOTHING = Decision()


# Decisions


def ingest(
    command: Ingest, invoice: Invoice | None, invoice_id: object, rules: Rules, findings: Findings
) -> Decision:
    """Says it once: the same content again decides nothing, other content under the same key is refused."""
    content = command.content
    if invoice is not None:
        return _again(content, invoice, invoice_id, findings)
    checked = check(content, rules, findings)
    if checked is None:
        raise Malformed(findings)
    body = _body(checked)
    drafted = InvoiceDrafted(
        unique_identifier=content.unique_identifier,
        header=checked.header,
        fingerprint=fingerprint(content),
        today=checked.today,
        reference_position=rules.reference.position,
        size=1 + len(body),
        personal=checked.texts,
    )
    return Decision((drafted, *body), claim=_number(checked.header.legal_entity_id, content.invoice_number))


def _again(content: Content, invoice: Invoice, invoice_id: object, findings: Findings) -> Decision:
    if findings:
        raise Malformed(findings)
    if fingerprint(content) in (invoice.first_fingerprint, invoice.fingerprint):
        return NOTHING
    raise IngestedDifferently(
        unique_identifier=shown(content.unique_identifier),
        invoice_id=invoice_id,
        fields=listed(differences(content, invoice), most=DIFFERENCES_MAX) or "what was left to defaults",
    )


def _body(checked: Checked) -> list[Event]:
    posted: list[Event] = []
    if checked.posted_date is not None:
        posted.append(InvoicePosted(checked.header.invoice_number, checked.posted_date, imported=True))
    return [*checked.addresses, *checked.lines, *checked.taxes, *posted]


def _number(legal_entity_id: str, text: str) -> Number | None:
    return Number(legal_entity_id, text) if text else None


def revise(
    command: Revise, invoice: Invoice | None, invoice_id: object, rules: Rules, findings: Findings
) -> Decision:
    if invoice is None:
        raise NotFound(key=invoice_id)
    if command.request_id and command.request_id in invoice.request_ids:
        return NOTHING
    _expect(command.expected_version, invoice, invoice_id)
    if invoice.status not in (Status.DRAFT, Status.CANCELED):
        raise NotDraft(invoice_id=invoice_id, status=invoice.status.lower(), verb="revised")
    content = command.content
    said = fingerprint(content)
    if said == invoice.fingerprint and invoice.status is Status.DRAFT and not findings:
        return NOTHING
    _check_revision(content, invoice, findings)
    checked = check(content, rules, findings)
    if checked is None:
        raise Malformed(findings)
    body = _body(checked)
    revised = InvoiceRevised(
        header=checked.header,
        fingerprint=said,
        today=checked.today,
        reference_position=rules.reference.position,
        size=1 + len(body),
        request_id=command.request_id,
        personal=checked.texts,
    )
    new = _number(checked.header.legal_entity_id, content.invoice_number)
    old = None if invoice.status is Status.CANCELED else brought_number(invoice)
    kept = new == old
    return Decision((revised, *body), claim=None if kept else new, release=None if kept else old)


def _check_revision(content: Content, invoice: Invoice, findings: Findings) -> None:
    if content.unique_identifier not in ("", invoice.unique_identifier):
        findings.add(
            "invoice.unique_identifier",
            Rule.UNIQUE_IDENTIFIER_DIFFERS,
            expected=shown(invoice.unique_identifier),
            value=shown(content.unique_identifier),
        )
    if content.status not in (None, Status.DRAFT):
        findings.add("invoice.status", Rule.STAYS_DRAFT, value=content.status.lower())


def _expect(version: int, invoice: Invoice, invoice_id: object) -> None:
    if version and version != invoice.version:
        raise VersionMoved(invoice_id=invoice_id, version=invoice.version, expected=version)


def brought_number(invoice: Invoice) -> Number | None:
    """The number that an invoice holds because its sender brought it."""
    return _number(invoice.header.legal_entity_id, invoice.header.invoice_number)


def update(command: Update, invoice: Invoice | None, invoice_id: object, findings: Findings) -> Decision:
    if invoice is None:
        raise NotFound(key=invoice_id)
    if command.request_id and command.request_id in invoice.request_ids:
        return NOTHING
    check_free_text(command.description, "change.description", findings)
    check_labels(command.labels, "change.labels", findings)
    reference = _updated_reference(command, invoice, findings)
    if findings:
        raise Malformed(findings)
    _expect(command.expected_version, invoice, invoice_id)
    changed = _really_changed(command, reference, invoice)
    if "reference" in changed:
        _check_reference_may_change(invoice, invoice_id, reference)
    if not changed:
        return NOTHING
    updated = InvoiceUpdated(
        changed=tuple(name for name in UPDATABLE if name in changed),
        labels=dict(command.labels) if "labels" in changed else {},
        reference=reference if "reference" in changed else None,
        request_id=command.request_id,
        personal=DescriptionTexts(command.description if "description" in changed else ""),
    )
    return Decision((updated,))


def _updated_reference(command: Update, invoice: Invoice, findings: Findings) -> Reference | None:
    said = command.reference
    if "reference" not in command.changed or said is None:
        return None
    reference = invoice.header.reference
    if reference and (reference.kind, reference.id) == (said.kind, said.id):
        return Reference(reference.kind, said.id, said.system, said.kind_name)
    return checked_reference(said.kind, said.id, said.system, said.kind_name, "change.reference", findings)


def _really_changed(command: Update, reference: Reference | None, invoice: Invoice) -> set[str]:
    same = {
        "description": invoice.texts is not None and invoice.texts.description == command.description,
        "labels": invoice.header.labels == dict(command.labels),
        "reference": invoice.header.reference == reference,
    }
    return {name for name in command.changed if not same[name]}


def _check_reference_may_change(invoice: Invoice, invoice_id: object, reference: Reference | None) -> None:
    memos = (ReferenceKind.DEBIT_MEMO, ReferenceKind.CREDIT_MEMO)
    if invoice.status is not Status.POSTED:
        raise ReferenceOfDraft(invoice_id=invoice_id, status=invoice.status.lower())
    if any(each and each.kind in memos for each in (reference, invoice.header.reference)):
        raise MemoReference()


def cancel(command: Cancel, invoice: Invoice | None, invoice_id: object) -> Decision:
    if invoice is None:
        raise NotFound(key=invoice_id)
    if invoice.status is Status.CANCELED:
        return NOTHING
    if invoice.status is not Status.DRAFT:
        raise NotDraft(invoice_id=invoice_id, status=invoice.status.lower(), verb="canceled")
    return Decision((InvoiceCanceled(),), release=brought_number(invoice))


# What differs


def differences(content: Content, invoice: Invoice) -> list[str]:
    """Paths of what a sender says otherwise than the invoice has it; what was left to defaults aside."""
    return [*_header_differences(content, invoice), *_lines_differences(content, invoice)]


_HEADER_SAME = (
    "account_id",
    "bill_to_contact_id",
    "invoice_date",
    "due_date",
    "payment_term_id",
    "legal_entity_id",
    "accounting_period_id",
    "invoice_number",
    "purchase_order_number",
    "owner_id",
    "billing_address",
    "shipping_address",
    "ship_from_address",
    "should_calculate_tax",
    "tax_status",
)
_TEXTS_SAME = ("account_name", "bill_to_contact_name", "owner_name", "description")


def _header_differences(content: Content, invoice: Invoice) -> Iterable[str]:
    header = invoice.header
    for name in _HEADER_SAME:
        stands = None if name in header.defaulted else getattr(header, name)
        if (getattr(content, name) or None) != (stands or None):
            yield f"invoice.{name}"
    if invoice.texts is not None:
        for name in _TEXTS_SAME:
            if getattr(content, name) != getattr(invoice.texts, name):
                yield f"invoice.{name}"
    if content.currency_code != header.currency:
        yield "invoice.currency_code"
    if dict(content.labels) != header.labels:
        yield "invoice.labels"
    if (content.status is Status.POSTED) != (invoice.posted_date is not None):
        yield "invoice.status"
    elif content.posted_date and content.posted_date != invoice.posted_date:
        yield "invoice.posted_date"
    if not _same(content.reference, header.reference):
        yield "invoice.reference"
    if not _same(content.source, header.source):
        yield "invoice.source"
    yield from _address_differences(content, invoice)


def _same(said: object, stands: object) -> bool:
    """Whether two parts with the same fields say the same."""
    if said is None or stands is None:
        return said is stands
    names = [each.name for each in fields(said)]  # type: ignore[arg-type]
    return all(getattr(said, name) == getattr(stands, name) for name in names)


def _address_differences(content: Content, invoice: Invoice) -> Iterable[str]:
    for index, group in enumerate(content.address_groups):
        stands = invoice.addresses.get(group.key)
        same = stands is not None and (stands.state, stands.country) == (group.state, group.country)
        if same and stands is not None and stands.personal is not None:
            place = attrgetter("street", "city", "postal_code", "latitude", "longitude")
            same = place(stands.personal) == place(group)
        if not same:
            yield f"invoice.address_groups[{index}]"
    if len(content.address_groups) < len(invoice.addresses):
        yield "invoice.address_groups"


_LINE_SAME = (
    "name",
    "start_date",
    "end_date",
    "quantity",
    "unit_price",
    "product_id",
    "product_name",
    "usage_product_id",
    "usage_based",
    "usage_overage_quantity",
    "unit_of_measure_id",
    "unit_of_measure_name",
)
_LINE_DEFAULTED = (
    "billing_address",
    "shipping_address",
    "ship_from_address",
    "tax_treatment_id",
    "accounting_period_id",
)


def _lines_differences(content: Content, invoice: Invoice) -> Iterable[str]:
    if len(content.lines) != len(invoice.lines):
        yield "invoice.lines"
    for index, (said, stands) in enumerate(zip(content.lines, invoice.lines, strict=False)):
        yield from (f"invoice.lines[{index}].{name}" for name in _line_differences(said, stands))


def _line_differences(said: LineContent, stands: Line) -> Iterable[str]:
    added = stands.added
    for name in _LINE_SAME:
        if getattr(said, name) != getattr(added, name):
            yield name
    for name in _LINE_DEFAULTED:
        value = getattr(said, name)
        if value and value != getattr(added, name):
            yield name
    if said.charge_amount != added.charge:
        yield "charge_amount"
    if added.personal is not None and said.description != added.personal.description:
        yield "description"
    if not _same(said.reference, added.reference):
        yield "reference"
    brought = [(row.transaction_number, row.amount, row.rate, row.name, row.code) for row in said.taxes]
    stand = [(row.transaction_number, row.amount, row.rate, row.name, row.code) for row in stands.rows]
    if brought != stand:
        yield "taxes"
