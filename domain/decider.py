"""The shape that every aggregate has: how it evolves, and from where."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

S = TypeVar("S")
E = TypeVar("E")


def fold(evolve: Callable[[S | None, E], S], events: Iterable[E], since: S | None = None) -> S | None:
    """The state after these events. The fold owns its state: `evolve` may change it in place."""
    state = since
    for event in events:
        state = evolve(state, event)
    return state
