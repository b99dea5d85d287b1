"""The events of a batch, stream by stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from store.log import Recorded

Histories = Sequence[Sequence[Recorded]]


def by_stream(batch: Iterable[Recorded]) -> Histories:
    """The events of a batch, stream by stream."""
    histories: dict[int, list[Recorded]] = {}
    for recorded in batch:
        histories.setdefault(recorded.stream.int, []).append(recorded)
    return list(histories.values())


def parted(histories: Histories) -> tuple[Histories, Histories]:
    """Streams that begin in the batch, and those that began before it."""
    new = [history for history in histories if history[0].version == 1]
    begun_before = len(new) < len(histories)
    return new, [history for history in histories if history[0].version > 1] if begun_before else []


def continued(histories: Histories) -> list[UUID]:
    """The streams that began before the batch."""
    return [history[0].stream for history in histories if history[0].version > 1]
