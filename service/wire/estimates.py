"""Estimates of tax between the contract and the domain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

from google.protobuf.duration_pb2 import Duration

from daybook.v1 import invoice_service_pb2 as pb
from daybook.v1 import reference_data_service_pb2 as reference_pb
from domain import invoice, reference
from domain.findings import Findings, Malformed, Rule
from store.log import Recorded

from .invoices import Positioned
from .tax_reference import read_rate
from .values import EnumTable, read_date, write_instant

TAX_OUTCOMES = EnumTable(pb.TaxOutcome, invoice.TaxOutcome, "TAX_OUTCOME")


def read_estimate(message: pb.EstimateTaxRequest) -> invoice.Estimate:
    """The command; another date and other rates are for a dry run."""
    findings = Findings()
    effective: date | None = None
    rates: reference.RateTable | None = None
    for name in ("effective_date", "what_if_rates"):
        if message.HasField(name) and not message.validate_only:
            findings.add(name, Rule.DRY_RUN_ONLY)
    if message.HasField("effective_date"):
        effective = read_date(message.effective_date, "effective_date", findings)
    if message.HasField("what_if_rates"):
        rates = _read_rates(message.what_if_rates.tax_rates, "what_if_rates.tax_rates", findings)
    if findings:
        raise Malformed(findings)
    return invoice.Estimate(effective, rates)


def _read_rates(said: Sequence[reference_pb.TaxRate], path: str, findings: Findings) -> reference.RateTable:
    """The rates; too many of them are not looked at."""
    if len(said) > reference.RATES_MAX:
        findings.add(path, Rule.TOO_MANY, limit=reference.RATES_MAX, count=len(said))
        return reference.table(())
    read = [read_rate(each, f"{path}[{n}]", findings) for n, each in enumerate(said)]
    reference.check_rates(read, path, findings)
    return reference.table(read)


def write_tax_outcome(outcome: invoice.TaxOutcome) -> pb.TaxOutcome.ValueType:
    return cast(pb.TaxOutcome.ValueType, TAX_OUTCOMES.wire[outcome])


def write_tax_failure(state: invoice.Invoice) -> pb.TaxFailure | None:
    failure = state.tax_failure
    return write_failure(failure.engine_id, failure.code, failure.because) if failure else None


def write_failure(engine_id: str, code: str, because: str) -> pb.TaxFailure:
    return pb.TaxFailure(engine_id=engine_id, code=code, description=because)


def write_interactions(calls: Iterable[Recorded], position: Positioned) -> Iterable[pb.TaxInteraction]:
    for each in calls:
        call: invoice.TaxEngineCalled = each.event
        duration = Duration()
        duration.FromMicroseconds(call.micros)
        yield pb.TaxInteraction(
            engine_id=call.engine_id,
            document_code=call.document_code,
            purpose=call.purpose,
            attempt=call.attempt,
            record_time=write_instant(each.recorded),
            duration=duration,
            result=call.result,
            status=call.status,
            request_digest=call.request_digest,
            answer_digest=call.answer_digest,
            position=position(each.position),
        )
