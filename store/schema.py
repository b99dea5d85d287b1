"""The registry: every event that there is, under the name and version it is stored by. Names are for ever."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from domain import credit_memo, debit_memo, invoice, numbering, reference, sequence

from .codec import Codec, Entry, Envelope
from .upcasts import UPCASTS

REGISTRY: dict[str, Entry] = {
    "InvoiceDrafted": Entry(invoice.InvoiceDrafted),
    "AddressGroupAssigned": Entry(invoice.AddressGroupAssigned),
    "LineAdded": Entry(invoice.LineAdded),
    "TaxImported": Entry(invoice.TaxImported),
    "TaxEstimationRequested": Entry(invoice.TaxEstimationRequested),
    "TaxEngineCalled": Entry(invoice.TaxEngineCalled),
    "TaxEstimated": Entry(invoice.TaxEstimated),
    "TaxSkipped": Entry(invoice.TaxSkipped),
    "TaxEstimationFailed": Entry(invoice.TaxEstimationFailed),
    "PostingTaxRequested": Entry(invoice.PostingTaxRequested),
    "TaxPosted": Entry(invoice.TaxPosted),
    "PostingFailed": Entry(invoice.PostingFailed),
    "TaxVoidRequested": Entry(invoice.TaxVoidRequested),
    "TaxVoided": Entry(invoice.TaxVoided),
    "TaxVoidFailed": Entry(invoice.TaxVoidFailed),
    "InvoicePosted": Entry(invoice.InvoicePosted, version=2),
    "InvoiceRevised": Entry(invoice.InvoiceRevised),
    "InvoiceUpdated": Entry(invoice.InvoiceUpdated),
    "InvoiceCanceled": Entry(invoice.InvoiceCanceled),
    "PaymentRecorded": Entry(invoice.PaymentRecorded),
    "PaymentReversed": Entry(invoice.PaymentReversed),
    "CreditApplied": Entry(invoice.CreditApplied),
    "CreditUnapplied": Entry(invoice.CreditUnapplied),
    "NegativeLinesConverted": Entry(invoice.NegativeLinesConverted),
    "InvoiceWrittenOff": Entry(invoice.InvoiceWrittenOff),
    "InvoiceVoided": Entry(invoice.InvoiceVoided),
    "CreditMemoPosted": Entry(credit_memo.CreditMemoPosted),
    "CreditMemoLineAdded": Entry(credit_memo.CreditMemoLineAdded),
    "CreditMemoApplied": Entry(credit_memo.CreditMemoApplied),
    "CreditMemoUnapplied": Entry(credit_memo.CreditMemoUnapplied),
    "DebitMemoDrafted": Entry(debit_memo.DebitMemoDrafted),
    "DebitMemoAddressAssigned": Entry(debit_memo.DebitMemoAddressAssigned),
    "DebitMemoLineAdded": Entry(debit_memo.DebitMemoLineAdded),
    "DebitMemoTaxImported": Entry(debit_memo.DebitMemoTaxImported),
    "DebitMemoUpdated": Entry(debit_memo.DebitMemoUpdated),
    "DebitMemoPosted": Entry(debit_memo.DebitMemoPosted),
    "DebitMemoCanceled": Entry(debit_memo.DebitMemoCanceled),
    "DebitMemoVoided": Entry(debit_memo.DebitMemoVoided),
    "DebitMemoProcessed": Entry(debit_memo.DebitMemoProcessed),
    "DebitMemoBilled": Entry(debit_memo.DebitMemoBilled),
    "DebitMemoReleased": Entry(debit_memo.DebitMemoReleased),
    "DebitMemoInvoicePosted": Entry(debit_memo.DebitMemoInvoicePosted),
    "NumberClaimed": Entry(numbering.NumberClaimed),
    "NumberReleased": Entry(numbering.NumberReleased),
    "SeriesOpened": Entry(sequence.SeriesOpened),
    "NumberAssigned": Entry(sequence.NumberAssigned),
    "PaymentTermSet": Entry(reference.PaymentTermSet),
    "LegalEntitySet": Entry(reference.LegalEntitySet),
    "AccountingPeriodSet": Entry(reference.AccountingPeriodSet),
    "TaxEngineSet": Entry(reference.TaxEngineSet),
    "TaxTreatmentSet": Entry(reference.TaxTreatmentSet, version=2),
    "TaxRateSet": Entry(reference.TaxRateSet),
    "SequencePolicySet": Entry(reference.SequencePolicySet),
    "SettingsSet": Entry(reference.SettingsSet, version=3),
    "ReferenceEntryRemoved": Entry(reference.ReferenceEntryRemoved),
    "ReferenceDataApplied": Entry(reference.ReferenceDataApplied),
}

# An index of its own finds these (sql/): a process that starts reads all reference data without the invoices.
REFERENCE_TOPICS = (
    "AccountingPeriodSet",
    "LegalEntitySet",
    "PaymentTermSet",
    "ReferenceDataApplied",
    "ReferenceEntryRemoved",
    "SequencePolicySet",
    "SettingsSet",
    "TaxEngineSet",
    "TaxRateSet",
    "TaxTreatmentSet",
)


@cache
def codec() -> Codec:
    """The codec of this registry; it takes a while to make, and serves all of a process."""
    return Codec(REGISTRY, UPCASTS)


def described() -> dict[str, object]:
    """JSON Schema of every event's stored form; in it, personal text stands as its commitment, in hex."""
    told: dict[str, object] = {}
    for name, entry in REGISTRY.items():
        form: Any = Envelope[entry.type]  # type: ignore[name-defined]
        told[name] = {"version": entry.version, "schema": msgspec.json.schema(form)}
    return told
