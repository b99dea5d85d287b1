"""The domain says no: a state of affairs, with its facts."""

from __future__ import annotations

from typing import ClassVar


class Refused(Exception):
    """The state of things forbids what was asked.

    A subclass names the state in its name and says it in `because`, a template over its facts;
    `reason` is its stable name on the wire.
    """

    because: ClassVar[str]
    reason: ClassVar[str]

    def __init__(self, **facts: object) -> None:
        self.facts = {name: str(value) for name, value in facts.items()}
        super().__init__(self.because.format(**self.facts))
