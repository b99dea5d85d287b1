"""The invoice that is measured, and the reference data that it rests on, as a caller sends them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from uuid import uuid4

import grpc
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from daybook.v1 import reference_data_service_pb2_grpc as reference_grpc

LINES = 5
EVENTS = LINES + 3  # the header, an address group, the lines, the taxes of one line
ORDER = "801Hs00001kZbQxIAK"
METHOD = "/daybook.v1.InvoiceService/IngestInvoice"
TERM, ENTITY, TREATMENT, PERIOD = "net-30", "de-01", "standard", "2026-11"
RATED = "rated"  # as the standard treatment, but that an engine can work out its tax
NOVEMBER, LAST = Date(year=2026, month=11, day=1), Date(year=2026, month=11, day=30)


def request(lines: int = LINES, treatment: str = TREATMENT) -> service_pb.IngestInvoiceRequest:
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
        reference=pb.Reference(kind=pb.REFERENCE_KIND_ORDER, id=ORDER),
        source=pb.Source(system="storefront", id="b7c1f0de-55f7-4a39-a9b5-58b2c3c1d0aa"),
        purchase_order_number="PO-2026-118842",
        labels={"region": "emea", "channel": "direct"},
        owner_id="005Hs00000fGhJkIAK",
        owner_name="Katharina Lindqvist",
        address_groups=[_ADDRESS],
        billing_address="hq",
        shipping_address="hq",
        lines=[_line(number, treatment) for number in range(1, lines + 1)],
    )
    if content.lines:
        content.lines[0].taxes.append(_TAX)
    return service_pb.IngestInvoiceRequest(invoice=content, correlation_id="billing-run-2026-11")


def as_large_as(size: int) -> service_pb.IngestInvoiceRequest:
    """A message of this size, for who only echoes it."""
    message = request(0 + (size > request().ByteSize()) * LINES)
    message.reason = "x" * max(0, size - message.ByteSize())
    return message


def streamed(count: int) -> Iterator[service_pb.StreamIngestInvoicesRequest]:
    """Invoices for a stream, each under a key of its own."""
    message = service_pb.StreamIngestInvoicesRequest(request=request())
    for _ in range(count):
        message.request.invoice.unique_identifier = str(uuid4())
        yield message


def framed(message: Message) -> bytes:
    """The message as gRPC puts it on the wire: uncompressed, after its length."""
    return frame(message.SerializeToString())


def frame(body: bytes) -> bytes:
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


def _line(number: int, treatment: str) -> pb.LineContent:
    return pb.LineContent(
        name=f"Machine monitoring, plant {number}",
        start_date=NOVEMBER,
        end_date=LAST,
        quantity=Decimal(value="2.5"),
        unit_price=Decimal(value="100.00"),
        charge_amount=Decimal(value="250.00"),
        tax_treatment_id=treatment,
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
    tax_engines=[
        reference_pb.TaxEngine(id="rates", name="Rates", type=reference_pb.TAX_ENGINE_TYPE_RATE_TABLE)
    ],
    tax_treatments=[
        reference_pb.TaxTreatment(id=TREATMENT, name="Standard rate", taxable=True),
        reference_pb.TaxTreatment(
            id=RATED, name="Standard rate, by table", taxable=True, tax_code="DE-S", engine_id="rates"
        ),
    ],
    tax_rates=[
        reference_pb.TaxRate(
            id="de-19", name="VAT 19 %", tax_code="DE-S", country="DE", percentage=Decimal(value="19")
        )
    ],
    sequence_policies=[
        reference_pb.SequencePolicy(
            id="invoices", name="Invoices", legal_entity_id=ENTITY, pattern="NW-{SequenceValue}"
        )
    ],
    settings=reference_pb.Settings(
        default_payment_term_id=TERM, default_legal_entity_id=ENTITY, default_tax_treatment_id=TREATMENT
    ),
)


def apply_reference_data(channel: grpc.Channel) -> None:
    stub = reference_grpc.ReferenceDataServiceStub(channel)
    stub.ApplyReferenceData(reference_pb.ApplyReferenceDataRequest(data=REFERENCE_DATA), timeout=10)
