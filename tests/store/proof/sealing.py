"""A sealed log of the tests' own, and hands that reach into its database where nobody should."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.log import Write
from store.postgres import PostgresLog, open_log
from store.proof.findings import Finding, Verdict
from store.proof.keys import Keys, name
from store.proof.sealer import Sealer
from store.proof.verify import Asked, Told, verify
from tests.postgres import Database
from tests.store.events import META, Met, Names, codec, happenings

NOW = datetime(2026, 4, 2, 8, 15, tzinfo=UTC)


def key_of(seed: str) -> Keys:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    return Keys((private,), (name(private),))


OURS = key_of("ours")


@dataclass
class Book:
    """A log that is sealed as the test says."""

    database: Database
    log: PostgresLog
    keys: Keys = OURS
    witness: Path | None = None
    streams: list[UUID] = field(default_factory=list)

    def sealer(self, events_max: int = 10_000, keys: Keys | None = None) -> Sealer:
        return Sealer(
            self.database.app_dsn,
            self.log.identity,
            self.keys if keys is None else keys,
            now=lambda: NOW,
            witness_file=self.witness,
            events_max=events_max,
            age_max=0.0,
        )

    async def append(self, *sizes: int) -> None:
        for size in sizes:
            stream = UUID(int=len(self.streams) + 1)
            self.streams.append(stream)
            met = Met("Berlin", Names("Ada", "Lovelace"))
            await self.log.append([Write(stream, 0, [*happenings(size - 1), met])], META)

    async def go_on(self, stream: UUID, events: int = 1) -> None:
        version = (await self.log.read(stream)).version
        await self.log.append([Write(stream, version, happenings(events, "later"))], META)

    async def seal(self, events_max: int = 10_000, keys: Keys | None = None) -> None:
        """Seal all that there is, in segments of so many events at most."""
        sealer = self.sealer(events_max, keys)
        while await sealer.step():
            pass
        sealer.close()

    def verify(self, **asked: Any) -> tuple[list[Finding], Verdict]:
        return verified(self.database, **{"keys": self.keys.trusted, **asked})


def verified(database: Database, **asked: Any) -> tuple[list[Finding], Verdict]:
    return parted(verify(database.app_dsn, Asked(**asked)))


def parted(told: Iterable[Told]) -> tuple[list[Finding], Verdict]:
    """What was found, and the verdict at the end."""
    *before, verdict = told
    assert isinstance(verdict, Verdict)
    findings = [each for each in before if isinstance(each, Finding)]
    assert verdict.found == len(findings)
    return findings, verdict


def faults(findings: Sequence[Finding]) -> list[tuple[str, int, str, int]]:
    """What is wrong, and where: position, stream (its last digits) and version."""
    return [(f.fault.value, f.position, f.stream[-2:], f.version) for f in findings]


async def opened(database: Database) -> PostgresLog:
    return await open_log(database.app_dsn, codec())
