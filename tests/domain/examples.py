"""One good invoice and the reference data that it stands on; tests change what they are about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from domain import invoice, reference
from domain.invoice import LineReferenceKind, ReferenceKind, Status, TaxStatus
from domain.reference import EntryStatus, PeriodStatus
from domain.terms import TermType

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TODAY = date(2026, 11, 23)
INVOICE_DATE = date(2026, 11, 20)
KEY = "shop-4711"

NET_30 = reference.PaymentTerm("net-30", "30 days net", TermType.PERIOD_BASED, 30)
EOM_45 = reference.PaymentTerm("eom-45", "End of month and 45 days", TermType.EOM_PLUS_X, 45)
OLD_TERM = reference.PaymentTerm("old", "Old", TermType.PERIOD_BASED, 10, EntryStatus.INACTIVE)
NEW_TERM = reference.PaymentTerm("new", "New", TermType.PERIOD_BASED, 10, EntryStatus.DRAFT)
GERMANY = reference.LegalEntity("de", "Daybook GmbH", "Europe/Berlin")
FIJI = reference.LegalEntity("fj", "Daybook Fiji", "Pacific/Fiji")
SAMOA = reference.LegalEntity("as", "Daybook Samoa", "Pacific/Pago_Pago")
CLOSED_DOWN = reference.LegalEntity("gone", "Daybook Gone", status=EntryStatus.INACTIVE)
SEPTEMBER = reference.AccountingPeriod(
    "de-09", "de", "Sep", date(2026, 9, 1), date(2026, 9, 30), "2026", PeriodStatus.CLOSED
)
NOVEMBER = reference.AccountingPeriod("de-11", "de", "Nov", date(2026, 11, 1), date(2026, 11, 30), "2026")
DECEMBER = reference.AccountingPeriod("de-12", "de", "Dec", date(2026, 12, 1), date(2026, 12, 31), "2026")
OF_FIJI = reference.AccountingPeriod("fj-11", "fj", "Nov", date(2026, 11, 1), date(2026, 11, 30))
STANDARD = reference.TaxTreatment("standard", "Standard rate", taxable=True)
EXEMPT = reference.TaxTreatment("exempt", "Exempt", taxable=False)
OLD_TREATMENT = reference.TaxTreatment("old-rate", "Old", taxable=True, status=EntryStatus.INACTIVE)
NEW_TREATMENT = reference.TaxTreatment("new-rate", "New", taxable=True, status=EntryStatus.DRAFT)
SETTINGS = reference.Settings("net-30", "de", "standard")


def by_id(*entries: Any) -> dict[str, Any]:
    return {entry.id: entry for entry in entries}


REFERENCE = reference.ReferenceData(
    version=3,
    position=42,
    recorded=NOW,
    payment_terms=by_id(NET_30, EOM_45, OLD_TERM, NEW_TERM),
    legal_entities=by_id(GERMANY, FIJI, SAMOA, CLOSED_DOWN),
    accounting_periods=by_id(SEPTEMBER, NOVEMBER, DECEMBER, OF_FIJI),
    tax_treatments=by_id(STANDARD, EXEMPT, OLD_TREATMENT, NEW_TREATMENT),
    settings=SETTINGS,
    settings_known=True,
)
RULES = invoice.Rules(REFERENCE, NOW)


def rules_with(**settings: Any) -> invoice.Rules:
    """The rules under other settings."""
    return replace(RULES, reference=replace(REFERENCE, settings=replace(SETTINGS, **settings)))


def on(year: int, month: int, day: int) -> date:
    return date(year, month, day)


def an_address(**changes: Any) -> invoice.AddressContent:
    good = invoice.AddressContent("main", "Hauptstraße 1", "Würzburg", "Bayern", "97070", "DE")
    return replace(good, **changes)


def a_line(**changes: Any) -> invoice.LineContent:
    good = invoice.LineContent(
        name="Support",
        start_date=date(2026, 11, 1),
        end_date=date(2026, 11, 30),
        quantity=Decimal(10),
        unit_price=Decimal("25.00"),
        charge_amount=Decimal("250.00"),
    )
    return replace(good, **changes)


def a_tax(**changes: Any) -> invoice.TaxContent:
    good = invoice.TaxContent(
        transaction_number="T-1",
        amount=Decimal("47.50"),
        rate=Decimal("0.19"),
        name="VAT",
        code="DE-19",
        effective_date=date(2026, 11, 20),
        document_number="TD-1",
    )
    return replace(good, **changes)


def an_invoice(**changes: Any) -> invoice.Content:
    """A draft of one line."""
    good = invoice.Content(
        unique_identifier=KEY,
        account_id="acc-1",
        bill_to_contact_id="con-1",
        invoice_date=INVOICE_DATE,
        currency_code="EUR",
        address_groups=(an_address(),),
        billing_address="main",
        shipping_address="main",
        lines=(a_line(),),
    )
    return replace(good, **changes)


def a_posted_invoice(**changes: Any) -> invoice.Content:
    """A posted import: it brings its number and its taxes."""
    posted = an_invoice(
        status=Status.POSTED,
        tax_status=TaxStatus.POSTED,
        invoice_number="R-100",
        posted_date=INVOICE_DATE,
        lines=(a_line(taxes=(a_tax(),)),),
    )
    return replace(posted, **changes)


def with_line(**changes: Any) -> invoice.Content:
    return an_invoice(lines=(a_line(**changes),))


def with_address(**changes: Any) -> invoice.Content:
    return an_invoice(address_groups=(an_address(**changes),))


def with_tax(**changes: Any) -> invoice.Content:
    """A draft whose only line brings one estimated tax."""
    return an_invoice(tax_status=TaxStatus.ESTIMATED, lines=(a_line(taxes=(a_tax(**changes),)),))


def ingest(**changes: Any) -> invoice.Ingest:
    return invoice.Ingest(an_invoice(**changes))


FULL = an_invoice(
    status=Status.DRAFT,
    tax_status=TaxStatus.ESTIMATED,
    should_calculate_tax=True,
    account_name="Ada & Co.",
    bill_to_contact_name="Ada L.",
    due_date=date(2026, 12, 24),
    payment_term_id="eom-45",
    legal_entity_id="de",
    accounting_period_id="de-12",
    invoice_number="R-7",
    description="as agreed:\n“thanks”",
    reference=invoice.ReferenceContent(ReferenceKind.OTHER, "O-1", "shop", "web order"),
    source=invoice.SourceContent("legacy", "77"),
    purchase_order_number="PO-5",
    labels={"team": "north", "batch": "7"},
    owner_id="u-1",
    owner_name="Bob",
    address_groups=(
        an_address(latitude=Decimal("49.79"), longitude=Decimal("9.95")),
        an_address(key="depot", city="Kitzingen", postal_code="97318"),
        an_address(key="plant", city="Schweinfurt", postal_code="97421"),
    ),
    shipping_address="depot",
    ship_from_address="plant",
    lines=(
        a_line(
            billing_address="main",
            shipping_address="depot",
            ship_from_address="plant",
            tax_treatment_id="standard",
            legal_entity_id="de",
            accounting_period_id="de-11",
            product_id="p-1",
            product_name="Support, gold",
            usage_product_id="p-2",
            usage_based=True,
            usage_overage_quantity=Decimal("0.25"),
            unit_of_measure_id="h",
            unit_of_measure_name="hours",
            description="for Ada",
            reference=invoice.LineReferenceContent(LineReferenceKind.OTHER, "oi-1", "O-1", "shop", "item"),
            taxes=(
                a_tax(exempt_amount=Decimal("1.00"), description="as filed"),
                a_tax(transaction_number="T-2", amount=Decimal("1.00")),
            ),
        ),
        a_line(name="Discount", quantity=Decimal(-1), charge_amount=Decimal("-25.00")),
    ),
)
"""Every field is set in it."""
