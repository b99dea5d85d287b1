"""Reads JSON and JSON Lines: bounded, without double keys, and never by way of a float."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from .trees import DEPTH_MAX, TOO_DEEP, Plain, Stream, Tree, Unreadable, Written

LINE_BYTES_MAX = 64 * 1024 * 1024
JSON_BYTES_MAX = 256 * 1024 * 1024  # of a file that is one JSON value; JSON Lines have no end


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


def line(stream: Stream) -> bytes:
    """The next line; empty at the end."""
    text = stream.readline(LINE_BYTES_MAX + 1)
    if len(text) > LINE_BYTES_MAX:
        raise Unreadable(f"a line of more than {LINE_BYTES_MAX // 1024 // 1024} MiB")
    return text
