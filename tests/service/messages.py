"""Good requests, as another team would write them; tests change what they are about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import uuid4

from google.protobuf.field_mask_pb2 import FieldMask
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as WireDecimal

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import reference_data_service_pb2 as reference_pb

INVOICE_DATE = date(2026, 11, 20)


def day(value: date) -> Date:
    return Date(year=value.year, month=value.month, day=value.day)


def number(text: str | int) -> WireDecimal:
    return WireDecimal(value=str(text))


def reference_data() -> reference_pb.ReferenceData:
    """Two companies, their periods, three terms, two treatments, and what holds where nothing is said."""
    term, entity, period = reference_pb.PaymentTerm, reference_pb.LegalEntity, reference_pb.AccountingPeriod
    by_days = reference_pb.PAYMENT_TERM_TYPE_PERIOD_BASED
    year: dict[str, Any] = {"start_date": day(date(2026, 1, 1)), "end_date": day(date(2026, 12, 31))}
    return reference_pb.ReferenceData(
        payment_terms=[
            term(id="net-30", name="30 days net", type=by_days, days=30),
            term(id="net-60", name="60 days net", type=by_days, days=60),
            term(
                id="eom-15",
                name="Mid of next month",
                type=reference_pb.PAYMENT_TERM_TYPE_EOM_PLUS_X,
                days=15,
            ),
        ],
        legal_entities=[
            entity(id="de", name="Daybook GmbH", time_zone="Europe/Berlin"),
            entity(id="us", name="Daybook Inc.", time_zone="America/Chicago"),
        ],
        accounting_periods=[
            period(id="de-2026", legal_entity_id="de", name="2026", **year),
            period(id="us-2026", legal_entity_id="us", name="2026", **year),
        ],
        tax_treatments=[
            reference_pb.TaxTreatment(id="standard", name="Standard rate", taxable=True, tax_code="S"),
            reference_pb.TaxTreatment(id="exempt", name="Exempt"),
        ],
        settings=reference_pb.Settings(
            default_payment_term_id="net-30",
            default_legal_entity_id="de",
            default_tax_treatment_id="standard",
        ),
    )


def apply(
    data: reference_pb.ReferenceData | None = None, **said: Any
) -> reference_pb.ApplyReferenceDataRequest:
    return reference_pb.ApplyReferenceDataRequest(data=data or reference_data(), **said)


def a_term(term_id: str = "net-30", **changes: Any) -> reference_pb.ReferenceData:
    """Reference data of one payment term."""
    said: dict[str, Any] = {"name": "A term", "type": reference_pb.PAYMENT_TERM_TYPE_PERIOD_BASED, "days": 30}
    return reference_pb.ReferenceData(
        payment_terms=[reference_pb.PaymentTerm(id=term_id, **(said | changes))]
    )


def a_tax(amount: str = "47.50", **changes: Any) -> pb.TaxRow:
    said: dict[str, Any] = {
        "transaction_number": "T-1",
        "amount": number(amount),
        "rate": number("0.19"),
        "name": "VAT",
        "code": "S",
        "effective_date": day(INVOICE_DATE),
        "document_number": "TD-1",
    }
    return pb.TaxRow(**(said | changes))


def a_line(charge: str = "250.00", **changes: Any) -> pb.LineContent:
    said: dict[str, Any] = {
        "name": "Support",
        "start_date": day(date(2026, 11, 1)),
        "end_date": day(date(2026, 11, 30)),
        "quantity": number(1),
        "unit_price": number(charge),
        "charge_amount": number(charge),
    }
    return pb.LineContent(**(said | changes))


def an_address(key: str = "main", **changes: Any) -> pb.AddressGroup:
    said: dict[str, Any] = {
        "street": "Hauptstraße 1",
        "city": "Würzburg",
        "state": "Bayern",
        "postal_code": "97070",
        "country": "DE",
    }
    return pb.AddressGroup(key=key, **(said | changes))


def an_invoice(
    key: str | None = None, lines: Iterable[pb.LineContent] = (), **changes: Any
) -> pb.InvoiceContent:
    """A draft of one line, under a key of its own; `key=""` for none."""
    said: dict[str, Any] = {
        "unique_identifier": f"shop-{uuid4()}" if key is None else key,
        "account_id": "acc-1",
        "bill_to_contact_id": "con-1",
        "invoice_date": day(INVOICE_DATE),
        "currency_code": "EUR",
        "address_groups": [an_address()],
        "billing_address": "main",
        "shipping_address": "main",
        "lines": list(lines) or [a_line()],
    }
    return pb.InvoiceContent(**(said | changes))


def a_posted_invoice(key: str | None = None, number: str = "R-1", **changes: Any) -> pb.InvoiceContent:
    """A posted import: it brings its number and its taxes."""
    said: dict[str, Any] = {
        "status": pb.INVOICE_STATUS_POSTED,
        "tax_status": pb.TAX_STATUS_POSTED,
        "invoice_number": number,
        "lines": [a_line(taxes=[a_tax()])],
    }
    return an_invoice(key, **(said | changes))


def ingest(content: pb.InvoiceContent | None = None, **said: Any) -> service_pb.IngestInvoiceRequest:
    return service_pb.IngestInvoiceRequest(invoice=content or an_invoice(), **said)


def by_key(key: str) -> service_pb.InvoiceKey:
    return service_pb.InvoiceKey(unique_identifier=key)


def by_id(invoice_id: str) -> service_pb.InvoiceKey:
    return service_pb.InvoiceKey(invoice_id=invoice_id)


def by_number(text: str, legal_entity_id: str = "de") -> service_pb.InvoiceKey:
    return service_pb.InvoiceKey(
        number=service_pb.InvoiceNumber(legal_entity_id=legal_entity_id, number=text)
    )


def get(key: service_pb.InvoiceKey, **said: Any) -> query_pb.GetInvoiceRequest:
    return query_pb.GetInvoiceRequest(key=key, **said)


def revise(
    key: str | service_pb.InvoiceKey, content: pb.InvoiceContent, **said: Any
) -> service_pb.ReviseInvoiceRequest:
    return service_pb.ReviseInvoiceRequest(key=_key(key), invoice=content, **said)


def cancel(key: str | service_pb.InvoiceKey, **said: Any) -> service_pb.CancelInvoiceRequest:
    return service_pb.CancelInvoiceRequest(key=_key(key), **said)


def update(
    key: str | service_pb.InvoiceKey,
    *paths: str,
    change: service_pb.InvoiceChange | None = None,
    **said: Any,
) -> service_pb.UpdateInvoiceRequest:
    return service_pb.UpdateInvoiceRequest(
        key=_key(key), change=change, update_mask=FieldMask(paths=paths), **said
    )


def _key(key: str | service_pb.InvoiceKey) -> service_pb.InvoiceKey:
    return by_key(key) if isinstance(key, str) else key


def post(key: str | service_pb.InvoiceKey, **said: Any) -> service_pb.PostInvoiceRequest:
    return service_pb.PostInvoiceRequest(key=_key(key), **said)


def a_policy(policy_id: str = "invoices", **changes: Any) -> reference_pb.SequencePolicy:
    said: dict[str, Any] = {
        "name": "Invoices",
        "legal_entity_id": "de",
        "pattern": "INV-{SequenceValue}",
        "width": 4,
    }
    return reference_pb.SequencePolicy(id=policy_id, **(said | changes))


def postable(*policies: reference_pb.SequencePolicy) -> reference_pb.ReferenceData:
    """Reference data with which drafts can be posted: a rate of 19 %, and sequence policies."""
    data = reference_data()
    data.tax_engines.add(id="rates", name="Rates", type=reference_pb.TAX_ENGINE_TYPE_RATE_TABLE)
    for treatment in data.tax_treatments:
        treatment.engine_id = "rates" if treatment.taxable else ""
    data.tax_rates.add(id="s", name="VAT", tax_code="S", country="DE", percentage=number(19))
    data.sequence_policies.extend(policies)
    return data
