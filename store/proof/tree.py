"""The tree over a segment of the log: leaves in the order of the log, sixteen to a branch, one root.

A leaf is an event's position, in eight bytes, and its digest, which binds stream, version, name and state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

FAN_OUT = 16
DIGEST_BYTES = 32
LEAF_BYTES = 8 + DIGEST_BYTES
OF_LEAVES, OF_BRANCHES = b"\x00", b"\x01"

Branches = Sequence[Mapping[int, bytes]]
"""For each level, from the leaves to the root: what hangs on some of its branches, by their number."""


def root(leaves: bytes) -> bytes:
    """The root over leaves that follow each other without a gap; there is at least one."""
    return levels(leaves)[-1]


def levels(leaves: bytes) -> list[bytes]:
    """The leaves, and the digests of each level above them; the last is the root alone."""
    found = [leaves, _above(leaves, OF_LEAVES, FAN_OUT * LEAF_BYTES)]
    while len(found[-1]) > DIGEST_BYTES:
        found.append(_above(found[-1], OF_BRANCHES, FAN_OUT * DIGEST_BYTES))
    return found


def branches(leaves: bytes, wanted: Iterable[int]) -> list[dict[int, bytes]]:
    """All that leads from the leaves wanted, by their place among the leaves, to the root."""
    numbers = set(wanted)
    found: list[dict[int, bytes]] = []
    for level, size in zip(levels(leaves)[:-1], _sizes(), strict=False):
        numbers = {number // FAN_OUT for number in numbers}
        found.append({n: level[n * size : (n + 1) * size] for n in sorted(numbers)})
    return found


def led_to(found: Branches, leaves: int) -> bytes | None:
    """The root that branches over so many leaves lead to; None where they do not fit together."""
    below: dict[int, bytes] = {}
    count = leaves
    for level, (hangs, mark) in enumerate(zip(found, _marks(), strict=False)):
        count = -(-count // FAN_OUT)
        size = LEAF_BYTES if not level else DIGEST_BYTES
        for number, digest in below.items():
            at = number % FAN_OUT * size
            if hangs.get(number // FAN_OUT, b"")[at : at + size] != digest:
                return None
        below = {number: sha256(mark + hung).digest() for number, hung in hangs.items()}
        if any(not 0 <= number < count for number in below):
            return None
    return below.get(0) if count == 1 and len(below) == 1 else None


def _above(level: bytes, mark: bytes, size: int) -> bytes:
    return b"".join(sha256(mark + level[at : at + size]).digest() for at in range(0, len(level), size))


def _sizes() -> Iterable[int]:
    yield FAN_OUT * LEAF_BYTES
    while True:
        yield FAN_OUT * DIGEST_BYTES


def _marks() -> Iterable[bytes]:
    yield OF_LEAVES
    while True:
        yield OF_BRANCHES
