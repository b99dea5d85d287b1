"""Business numbers: each is claimed as a stream of its own, so that no two invoices can carry one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from . import decider
from .refusal import Refused


@dataclass(frozen=True, slots=True)
class NumberClaimed:
    legal_entity_id: str
    number: str
    invoice_id: UUID


@dataclass(frozen=True, slots=True)
class NumberReleased:
    """A draft that had brought the number was canceled, or revised to another one."""

    legal_entity_id: str
    number: str
    invoice_id: UUID


EVENTS: tuple[type, ...] = (NumberClaimed, NumberReleased)

Holders = frozenset[UUID]  # the state: which invoices carry the number


def evolve(holders: Holders | None, event: NumberClaimed | NumberReleased) -> Holders:
    held = holders or frozenset()
    match event:
        case NumberClaimed(invoice_id=invoice_id):
            return held | {invoice_id}
        case NumberReleased(invoice_id=invoice_id):
            return held - {invoice_id}
        case _:
            assert_never(event)


def fold(events: Iterable[NumberClaimed | NumberReleased]) -> Holders:
    return decider.fold(evolve, events) or frozenset()


class NumberTaken(Refused):
    reason = "NUMBER_TAKEN"
    because = "number {number} of legal entity {legal_entity_id} is carried by invoice {invoice_id}"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as an invoice brings it."""

    legal_entity_id: str
    text: str


def claim(
    number: Number, invoice_id: UUID, duplicates_allowed: bool, holders: Holders
) -> list[NumberClaimed]:
    others = holders - {invoice_id}
    if others and not duplicates_allowed:
        raise NumberTaken(number=number.text, legal_entity_id=number.legal_entity_id, invoice_id=min(others))
    if invoice_id in holders:
        return []
    return [NumberClaimed(number.legal_entity_id, number.text, invoice_id)]


def release(number: Number, invoice_id: UUID, holders: Holders) -> list[NumberReleased]:
    if invoice_id not in holders:
        return []
    return [NumberReleased(number.legal_entity_id, number.text, invoice_id)]
