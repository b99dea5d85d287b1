"""Events of the tests' own, so that the log is tested without the business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from uuid import UUID, uuid4

from store.codec import Codec, Entry
from store.log import Log, Meta, Recorded, Stored, Who, Write

META = Meta(Who("local", "tester"), correlation="a test")


@dataclass(frozen=True, slots=True)
class Names:
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    what: str
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Met:
    place: str
    personal: Names | None = Names()


@dataclass(frozen=True, slots=True)
class Numbered:
    subject: str


def codec() -> Codec:
    return Codec({"Happened": Entry(Happened), "Met": Entry(Met), "Numbered": Entry(Numbered)})


def happenings(number: int, what: str = "x") -> list[Happened]:
    return [Happened(f"{what}{i}", Decimal(i)) for i in range(number)]


def new(number: int = 1, what: str = "x") -> Write:
    return Write(uuid4(), 0, happenings(number, what))


async def everything(log: Log, page: int = 500) -> list[Stored]:
    found: list[Stored] = []
    while following := await log.feed(found[-1].position if found else 0, page):
        found += following
    return found


def versions_by_stream(stored: Sequence[Stored]) -> dict[UUID, list[int]]:
    versions: dict[UUID, list[int]] = {}
    for event in stored:
        versions.setdefault(event.stream, []).append(event.version)
    return versions


def assert_whole(stored: Sequence[Stored]) -> None:
    """Positions rise, versions have no gap, every event holds the digest of the one before it."""
    positions = [event.position for event in stored]
    assert all(a < b for a, b in pairwise(positions))
    read = codec()
    last: dict[UUID, Recorded] = {}
    for event in stored:
        recorded = read.decode(event)
        before = last.get(event.stream)
        assert event.version == (before.version + 1 if before else 1)
        assert recorded.prev == (before.digest if before else "")
        last[event.stream] = recorded
