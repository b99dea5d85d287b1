"""Which of these is which of those: pairs of what is the same by the sharpest key that tells."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Pairs: TypeAlias = list[tuple[int, int]]


def matched(one: Sequence[T], other: Sequence[T], keys: Sequence[Callable[[T], object]]) -> Pairs:
    """Pairs of places, by the place in `other`; what has the same key is paired in its order.

    Each key is asked about what the keys before it left over; None is no key.
    """
    pairs: dict[int, int] = {}
    left = list(range(len(one)))
    for key in keys:
        places: defaultdict[object, deque[int]] = defaultdict(deque)
        for place in left:
            places[key(one[place])].append(place)
        for place, each in enumerate(other):
            if place in pairs or (found := key(each)) is None:
                continue
            if places.get(found):
                pairs[place] = places[found].popleft()
        taken = set(pairs.values())
        left = [place for place in left if place not in taken]
        if not left or len(pairs) == len(other):
            break
    return [(pairs[place], place) for place in sorted(pairs)]


def in_order(pairs: Pairs) -> bool:
    """Whether what was paired stands in the same order on both sides."""
    places = [place for place, _ in pairs]
    return places == sorted(places)
