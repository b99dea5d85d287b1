"""Points of history, from the wire."""

from __future__ import annotations

from datetime import UTC

from daybook.v1 import audit_service_pb2 as pb
from domain.findings import Findings, Malformed, Rule
from store.log import LogIdentity

from .. import positions
from ..past import Point


def read_point(message: pb.HistoryPoint, identity: LogIdentity, path: str) -> Point:
    """The point; now where nothing is said."""
    match message.WhichOneof("point"):
        case "version":
            if message.version < 1:
                _refuse(path, message.version)
            return Point(version=message.version)
        case "time":
            try:
                return Point(instant=message.time.ToDatetime(UTC))
            except (ValueError, OverflowError):
                findings = Findings()
                findings.add(f"{path}.time", Rule.INSTANT, value=message.time.seconds)
                raise Malformed(findings) from None
        case "position":
            return Point(position=positions.read(identity, message.position, f"{path}.position"))
        case _:
            return Point()


def _refuse(path: str, version: int) -> None:
    findings = Findings()
    findings.add(f"{path}.version", Rule.OUT_OF_RANGE, least=1, most=2**63 - 1, value=version)
    raise Malformed(findings)
