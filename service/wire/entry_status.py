"""Whether an entry of reference data may be used, between the contract and the domain."""

from __future__ import annotations

from typing import cast

from daybook.v1 import reference_data_service_pb2 as pb
from domain import reference
from domain.findings import Findings

from .values import EnumTable

ENTRY_STATUSES = EnumTable(pb.EntryStatus, reference.EntryStatus, "ENTRY_STATUS")


def read_entry_status(number: int, path: str, findings: Findings) -> reference.EntryStatus:
    status = ENTRY_STATUSES.read(number, f"{path}.status", findings)
    return cast(reference.EntryStatus, status or reference.EntryStatus.ACTIVE)


def write_entry_status(status: reference.EntryStatus) -> pb.EntryStatus.ValueType:
    return cast(pb.EntryStatus.ValueType, ENTRY_STATUSES.wire[status])
