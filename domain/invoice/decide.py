"""What may be asked of an invoice, and what the book says to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..decision import Decided
from ..findings import Findings, Malformed, Rule, shown
from ..money import ZERO
from ..numbering import Number
from ..refusal import Refused
from ..texts import check_free_text, check_labels, check_text
from .content import Content, ReferenceContent, fingerprint
from .differences import told_differences
from .documents import void_documents
from .estimates import (
    NOTHING_SAID,
    EngineFailed,
    Estimate,
    Said,
    Subject,
    by_rate_tables,
    conclude,
    estimated,
    failed,
    work,
)
from .events import (
    DescriptionTexts,
    Event,
    Header,
    InvoiceCanceled,
    InvoiceDrafted,
    InvoicePosted,
    InvoiceRevised,
    InvoiceUpdated,
    Reference,
    Status,
    TaxEstimationRequested,
)
from .limits import Rules
from .references import MEMO_KINDS, check_reference
from .rules import Checked, check
from .state import Invoice

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

UPDATABLE = ("description", "labels", "reference")


@dataclass(frozen=True, slots=True)
class Filled:
    """A content with what a debit memo gives it; `taken` are the header fields that come from the memo."""

    content: Content
    taken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ingest:
    content: Content
    filled: Filled | None = None
    defer_tax: bool = False


@dataclass(frozen=True, slots=True)
class Revise:
    content: Content
    expected_version: int = 0
    request_id: str = ""
    filled: Filled | None = None
    defer_tax: bool = False


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


@dataclass(frozen=True, slots=True)
class Decision(Decided[Event]):
    """The events of the invoice's stream, and what they entail. No events: nothing changes."""


NOTHING = Decision()


# Decisions


def ingest(
    command: Ingest, invoice: Invoice | None, invoice_id: object, rules: Rules, findings: Findings
) -> Decision:
    """Says it once: the same content again decides nothing, other content under the same key is refused."""
    content = command.content
    if invoice is not None:
        return _again(command, invoice, invoice_id, findings)
    checked = _checked(command.filled or Filled(content), rules, findings.copy())
    body = _body(checked, invoice_id, rules, command.defer_tax)
    drafted = InvoiceDrafted(
        unique_identifier=content.unique_identifier,
        header=checked.header,
        fingerprint=fingerprint(content),
        today=checked.today,
        reference_position=rules.reference.position,
        size=1 + len(body),
        personal=checked.texts,
    )
    return Decision((drafted, *body), claim=_number(checked.header))


def _again(command: Ingest, invoice: Invoice, invoice_id: object, findings: Findings) -> Decision:
    if findings:
        raise Malformed(findings)
    content = command.content
    if fingerprint(content) in (invoice.first_fingerprint, invoice.fingerprint):
        return NOTHING
    raise IngestedDifferently(
        unique_identifier=shown(content.unique_identifier),
        invoice_id=invoice_id,
        fields=told_differences(command.filled.content if command.filled else content, invoice),
    )


def _checked(filled: Filled, rules: Rules, findings: Findings) -> Checked:
    checked = check(filled.content, rules, findings)
    if checked is None:
        raise Malformed(findings)
    defaulted = (*checked.header.defaulted, *filled.taken)
    return replace(checked, header=replace(checked.header, defaulted=defaulted)) if filled.taken else checked


def _body(checked: Checked, invoice_id: object, rules: Rules, defer_tax: bool) -> list[Event]:
    posted: list[Event] = []
    if checked.posted_date is not None:
        posted.append(InvoicePosted(checked.header.invoice_number, checked.posted_date, imported=True))
    tax: list[Event] = []
    if checked.header.should_calculate_tax:
        tax = [TaxEstimationRequested()] if defer_tax else _tax(checked, invoice_id, rules)
    return [*checked.addresses, *checked.lines, *checked.taxes, *tax, *posted]


def _tax(checked: Checked, invoice_id: object, rules: Rules) -> list[Event]:
    """The tax that this book can work out by itself; nothing where an engine elsewhere must be asked."""
    subject = Subject(checked.header, {each.group: each for each in checked.addresses}, checked.lines)
    effective, position = checked.header.invoice_date, rules.reference.position
    try:
        to_do = work(subject, invoice_id, rules.reference, checked.today)
        if not to_do.only_rate_tables:
            return []
        brought = {each.line: sum((row.amount for row in each.rows), ZERO) for each in checked.taxes}
        answers = by_rate_tables(to_do.asked, rules.reference.rate_table)
        return estimated(to_do, answers, checked.lines, brought)
    except EngineFailed as failure:
        return [failed(failure, effective, position)]


def _number(header: Header) -> Number | None:
    """The number that an invoice holds because its sender brought it."""
    return Number(header.legal_entity_id, header.invoice_number) if header.invoice_number else None


def revise(
    command: Revise, invoice: Invoice | None, invoice_id: object, rules: Rules, findings: Findings
) -> Decision:
    """Replaces the content of a draft, or of one that was canceled, which comes back to life."""
    if invoice is None:
        raise NotFound(key=invoice_id)
    if command.request_id and command.request_id in invoice.request_ids:
        return NOTHING
    _expect(command.expected_version, invoice, invoice_id)
    if invoice.status not in (Status.DRAFT, Status.CANCELED):
        raise NotDraft(invoice_id=invoice_id, status=invoice.status.lower(), verb="revised")
    content = _under_its_key(command.content, invoice)
    said = fingerprint(content)
    if said == invoice.fingerprint and invoice.status is Status.DRAFT and not findings:
        return NOTHING
    findings = findings.copy()
    _check_revision(command, invoice, findings)
    filled = command.filled or Filled(content)
    if filled.content.status is not Status.DRAFT:
        filled = replace(filled, content=replace(filled.content, status=None))
    checked = _checked(filled, rules, findings)
    body = _body(checked, invoice_id, rules, command.defer_tax)
    revised = InvoiceRevised(
        header=checked.header,
        fingerprint=said,
        today=checked.today,
        reference_position=rules.reference.position,
        size=1 + len(body),
        request_id=command.request_id,
        personal=checked.texts,
    )
    new = _number(checked.header)
    old = None if invoice.status is Status.CANCELED else _number(invoice.header)
    kept = new == old
    filed = void_documents(invoice, "the draft was revised")
    return Decision((*filed, revised, *body), claim=None if kept else new, release=None if kept else old)


def _under_its_key(content: Content, invoice: Invoice) -> Content:
    """The content as an ingestion would say it, so that its fingerprint answers a later ingestion too."""
    if content.unique_identifier:
        return content
    return replace(content, unique_identifier=invoice.unique_identifier)


def _check_revision(command: Revise, invoice: Invoice, findings: Findings) -> None:
    content = command.content
    check_text(command.request_id, "request_id", findings)
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


def update(command: Update, invoice: Invoice | None, invoice_id: object, findings: Findings) -> Decision:
    """Changes what may change at any time; the reference, once posted."""
    if invoice is None:
        raise NotFound(key=invoice_id)
    if command.request_id and command.request_id in invoice.request_ids:
        return NOTHING
    findings = findings.copy()
    reference = _check_update(command, invoice, findings)
    if findings:
        raise Malformed(findings)
    _expect(command.expected_version, invoice, invoice_id)
    changed = _really_changed(command, reference, invoice)
    if "reference" in changed:
        _refuse_reference(invoice, invoice_id, reference)
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


def _check_update(command: Update, invoice: Invoice, findings: Findings) -> Reference | None:
    """Checks what is meant to change; answers the reference, if one is meant."""
    check_text(command.request_id, "request_id", findings)
    if not command.changed:
        findings.add("update_mask", Rule.REQUIRED)
    if strange := sorted(command.changed.difference(UPDATABLE)):
        have = ", ".join(UPDATABLE)
        findings.add("update_mask", Rule.NOT_CHANGEABLE, have=have, value=shown(", ".join(strange)))
    if "description" in command.changed:
        check_free_text(command.description, "change.description", findings)
    if "labels" in command.changed:
        check_labels(command.labels, "change.labels", findings)
    if "reference" not in command.changed or command.reference is None:
        return None
    said, stands = command.reference, invoice.header.reference
    if stands and (stands.kind, stands.id) == (said.kind, said.id) and stands.kind in MEMO_KINDS:
        return Reference(stands.kind, said.id, said.system, said.kind_name)  # it was looked up before
    return check_reference(said, "change.reference", findings, known=frozenset())


def _really_changed(command: Update, reference: Reference | None, invoice: Invoice) -> set[str]:
    same = {
        "description": invoice.texts is not None and invoice.texts.description == command.description,
        "labels": invoice.header.labels == dict(command.labels),
        "reference": invoice.header.reference == reference,
    }
    return {name for name in command.changed if not same[name]}


def _refuse_reference(invoice: Invoice, invoice_id: object, reference: Reference | None) -> None:
    if invoice.status is not Status.POSTED:
        raise ReferenceOfDraft(invoice_id=invoice_id, status=invoice.status.lower())
    if any(each and each.kind in MEMO_KINDS for each in (reference, invoice.header.reference)):
        raise MemoReference()


def estimate(
    command: Estimate, invoice: Invoice | None, invoice_id: object, rules: Rules, said: Said = NOTHING_SAID
) -> Decision:
    """Works the tax of a draft out, whole or not at all; AskAgain where engines elsewhere must be asked."""
    _expect_draft(invoice, invoice_id, "estimated")
    assert invoice is not None
    return Decision(conclude(command, invoice, invoice_id, rules, said))


def request_tax(invoice: Invoice | None, invoice_id: object) -> Decision:
    """Leaves the tax of a draft to the background."""
    _expect_draft(invoice, invoice_id, "estimated")
    assert invoice is not None
    return NOTHING if invoice.tax_asked else Decision((TaxEstimationRequested(),))


def _expect_draft(invoice: Invoice | None, invoice_id: object, verb: str) -> None:
    if invoice is None:
        raise NotFound(key=invoice_id)
    if invoice.status is not Status.DRAFT:
        raise NotDraft(invoice_id=invoice_id, status=invoice.status.lower(), verb=verb)


def cancel(command: Cancel, invoice: Invoice | None, invoice_id: object) -> Decision:
    if invoice is None:
        raise NotFound(key=invoice_id)
    if invoice.status is Status.CANCELED:
        return NOTHING
    if invoice.status is not Status.DRAFT:
        raise NotDraft(invoice_id=invoice_id, status=invoice.status.lower(), verb="canceled")
    filed = void_documents(invoice, "the draft was canceled")
    return Decision((*filed, InvoiceCanceled()), release=_number(invoice.header))
