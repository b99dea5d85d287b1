"""What happens to reference data, as it is published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from domain import reference
from domain.money import plain

from .invoices import Positioned
from .publishing import Published, Write
from .reference_data import write_entity, write_period, write_settings, write_term
from .sequences import write_policy
from .tax_reference import write_engine, write_rate, write_treatment


def _entry(write: Callable[[Any], Message]) -> Write:
    def fill(event: Any, detail: Any, position: Positioned) -> None:
        detail.entry.CopyFrom(write(event.entry))

    return fill


def _term(event: reference.PaymentTermSet) -> str:
    term = event.entry
    counts = "from the invoice date" if term.type == "PERIOD_BASED" else "from the end of the month"
    return f"Payment term {term.id} “{term.name}” set: {term.days} days {counts}, {_usable(term)}"


def _usable(entry: Any) -> str:
    return str(entry.status.name.lower())


def _period(event: reference.AccountingPeriodSet) -> str:
    period = event.entry
    return (
        f"Accounting period {period.id} “{period.name}” of {period.legal_entity_id} set:"
        f" {period.start_date} to {period.end_date}, {_usable(period)}"
    )


def _treatment(event: reference.TaxTreatmentSet) -> str:
    treatment = event.entry
    taxed = "taxable" if treatment.taxable else "not taxable"
    by = f", worked out by {treatment.engine_id}" if treatment.engine_id else ""
    return f"Tax treatment {treatment.id} “{treatment.name}” set: {taxed}{by}, {_usable(treatment)}"


def _rate(event: reference.TaxRateSet) -> str:
    rate = event.entry
    much = f"{plain(rate.percentage)} %" if rate.percentage is not None else "nothing"
    if rate.flat_amount is not None:
        much = f"{plain(rate.flat_amount)} a line"
    since = f" from {rate.start_date}" if rate.start_date else ""
    until = f" to {rate.end_date}" if rate.end_date else ""
    where = f"{rate.country} {rate.state}".strip()
    return f"Tax rate {rate.id} “{rate.name}” set: {much} on {rate.tax_code} in {where}{since}{until}"


def _policy(event: reference.SequencePolicySet) -> str:
    policy = event.entry
    return (
        f"Sequence policy {policy.id} “{policy.name}” of {policy.legal_entity_id} set: numbers like"
        f" {policy.pattern} from {policy.start}, {_usable(policy)}"
    )


def _settings(event: reference.SettingsSet) -> str:
    settings = event.entry
    defaults = {
        "payment term": settings.default_payment_term_id,
        "legal entity": settings.default_legal_entity_id,
        "tax treatment": settings.default_tax_treatment_id,
    }
    said = ", ".join(f"{name} {id_}" for name, id_ in defaults.items() if id_)
    allowed = [
        "imports need a number" if settings.number_required_on_posted_import else "imports need no number",
        *(["duplicate numbers allowed"] if settings.duplicate_numbers_allowed else []),
        *(["closed periods allowed"] if settings.closed_periods_allowed else []),
        *(["posting needs a number"] if settings.number_required_at_posting else []),
    ]
    return f"Settings set: by default {said or 'nothing'}; {', '.join(allowed)}"


def _applied(event: reference.ReferenceDataApplied) -> str:
    return f"Reference data applied: {event.added} added, {event.changed} changed, {event.removed} removed"


REFERENCE_EVENTS: dict[type, Published] = {
    reference.PaymentTermSet: Published(_term, _entry(write_term)),
    reference.LegalEntitySet: Published(
        lambda e: (
            f"Legal entity {e.entry.id} “{e.entry.name}” set: in {e.entry.time_zone}, {_usable(e.entry)}"
        ),
        _entry(write_entity),
    ),
    reference.AccountingPeriodSet: Published(_period, _entry(write_period)),
    reference.TaxEngineSet: Published(
        lambda e: f"Tax engine {e.entry.id} “{e.entry.name}” set: {_usable(e.entry)}", _entry(write_engine)
    ),
    reference.TaxTreatmentSet: Published(_treatment, _entry(write_treatment)),
    reference.TaxRateSet: Published(_rate, _entry(write_rate)),
    reference.SequencePolicySet: Published(_policy, _entry(write_policy)),
    reference.SettingsSet: Published(_settings, _entry(write_settings)),
    reference.ReferenceEntryRemoved: Published(lambda e: f"The {reference.words(e.kind)} {e.id} was removed"),
    reference.ReferenceDataApplied: Published(_applied),
}
