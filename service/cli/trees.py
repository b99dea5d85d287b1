"""What a file says, whatever it is written in: texts, truths, lists and names with values.

A scalar without quotes stays the text that was written (`Plain`); the field that it is meant for says
what it is. So `250.00` keeps both its zeros, `0012` its leading ones, and the country `NO` stays Norway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

DEPTH_MAX = 32  # an invoice needs six
TOO_DEEP = f"nested deeper than {DEPTH_MAX}"


class Plain(str):
    """A scalar written without quotes."""

    __slots__ = ()


Tree: TypeAlias = "bool | str | list[Tree] | dict[str, Tree] | None"


class Unreadable(Exception):
    """A file or a part of it cannot be made out."""


@dataclass(frozen=True, slots=True)
class Written:
    """One thing written in a file: its place there, and what it says or why that cannot be made out."""

    place: str
    tree: Tree = None
    trouble: str = ""


class Stream(Protocol):
    """What is read: a file, standard input, or the rest of one."""

    def read(self, size: int = ..., /) -> bytes: ...
    def readline(self, size: int = ..., /) -> bytes: ...
