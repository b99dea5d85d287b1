"""`daybook seal-key`: the keys that sign seals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from store.proof import keys

from .options import Stop

T = TypeVar("T")


def new_key(file: Path) -> None:
    print(_or_stop(keys.make, file))


def rotate_key(file: Path) -> None:
    print(_or_stop(keys.rotate, file))


def retire_keys(file: Path) -> None:
    _print(_or_stop(keys.retire, file))


def show_keys(file: Path) -> None:
    _print(_or_stop(keys.read, file).trusted)


def _or_stop(deed: Callable[[Path], T], file: Path) -> T:
    try:
        return deed(file)
    except keys.BadKey as trouble:
        raise Stop(str(trouble)) from trouble


def _print(names: Sequence[str]) -> None:
    for name in names:
        print(name)
