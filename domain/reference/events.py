"""What happens to reference data."""

from __future__ import annotations

from dataclasses import dataclass

from .entries import (
    AccountingPeriod,
    Entry,
    Kind,
    LegalEntity,
    PaymentTerm,
    SequencePolicy,
    Settings,
    TaxEngine,
    TaxRate,
    TaxTreatment,
)


@dataclass(frozen=True, slots=True)
class PaymentTermSet:
    entry: PaymentTerm


@dataclass(frozen=True, slots=True)
class LegalEntitySet:
    entry: LegalEntity


@dataclass(frozen=True, slots=True)
class AccountingPeriodSet:
    entry: AccountingPeriod


@dataclass(frozen=True, slots=True)
class TaxTreatmentSet:
    entry: TaxTreatment


@dataclass(frozen=True, slots=True)
class TaxEngineSet:
    entry: TaxEngine


@dataclass(frozen=True, slots=True)
class TaxRateSet:
    entry: TaxRate


@dataclass(frozen=True, slots=True)
class SequencePolicySet:
    entry: SequencePolicy


@dataclass(frozen=True, slots=True)
class SettingsSet:
    entry: Settings


@dataclass(frozen=True, slots=True)
class ReferenceEntryRemoved:
    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class ReferenceDataApplied:
    """Stands last in every application, in a stream whose version is the reference data's version."""

    added: int
    changed: int
    removed: int


EntrySet = (
    PaymentTermSet
    | LegalEntitySet
    | AccountingPeriodSet
    | TaxEngineSet
    | TaxTreatmentSet
    | TaxRateSet
    | SequencePolicySet
    | SettingsSet
)
Event = EntrySet | ReferenceEntryRemoved | ReferenceDataApplied
EVENTS: tuple[type, ...] = (
    PaymentTermSet,
    LegalEntitySet,
    AccountingPeriodSet,
    TaxEngineSet,
    TaxTreatmentSet,
    TaxRateSet,
    SequencePolicySet,
    SettingsSet,
    ReferenceEntryRemoved,
    ReferenceDataApplied,
)


def set_event(entry: Entry) -> EntrySet:
    match entry:
        case PaymentTerm():
            return PaymentTermSet(entry)
        case LegalEntity():
            return LegalEntitySet(entry)
        case AccountingPeriod():
            return AccountingPeriodSet(entry)
        case TaxEngine():
            return TaxEngineSet(entry)
        case TaxTreatment():
            return TaxTreatmentSet(entry)
        case TaxRate():
            return TaxRateSet(entry)
        case SequencePolicy():
            return SequencePolicySet(entry)
        case Settings():
            return SettingsSet(entry)
