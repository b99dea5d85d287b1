"""The rules of lines, each held against the header that it stands under."""

from __future__ import annotations

from operator import attrgetter

from ..dates import DATE_LEAST, DATE_MOST, check_required_date
from ..findings import Findings, Rule, shown
from ..reference import EntryStatus, Kind, TaxTreatment, words
from ..texts import check_free_text, check_texts
from .addresses import Groups
from .amounts import check_amount, check_total
from .content import Content, LineContent
from .events import LineAdded, LineTexts, TaxImported, TaxStatus
from .header import Frame, check_active, check_period
from .limits import Rules
from .references import check_line_reference
from .taxes import check_taxes

_TEXTS = (
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
_texts = attrgetter(*_TEXTS)
_NO_TEXT = LineTexts()


class Lines:
    """Checks the lines of one invoice."""

    __slots__ = ("_content", "_findings", "_frame", "_groups", "_reference", "_rules")

    def __init__(self, content: Content, frame: Frame, rules: Rules, findings: Findings) -> None:
        self._content = content
        self._frame = frame
        self._rules = rules
        self._reference = rules.reference
        self._findings = findings
        self._groups = Groups(content, findings)

    def checked(self) -> tuple[tuple[LineAdded, ...], tuple[TaxImported, ...]]:
        """The lines and their taxes as the book would record them; of no use where there are findings."""
        lines, findings = self._content.lines, self._findings
        lines_max = self._rules.limits.lines_max
        if not lines and self._rules.lines_required:
            findings.add("invoice.lines", Rule.LINES_REQUIRED)
        if len(lines) > lines_max:
            findings.add("invoice.lines", Rule.TOO_MANY, limit=lines_max, count=len(lines))
            lines = ()
        added: list[LineAdded] = []
        taxes: list[TaxImported] = []
        for index, line in enumerate(lines):
            if findings.full:
                break
            path = f"invoice.lines[{index}]"
            self._check(index + 1, line, path, added)
            if line.taxes and (imported := self._check_taxes(index + 1, line, path)):
                taxes.append(imported)
        check_total(added, taxes, findings)
        return tuple(added), tuple(taxes)

    def _check(self, number: int, line: LineContent, path: str, added: list[LineAdded]) -> None:
        findings, groups = self._findings, self._groups
        check_texts(_TEXTS, _texts(line), path, findings)
        if line.description:
            check_free_text(line.description, f"{path}.description", findings)
        _check_required(line, path, findings)
        treatment = self._treatment(line, path)
        self._check_tax_rows(line, treatment, path)
        billing = groups.effective(line.billing_address, "billing_address", path, required=True)
        shipping = groups.effective(line.shipping_address, "shipping_address", path, required=True)
        ship_from = groups.effective(line.ship_from_address, "ship_from_address", path, required=False)
        charge = check_amount(line.charge_amount, f"{path}.charge_amount", self._frame.currency, findings)
        period_id = self._period(line, path)
        self._check_legal_entity(line, path)
        reference = None
        if line.reference:
            known = self._rules.known
            reference = check_line_reference(line.reference, f"{path}.reference", findings, known)
        if findings:
            return
        assert treatment is not None
        assert charge is not None
        assert line.start_date is not None
        assert line.end_date is not None
        assert line.quantity is not None
        assert line.unit_price is not None
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
                tax_status=self._frame.tax_status,
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
        """The line's, else the default; None where none can be used."""
        reference, path = self._reference, f"{path}.tax_treatment_id"
        treatment_id = line.tax_treatment_id or reference.settings.default_tax_treatment_id
        if not treatment_id:
            self._findings.add(path, Rule.NO_DEFAULT, kind=words(Kind.TAX_TREATMENT))
            return None
        treatment = reference.tax_treatments.get(treatment_id)
        if treatment is not None and treatment.status is EntryStatus.ACTIVE:
            return treatment
        check_active(Kind.TAX_TREATMENT, treatment_id, path, reference, self._findings)
        return None

    def _check_tax_rows(self, line: LineContent, treatment: TaxTreatment | None, path: str) -> None:
        """Which lines bring taxes, by the matrix of status, tax status and treatment."""
        frame, count = self._frame, len(line.taxes)
        if not frame.statuses_read:
            return
        if not frame.posted:
            if count and frame.tax_status is TaxStatus.PENDING:
                self._findings.add(f"{path}.taxes", Rule.TAX_ROWS_WHILE_PENDING, count=count)
        elif treatment is not None and treatment.taxable != bool(count):
            facts = {"treatment": shown(treatment.id), "count": count}
            rule = Rule.TAX_ROW_MISSING if treatment.taxable else Rule.TAX_ROW_ON_NONTAXABLE
            self._findings.add(f"{path}.taxes", rule, **facts)

    def _period(self, line: LineContent, path: str) -> str:
        if not line.accounting_period_id:
            return self._frame.period.id if self._frame.period else ""
        owner, path = self._frame.legal_entity_id, f"{path}.accounting_period_id"
        check_period(line.accounting_period_id, owner, path, self._reference, self._findings)
        return line.accounting_period_id

    def _check_legal_entity(self, line: LineContent, path: str) -> None:
        expected = self._frame.legal_entity_id
        if line.legal_entity_id and line.legal_entity_id != expected:
            facts = {"expected": shown(expected), "value": shown(line.legal_entity_id)}
            self._findings.add(f"{path}.legal_entity_id", Rule.MIXED_LEGAL_ENTITY, **facts)

    def _check_taxes(self, number: int, line: LineContent, path: str) -> TaxImported | None:
        return check_taxes(number, line, path, self._frame.currency, self._findings)


def _check_required(line: LineContent, path: str, findings: Findings) -> None:
    if not line.name.strip():
        findings.add(f"{path}.name", Rule.REQUIRED)
    if line.quantity is None:
        findings.add(f"{path}.quantity", Rule.REQUIRED)
    if line.unit_price is None:
        findings.add(f"{path}.unit_price", Rule.REQUIRED)
    start, end = line.start_date, line.end_date
    if start and end and DATE_LEAST <= start <= end <= DATE_MOST:
        return
    check_required_date(start, f"{path}.start_date", findings)
    check_required_date(end, f"{path}.end_date", findings)
    if start and end and end < start:
        findings.add(f"{path}.end_date", Rule.ENDS_BEFORE_START, start=start, end=end)
