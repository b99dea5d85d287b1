"""What a worker has done in a process of its own: told as JSON on its input, answered on its output.

`python -m service.job NAME`. What keeps it from the end is its last word on standard error, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from store.log import Unavailable
from store.proof.evidence import About, NothingToTell
from store.proof.keys import Keys, read
from store.proof.verify import Asked, NotTrusted, verify
from store.proof.witness import BadWitness

Told = dict[str, Any]


def verification(dsn: str, *, witness: str, keys: list[str], **asked: Any) -> Iterator[bytes]:
    """A line of JSON for all that a verification tells."""
    file = Path(witness) if witness else None
    for told in verify(dsn, Asked(witness=file, keys=tuple(keys), **asked)):
        yield json.dumps({"told": type(told).__name__, **asdict(told)}).encode() + b"\n"


def export(dsn: str, *, key_file: str, about: dict[str, str], made: str) -> Iterator[bytes]:
    """The bytes of an audit pack."""
    from .pack.build import pack

    keys = read(Path(key_file)) if key_file else Keys()
    return pack(dsn, asked_about(about), keys, datetime.fromisoformat(made))


def asked_about(about: dict[str, str]) -> About:
    stream, first, last = (about.get(name, "") for name in ("stream", "first", "last"))
    return About(
        UUID(stream) if stream else None,
        about.get("account", ""),
        date.fromisoformat(first) if first else None,
        date.fromisoformat(last) if last else None,
    )


def edition(dsn: str, **told: Any) -> Iterator[bytes]:
    """Nothing, once a read model of an edition is ready."""
    from .bootstrap import build_edition

    asyncio.run(build_edition(dsn, **told))
    yield b""


JOBS: dict[str, Callable[..., Iterator[bytes]]] = {
    "verification": verification,
    "export": export,
    "edition": edition,
}
REFUSALS = (NotTrusted, BadWitness, NothingToTell, Unavailable)


def main() -> None:
    told: Told = json.loads(sys.stdin.buffer.readline())
    out = sys.stdout.buffer
    try:
        for part in JOBS[sys.argv[1]](**told):
            out.write(part)
            out.flush()
    except REFUSALS as refused:
        word = {"refused": type(refused).__name__, "because": str(refused)}
        print(json.dumps(word), file=sys.stderr, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
