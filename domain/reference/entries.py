"""What the reference data consists of, and how its entries are named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
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
    TAX_ENGINE = "tax_engine"
    TAX_TREATMENT = "tax_treatment"
    TAX_RATE = "tax_rate"
    SEQUENCE_POLICY = "sequence_policy"
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


class EngineType(StrEnum):
    RATE_TABLE = "RATE_TABLE"
    REMOTE = "REMOTE"


@dataclass(frozen=True, slots=True)
class TaxEngine:
    """Who works taxes out: the tax rates of this book, or a program elsewhere."""

    id: str
    name: str
    type: EngineType
    endpoint: str = ""  # of a remote one: HOST:PORT
    tls: bool = False
    seller_code: str = ""
    timeout_ms: int = 0  # for one call; 0: the default
    status: EntryStatus = EntryStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class TreatmentItem:
    """Codes of one product under a treatment, in place of the treatment's own."""

    product_id: str
    tax_code: str = ""
    product_code: str = ""


@dataclass(frozen=True, slots=True)
class TaxTreatment:
    id: str
    name: str
    taxable: bool
    tax_code: str = ""
    product_code: str = ""
    status: EntryStatus = EntryStatus.ACTIVE
    engine_id: str = ""
    items: tuple[TreatmentItem, ...] = ()

    def codes(self, product_id: str) -> tuple[str, str]:
        """The tax code and the product code of a line with this product."""
        for item in self.items:
            if item.product_id == product_id:
                return item.tax_code or self.tax_code, item.product_code or self.product_code
        return self.tax_code, self.product_code


class Basis(StrEnum):
    """What a percentage is taken of."""

    GROSS = "GROSS"  # the charge
    NET = "NET"  # the charge and the taxes that the line has so far


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A percentage or a flat amount, for the lines that it matches: what is blank matches all."""

    id: str
    name: str
    tax_code: str
    country: str
    percentage: Decimal | None = None
    flat_amount: Decimal | None = None
    basis: Basis = Basis.GROSS
    priority: int | None = None
    state: str = ""
    product_code: str = ""
    legal_entity_id: str = ""
    currency: str = ""
    start_date: date | None = None
    end_date: date | None = None


class SequenceTarget(StrEnum):
    """What carries the numbers."""

    INVOICE = "INVOICE"
    CREDIT_MEMO = "CREDIT_MEMO"


class Restart(StrEnum):
    """When a sequence begins anew; each period is a series of its own."""

    NONE = "NONE"
    YEARLY = "YEARLY"
    MONTHLY = "MONTHLY"


class Comparison(StrEnum):
    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"


@dataclass(frozen=True, slots=True)
class SequenceCondition:
    """What must hold of whatever is to be numbered."""

    field: str
    comparison: Comparison
    value: str


@dataclass(frozen=True, slots=True)
class SequencePolicy:
    """How a legal entity numbers what it posts. What makes the numbers is frozen with the first of them."""

    id: str
    name: str
    legal_entity_id: str
    pattern: str  # of the number, with {SequenceValue} and perhaps {Date:YYYY} and the like
    target: SequenceTarget = SequenceTarget.INVOICE
    start: int = 1
    increment: int = 1
    width: int = 0  # of the value, filled up with zeros
    maximum: int | None = None
    restart: Restart = Restart.NONE
    conditions: tuple[SequenceCondition, ...] = ()  # all of them must hold
    start_date: date | None = None
    end_date: date | None = None
    status: EntryStatus = EntryStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Settings:
    default_payment_term_id: str = ""
    default_legal_entity_id: str = ""
    default_tax_treatment_id: str = ""
    number_required_on_posted_import: bool = True
    duplicate_numbers_allowed: bool = False
    closed_periods_allowed: bool = False
    negative_lines_converted: bool = False
    number_required_at_posting: bool = False


Entry = (
    PaymentTerm
    | LegalEntity
    | AccountingPeriod
    | TaxEngine
    | TaxTreatment
    | TaxRate
    | SequencePolicy
    | Settings
)

FIELD_OF = {
    Kind.PAYMENT_TERM: "payment_terms",
    Kind.LEGAL_ENTITY: "legal_entities",
    Kind.ACCOUNTING_PERIOD: "accounting_periods",
    Kind.TAX_ENGINE: "tax_engines",
    Kind.TAX_TREATMENT: "tax_treatments",
    Kind.TAX_RATE: "tax_rates",
    Kind.SEQUENCE_POLICY: "sequence_policies",
}


def kind_of(entry: Entry) -> Kind:
    match entry:
        case PaymentTerm():
            return Kind.PAYMENT_TERM
        case LegalEntity():
            return Kind.LEGAL_ENTITY
        case AccountingPeriod():
            return Kind.ACCOUNTING_PERIOD
        case TaxEngine():
            return Kind.TAX_ENGINE
        case TaxTreatment():
            return Kind.TAX_TREATMENT
        case TaxRate():
            return Kind.TAX_RATE
        case SequencePolicy():
            return Kind.SEQUENCE_POLICY
        case Settings():
            return Kind.SETTINGS


def id_of(entry: Entry) -> str:
    return SETTINGS_ID if isinstance(entry, Settings) else entry.id


def words(kind: Kind) -> str:
    return kind.value.replace("_", " ")
