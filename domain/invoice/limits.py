"""What the rules rest on: reference data, the instant, the operator's limits, memos of this book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from ..quick import quick
from ..reference import ReferenceData

if TYPE_CHECKING:
    from ..debit_memo import DebitMemo
    from .state import Invoice


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that an operator sets."""

    lines_max: int = 20_000


DEFAULT_LIMITS = Limits()


@quick
@dataclass(frozen=True, slots=True)
class Rules:
    """What a decision may rest on. `known` are the ids of memos, and of debit memos' lines, that are at hand.

    `invoices` are those that a decision about something else must know.
    """

    reference: ReferenceData
    now: datetime
    limits: Limits = DEFAULT_LIMITS
    memos: Mapping[UUID, DebitMemo] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    lines_required: bool = True
    credit_memos: frozenset[UUID] = frozenset()
    invoices: Mapping[UUID, Invoice] = field(default_factory=dict)
