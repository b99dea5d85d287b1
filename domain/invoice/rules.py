"""The rules of ingestion: what a sender says becomes what the book would record, or findings.

Every rule is checked, so that one answer holds all that is wrong. Paths are those of the contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter

from ..findings import Findings, Rule, listed, shown
from ..money import CURRENCIES, ZERO, Currency
from ..reference import (
    AccountingPeriod,
    EntryStatus,
    PaymentTerm,
    PeriodStatus,
    ReferenceData,
    TaxTreatment,
)
from ..terms import due_date
from .content import AddressContent, Content, LineContent, LineReferenceContent, TaxContent
from .events import (
    AddressGroupAssigned,
    Header,
    HeaderTexts,
    LineAdded,
    LineReference,
    LineReferenceKind,
    LineTexts,
    Place,
    Reference,
    ReferenceKind,
    Source,
    Status,
    TaxImported,
    TaxRow,
    TaxStatus,
    TaxTexts,
)

ID_MAX = TEXT_MAX = 255
KEY_MAX = 80
LABELS_MAX = 64
LABEL_KEY_MAX = 63
ADDRESS_GROUPS_MAX = 10_000
TAX_ROWS_PER_LINE_MAX = 100
DATE_LEAST, DATE_MOST = date(1900, 1, 1), date(2999, 12, 31)
LATITUDE_MOST, LONGITUDE_MOST = Decimal(90), Decimal(180)

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*").fullmatch
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]").search


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that an operator sets."""

    lines_max: int = 20_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules are checked against: reference data, the instant, the limits."""

    reference: ReferenceData
    now: datetime
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Checked:
    """What the book would record."""

    header: Header
    texts: HeaderTexts
    posted_date: date | None  # of a posted import
    today: date
    addresses: tuple[AddressGroupAssigned, ...]
    lines: tuple[LineAdded, ...]
    taxes: tuple[TaxImported, ...]


def check(content: Content, rules: Rules, findings: Findings) -> Checked | None:
    """Checks every rule; answers None exactly when there are findings, those brought along included."""
    check_header_texts(content, findings)
    posted = _check_statuses(content, findings)
    legal_entity_id = _legal_entity(content, rules.reference, findings)
    today = rules.reference.today(legal_entity_id, rules.now)
    term = _payment_term(content, rules.reference, findings)
    due = _due_date(content, term, today, findings)
    period = _period(content, legal_entity_id, posted, rules.reference, findings)
    posted_date = _posted_date(content, posted, today, findings)
    currency = _currency(content, findings)
    addresses = _address_groups(content.address_groups, findings)
    lines = _Lines(content, rules, findings, currency, legal_entity_id, period, posted)
    added, taxes = lines.checked()
    reference = _reference(content, findings)
    _check_required(content, findings)
    if posted and not content.invoice_number and rules.reference.settings.number_required_on_posted_import:
        findings.add("invoice.invoice_number", Rule.NUMBER_MISSING)
    if findings:
        return None
    assert content.invoice_date is not None and due is not None and currency is not None
    header = Header(
        account_id=content.account_id,
        bill_to_contact_id=content.bill_to_contact_id,
        invoice_date=content.invoice_date,
        due_date=due,
        currency=currency.code,
        legal_entity_id=legal_entity_id,
        tax_status=content.tax_status or TaxStatus.PENDING,
        payment_term_id=term.id if term else "",
        accounting_period_id=period.id if period else "",
        invoice_number=content.invoice_number,
        reference=reference,
        source=Source(content.source.system, content.source.id) if content.source else None,
        purchase_order_number=content.purchase_order_number,
        labels=dict(content.labels),
        owner_id=content.owner_id,
        billing_address=content.billing_address,
        shipping_address=content.shipping_address,
        ship_from_address=content.ship_from_address,
        should_calculate_tax=content.should_calculate_tax,
        defaulted=tuple(_defaulted(content, term, period, posted)),
    )
    texts = HeaderTexts(
        content.account_name, content.bill_to_contact_name, content.owner_name, content.description
    )
    return Checked(header, texts, posted_date, today, addresses, added, taxes)


def _defaulted(
    content: Content, term: PaymentTerm | None, period: AccountingPeriod | None, posted: bool
) -> Iterable[str]:
    """The header fields that were not sent and have a value all the same."""
    if content.tax_status is None:
        yield "tax_status"
    if content.due_date is None:
        yield "due_date"
    if term and not content.payment_term_id:
        yield "payment_term_id"
    if not content.legal_entity_id:
        yield "legal_entity_id"
    if period and not content.accounting_period_id:
        yield "accounting_period_id"
    if posted and content.posted_date is None:
        yield "posted_date"


# Texts

_HEADER_IDS = (
    "unique_identifier",
    "account_id",
    "account_name",
    "bill_to_contact_id",
    "bill_to_contact_name",
    "payment_term_id",
    "legal_entity_id",
    "accounting_period_id",
    "invoice_number",
    "purchase_order_number",
    "owner_id",
    "owner_name",
    "billing_address",
    "shipping_address",
    "ship_from_address",
    "currency_code",
)
_header_ids = attrgetter(*_HEADER_IDS)
_LINE_IDS = (
    "name",
    "billing_address",
    "shipping_address",
    "ship_from_address",
    "tax_treatment_id",
    "legal_entity_id",
    "accounting_period_id",
    "product_id",
    "product_name",
    "usage_product_id",
    "unit_of_measure_id",
    "unit_of_measure_name",
)
_line_ids = attrgetter(*_LINE_IDS)
_ADDRESS_TEXTS = (("city", 40), ("state", 80), ("postal_code", 20), ("country", 80))


def check_header_texts(content: Content, findings: Findings) -> None:
    _check_ids(_HEADER_IDS, _header_ids(content), "invoice", findings)
    check_free_text(content.description, "invoice.description", findings)
    check_labels(content.labels, "invoice.labels", findings)
    if content.source:
        _check_ids(("system", "id"), (content.source.system, content.source.id), "invoice.source", findings)
        if not content.source.system.strip():
            findings.add("invoice.source.system", Rule.REQUIRED)


def _check_ids(names: Sequence[str], values: Sequence[str], path: str, findings: Findings) -> None:
    for name, value in zip(names, values, strict=True):
        if value and (len(value) > ID_MAX or not value.isprintable()):
            _check_id(value, f"{path}.{name}", findings)


def _check_id(value: str, path: str, findings: Findings, limit: int = ID_MAX) -> None:
    if len(value) > limit:
        findings.add(path, Rule.TOO_LONG, limit=limit, length=len(value))
    elif _CONTROL(value):
        findings.add(path, Rule.CHARACTERS)


def check_free_text(value: str, path: str, findings: Findings, limit: int = TEXT_MAX) -> None:
    """Free text may have several lines."""
    if len(value) > limit:
        findings.add(path, Rule.TOO_LONG, limit=limit, length=len(value))
    elif not value.isprintable() and _CONTROL_IN_LINES(value):
        findings.add(path, Rule.CHARACTERS)


def check_labels(labels: Mapping[str, str], path: str, findings: Findings) -> None:
    pairs = labels
    if len(pairs) > LABELS_MAX:
        findings.add(path, Rule.TOO_MANY, limit=LABELS_MAX, count=len(pairs))
        return
    for key, value in pairs.items():
        at = f"{path}[{shown(key)}]"
        if not key.strip():
            findings.add(at, Rule.REQUIRED)
        _check_id(key, at, findings, LABEL_KEY_MAX)
        _check_id(value, at, findings)


def _check_required(content: Content, findings: Findings) -> None:
    for name, value in (
        ("account_id", content.account_id),
        ("bill_to_contact_id", content.bill_to_contact_id),
    ):
        if not value.strip():
            findings.add(f"invoice.{name}", Rule.REQUIRED)
    if content.unique_identifier and not content.unique_identifier.strip():
        findings.add("invoice.unique_identifier", Rule.REQUIRED)
    if content.invoice_number and not content.invoice_number.strip():
        findings.add("invoice.invoice_number", Rule.REQUIRED)
    check_date(content.invoice_date, "invoice.invoice_date", findings, required=True)
    check_date(content.due_date, "invoice.due_date", findings)
    check_date(content.posted_date, "invoice.posted_date", findings)


def check_date(day: date | None, path: str, findings: Findings, *, required: bool = False) -> None:
    if day is None:
        if required:
            findings.add(path, Rule.REQUIRED)
    elif not DATE_LEAST <= day <= DATE_MOST:
        findings.add(path, Rule.OUT_OF_RANGE, least=DATE_LEAST, most=DATE_MOST, value=day)


# Status, dates, entries of reference data


def _check_statuses(content: Content, findings: Findings) -> bool:
    """The matrix of status, tax status and calculation; answers whether the invoice is posted."""
    tax_status = content.tax_status or TaxStatus.PENDING
    if content.status not in (None, Status.DRAFT, Status.POSTED):
        findings.add("invoice.status", Rule.DRAFT_OR_POSTED, value=content.status)
        return False
    if content.status is not Status.POSTED:
        if tax_status is TaxStatus.POSTED:
            findings.add("invoice.tax_status", Rule.TAX_POSTED_ON_DRAFT)
        return False
    if tax_status is not TaxStatus.POSTED:
        findings.add("invoice.tax_status", Rule.TAX_NOT_POSTED, value=tax_status.lower())
    if content.should_calculate_tax:
        findings.add("invoice.should_calculate_tax", Rule.CALCULATE_ON_POSTED)
    return True


def _legal_entity(content: Content, reference: ReferenceData, findings: Findings) -> str:
    """The invoice's, else the one its lines agree on, else the default. Lines cannot differ."""
    said = content.legal_entity_id or next(
        (line.legal_entity_id for line in content.lines if line.legal_entity_id), ""
    )
    entity_id = said or reference.settings.default_legal_entity_id
    for index, line in enumerate(content.lines):
        if line.legal_entity_id and line.legal_entity_id != entity_id:
            findings.add(
                f"invoice.lines[{index}].legal_entity_id",
                Rule.MIXED_LEGAL_ENTITY,
                expected=shown(entity_id),
                value=shown(line.legal_entity_id),
            )
    if not entity_id:
        findings.add("invoice.legal_entity_id", Rule.NO_DEFAULT, kind="legal entity")
    elif said:
        entity = reference.legal_entities.get(entity_id)
        status = entity.status if entity else None
        _check_usable(
            "legal entity",
            entity_id,
            status,
            reference.legal_entities,
            "invoice.legal_entity_id",
            findings,
        )
    return entity_id


def _check_usable(
    kind: str,
    entry_id: str,
    status: EntryStatus | None,
    known: Iterable[str],
    path: str,
    findings: Findings,
) -> None:
    if status is None:
        findings.add(path, Rule.NO_SUCH_ENTRY, kind=kind, value=shown(entry_id), have=listed(known))
    elif status is not EntryStatus.ACTIVE:
        findings.add(path, Rule.NOT_ACTIVE, kind=kind, value=shown(entry_id), status=status.lower())


def _payment_term(content: Content, reference: ReferenceData, findings: Findings) -> PaymentTerm | None:
    if not content.payment_term_id:
        return reference.payment_terms.get(reference.settings.default_payment_term_id)
    term = reference.payment_terms.get(content.payment_term_id)
    _check_usable(
        "payment term",
        content.payment_term_id,
        term.status if term else None,
        reference.payment_terms,
        "invoice.payment_term_id",
        findings,
    )
    return term


def _due_date(content: Content, term: PaymentTerm | None, today: date, findings: Findings) -> date | None:
    """As sent; else by the term. Without any term it must be sent, and lie in the future."""
    if "invoice.due_date" in findings or "invoice.payment_term_id" in findings:
        return content.due_date
    if content.due_date is not None:
        if term is None and content.due_date <= today:
            findings.add("invoice.due_date", Rule.DUE_DATE_NOT_FUTURE, today=today, value=content.due_date)
        return content.due_date
    if term is None:
        findings.add("invoice.due_date", Rule.NO_DUE_DATE)
        return None
    if content.invoice_date is None or not DATE_LEAST <= content.invoice_date <= DATE_MOST:
        return None
    return due_date(term.type, term.days, content.invoice_date)


def _period(
    content: Content, legal_entity_id: str, posted: bool, reference: ReferenceData, findings: Findings
) -> AccountingPeriod | None:
    """As sent; else the one of the legal entity that holds the invoice date, if there is any."""
    path = "invoice.accounting_period_id"
    if content.accounting_period_id:
        return period_named(content.accounting_period_id, legal_entity_id, path, reference, findings)
    if content.invoice_date is None:
        return None
    period = reference.period_of(legal_entity_id, content.invoice_date)
    closed = period is not None and period.status is PeriodStatus.CLOSED
    if closed and posted and not reference.settings.closed_periods_allowed:
        assert period is not None
        findings.add(path, Rule.PERIOD_CLOSED, value=shown(period.id))
    return period


def period_named(
    period_id: str, legal_entity_id: str, path: str, reference: ReferenceData, findings: Findings
) -> AccountingPeriod | None:
    """A period that is named must be known, of this legal entity, and open unless the settings say otherwise."""
    period = reference.accounting_periods.get(period_id)
    if period is None:
        findings.add(
            path,
            Rule.NO_SUCH_ENTRY,
            kind="accounting period",
            value=shown(period_id),
            have=listed(reference.accounting_periods),
        )
    elif period.legal_entity_id != legal_entity_id:
        findings.add(
            path,
            Rule.WRONG_LEGAL_ENTITY,
            value=shown(period_id),
            owner=shown(period.legal_entity_id),
            expected=shown(legal_entity_id),
        )
    elif period.status is PeriodStatus.CLOSED and not reference.settings.closed_periods_allowed:
        findings.add(path, Rule.PERIOD_CLOSED, value=shown(period_id))
    return period


def _posted_date(content: Content, posted: bool, today: date, findings: Findings) -> date | None:
    if posted:
        return content.posted_date or today
    if content.posted_date is not None:
        findings.add("invoice.posted_date", Rule.POSTED_DATE_ON_DRAFT)
    return None


def _currency(content: Content, findings: Findings) -> Currency | None:
    if not content.currency_code:
        findings.add("invoice.currency_code", Rule.REQUIRED)
        return None
    currency = CURRENCIES.get(content.currency_code)
    if currency is None:
        findings.add("invoice.currency_code", Rule.CURRENCY, value=shown(content.currency_code))
    return currency


def _reference(content: Content, findings: Findings) -> Reference | None:
    said = content.reference
    if said is None:
        return None
    return checked_reference(said.kind, said.id, said.system, said.kind_name, "invoice.reference", findings)


def checked_reference(
    kind: ReferenceKind | None, id_: str, system: str, kind_name: str, path: str, findings: Findings
) -> Reference | None:
    _check_ids(("id", "system", "kind_name"), (id_, system, kind_name), path, findings)
    if not id_.strip():
        findings.add(f"{path}.id", Rule.REQUIRED)
    if kind is None:
        findings.add(f"{path}.kind", Rule.REQUIRED)
        return None
    if (kind is ReferenceKind.OTHER) != bool(kind_name.strip()):
        findings.add(f"{path}.kind_name", Rule.KIND_NAME)
    if kind in (ReferenceKind.DEBIT_MEMO, ReferenceKind.CREDIT_MEMO):
        findings.add(f"{path}.id", Rule.NO_SUCH_MEMO, kind=kind.lower().replace("_", " "), value=shown(id_))
    return Reference(kind, id_, system, kind_name)


# Address groups


def _address_groups(groups: Sequence[AddressContent], findings: Findings) -> tuple[AddressGroupAssigned, ...]:
    if len(groups) > ADDRESS_GROUPS_MAX:
        findings.add("invoice.address_groups", Rule.TOO_MANY, limit=ADDRESS_GROUPS_MAX, count=len(groups))
        return ()
    first: dict[str, int] = {}
    for index, group in enumerate(groups):
        path = f"invoice.address_groups[{index}]"
        _check_key(group.key, f"{path}.key", findings)
        if group.key and first.setdefault(group.key, index) != index:
            findings.add(
                f"{path}.key",
                Rule.DUPLICATE,
                value=shown(group.key),
                first=f"invoice.address_groups[{first[group.key]}]",
            )
        _check_address(group, path, findings)
    return tuple(
        AddressGroupAssigned(
            group.key,
            group.state,
            group.country,
            Place(group.street, group.city, group.postal_code, group.latitude, group.longitude),
        )
        for group in groups
    )


def _check_key(key: str, path: str, findings: Findings) -> None:
    if not key:
        findings.add(path, Rule.REQUIRED)
    elif len(key) > KEY_MAX:
        findings.add(path, Rule.TOO_LONG, limit=KEY_MAX, length=len(key))
    elif not _KEY(key):
        findings.add(path, Rule.KEY_CHARACTERS, value=shown(key))


def _check_address(group: AddressContent, path: str, findings: Findings) -> None:
    if not group.street.strip():
        findings.add(f"{path}.street", Rule.REQUIRED)
    check_free_text(group.street, f"{path}.street", findings)
    for name, limit in _ADDRESS_TEXTS:
        value = getattr(group, name)
        if not value.strip():
            findings.add(f"{path}.{name}", Rule.REQUIRED)
        elif len(value) > limit or not value.isprintable():
            _check_id(value, f"{path}.{name}", findings, limit)
    _check_coordinates(group, path, findings)


def _check_coordinates(group: AddressContent, path: str, findings: Findings) -> None:
    pairs = (("latitude", group.latitude, LATITUDE_MOST), ("longitude", group.longitude, LONGITUDE_MOST))
    missing = [name for name, value, _ in pairs if value is None and f"{path}.{name}" not in findings]
    if len(missing) == 1:
        findings.add(f"{path}.{missing[0]}", Rule.BOTH_COORDINATES)
    for name, value, most in pairs:
        if value is not None and abs(value) > most:
            findings.add(f"{path}.{name}", Rule.OUT_OF_RANGE, least=-most, most=most, value=value)


# Lines


@dataclass(slots=True)
class _Lines:
    """Checks the lines of one invoice against its header."""

    content: Content
    rules: Rules
    findings: Findings
    currency: Currency | None
    legal_entity_id: str
    period: AccountingPeriod | None
    posted: bool

    def checked(self) -> tuple[tuple[LineAdded, ...], tuple[TaxImported, ...]]:
        lines = self.content.lines
        if not lines:
            self.findings.add("invoice.lines", Rule.LINES_REQUIRED)
            return (), ()
        if len(lines) > self.rules.limits.lines_max:
            limit = self.rules.limits.lines_max
            self.findings.add("invoice.lines", Rule.TOO_MANY, limit=limit, count=len(lines))
            return (), ()
        groups = {group.key for group in self.content.address_groups}
        added: list[LineAdded] = []
        taxes: list[TaxImported] = []
        for index, line in enumerate(lines):
            path = f"invoice.lines[{index}]"
            self._line(index + 1, line, path, groups, added)
            if line.taxes:
                self._taxes(index + 1, line, path, taxes)
        return tuple(added), tuple(taxes)

    def _line(
        self, number: int, line: LineContent, path: str, groups: set[str], added: list[LineAdded]
    ) -> None:
        findings = self.findings
        _check_ids(_LINE_IDS, _line_ids(line), path, findings)
        if line.description:
            check_free_text(line.description, f"{path}.description", findings)
        treatment = self._treatment(line, path)
        if treatment is not None:
            self._check_tax_rows(line, treatment, path)
        content = self.content
        billing = self._address(line.billing_address, content.billing_address, "billing", path, groups)
        shipping = self._address(line.shipping_address, content.shipping_address, "shipping", path, groups)
        ship_from = self._ship_from(line, path, groups)
        charge = self._amount(line.charge_amount, f"{path}.charge_amount")
        period_id = self._line_period(line, path)
        reference = _line_reference(line.reference, path, findings) if line.reference else None
        _check_line_required(line, path, findings)
        if findings or treatment is None or charge is None:
            return
        assert line.start_date and line.end_date
        assert line.quantity is not None and line.unit_price is not None
        added.append(
            LineAdded(
                number=number,
                name=line.name,
                start_date=line.start_date,
                end_date=line.end_date,
                quantity=line.quantity,
                unit_price=line.unit_price,
                charge=charge,
                billing_address=billing,
                shipping_address=shipping,
                tax_treatment_id=treatment.id,
                taxable=treatment.taxable,
                tax_status=content.tax_status or TaxStatus.PENDING,
                ship_from_address=ship_from,
                accounting_period_id=period_id,
                product_id=line.product_id,
                product_name=line.product_name,
                usage_product_id=line.usage_product_id,
                usage_based=line.usage_based,
                usage_overage_quantity=line.usage_overage_quantity,
                unit_of_measure_id=line.unit_of_measure_id,
                unit_of_measure_name=line.unit_of_measure_name,
                reference=reference,
                personal=LineTexts(line.description) if line.description else _NO_TEXT,
            )
        )

    def _treatment(self, line: LineContent, path: str) -> TaxTreatment | None:
        reference = self.rules.reference
        path = f"{path}.tax_treatment_id"
        treatment_id = line.tax_treatment_id or reference.settings.default_tax_treatment_id
        if not treatment_id:
            self.findings.add(path, Rule.NO_DEFAULT, kind="tax treatment")
            return None
        treatment = reference.tax_treatments.get(treatment_id)
        if treatment is None or treatment.status is not EntryStatus.ACTIVE:
            _check_usable(
                "tax treatment",
                treatment_id,
                treatment.status if treatment else None,
                reference.tax_treatments,
                path,
                self.findings,
            )
            return None
        return treatment

    def _check_tax_rows(self, line: LineContent, treatment: TaxTreatment, path: str) -> None:
        count = len(line.taxes)
        path = f"{path}.taxes"
        if not self.posted:
            if count and (self.content.tax_status or TaxStatus.PENDING) is TaxStatus.PENDING:
                self.findings.add(path, Rule.TAX_ROWS_WHILE_PENDING, count=count)
        elif treatment.taxable and not count:
            self.findings.add(path, Rule.TAX_ROW_MISSING, treatment=shown(treatment.id))
        elif count and not treatment.taxable:
            self.findings.add(path, Rule.TAX_ROW_ON_NONTAXABLE, treatment=shown(treatment.id), count=count)

    def _address(self, own: str, inherited: str, role: str, path: str, groups: set[str]) -> str:
        key = own or inherited
        if key in groups and key:
            return key
        path = f"{path}.{role}_address" if own or not inherited else f"invoice.{role}_address"
        if not key:
            self.findings.add(path, Rule.REQUIRED)
        else:
            self.findings.add(path, Rule.NO_SUCH_ADDRESS_GROUP, value=shown(key), have=listed(groups))
        return key

    def _ship_from(self, line: LineContent, path: str, groups: set[str]) -> str:
        if not line.ship_from_address and not self.content.ship_from_address:
            return ""
        return self._address(
            line.ship_from_address, self.content.ship_from_address, "ship_from", path, groups
        )

    def _amount(self, amount: Decimal | None, path: str) -> Decimal | None:
        """The amount in units of the currency; nothing is rounded."""
        if amount is None:
            self.findings.add(path, Rule.REQUIRED)
            return None
        if self.currency is None:
            return amount
        exact = self.currency.exactly(amount)
        if exact is None:
            self.findings.add(
                path,
                Rule.FINER_THAN_CURRENCY,
                currency=self.currency.code,
                decimals=self.currency.decimals,
                value=amount,
            )
        return exact

    def _line_period(self, line: LineContent, path: str) -> str:
        if not line.accounting_period_id:
            return self.period.id if self.period else ""
        path = f"{path}.accounting_period_id"
        period_named(
            line.accounting_period_id, self.legal_entity_id, path, self.rules.reference, self.findings
        )
        return line.accounting_period_id

    def _taxes(self, number: int, line: LineContent, path: str, taxes: list[TaxImported]) -> None:
        if len(line.taxes) > TAX_ROWS_PER_LINE_MAX:
            self.findings.add(
                f"{path}.taxes", Rule.TOO_MANY, limit=TAX_ROWS_PER_LINE_MAX, count=len(line.taxes)
            )
            return
        rows = [self._tax_row(row, f"{path}.taxes[{index}]") for index, row in enumerate(line.taxes)]
        descriptions = tuple(row.description for row in line.taxes)
        texts = TaxTexts(descriptions if any(descriptions) else ())
        if not self.findings:
            taxes.append(TaxImported(number, tuple(row for row in rows if row is not None), texts))

    def _tax_row(self, row: TaxContent, path: str) -> TaxRow | None:
        _check_ids(_TAX_IDS, _tax_ids(row), path, self.findings)
        for name, value in zip(_TAX_IDS, _tax_ids(row), strict=True):
            if not value.strip():
                self.findings.add(f"{path}.{name}", Rule.REQUIRED)
        check_free_text(row.description, f"{path}.description", self.findings)
        check_date(row.effective_date, f"{path}.effective_date", self.findings, required=True)
        amount = self._amount(row.amount, f"{path}.amount")
        exempt = ZERO
        if row.exempt_amount is not None:
            exempt = self._amount(row.exempt_amount, f"{path}.exempt_amount") or ZERO
        if row.rate is None:
            self.findings.add(f"{path}.rate", Rule.REQUIRED)
        if amount is None or row.rate is None or row.effective_date is None:
            return None
        return TaxRow(
            row.transaction_number,
            amount,
            row.rate,
            row.name,
            row.code,
            row.effective_date,
            row.document_number,
            exempt,
        )


_NO_TEXT = LineTexts()
_TAX_IDS = ("transaction_number", "name", "code", "document_number")
_tax_ids = attrgetter(*_TAX_IDS)


def _check_line_required(line: LineContent, path: str, findings: Findings) -> None:
    if not line.name.strip():
        findings.add(f"{path}.name", Rule.REQUIRED)
    check_date(line.start_date, f"{path}.start_date", findings, required=True)
    check_date(line.end_date, f"{path}.end_date", findings, required=True)
    if line.start_date and line.end_date and line.end_date < line.start_date:
        findings.add(f"{path}.end_date", Rule.ENDS_BEFORE_START, start=line.start_date, end=line.end_date)
    if line.quantity is None:
        findings.add(f"{path}.quantity", Rule.REQUIRED)
    if line.unit_price is None:
        findings.add(f"{path}.unit_price", Rule.REQUIRED)


def _line_reference(said: LineReferenceContent, path: str, findings: Findings) -> LineReference | None:
    path = f"{path}.reference"
    names = ("id", "order_id", "system", "kind_name")
    _check_ids(names, (said.id, said.order_id, said.system, said.kind_name), path, findings)
    if (said.kind is None) != (not said.id.strip()):
        findings.add(f"{path}.kind", Rule.REFERENCE_KIND)
    elif said.kind is None and not said.order_id.strip():
        findings.add(path, Rule.REQUIRED)
    if (said.kind is LineReferenceKind.OTHER) != bool(said.kind_name.strip()):
        findings.add(f"{path}.kind_name", Rule.KIND_NAME)
    if said.kind is LineReferenceKind.DEBIT_MEMO_LINE:
        findings.add(f"{path}.id", Rule.NO_SUCH_MEMO, kind="debit memo line", value=shown(said.id))
    return LineReference(said.kind, said.id, said.order_id, said.system, said.kind_name)
