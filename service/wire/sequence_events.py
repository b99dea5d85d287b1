"""What happens to series of numbers, as it is published."""

from __future__ import annotations

from daybook.v1 import reference_data_event_pb2 as pb
from domain import sequence
from domain.findings import shown

from .invoices import Positioned
from .publishing import Published
from .sequences import write_policy


def _write_opened(event: sequence.SeriesOpened, detail: pb.SeriesOpened, position: Positioned) -> None:
    detail.period = event.period
    detail.policy.CopyFrom(write_policy(event.policy))


def _opened(event: sequence.SeriesOpened) -> str:
    period = f" of {event.period}" if event.period else ""
    return f"The series{period} has given its first number: {event.policy.pattern} is settled"


def _assigned(event: sequence.NumberAssigned) -> str:
    if event.brought:
        return f"Number {shown(event.number)} passed over: invoice {event.invoice_id} had brought it"
    return f"Number {shown(event.number)} given to invoice {event.invoice_id}"


SEQUENCE_EVENTS: dict[type, Published] = {
    sequence.SeriesOpened: Published(_opened, _write_opened),
    sequence.NumberAssigned: Published(_assigned, business_date=lambda e: e.day),
}
