"""What must hold of sequence policies, by themselves and beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..dates import check_date
from ..findings import Findings, Rule, shown
from ..texts import check_required, check_text
from .entries import Kind, Restart, SequenceCondition, SequencePolicy
from .pattern import PATTERN_MAX, date_parts, is_pattern

CONDITIONS_MAX = 20
WIDTH_MOST = 18
VALUE_MOST = 10**WIDTH_MOST - 1
INCREMENT_MOST = 1_000_000
LABEL_FIELD = "labels."
CONDITION_FIELDS = (
    "account_id",
    "bill_to_contact_id",
    "currency_code",
    "owner_id",
    "payment_term_id",
    "purchase_order_number",
    "reference_kind",
    "source_system",
)
_SHOWN = {Restart.YEARLY: "a year", Restart.MONTHLY: "a year and a month"}


def check_policy(policy: SequencePolicy, path: str, findings: Findings) -> None:
    _check_pattern(policy, path, findings)
    for name, least, most in (
        ("start", 0, VALUE_MOST),
        ("increment", 1, INCREMENT_MOST),
        ("width", 0, WIDTH_MOST),
    ):
        if not least <= (value := getattr(policy, name)) <= most:
            findings.add(f"{path}.{name}", Rule.OUT_OF_RANGE, least=least, most=most, value=value)
    if policy.maximum is not None and not policy.start <= policy.maximum <= VALUE_MOST:
        facts = {"least": policy.start, "most": VALUE_MOST, "value": policy.maximum}
        findings.add(f"{path}.maximum", Rule.OUT_OF_RANGE, **facts)
    if len(policy.conditions) > CONDITIONS_MAX:
        findings.add(f"{path}.conditions", Rule.TOO_MANY, limit=CONDITIONS_MAX, count=len(policy.conditions))
    else:
        for index, condition in enumerate(policy.conditions):
            _check_condition(condition, f"{path}.conditions[{index}]", findings)
    _check_dates(policy, path, findings)


def _check_pattern(policy: SequencePolicy, path: str, findings: Findings) -> None:
    check_required(policy.pattern, f"{path}.pattern", findings, limit=PATTERN_MAX)
    if f"{path}.pattern" in findings:
        return
    if not is_pattern(policy.pattern):
        findings.add(f"{path}.pattern", Rule.PATTERN, value=shown(policy.pattern))
        return
    has = date_parts(policy.pattern)
    dated = bool(has & {"YYYY", "YY"}) and (policy.restart is Restart.YEARLY or "MM" in has)
    if policy.restart is not Restart.NONE and not dated:
        facts = {"restart": policy.restart.lower(), "shows": _SHOWN[policy.restart]}
        findings.add(f"{path}.pattern", Rule.RESTART_WITHOUT_DATE, **facts)


def _check_condition(condition: SequenceCondition, path: str, findings: Findings) -> None:
    label = condition.field.removeprefix(LABEL_FIELD)
    if condition.field not in CONDITION_FIELDS and (label == condition.field or not label):
        have = ", ".join((*CONDITION_FIELDS, f"{LABEL_FIELD}KEY"))
        findings.add(f"{path}.field", Rule.MASK, field=shown(condition.field), have=have)
    check_text(condition.field, f"{path}.field", findings)
    check_text(condition.value, f"{path}.value", findings)


def _check_dates(policy: SequencePolicy, path: str, findings: Findings) -> None:
    start, end = policy.start_date, policy.end_date
    if start is not None:
        check_date(start, f"{path}.start_date", findings)
    if end is not None:
        check_date(end, f"{path}.end_date", findings)
    if start is not None and end is not None and end < start:
        findings.add(f"{path}.end_date", Rule.ENDS_BEFORE_START, start=start, end=end)


def check_patterns_differ(
    policies: Iterable[SequencePolicy], path_of: Mapping[tuple[Kind, str], str], findings: Findings
) -> None:
    """Two policies of one legal entity with one pattern would make the same numbers."""
    first: dict[tuple[str, str], SequencePolicy] = {}
    for policy in policies:
        other = first.setdefault((policy.legal_entity_id, policy.pattern), policy)
        if other is policy:
            continue
        applied, stands = (policy, other) if (Kind.SEQUENCE_POLICY, policy.id) in path_of else (other, policy)
        path = path_of[Kind.SEQUENCE_POLICY, applied.id]
        findings.add(
            f"{path}.pattern", Rule.SAME_PATTERN, value=shown(policy.pattern), other=shown(stands.id)
        )
