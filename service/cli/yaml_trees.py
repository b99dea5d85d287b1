"""Reads YAML from the parser's events: one thing at a time, bounded, without aliases, tags or double keys."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from .trees import DEPTH_MAX, TOO_DEEP, Plain, Stream, Tree, Unreadable, Written

NODES_MAX = 4_000_000  # of one document or list entry


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
    """Builds trees straight from the events, as they come."""

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
