"""Reads what is written in files: YAML, JSON and JSON Lines, bounded, and never by way of a float.

A scalar without quotes stays the text that was written (`Plain`); the field that it is meant for says
what it is. So `250.00` keeps both its zeros, `0012` its leading ones, and the country `NO` stays Norway.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

import yaml

from .options import Format

DEPTH_MAX = 32  # an invoice needs six
NODES_MAX = 4_000_000  # of one YAML document or list entry
LINE_BYTES_MAX = 64 * 1024 * 1024
JSON_BYTES_MAX = 256 * 1024 * 1024  # of a file that is one JSON value; JSON Lines have no end
STDIN = "-"


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


def read(stream: BinaryIO, name: str, format: Format | None = None) -> Iterator[Written]:  # noqa: A002
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


def read_unlabelled(stream: BinaryIO, name: str) -> Iterator[Written]:
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

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        self.first, self.stream = first, stream

    def read(self, size: int = -1) -> bytes:
        taken, self.first = self.first, b""
        return taken if 0 <= size <= len(taken) else taken + self.stream.read(size)

    def readline(self, size: int = -1) -> bytes:
        taken, self.first = self.first, b""
        return taken or self.stream.readline(size)


Stream: TypeAlias = "BinaryIO | Resumed"


def line(stream: Stream) -> bytes:
    """The next line; empty at the end."""
    text = stream.readline(LINE_BYTES_MAX + 1)
    if len(text) > LINE_BYTES_MAX:
        raise Unreadable(f"a line of more than {LINE_BYTES_MAX // 1024 // 1024} MiB")
    return text


# JSON


def read_lines(stream: Stream, name: str) -> Iterator[Written]:
    number = 0
    while text := line(stream):
        number += 1
        if not text.strip():
            continue
        place = f"{name}:{number}"
        try:
            yield from entries(json_tree(text), place)
        except Unreadable as trouble:
            yield Written(place, trouble=str(trouble))


def read_json(stream: Stream, name: str) -> Iterator[Written]:
    text = stream.read(JSON_BYTES_MAX + 1)
    if len(text) > JSON_BYTES_MAX:
        limit = JSON_BYTES_MAX // 1024 // 1024
        raise Unreadable(f"more than {limit} MiB in one JSON value; write one invoice a line (JSON Lines)")
    if text.strip():
        yield from entries(json_tree(text), name)


def entries(tree: Tree, place: str) -> Iterator[Written]:
    """Each entry of a list by itself."""
    if not isinstance(tree, list):
        yield Written(place, tree)
        return
    for index, entry in enumerate(tree):
        yield Written(f"{place}[{index}]", entry)


def json_tree(text: bytes) -> Tree:
    try:
        tree: Tree = json.loads(
            text.decode("utf-8-sig"),
            parse_float=Plain,
            parse_int=Plain,
            parse_constant=Plain,
            object_pairs_hook=unique,
        )
    except UnicodeDecodeError as trouble:
        raise Unreadable("not UTF-8") from trouble
    except RecursionError as trouble:
        raise Unreadable(TOO_DEEP) from trouble
    except ValueError as trouble:
        raise Unreadable(f"not JSON: {trouble}") from trouble
    check_depth(tree)
    return tree


def unique(pairs: list[tuple[str, Tree]]) -> dict[str, Tree]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Unreadable(f"{twice[:80]!r} stands twice in one object")
    return mapping


TOO_DEEP = f"nested deeper than {DEPTH_MAX}"


def check_depth(tree: Tree) -> None:
    level = [tree]
    for _ in range(DEPTH_MAX + 1):
        level = [part for node in level for part in parts(node)]
        if not level:
            return
    raise Unreadable(TOO_DEEP)


def parts(tree: Tree) -> Iterable[Tree]:
    if isinstance(tree, dict):
        return tree.values()
    return tree if isinstance(tree, list) else ()


# YAML


def read_yaml(stream: Stream, name: str) -> Iterator[Written]:
    try:
        yield from YamlReader(stream, name)
    except yaml.YAMLError as trouble:
        mark = getattr(trouble, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        said = getattr(trouble, "problem", None) or getattr(trouble, "reason", None) or str(trouble)
        yield Written(place, trouble=f"not YAML: {said}")
    except UnicodeDecodeError:
        yield Written(name, trouble="not UTF-8")


NULL = frozenset(("", "~", "null", "Null", "NULL"))
TEXT_TAG = "tag:yaml.org,2002:str"


class YamlReader:
    """Builds trees straight from the parser's events: one at a time, without aliases, tags or double keys."""

    def __init__(self, stream: Stream, name: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.events: Iterator[yaml.Event] = yaml.parse(stream, Loader=loader)
        self.name = name
        self.nodes = 0

    def __iter__(self) -> Iterator[Written]:
        for event in self.events:
            if isinstance(event, yaml.SequenceStartEvent):
                self.check(event)
                while not isinstance(entry := next(self.events), yaml.SequenceEndEvent):
                    yield from self.whole(entry)
            elif isinstance(event, yaml.NodeEvent):
                yield from self.whole(event)

    def whole(self, event: yaml.Event) -> Iterator[Written]:
        self.nodes = 0
        place = self.place(event)
        try:
            tree = self.tree(event, 0)
        except Unreadable as trouble:
            raise Unreadable(f"{trouble} (begun in line {line_of(event)})") from trouble
        if tree is not None:
            yield Written(place, tree)

    def place(self, event: yaml.Event) -> str:
        return f"{self.name}:{line_of(event)}"

    def tree(self, event: yaml.Event, depth: int) -> Tree:
        self.check(event)
        if depth > DEPTH_MAX:
            raise Unreadable(f"line {line_of(event)}: {TOO_DEEP}")
        match event:
            case yaml.ScalarEvent():
                return scalar(event)
            case yaml.SequenceStartEvent():
                return list(self.sequence(depth + 1))
            case yaml.MappingStartEvent():
                return self.mapping(depth + 1)
            case _:
                raise AssertionError(event)

    def sequence(self, depth: int) -> Iterator[Tree]:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self.tree(event, depth)

    def mapping(self, depth: int) -> dict[str, Tree]:
        mapping: dict[str, Tree] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.check(event)
                raise Unreadable(f"line {line_of(event)}: a key is a text")
            key = str(event.value)
            if key in mapping:
                raise Unreadable(f"line {line_of(event)}: {key[:80]!r} stands here twice")
            mapping[key] = self.tree(next(self.events), depth)
        return mapping

    def check(self, event: yaml.Event) -> None:
        """Bounded, and nothing that means more than it says."""
        self.nodes += 1
        at = f"line {line_of(event)}"
        if self.nodes > NODES_MAX:
            raise Unreadable(f"{at}: more than {NODES_MAX} values in one document")
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable(f"{at}: aliases (*{event.anchor}) are not read; write it out")
        if (tag := getattr(event, "tag", None)) not in (None, TEXT_TAG):
            raise Unreadable(f"{at}: tags ({tag}) are not read")


def line_of(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def scalar(event: yaml.ScalarEvent) -> Tree:
    if not event.implicit[0] or event.tag:
        return str(event.value)
    return None if event.value in NULL else Plain(event.value)
