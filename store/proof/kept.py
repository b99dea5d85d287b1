"""Seals as they are kept beside the log: for whoever asks for some of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..reader import Readers
from ..session import INT8, Call, Statement, int8
from .seal import Sealed

READERS_MAX = 2

SEALS_AFTER = Statement(
    "seals_after",
    """
    SELECT statement, coalesce(encode(signature, 'hex'), ''), coalesce(encode(countersignature, 'hex'), '')
    FROM daybook.seals WHERE number > $1 ORDER BY number LIMIT $2
    """,
    [INT8, INT8],
)
SEALED_UPTO = Statement("sealed_upto", "SELECT coalesce(max(last), 0) FROM daybook.seals")


class KeptSeals:
    """Asks for seals, each question within its caller's time."""

    def __init__(self, dsn: str, readers: int = READERS_MAX) -> None:
        self._readers = Readers(dsn, readers)

    async def after(self, number: int, limit: int, deadline: float | None = None) -> Sequence[Sealed]:
        """Those behind a number, in order."""
        rows = await self._readers.ask(Call(SEALS_AFTER, (int8(number), int8(limit))), deadline)
        return [Sealed(*row) for row in rows]

    async def upto(self, deadline: float | None = None) -> int:
        """The position up to which the log is sealed."""
        [(position,)] = await self._readers.ask(Call(SEALED_UPTO), deadline)
        return int(position)

    def close(self) -> None:
        self._readers.close()
