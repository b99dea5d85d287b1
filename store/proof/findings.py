"""What a verification tells: how far it is, what is wrong, and in the end what was proven."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What is wrong. Of the log itself first, then of its seals."""

    ALTERED = "altered"
    MISSING = "missing"
    INSERTED = "inserted"
    MOVED = "moved"
    REORDERED = "reordered"
    UNCHAINED = "unchained"
    PERSONAL_ALTERED = "personal-altered"
    SEGMENT = "segment"
    SEAL_MISSING = "seal-missing"
    SEAL_ALTERED = "seal-altered"
    SEAL_UNSIGNED = "seal-unsigned"
    SEAL_KEY = "seal-key"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed; empty is what does not concern it."""

    fault: Fault
    text: str
    position: int = 0
    stream: str = ""
    version: int = 0
    seal: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    position: int
    head: int
    events: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at. It holds when nothing was found; only the first `found` are told one by one."""

    log: str
    epoch: int
    events: int
    unsealed: int
    position: int
    seals: int
    seal: int
    digest: str
    signed: int
    witnessed: int
    keys: tuple[str, ...] = ()
    found: int = 0
    since: int = 0


@dataclass(slots=True)
class Findings:
    """What was found so far: the first of them, and how many there are."""

    most: int
    told: list[Finding] = field(default_factory=list)
    count: int = 0
    named: set[tuple[str, int]] = field(default_factory=set)

    def add(self, finding: Finding) -> None:
        self.count += 1
        if self.count > self.most:
            return
        self.told.append(finding)
        if finding.stream:
            self.named.add((finding.stream, finding.version))

    def take(self) -> list[Finding]:
        told, self.told = self.told, []
        return told
