"""Numbers out of a series: the writer gives them in its turn, so that many share a commit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain import identity, numbering, sequence
from domain.decision import Decided
from domain.numbering import Number
from domain.sequence import PASSED_MAX, Assigned, Place, SeriesOpened
from store.log import History, Series, Write

Histories = Mapping[UUID, History]


@dataclass(slots=True)
class Numbering:
    """What numbers one event.

    `number` is what the writer gave last: once the append is done, the one that was written.
    """

    place: Place
    stream: UUID
    number: str = ""
    _nth: int = 0
    _numbers: dict[UUID, str] = field(default_factory=dict)  # whose claims have been looked at

    def series(self, decision: Decided[Any], version: int, histories: Histories) -> Series:
        """What is appended once it is known how far the series is; one event gets the number."""
        carried = {
            number: numbering.fold(histories[claims].events)
            for claims, number in self._numbers.items()
            if claims in histories
        }

        def numbered(head: int) -> list[Write]:
            assigned = sequence.assign(self.place, head, carried, self.stream)
            self.number, self._nth = assigned.number, head + 1
            events = decision.numbered(assigned.number)[decision.place_at :]
            return [
                *self._opening(head, histories),
                Write(self.place.series, head, assigned.events),
                *self._claiming(assigned, histories),
                Write(self.stream, version + decision.place_at, events),
            ]

        return Series(self.place.series, numbered)

    def lost(self, streams: Collection[UUID]) -> set[UUID]:
        """What is to be read besides: where a number turned out to be carried, the next ones may be, too."""
        if self._claims(self.number) not in streams:
            return set()
        values = (sequence.value_of(self.place.policy, self._nth + n) for n in range(PASSED_MAX + 1))
        found = {self._claims(number): number for number in map(self.place.number, values)}
        self._numbers |= found
        return set(found)

    def _opening(self, head: int, histories: Histories) -> Iterator[Write]:
        if head == 0:
            opened = SeriesOpened(self.place.period, self.place.policy)
            stream = identity.sequence(self.place.policy.id)
            yield Write(stream, _version(histories, stream), (opened,))

    def _claiming(self, assigned: Assigned, histories: Histories) -> Iterator[Write]:
        """The number is claimed; those that were passed over are still carried."""
        for each in assigned.events:
            stream = self._claims(each.number)
            claimed: list[numbering.NumberClaimed] = []
            if not each.brought:
                number = Number(self.place.policy.legal_entity_id, each.number)
                holders = numbering.fold(histories[stream].events) if stream in histories else frozenset()
                claimed = numbering.claim(number, self.stream, False, holders)
            yield Write(stream, _version(histories, stream), claimed)

    def _claims(self, number: str) -> UUID:
        """The stream in which a number is claimed."""
        return identity.number(self.place.policy.legal_entity_id, number)


def _version(histories: Histories, stream: UUID) -> int:
    history = histories.get(stream)
    return history.version if history else 0
