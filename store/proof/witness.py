"""A witness: the seals once more, one JSON object a line, in a file that the database's people do not reach.

It is only ever added to. What it holds, the log must still say.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .seal import NoSeal, Seal, Sealed, stated

LINE_BYTES_MAX = 1 << 16


class BadWitness(Exception):
    """A witness file cannot be read, or does not hold together; the text says where."""


class Diverged(Exception):
    """The log does not continue what its witness holds."""


def seals(path: Path) -> Iterator[tuple[Seal, Sealed]]:
    """What a witness holds, in order; raises BadWitness where a line does not follow the one before."""
    before: Seal | None = None
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                sealed = _read(line, f"{path}, line {number}")
                seal = stated(sealed.statement)
                if before is not None and (seal.number, seal.prev) != (before.number + 1, before.digest):
                    raise BadWitness(f"{path}, line {number}: does not follow the line before it")
                yield seal, sealed
                before = seal
    except OSError as fault:
        raise BadWitness(f"{path}: {fault.strerror}") from fault


def begin(path: Path) -> None:
    """From now on there is one, empty at first: who verifies then knows that it is not merely gone."""
    try:
        path.touch()
    except OSError as fault:
        raise BadWitness(f"{path}: {fault.strerror}") from fault


def last(path: Path) -> Seal | None:
    """The last seal that a witness holds, None while it holds none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LINE_BYTES_MAX))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise BadWitness(f"{path}: {fault.strerror}") from fault
    return stated(_read(lines[-1], f"{path}, its last line").statement) if lines else None


def add(path: Path, following: Sequence[Sealed]) -> int:
    """Add what a witness does not hold yet and see it onto the disk; answers the number of its last seal.

    What is given must begin with the last that it holds. Raises Diverged where the log says something else.
    """
    try:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = last(path)
            added = _what_follows(known, following)
            if added is None:
                raise Diverged(
                    f"the log does not continue what {path} holds: keep that file, it proves what was; begin "
                    "another one only if you know why, after a restore for example"
                )
            file.writelines(
                json.dumps(asdict(each), separators=(",", ":")).encode() + b"\n" for each in added
            )
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise BadWitness(f"{path}: {fault.strerror}") from fault
    return stated(added[-1].statement).number if added else known.number if known else 0


def _what_follows(known: Seal | None, following: Sequence[Sealed]) -> Sequence[Sealed] | None:
    """What comes after the last that is known; None where it does not follow."""
    seals = [stated(sealed.statement) for sealed in following]
    if known is not None:
        at = next((i for i, seal in enumerate(seals) if seal.number == known.number), None)
        if at is None or seals[at] != known:
            return None
        return following[at + 1 :]
    return following if not seals or seals[0].number == 1 else None


def _read(line: bytes, where: str) -> Sealed:
    try:
        sealed = Sealed(**json.loads(line))
        stated(sealed.statement)
    except (ValueError, TypeError, NoSeal) as fault:
        raise BadWitness(f"{where}: not a seal: {fault}") from fault
    return sealed
