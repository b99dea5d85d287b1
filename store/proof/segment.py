"""What stands in a segment of the log beside what was sealed: which event differs, and how."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from uuid import UUID

from .findings import Fault, Finding
from .tree import LEAF_BYTES

PLACE_BYTES = 24
_LEAF = Struct(">q32s")
_PLACE = Struct(">16sq")

Place = tuple[bytes, int]
"""A stream and a version."""

Rehash = Callable[[int, Place], bytes | None]
"""The digest that the event at a position would have in another place; None where there is no event."""


class Segment:
    """Leaves and the places of their events, as they were sealed or as they stand now."""

    def __init__(self, leaves: bytes, places: bytes) -> None:
        count = min(len(leaves) // LEAF_BYTES, len(places) // PLACE_BYTES)
        read = zip(
            _LEAF.iter_unpack(leaves[: count * LEAF_BYTES]),
            _PLACE.iter_unpack(places[: count * PLACE_BYTES]),
            strict=True,
        )
        self.at: dict[int, tuple[Place, bytes]] = {p: (place, digest) for (p, digest), place in read}
        self.positions = {place: position for position, (place, _) in self.at.items()}


def differences(
    sealed: Segment, found: Segment, rehash: Rehash, seals: Sequence[tuple[int, int]]
) -> Iterator[Finding]:
    """Each event that is not as it was sealed, by position; `seals` are last positions and numbers."""
    for position in sorted(sealed.at.keys() | found.at.keys()):
        was, now = sealed.at.get(position), found.at.get(position)
        if was != now:
            number = seals[min(bisect_left(seals, (position, 0)), len(seals) - 1)][1]
            yield from _difference(position, sealed, found, rehash, number)


def _difference(
    position: int, sealed: Segment, found: Segment, rehash: Rehash, number: int
) -> Iterator[Finding]:
    was, now = sealed.at.get(position), found.at.get(position)
    if was is not None and now is not None and was[1] == now[1]:
        text = "is as it was sealed, but the list beside its seal names it otherwise"
        yield _finding(Fault.SEAL_ALTERED, text, position, now[0], number)
        return
    if was is not None and now is not None and was[0] == now[0]:
        yield _finding(Fault.ALTERED, "is not the event that was sealed", position, was[0], number)
        return
    if was is not None and now is not None and rehash(position, was[0]) == was[1]:
        text = f"was sealed here and stands as {_named(now[0])}: moved between streams"
        yield _finding(Fault.MOVED, text, position, was[0], number)
        return
    if was is not None:
        elsewhere = found.positions.get(was[0])
        if elsewhere is None:
            yield _finding(Fault.MISSING, "was sealed here and is gone", position, was[0], number)
        else:
            same = "" if found.at[elsewhere][1] == was[1] else ", altered"
            text = f"was sealed here and stands at position {elsewhere}{same}"
            yield _finding(Fault.REORDERED, text, position, was[0], number)
    if now is not None and now[0] not in sealed.positions:
        yield _finding(Fault.INSERTED, "stands here and was never sealed", position, now[0], number)


def _finding(fault: Fault, text: str, position: int, place: Place, number: int) -> Finding:
    stream, version = place
    return Finding(fault, text, position, str(UUID(bytes=stream)), version, number)


def _named(place: Place) -> str:
    return f"stream {UUID(bytes=place[0])} version {place[1]}"
