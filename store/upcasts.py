"""Yesterday's payloads, read today: (stored name, version) -> what makes its data the next version's."""

from __future__ import annotations

from .codec import Upcast

UPCASTS: dict[tuple[str, int], Upcast] = {}
