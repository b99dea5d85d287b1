"""What the reference data consists of, and how its entries are named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from ..terms import TermType


class EntryStatus(StrEnum):
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class PeriodStatus(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"


class Kind(StrEnum):
    PAYMENT_TERM = "payment_term"
    LEGAL_ENTITY = "legal_entity"
    ACCOUNTING_PERIOD = "accounting_period"
    TAX_TREATMENT = "tax_treatment"
    SETTINGS = "settings"


SETTINGS_ID = "settings"


@dataclass(frozen=True, slots=True)
class PaymentTerm:
    id: str
    name: str
    type: TermType
    days: int
    status: EntryStatus = EntryStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class LegalEntity:
    id: str
    name: str
    time_zone: str = "UTC"
    status: EntryStatus = EntryStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class AccountingPeriod:
    id: str
    legal_entity_id: str
    name: str
    start_date: date
    end_date: date
    financial_year: str = ""
    status: PeriodStatus = PeriodStatus.OPEN


@dataclass(frozen=True, slots=True)
class TaxTreatment:
    id: str
    name: str
    taxable: bool
    tax_code: str = ""
    product_code: str = ""
    status: EntryStatus = EntryStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Settings:
    default_payment_term_id: str = ""
    default_legal_entity_id: str = ""
    default_tax_treatment_id: str = ""
    number_required_on_posted_import: bool = True
    duplicate_numbers_allowed: bool = False
    closed_periods_allowed: bool = False


Entry = PaymentTerm | LegalEntity | AccountingPeriod | TaxTreatment | Settings

FIELD_OF = {
    Kind.PAYMENT_TERM: "payment_terms",
    Kind.LEGAL_ENTITY: "legal_entities",
    Kind.ACCOUNTING_PERIOD: "accounting_periods",
    Kind.TAX_TREATMENT: "tax_treatments",
}


def kind_of(entry: Entry) -> Kind:
    match entry:
        case PaymentTerm():
            return Kind.PAYMENT_TERM
        case LegalEntity():
            return Kind.LEGAL_ENTITY
        case AccountingPeriod():
            return Kind.ACCOUNTING_PERIOD
        case TaxTreatment():
            return Kind.TAX_TREATMENT
        case Settings():
            return Kind.SETTINGS


def id_of(entry: Entry) -> str:
    return SETTINGS_ID if isinstance(entry, Settings) else entry.id


def words(kind: Kind) -> str:
    return kind.value.replace("_", " ")
