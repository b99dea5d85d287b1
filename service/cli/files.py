"""Reads files of invoices and of reference data, one thing after the other."""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .json_trees import json_tree, line, read_json, read_lines
from .options import Format
from .trees import Stream, Unreadable, Written
from .yaml_trees import read_yaml

STDIN = "-"

SUFFIXES = {
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
    ".json": Format.JSON,
    ".jsonl": Format.LINES,
    ".ndjson": Format.LINES,
}


@dataclass(slots=True)
class Reading:
    """Reads files one thing after the other, and knows how far it is."""

    names: tuple[str, ...]
    stdin: BinaryIO
    format: Format | None = None
    bytes_read: int = 0
    bytes_before: int = field(default=0, init=False)

    def bytes_total(self) -> int | None:
        """How much there is to read; None where standard input is among it."""
        if STDIN in self.names:
            return None
        return sum(Path(name).stat().st_size for name in self.names)

    def more(self) -> bool:
        """Whether the next thing can be had without waiting for it, as far as that can be told."""
        if STDIN not in self.names:
            return True
        try:
            return bool(select.select([self.stdin], [], [], 0)[0])
        except (OSError, ValueError):  # no file that the system knows
            return False

    def __iter__(self) -> Iterator[Written]:
        for name in self.names:
            if name == STDIN:
                yield from read(self.stdin, "stdin", self.format)
                continue
            with Path(name).open("rb") as stream:
                for written in read(stream, name, self.format):
                    self.bytes_read = self.bytes_before + stream.tell()
                    yield written
            self.bytes_before += Path(name).stat().st_size


def read_one(name: str, stdin: BinaryIO) -> Written:
    """The only thing in a file."""
    written = list(first_two(Reading((name,), stdin)))
    if not written:
        raise Unreadable(f"{name} is empty")
    if len(written) > 1:
        raise Unreadable(f"{name} holds more than one; one is wanted here")
    return written[0]


def first_two(reading: Iterable[Written]) -> Iterator[Written]:
    for count, written in enumerate(reading, 1):
        yield written
        if count > 1:
            return


def read(stream: Stream, name: str, format: Format | None = None) -> Iterator[Written]:  # noqa: A002
    """Everything in a stream: each document, each entry of a list, each line of JSON Lines."""
    try:
        match format or SUFFIXES.get(Path(name).suffix.lower()):
            case Format.YAML:
                yield from read_yaml(stream, name)
            case Format.JSON:
                yield from read_json(stream, name)
            case Format.LINES:
                yield from read_lines(stream, name)
            case None:
                yield from read_unlabelled(stream, name)
    except Unreadable as trouble:
        yield Written(name, trouble=str(trouble))


def read_unlabelled(stream: Stream, name: str) -> Iterator[Written]:
    """Tells by the first line what it is: JSON Lines, one JSON value, or YAML."""
    first = line(stream)
    while first and not first.strip():
        first = line(stream)
    if not first.lstrip().startswith((b"{", b"[")):
        yield from read_yaml(Resumed(first, stream), name)
        return
    try:
        json_tree(first)
    except Unreadable:
        yield from read_json(Resumed(first, stream), name)
    else:
        yield from read_lines(Resumed(first, stream), name)


class Resumed:
    """A stream whose first line had been read already."""

    def __init__(self, first: bytes, stream: Stream) -> None:
        self.first, self.stream = first, stream

    def read(self, size: int = -1) -> bytes:
        taken, self.first = self.first, b""
        return taken if 0 <= size <= len(taken) else taken + self.stream.read(size)

    def readline(self, size: int = -1) -> bytes:
        taken, self.first = self.first, b""
        return taken or self.stream.readline(size)
