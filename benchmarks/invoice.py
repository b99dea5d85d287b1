"""The invoice that is measured, and the reference data that it rests on, as a caller sends them."""

from __future__ import annotations

import struct

import grpc
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import reference_data_service_pb2_grpc as reference_grpc

LINES = 5
EVENTS = LINES + 3  # the header, an address group, the lines, the taxes of one line
METHOD = "/daybook.v1.InvoiceService/IngestInvoice"
TERM, ENTITY, TREATMENT, PERIOD = "net-30", "de-01", "standard", "2026-11"
NOVEMBER, LAST = Date(year=2026, month=11, day=1), Date(year=2026, month=11, day=30)


def request(lines: int = LINES) -> service_pb.IngestInvoiceRequest:
    """Without a key of its own, so that every call is a new invoice."""
    content = pb.InvoiceContent(
        tax_status=pb.TAX_STATUS_ESTIMATED,
        account_id="001Hs00002xQmPQIA0",
        account_name="Blau & Sohn Werkzeugmaschinen GmbH",
        bill_to_contact_id="003Hs00004vKaTzIAK",
        bill_to_contact_name="Friederike Sommer",
        invoice_date=NOVEMBER,
        payment_term_id=TERM,
        currency_code="EUR",
        description="Subscriptions and services of November 2026, as agreed in the framework contract",
        reference=pb.Reference(kind=pb.REFERENCE_KIND_ORDER, id="801Hs00001kZbQxIAK"),
        source=pb.Source(system="storefront", id="b7c1f0de-55f7-4a39-a9b5-58b2c3c1d0aa"),
        purchase_order_number="PO-2026-118842",
        labels={"region": "emea", "channel": "direct"},
        owner_id="005Hs00000fGhJkIAK",
        owner_name="Katharina Lindqvist",
        address_groups=[_ADDRESS],
        billing_address="hq",
        shipping_address="hq",
        lines=[_line(number) for number in range(1, lines + 1)],
    )
    content.lines[0].taxes.append(_TAX)
    return service_pb.IngestInvoiceRequest(invoice=content, correlation_id="billing-run-2026-11")


def frame(message: service_pb.IngestInvoiceRequest) -> bytes:
    """The message as gRPC puts it on the wire: uncompressed, after its length."""
    body = message.SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body


_ADDRESS = pb.AddressGroup(
    key="hq",
    street="Industriestraße 148, Gebäude C",
    city="Ludwigsburg",
    state="Baden-Württemberg",
    postal_code="71636",
    country="DE",
)
_TAX = pb.TaxRow(
    transaction_number="TX-2026-11-0048812",
    amount=Decimal(value="47.50"),
    rate=Decimal(value="0.19"),
    name="VAT",
    code="DE-STD",
    effective_date=NOVEMBER,
    document_number="DOC-2026-11-0019",
)


def _line(number: int) -> pb.LineContent:
    return pb.LineContent(
        name=f"Machine monitoring, plant {number}",
        start_date=NOVEMBER,
        end_date=LAST,
        quantity=Decimal(value="2.5"),
        unit_price=Decimal(value="100.00"),
        charge_amount=Decimal(value="250.00"),
        tax_treatment_id=TREATMENT,
        accounting_period_id=PERIOD,
        product_id=f"01tHs00000aBcD{number}IAK",
        product_name="Machine monitoring, professional edition",
        unit_of_measure_id="hour",
        unit_of_measure_name="Hour",
        description="As metered at the spindle, including weekends and the night shift"
        if number <= 2
        else "",
        reference=pb.LineReference(
            kind=pb.LINE_REFERENCE_KIND_ORDER_ITEM,
            id=f"802Hs00000Zz{number}IAK",
            order_id="801Hs00001kZbQxIAK",
        ),
    )


REFERENCE_DATA = reference_pb.ReferenceData(
    payment_terms=[
        reference_pb.PaymentTerm(
            id=TERM, name="30 days", type=reference_pb.PAYMENT_TERM_TYPE_PERIOD_BASED, days=30
        )
    ],
    legal_entities=[reference_pb.LegalEntity(id=ENTITY, name="Northwind Europe", time_zone="Europe/Berlin")],
    accounting_periods=[
        reference_pb.AccountingPeriod(
            id=PERIOD, legal_entity_id=ENTITY, name="November 2026", start_date=NOVEMBER, end_date=LAST
        )
    ],
    tax_treatments=[reference_pb.TaxTreatment(id=TREATMENT, name="Standard rate", taxable=True)],
    settings=reference_pb.Settings(
        default_payment_term_id=TERM, default_legal_entity_id=ENTITY, default_tax_treatment_id=TREATMENT
    ),
)


def apply_reference_data(channel: grpc.Channel) -> None:
    stub = reference_grpc.ReferenceDataServiceStub(channel)
    stub.ApplyReferenceData(reference_pb.ApplyReferenceDataRequest(data=REFERENCE_DATA), timeout=10)
