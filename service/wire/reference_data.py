"""Reference data between the contract and the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import cast

from daybook.v1 import reference_data_service_pb2 as pb
from domain import reference, terms
from domain.findings import Findings, Rule

from .entry_status import read_entry_status, write_entry_status
from .sequences import read_policy, write_policy
from .tax_reference import read_engine, read_rate, read_treatment, write_engine, write_rate, write_treatment
from .values import EnumTable, read_date, write_date

PERIOD_STATUSES = EnumTable(pb.PeriodStatus, reference.PeriodStatus, "PERIOD_STATUS")
TERM_TYPES = EnumTable(pb.PaymentTermType, terms.TermType, "PAYMENT_TERM_TYPE")


def read_apply(message: pb.ApplyReferenceDataRequest, findings: Findings) -> reference.Apply:
    data = message.data
    count = sum(len(getattr(data, name)) for name in reference.FIELD_OF.values())
    if count > reference.ENTRIES_MAX:
        findings.add("data", Rule.TOO_MANY, limit=reference.ENTRIES_MAX, count=count)
        return reference.Apply()
    entries: list[reference.Entry] = [
        *(_term(each, f"data.payment_terms[{n}]", findings) for n, each in enumerate(data.payment_terms)),
        *(_entity(each, f"data.legal_entities[{n}]", findings) for n, each in enumerate(data.legal_entities)),
        *(
            _period(each, f"data.accounting_periods[{n}]", findings)
            for n, each in enumerate(data.accounting_periods)
        ),
        *(read_engine(each, f"data.tax_engines[{n}]", findings) for n, each in enumerate(data.tax_engines)),
        *(
            read_treatment(each, f"data.tax_treatments[{n}]", findings)
            for n, each in enumerate(data.tax_treatments)
        ),
        *(read_rate(each, f"data.tax_rates[{n}]", findings) for n, each in enumerate(data.tax_rates)),
        *(
            read_policy(each, f"data.sequence_policies[{n}]", findings)
            for n, each in enumerate(data.sequence_policies)
        ),
    ]
    return reference.Apply(
        entries=tuple(entries),
        settings=_settings(data.settings) if data.HasField("settings") else None,
        prune=frozenset(_mentioned(data)) if message.prune else frozenset(),
        base_version=message.base_version,
    )


def _mentioned(data: pb.ReferenceData) -> Iterable[reference.Kind]:
    for kind in reference.FIELD_OF:
        if getattr(data, reference.FIELD_OF[kind]):
            yield kind


def _term(message: pb.PaymentTerm, path: str, findings: Findings) -> reference.PaymentTerm:
    kind = TERM_TYPES.read(message.type, f"{path}.type", findings)
    if kind is None:
        findings.add(f"{path}.type", Rule.REQUIRED)
    return reference.PaymentTerm(
        message.id,
        message.name,
        cast(terms.TermType, kind or terms.TermType.PERIOD_BASED),
        message.days,
        read_entry_status(message.status, path, findings),
    )


def _entity(message: pb.LegalEntity, path: str, findings: Findings) -> reference.LegalEntity:
    return reference.LegalEntity(
        message.id,
        message.name,
        message.time_zone or "UTC",
        read_entry_status(message.status, path, findings),
    )


def _period(message: pb.AccountingPeriod, path: str, findings: Findings) -> reference.AccountingPeriod:
    """The period, and findings where a day cannot be read; the other day, or any, then stands in for it."""
    start = _day(message, "start_date", path, findings)
    end = _day(message, "end_date", path, findings)
    status = PERIOD_STATUSES.read(message.status, f"{path}.status", findings)
    return reference.AccountingPeriod(
        message.id,
        message.legal_entity_id,
        message.name,
        start or end or date.min,
        end or start or date.min,
        message.financial_year,
        cast(reference.PeriodStatus, status or reference.PeriodStatus.OPEN),
    )


def _day(message: pb.AccountingPeriod, name: str, path: str, findings: Findings) -> date | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        findings.add(f"{path}.{name}", Rule.REQUIRED)
        return None
    return read_date(getattr(message, name), f"{path}.{name}", findings)


def _settings(message: pb.Settings) -> Mapping[str, str | bool]:
    return {field.name: value for field, value in message.ListFields()}


def write_reference_data(data: reference.ReferenceData) -> pb.ReferenceData:
    message = pb.ReferenceData(
        payment_terms=(write_term(data.payment_terms[each]) for each in sorted(data.payment_terms)),
        legal_entities=(write_entity(data.legal_entities[each]) for each in sorted(data.legal_entities)),
        accounting_periods=(
            write_period(data.accounting_periods[each]) for each in sorted(data.accounting_periods)
        ),
        tax_engines=(write_engine(data.tax_engines[each]) for each in sorted(data.tax_engines)),
        tax_treatments=(write_treatment(data.tax_treatments[each]) for each in sorted(data.tax_treatments)),
        tax_rates=(write_rate(each) for each in data.rate_table.by_age()),
        sequence_policies=(
            write_policy(data.sequence_policies[each]) for each in sorted(data.sequence_policies)
        ),
    )
    if data.settings_known:
        message.settings.CopyFrom(write_settings(data.settings))
    return message


def write_term(term: reference.PaymentTerm) -> pb.PaymentTerm:
    return pb.PaymentTerm(
        id=term.id,
        name=term.name,
        type=cast(pb.PaymentTermType.ValueType, TERM_TYPES.wire[term.type]),
        days=term.days,
        status=write_entry_status(term.status),
    )


def write_entity(entity: reference.LegalEntity) -> pb.LegalEntity:
    return pb.LegalEntity(
        id=entity.id,
        name=entity.name,
        time_zone=entity.time_zone,
        status=write_entry_status(entity.status),
    )


def write_period(period: reference.AccountingPeriod) -> pb.AccountingPeriod:
    return pb.AccountingPeriod(
        id=period.id,
        legal_entity_id=period.legal_entity_id,
        name=period.name,
        start_date=write_date(period.start_date),
        end_date=write_date(period.end_date),
        financial_year=period.financial_year,
        status=cast(pb.PeriodStatus.ValueType, PERIOD_STATUSES.wire[period.status]),
    )


def write_settings(settings: reference.Settings) -> pb.Settings:
    return pb.Settings(
        default_payment_term_id=settings.default_payment_term_id,
        default_legal_entity_id=settings.default_legal_entity_id,
        default_tax_treatment_id=settings.default_tax_treatment_id,
        number_required_on_posted_import=settings.number_required_on_posted_import,
        duplicate_numbers_allowed=settings.duplicate_numbers_allowed,
        closed_periods_allowed=settings.closed_periods_allowed,
        negative_lines_converted=settings.negative_lines_converted,
        number_required_at_posting=settings.number_required_at_posting,
    )


def write_change(change: reference.Change) -> pb.ReferenceChange:
    action = pb.REFERENCE_CHANGE_ACTION_CHANGED
    if change.before is None:
        action = pb.REFERENCE_CHANGE_ACTION_ADDED
    elif change.after is None:
        action = pb.REFERENCE_CHANGE_ACTION_REMOVED
    return pb.ReferenceChange(
        kind=change.kind,
        id=change.id,
        action=action,
        differences=(
            pb.FieldDifference(field=name, before=before, after=after)
            for name, before, after in change.differences()
        ),
    )
