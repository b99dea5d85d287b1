"""The rules that every peer checks: those of the service, on the same content and reference data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from daybook.v1 import invoice_pb2 as pb
from domain import invoice, money, reference
from domain.findings import Findings
from domain.terms import TermType

from ..invoice import ENTITY, PERIOD, TERM, TREATMENT

RULES_OF = reference.ReferenceData(
    version=1,
    position=1,
    payment_terms={TERM: reference.PaymentTerm(TERM, "30 days", TermType.PERIOD_BASED, days=30)},
    legal_entities={ENTITY: reference.LegalEntity(ENTITY, "Northwind Europe", "Europe/Berlin")},
    accounting_periods={
        PERIOD: reference.AccountingPeriod(
            PERIOD, ENTITY, "November 2026", date(2026, 11, 1), date(2026, 11, 30)
        )
    },
    tax_treatments={TREATMENT: reference.TaxTreatment(TREATMENT, "Standard rate", taxable=True)},
    settings=reference.Settings(TERM, ENTITY, TREATMENT),
    settings_known=True,
)

TAX_STATUSES = {pb.TAX_STATUS_ESTIMATED: invoice.TaxStatus.ESTIMATED}
REFERENCE_KINDS = {pb.REFERENCE_KIND_ORDER: invoice.ReferenceKind.ORDER}
LINE_REFERENCE_KINDS = {pb.LINE_REFERENCE_KIND_ORDER_ITEM: invoice.LineReferenceKind.ORDER_ITEM}

_HEADER_TEXTS = (  # noqa: SIM905
    "unique_identifier account_id account_name bill_to_contact_id bill_to_contact_name payment_term_id "
    "currency_code legal_entity_id accounting_period_id invoice_number description purchase_order_number "
    "owner_id owner_name billing_address shipping_address ship_from_address"
).split()
_LINE_TEXTS = (  # noqa: SIM905
    "name billing_address shipping_address ship_from_address tax_treatment_id legal_entity_id "
    "accounting_period_id product_id product_name usage_product_id unit_of_measure_id "
    "unit_of_measure_name description"
).split()
_TAX_TEXTS = "transaction_number name code document_number description".split()  # noqa: SIM905
_ADDRESS_TEXTS = "key street city state postal_code country".split()  # noqa: SIM905


def decided(message: pb.InvoiceContent, invoice_id: UUID) -> tuple[invoice.Event, ...]:
    """What happens when this invoice is ingested; raises Malformed."""
    rules = invoice.Rules(RULES_OF, datetime.now(UTC))
    return invoice.ingest(invoice.Ingest(content(message)), None, invoice_id, rules, Findings()).events


def content(message: pb.InvoiceContent) -> invoice.Content:
    """As much of the contract as the measured invoice uses."""
    return invoice.Content(
        **_texts(message, _HEADER_TEXTS),
        tax_status=TAX_STATUSES.get(message.tax_status),
        should_calculate_tax=message.should_calculate_tax,
        invoice_date=_date(message, "invoice_date"),
        due_date=_date(message, "due_date"),
        reference=invoice.ReferenceContent(REFERENCE_KINDS.get(message.reference.kind), message.reference.id),
        source=invoice.SourceContent(message.source.system, message.source.id),
        labels=dict(message.labels),
        address_groups=tuple(
            invoice.AddressContent(**_texts(group, _ADDRESS_TEXTS)) for group in message.address_groups
        ),
        lines=tuple(map(_line, message.lines)),
    )


def _line(message: pb.LineContent) -> invoice.LineContent:
    said = message.reference
    kind = LINE_REFERENCE_KINDS.get(said.kind)
    return invoice.LineContent(
        **_texts(message, _LINE_TEXTS),
        start_date=_date(message, "start_date"),
        end_date=_date(message, "end_date"),
        quantity=_decimal(message, "quantity"),
        unit_price=_decimal(message, "unit_price"),
        charge_amount=_decimal(message, "charge_amount"),
        usage_based=message.usage_based,
        reference=invoice.LineReferenceContent(kind, said.id, said.order_id),
        taxes=tuple(map(_tax, message.taxes)),
    )


def _tax(message: pb.TaxRow) -> invoice.TaxContent:
    return invoice.TaxContent(
        **_texts(message, _TAX_TEXTS),
        amount=_decimal(message, "amount"),
        rate=_decimal(message, "rate"),
        effective_date=_date(message, "effective_date"),
        exempt_amount=_decimal(message, "exempt_amount"),
    )


def _texts(message: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(message, name) for name in names}


def _date(message: Any, name: str) -> date | None:
    if not message.HasField(name):
        return None
    day = getattr(message, name)
    return date(day.year, day.month, day.day)


def _decimal(message: Any, name: str) -> Decimal | None:
    return money.decimal(cast(str, getattr(message, name).value)) if message.HasField(name) else None
