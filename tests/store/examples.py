"""One full example of every stored event and version: what its golden payload means."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from domain import credit_memo, debit_memo, invoice, numbering, reference, sequence, tax
from domain.terms import TermType
from store.log import Event

HEADER = invoice.Header(
    account_id="A-1",
    bill_to_contact_id="C-1",
    invoice_date=date(2026, 4, 1),
    due_date=date(2026, 5, 1),
    currency="EUR",
    legal_entity_id="DE",
    tax_status=invoice.TaxStatus.PENDING,
    payment_term_id="net-30",
    accounting_period_id="2026-04",
    invoice_number="R-100",
    reference=invoice.Reference(invoice.ReferenceKind.ORDER, "O-1", "shop", "web order"),
    source=invoice.Source("legacy", "77"),
    purchase_order_number="PO-5",
    labels={"team": "north", "batch": "7"},
    owner_id="U-1",
    billing_address="hq",
    shipping_address="depot",
    ship_from_address="plant",
    should_calculate_tax=True,
    defaulted=("due_date", "legal_entity_id"),
)
TEXTS = invoice.HeaderTexts("Ada & Co.", "Ada L.", "Bob", "as agreed: “thanks”")

MEMO = debit_memo.Header(
    account_id="A-1",
    currency="EUR",
    legal_entity_id="DE",
    invoiceable=True,
    order_id="O-1",
    reason_code="too-little",
    labels={"team": "north"},
    billing_address="hq",
    shipping_address="depot",
    ship_from_address="plant",
    defaulted=("legal_entity_id",),
)
MEMO_ROW = invoice.TaxRow(
    "T-1", Decimal("19.00"), Decimal("0.19"), "VAT", "V19", date(2026, 4, 1), "D-1", Decimal("5.00")
)

CREDIT = invoice.CreditApplied(
    UUID(int=6),
    UUID(int=7),
    Decimal("119.00"),
    date(2026, 4, 5),
    invoice.CreditOrigin.CONVERSION,
    UUID(int=5),
    "r-3",
)
DOCUMENT = invoice.TaxDocument("far", "d-1")
POLICY = reference.SequencePolicy(
    "invoices",
    "Invoices",
    "DE",
    "R-{Date:YYYY}-{SequenceValue}",
    reference.SequenceTarget.CREDIT_MEMO,
    100,
    2,
    5,
    99_998,
    reference.Restart.YEARLY,
    (reference.SequenceCondition("currency_code", reference.Comparison.NOT_EQUALS, "USD"),),
    date(2026, 1, 1),
    date(2027, 12, 31),
    reference.EntryStatus.INACTIVE,
)

EXAMPLES: dict[tuple[str, int], Event] = {
    ("InvoiceDrafted", 1): invoice.InvoiceDrafted(
        unique_identifier="key-1",
        header=HEADER,
        fingerprint="f1:ab12",
        today=date(2026, 4, 2),
        reference_position=12,
        size=5,
        personal=TEXTS,
    ),
    ("AddressGroupAssigned", 1): invoice.AddressGroupAssigned(
        "hq",
        "BY",
        "DE",
        invoice.Place("Hauptstraße 1", "Würzburg", "97070", Decimal("49.79"), Decimal("9.95")),
    ),
    ("LineAdded", 1): invoice.LineAdded(
        number=1,
        name="Support",
        start_date=date(2026, 4, 1),
        end_date=date(2026, 4, 30),
        quantity=Decimal("2.5"),
        unit_price=Decimal("100.00"),
        charge=Decimal("-250.00"),
        billing_address="hq",
        shipping_address="depot",
        tax_treatment_id="standard",
        taxable=True,
        tax_status=invoice.TaxStatus.ESTIMATED,
        ship_from_address="plant",
        accounting_period_id="2026-04",
        product_id="P-1",
        product_name="Support, gold",
        usage_product_id="P-2",
        usage_based=True,
        usage_overage_quantity=Decimal("0.25"),
        unit_of_measure_id="h",
        unit_of_measure_name="hours",
        reference=invoice.LineReference(invoice.LineReferenceKind.ORDER_ITEM, "OI-1", "O-1", "shop", "item"),
        personal=invoice.LineTexts("for Ada"),
    ),
    ("TaxImported", 1): invoice.TaxImported(
        line=1,
        rows=(
            invoice.TaxRow(
                "T-1",
                Decimal("19.00"),
                Decimal("0.19"),
                "VAT",
                "V19",
                date(2026, 4, 1),
                "D-1",
                Decimal("5.00"),
            ),
            invoice.TaxRow("T-2", Decimal(0), Decimal("0.00"), "City", "C0", date(2026, 4, 1), "D-1"),
        ),
        personal=invoice.TaxTexts(("federal", "")),
    ),
    ("TaxEstimationRequested", 1): invoice.TaxEstimationRequested(),
    ("TaxEngineCalled", 1): invoice.TaxEngineCalled(
        "far", "D-7", "estimate", 2, 1250, "SUCCESS", "a" * 64, "OK", "b" * 64
    ),
    ("TaxEstimated", 1): invoice.TaxEstimated(
        engine_id="rates",
        engine_version="rate-table/1",
        document_code="D-7",
        effective_date=date(2026, 4, 1),
        reference_position=12,
        total_tax=Decimal("24.00"),
        following=1,
        lines=(
            tax.EstimatedLine(
                1,
                "S",
                (
                    tax.EstimatedRow(
                        Decimal("19.00"),
                        Decimal(19),
                        "VAT",
                        Decimal("100.00"),
                        tax.RowBasis.GROSS,
                        "de-19",
                        3,
                    ),
                    tax.EstimatedRow(
                        Decimal("5.00"),
                        Decimal(0),
                        "City",
                        Decimal("119.00"),
                        tax.RowBasis.ENGINE,
                        exempt_amount=Decimal("1.00"),
                        exempt_reason="museum",
                        transaction_number="T-9",
                        imposition_type="CITY",
                        jurisdiction=tax.Jurisdiction("DE", "CITY", "Würzburg", "BY", "j-1"),
                    ),
                ),
            ),
            tax.EstimatedLine(2),
        ),
        rounding="HALF_AWAY_FROM_ZERO",
    ),
    ("TaxSkipped", 1): invoice.TaxSkipped((3, 4), 2),
    ("TaxEstimationFailed", 1): invoice.TaxEstimationFailed(
        "far", "TIMEOUT", "no answer in 2500 ms", date(2026, 4, 1), 12
    ),
    ("PostingTaxRequested", 1): invoice.PostingTaxRequested((DOCUMENT,), date(2026, 4, 3), 12),
    ("TaxPosted", 1): invoice.TaxPosted(
        engine_id="rates",
        engine_version="rate-table/1",
        document_code="d-1",
        effective_date=date(2026, 4, 1),
        reference_position=12,
        total_tax=Decimal("19.00"),
        following=1,
        lines=(
            tax.EstimatedLine(
                1,
                "S",
                (
                    tax.EstimatedRow(
                        Decimal("19.00"),
                        Decimal(19),
                        "VAT",
                        Decimal("100.00"),
                        tax.RowBasis.GROSS,
                        "de-19",
                        3,
                    ),
                ),
            ),
        ),
        rounding="HALF_AWAY_FROM_ZERO",
    ),
    ("PostingFailed", 1): invoice.PostingFailed("far", "TIMEOUT", "no answer within 5000 ms", 12),
    ("TaxVoidRequested", 1): invoice.TaxVoidRequested((DOCUMENT,), "the draft was canceled"),
    ("TaxVoided", 1): invoice.TaxVoided((DOCUMENT,)),
    ("TaxVoidFailed", 1): invoice.TaxVoidFailed("far", "UNREACHABLE", "tax.example.com:443 is out of reach"),
    ("InvoicePosted", 2): invoice.InvoicePosted(
        "R-2026-00100", date(2026, 4, 3), imported=True, policy_id="invoices", period="2026"
    ),
    ("InvoicePosted", 1): invoice.InvoicePosted("R-100", date(2026, 4, 3), imported=True),
    ("InvoiceRevised", 1): invoice.InvoiceRevised(
        header=HEADER,
        fingerprint="f1:cd34",
        today=date(2026, 4, 2),
        reference_position=13,
        size=4,
        request_id="r-1",
        personal=TEXTS,
    ),
    ("InvoiceUpdated", 1): invoice.InvoiceUpdated(
        changed=("labels", "reference", "description"),
        labels={"team": "south"},
        reference=invoice.Reference(invoice.ReferenceKind.QUOTE, "Q-1"),
        request_id="r-2",
        personal=invoice.DescriptionTexts("changed"),
    ),
    ("InvoiceCanceled", 1): invoice.InvoiceCanceled(),
    ("PaymentRecorded", 1): invoice.PaymentRecorded(
        UUID(int=8), Decimal("50.00"), date(2026, 4, 4), "SEPA 77", "r-4"
    ),
    ("PaymentReversed", 1): invoice.PaymentReversed(UUID(int=8), Decimal("20.00"), date(2026, 4, 6), "r-5"),
    ("CreditApplied", 1): CREDIT,
    ("CreditUnapplied", 1): invoice.CreditUnapplied(UUID(int=6), Decimal("119.00"), date(2026, 4, 7), "r-6"),
    ("NegativeLinesConverted", 1): invoice.NegativeLinesConverted(
        UUID(int=7), (2, 3), Decimal("-119.00"), date(2026, 4, 5), "r-7", True, CREDIT
    ),
    ("InvoiceWrittenOff", 1): invoice.InvoiceWrittenOff("insolvent", CREDIT),
    ("InvoiceVoided", 1): invoice.InvoiceVoided(CREDIT),
    ("CreditMemoPosted", 1): credit_memo.CreditMemoPosted(
        credit_memo.Header(
            UUID(int=5),
            invoice.CreditOrigin.WRITE_OFF,
            "A-1",
            "EUR",
            "DE",
            "R-100",
            "2026-04",
            "insolvent",
        ),
        date(2026, 4, 5),
        3,
    ),
    ("CreditMemoLineAdded", 1): credit_memo.CreditMemoLineAdded(
        number=1,
        name="Support",
        credit=Decimal("100.00"),
        invoice_line=2,
        rows=(MEMO_ROW,),
        start_date=date(2026, 4, 1),
        end_date=date(2026, 4, 30),
        tax_treatment_id="standard",
        product_id="P-1",
        product_name="Support, gold",
    ),
    ("CreditMemoApplied", 1): credit_memo.CreditMemoApplied(
        UUID(int=6), UUID(int=5), Decimal("119.00"), date(2026, 4, 5), "r-3"
    ),
    ("CreditMemoUnapplied", 1): credit_memo.CreditMemoUnapplied(
        UUID(int=6), Decimal("119.00"), date(2026, 4, 7), "r-6"
    ),
    ("DebitMemoDrafted", 1): debit_memo.DebitMemoDrafted(
        unique_identifier="memo-1",
        header=MEMO,
        fingerprint="f1:ab12",
        today=date(2026, 4, 2),
        reference_position=12,
        size=4,
        request_id="r-1",
        personal=debit_memo.Texts("Ada & Co.", "as agreed"),
    ),
    ("DebitMemoAddressAssigned", 1): debit_memo.DebitMemoAddressAssigned(
        "hq",
        "BY",
        "DE",
        invoice.Place("Hauptstraße 1", "Würzburg", "97070", Decimal("49.79"), Decimal("9.95")),
    ),
    ("DebitMemoLineAdded", 1): debit_memo.DebitMemoLineAdded(
        number=1,
        name="Support",
        charge=Decimal("100.00"),
        start_date=date(2026, 4, 1),
        end_date=date(2026, 4, 30),
        billing_address="hq",
        shipping_address="depot",
        tax_treatment_id="standard",
        ship_from_address="plant",
        accounting_period_id="2026-04",
        product_id="P-1",
        product_name="Support, gold",
        personal=invoice.LineTexts("for Ada"),
    ),
    ("DebitMemoTaxImported", 1): debit_memo.DebitMemoTaxImported(
        1, (MEMO_ROW,), invoice.TaxTexts(("federal",))
    ),
    ("DebitMemoUpdated", 1): debit_memo.DebitMemoUpdated(
        header=MEMO,
        fingerprint="f1:cd34",
        today=date(2026, 4, 3),
        reference_position=13,
        size=3,
        request_id="r-2",
        personal=debit_memo.Texts("Ada & Co.", "as agreed since"),
    ),
    ("DebitMemoPosted", 1): debit_memo.DebitMemoPosted(date(2026, 4, 3)),
    ("DebitMemoCanceled", 1): debit_memo.DebitMemoCanceled(),
    ("DebitMemoVoided", 1): debit_memo.DebitMemoVoided(),
    ("DebitMemoProcessed", 1): debit_memo.DebitMemoProcessed(debit_memo.ProcessedTexts("by hand")),
    ("DebitMemoBilled", 1): debit_memo.DebitMemoBilled(UUID(int=5)),
    ("DebitMemoReleased", 1): debit_memo.DebitMemoReleased(UUID(int=5)),
    ("DebitMemoInvoicePosted", 1): debit_memo.DebitMemoInvoicePosted(UUID(int=5)),
    ("NumberClaimed", 1): numbering.NumberClaimed("DE", "R-100", UUID(int=5)),
    ("NumberReleased", 1): numbering.NumberReleased("DE", "R-100", UUID(int=5)),
    ("PaymentTermSet", 1): reference.PaymentTermSet(
        reference.PaymentTerm(
            "net-30", "Net 30", TermType.PERIOD_BASED, 30, status=reference.EntryStatus.INACTIVE
        )
    ),
    ("LegalEntitySet", 1): reference.LegalEntitySet(
        reference.LegalEntity("DE", "Daybook GmbH", "Europe/Berlin", reference.EntryStatus.DRAFT)
    ),
    ("AccountingPeriodSet", 1): reference.AccountingPeriodSet(
        reference.AccountingPeriod(
            "2026-04",
            "DE",
            "April",
            date(2026, 4, 1),
            date(2026, 4, 30),
            "2026",
            reference.PeriodStatus.CLOSED,
        )
    ),
    ("TaxTreatmentSet", 1): reference.TaxTreatmentSet(
        reference.TaxTreatment("standard", "Standard", True, "S", "SW", reference.EntryStatus.ACTIVE)
    ),
    ("TaxTreatmentSet", 2): reference.TaxTreatmentSet(
        reference.TaxTreatment(
            "standard",
            "Standard",
            True,
            "S",
            "SW",
            reference.EntryStatus.ACTIVE,
            "rates",
            (reference.TreatmentItem("P-1", "R", "BOOK"),),
        )
    ),
    ("TaxEngineSet", 1): reference.TaxEngineSet(
        reference.TaxEngine(
            "far",
            "Far away",
            reference.EngineType.REMOTE,
            "tax.example.com:443",
            True,
            "DE123",
            2500,
            reference.EntryStatus.INACTIVE,
        )
    ),
    ("TaxRateSet", 1): reference.TaxRateSet(
        reference.TaxRate(
            "de-19",
            "VAT 19 %",
            "S",
            "DE",
            Decimal("19.000000"),
            None,
            reference.Basis.NET,
            1,
            "BY",
            "SW",
            "DE",
            "EUR",
            date(2026, 1, 1),
            date(2026, 12, 31),
        )
    ),
    ("SequencePolicySet", 1): reference.SequencePolicySet(POLICY),
    ("SeriesOpened", 1): sequence.SeriesOpened("2026", POLICY),
    ("NumberAssigned", 1): sequence.NumberAssigned(
        "invoices", "2026", "R-2026-00100", UUID(int=5), date(2026, 4, 3), brought=True
    ),
    ("SettingsSet", 3): reference.SettingsSet(
        reference.Settings("net-30", "DE", "standard", False, True, True, True, True)
    ),
    ("SettingsSet", 1): reference.SettingsSet(
        reference.Settings("net-30", "DE", "standard", False, True, True)
    ),
    ("SettingsSet", 2): reference.SettingsSet(
        reference.Settings("net-30", "DE", "standard", False, True, True, True)
    ),
    ("ReferenceEntryRemoved", 1): reference.ReferenceEntryRemoved(reference.Kind.PAYMENT_TERM, "net-30"),
    ("ReferenceDataApplied", 1): reference.ReferenceDataApplied(3, 2, 1),
}
