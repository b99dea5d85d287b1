"""The rules of ingestion: what a sender says becomes what the book would record, or findings.

Every rule is checked, so that one answer holds all that is wrong. Paths are those of the contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ..findings import Findings
from ..quick import quick
from .addresses import check_addresses
from .content import Content
from .events import AddressGroupAssigned, Header, HeaderTexts, LineAdded, Reference, Source, TaxImported
from .header import Frame, check_header, check_number
from .limits import Rules
from .lines import Lines
from .references import check_reference, check_source


@quick
@dataclass(frozen=True, slots=True)
class Checked:
    """What the book would record."""

    header: Header
    texts: HeaderTexts
    posted_date: date | None  # of a posted import
    today: date
    addresses: tuple[AddressGroupAssigned, ...]
    lines: tuple[LineAdded, ...]
    taxes: tuple[TaxImported, ...]


def check(content: Content, rules: Rules, findings: Findings) -> Checked | None:
    """Checks every rule; answers None exactly when there are findings, those brought along included."""
    frame = check_header(content, rules.reference, rules.now, findings)
    check_number(content, rules.reference, findings)
    addresses = check_addresses(content.address_groups, findings)
    lines, taxes = Lines(content, frame, rules, findings).checked()
    reference = source = None
    if content.reference:
        reference = check_reference(content.reference, "invoice.reference", findings, rules.known)
    if content.source:
        source = check_source(content.source, "invoice.source", findings)
    if findings:
        return None
    return Checked(
        header=_header(content, frame, reference, source),
        texts=HeaderTexts(
            content.account_name, content.bill_to_contact_name, content.owner_name, content.description
        ),
        posted_date=(content.posted_date or frame.today) if frame.posted else None,
        today=frame.today,
        addresses=addresses,
        lines=lines,
        taxes=taxes,
    )


def _header(content: Content, frame: Frame, reference: Reference | None, source: Source | None) -> Header:
    """The header as sent, with defaults filled in."""
    assert content.invoice_date is not None
    assert frame.due is not None
    assert frame.currency is not None
    return Header(
        account_id=content.account_id,
        bill_to_contact_id=content.bill_to_contact_id,
        invoice_date=content.invoice_date,
        due_date=frame.due,
        currency=frame.currency.code,
        legal_entity_id=frame.legal_entity_id,
        tax_status=frame.tax_status,
        payment_term_id=frame.term.id if frame.term else "",
        accounting_period_id=frame.period.id if frame.period else "",
        invoice_number=content.invoice_number,
        reference=reference,
        source=source,
        purchase_order_number=content.purchase_order_number,
        labels=dict(content.labels),
        owner_id=content.owner_id,
        billing_address=content.billing_address,
        shipping_address=content.shipping_address,
        ship_from_address=content.ship_from_address,
        should_calculate_tax=content.should_calculate_tax,
        defaulted=tuple(frame.defaulted(content)),
    )
