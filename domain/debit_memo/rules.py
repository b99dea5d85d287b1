"""The rules of a debit memo: it is held against those of the invoice that will be made of it.

So there is one set of rules for addresses, lines, amounts, taxes and what they rest on, and whatever is a
memo can become an invoice. What only an invoice has (its dates, its contact) is stood in for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from .. import invoice
from ..dates import DATE_MOST
from ..findings import Findings
from ..texts import check_required, check_text
from .content import Content, LineContent
from .events import (
    DebitMemoAddressAssigned,
    DebitMemoLineAdded,
    DebitMemoTaxImported,
    Header,
    Texts,
)

OF_INVOICE, OF_MEMO = "invoice.", "memo."
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the book would record."""

    header: Header
    texts: Texts
    today: date
    body: tuple[DebitMemoAddressAssigned | DebitMemoLineAdded | DebitMemoTaxImported, ...]


def check(content: Content, rules: invoice.Rules, findings: Findings) -> Checked | None:
    """Checks every rule; answers None exactly when there are findings, those brought along included."""
    today = rules.reference.today(_legal_entity(content, rules), rules.now)
    found = Findings()
    checked = invoice.check(_as_invoice(content, today), replace(rules, lines_required=False), found)
    check_required(content.unique_identifier, "memo.unique_identifier", findings)
    check_text(content.reason_code, "memo.reason_code", findings)
    check_text(content.order_id, "memo.order_id", findings)
    _take(found, findings)
    if checked is None or findings:
        return None
    return Checked(
        header=_header(content, checked.header),
        texts=Texts(content.account_name, content.description),
        today=today,
        body=(
            *(DebitMemoAddressAssigned(a.group, a.state, a.country, a.personal) for a in checked.addresses),
            *(_line(said, line) for said, line in zip(content.lines, checked.lines, strict=True)),
            *(DebitMemoTaxImported(tax.line, tax.rows, tax.personal) for tax in checked.taxes),
        ),
    )


def _legal_entity(content: Content, rules: invoice.Rules) -> str:
    named = (line.legal_entity_id for line in content.lines if line.legal_entity_id)
    default = rules.reference.settings.default_legal_entity_id
    return content.legal_entity_id or next(named, default)


def _as_invoice(content: Content, today: date) -> invoice.Content:
    return invoice.Content(
        tax_status=invoice.TaxStatus.ESTIMATED,
        account_id=content.account_id,
        account_name=content.account_name,
        bill_to_contact_id="-",
        invoice_date=today,
        due_date=DATE_MOST,
        currency_code=content.currency_code,
        legal_entity_id=content.legal_entity_id,
        description=content.description,
        labels=content.labels,
        address_groups=content.address_groups,
        billing_address=content.billing_address,
        shipping_address=content.shipping_address,
        ship_from_address=content.ship_from_address,
        lines=tuple(_line_as_invoiced(line, today) for line in content.lines),
    )


def _line_as_invoiced(line: LineContent, today: date) -> invoice.LineContent:
    """A memo's line has neither quantity nor unit price, and charges for today unless it says otherwise."""
    return invoice.LineContent(
        name=line.name,
        start_date=line.start_date or line.end_date or today,
        end_date=line.end_date or line.start_date or today,
        quantity=_ONE,
        unit_price=line.charge_amount if line.charge_amount is not None else _ONE,
        charge_amount=line.charge_amount,
        billing_address=line.billing_address,
        shipping_address=line.shipping_address,
        ship_from_address=line.ship_from_address,
        tax_treatment_id=line.tax_treatment_id,
        legal_entity_id=line.legal_entity_id,
        accounting_period_id=line.accounting_period_id,
        product_id=line.product_id,
        product_name=line.product_name,
        description=line.description,
        taxes=line.taxes,
    )


def _take(found: Findings, findings: Findings) -> None:
    """The findings about the invoice that it would be, told of the memo that it is."""
    for each in found:
        findings.add(_of_memo(each.path), each.rule, **_facts(each.facts))


def _facts(facts: Mapping[str, str]) -> dict[str, object]:
    return {name: _of_memo(value) if name == "first" else value for name, value in facts.items()}


def _of_memo(path: str) -> str:
    return OF_MEMO + path.removeprefix(OF_INVOICE) if path.startswith(OF_INVOICE) else path


def _header(content: Content, checked: invoice.Header) -> Header:
    return Header(
        account_id=checked.account_id,
        currency=checked.currency,
        legal_entity_id=checked.legal_entity_id,
        invoiceable=not content.not_invoiceable,
        order_id=content.order_id,
        reason_code=content.reason_code,
        labels=dict(content.labels),
        billing_address=content.billing_address,
        shipping_address=content.shipping_address,
        ship_from_address=content.ship_from_address,
        defaulted=() if content.legal_entity_id else ("legal_entity_id",),
    )


def _line(said: LineContent, line: invoice.LineAdded) -> DebitMemoLineAdded:
    """The period that today would give it is not kept: the invoice's date will say."""
    return DebitMemoLineAdded(
        number=line.number,
        name=line.name,
        charge=line.charge,
        start_date=line.start_date,
        end_date=line.end_date,
        billing_address=line.billing_address,
        shipping_address=line.shipping_address,
        tax_treatment_id=line.tax_treatment_id,
        ship_from_address=line.ship_from_address,
        accounting_period_id=said.accounting_period_id,
        product_id=line.product_id,
        product_name=line.product_name,
        personal=line.personal,
    )
