"""Sequence policies between the contract and the domain."""

from __future__ import annotations

from datetime import date
from typing import cast

from daybook.v1 import reference_data_service_pb2 as pb
from domain import reference
from domain.findings import Findings, Rule

from .entry_status import read_entry_status, write_entry_status
from .values import EnumTable, read_date, within, write_date

TARGETS = EnumTable(pb.SequenceTarget, reference.SequenceTarget, "SEQUENCE_TARGET")
RESTARTS = EnumTable(pb.SequenceRestart, reference.Restart, "SEQUENCE_RESTART")
COMPARISONS = EnumTable(pb.SequenceComparison, reference.Comparison, "SEQUENCE_COMPARISON")


def read_policy(message: pb.SequencePolicy, path: str, findings: Findings) -> reference.SequencePolicy:
    target = TARGETS.read(message.target, f"{path}.target", findings)
    restart = RESTARTS.read(message.restart, f"{path}.restart", findings)
    conditions = within(message.conditions, reference.CONDITIONS_MAX, f"{path}.conditions", findings)
    return reference.SequencePolicy(
        id=message.id,
        name=message.name,
        legal_entity_id=message.legal_entity_id,
        pattern=message.pattern,
        target=cast(reference.SequenceTarget, target or reference.SequenceTarget.INVOICE),
        start=message.start if message.HasField("start") else 1,
        increment=message.increment or 1,
        width=message.width,
        maximum=message.maximum if message.HasField("maximum") else None,
        restart=cast(reference.Restart, restart or reference.Restart.NONE),
        conditions=tuple(
            _condition(each, f"{path}.conditions[{n}]", findings) for n, each in enumerate(conditions)
        ),
        start_date=_date(message, "start_date", path, findings),
        end_date=_date(message, "end_date", path, findings),
        status=read_entry_status(message.status, path, findings),
    )


def _condition(message: pb.SequenceCondition, path: str, findings: Findings) -> reference.SequenceCondition:
    comparison = COMPARISONS.read(message.comparison, f"{path}.comparison", findings)
    if comparison is None:
        findings.add(f"{path}.comparison", Rule.REQUIRED)
    known = cast(reference.Comparison, comparison or reference.Comparison.EQUALS)
    return reference.SequenceCondition(message.field, known, message.value)


def _date(message: pb.SequencePolicy, name: str, path: str, findings: Findings) -> date | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    return read_date(getattr(message, name), f"{path}.{name}", findings)


def write_policy(policy: reference.SequencePolicy) -> pb.SequencePolicy:
    return pb.SequencePolicy(
        id=policy.id,
        name=policy.name,
        legal_entity_id=policy.legal_entity_id,
        pattern=policy.pattern,
        target=cast(pb.SequenceTarget.ValueType, TARGETS.wire[policy.target]),
        start=policy.start,
        increment=policy.increment,
        width=policy.width,
        maximum=policy.maximum,
        restart=cast(pb.SequenceRestart.ValueType, RESTARTS.wire[policy.restart]),
        conditions=map(_write_condition, policy.conditions),
        start_date=write_date(policy.start_date) if policy.start_date else None,
        end_date=write_date(policy.end_date) if policy.end_date else None,
        status=write_entry_status(policy.status),
    )


def _write_condition(condition: reference.SequenceCondition) -> pb.SequenceCondition:
    return pb.SequenceCondition(
        field=condition.field,
        comparison=cast(pb.SequenceComparison.ValueType, COMPARISONS.wire[condition.comparison]),
        value=condition.value,
    )
