"""The deadlines of many, kept by one timer: nearly all of them are over before their time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

NEVER = float("inf")
NEAR = 0.001  # seconds; clocks of loops go in steps of that size


class Deadlines(Generic[T]):
    """Tells `expire` of everything that is still there at its deadline, an instant of the loop's clock.

    A timer for each would cost as much as the rest of the waiting. The one there is looks again when the
    earliest deadline of those that were there at its last look has come.
    """

    __slots__ = ("_expire", "_look_at", "_timer", "_until")

    def __init__(self, expire: Callable[[T], object]) -> None:
        self._expire = expire
        self._until: dict[T, float] = {}
        self._look_at = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def add(self, one: T, until: float) -> None:
        self._until[one] = until
        if until < self._look_at:
            self._set(until)

    def discard(self, one: T) -> None:
        self._until.pop(one, None)

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._look_at = when
        self._timer = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        self._look_at, self._timer = NEVER, None
        now = asyncio.get_running_loop().time() + NEAR
        for one in [each for each, until in self._until.items() if until <= now]:
            del self._until[one]
            self._expire(one)
        if self._until:
            self._set(min(self._until.values()))
