"""The data that decisions rest on: payment terms, legal entities, accounting periods, treatments, settings.

Applied as a whole and event-sourced, so that every decision can name what it was taken with.
"""

from .apply import Apply, Change, Plan, StaleBase, plan
from .checks import ENTRIES_MAX
from .entries import (
    FIELD_OF,
    SETTINGS_ID,
    AccountingPeriod,
    Entry,
    EntryStatus,
    Kind,
    LegalEntity,
    PaymentTerm,
    PeriodStatus,
    Settings,
    TaxTreatment,
    id_of,
    kind_of,
    words,
)
from .events import (
    EVENTS,
    AccountingPeriodSet,
    EntrySet,
    Event,
    LegalEntitySet,
    PaymentTermSet,
    ReferenceDataApplied,
    ReferenceEntryRemoved,
    SettingsSet,
    TaxTreatmentSet,
    set_event,
)
from .state import At, ReferenceData, fold, zone

__all__ = [
    "ENTRIES_MAX",
    "EVENTS",
    "FIELD_OF",
    "SETTINGS_ID",
    "AccountingPeriod",
    "AccountingPeriodSet",
    "Apply",
    "At",
    "Change",
    "Entry",
    "EntrySet",
    "EntryStatus",
    "Event",
    "Kind",
    "LegalEntity",
    "LegalEntitySet",
    "PaymentTerm",
    "PaymentTermSet",
    "PeriodStatus",
    "Plan",
    "ReferenceData",
    "ReferenceDataApplied",
    "ReferenceEntryRemoved",
    "Settings",
    "SettingsSet",
    "StaleBase",
    "TaxTreatment",
    "TaxTreatmentSet",
    "fold",
    "id_of",
    "kind_of",
    "plan",
    "set_event",
    "words",
    "zone",
]
