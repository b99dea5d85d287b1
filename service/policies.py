"""Policies: whenever something was asked for and is not done, it is tried again, ever more rarely.

Several processes may run them: what one records, the stream's version keeps another from recording again,
and an engine that is asked twice is asked under the same document code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog

from domain.refusal import Refused
from projections import unfinished_work
from projections.projection import NotReady
from projections.reader import Reader
from projections.unfinished_work import ESTIMATE, POSTING, VOIDING, Unfinished
from store.log import Meta, OutcomeUnknown, Overloaded, Unavailable, Who

from .estimator import Estimator
from .poster import Poster

LOOK_SECONDS = 0.5  # between looks at what is due
AWAY_SECONDS = 2.0  # when the store is out of reach
AT_ONCE_MAX = 8
REST_SECONDS = 2.0  # before the same invoice is tried again by this process, whatever the read model says
REST_SECONDS_MAX = 300.0
REASONS = {
    ESTIMATE: "policy: whenever tax is asked for and not known, estimate it",
    POSTING: "policy: whenever a posting was begun and not finished, finish it",
    VOIDING: "policy: whenever a tax document is not to count, have it voided",
}
WAITS = (Unavailable, Overloaded, OutcomeUnknown, TimeoutError, OSError)

log_line = structlog.get_logger()


@dataclass(slots=True)
class FinishPolicy:
    """Whenever something was asked for and is not done, try it again."""

    reader: Reader
    estimator: Estimator
    poster: Poster
    clock: Callable[[], datetime]
    who: Who
    _rest: dict[tuple[UUID, str], tuple[float, float]] = field(
        default_factory=dict
    )  # until when, and how long

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await asyncio.sleep(await self._look())
            except (*WAITS, NotReady) as away:
                log_line.warning("the estimates wait", because=str(away))
                await asyncio.sleep(AWAY_SECONDS)

    async def _look(self) -> float:
        """Tries what is due; answers how long to wait then."""
        now = asyncio.get_running_loop().time()
        self._rest = {key: each for key, each in self._rest.items() if each[0] + REST_SECONDS_MAX > now}
        found = await unfinished_work.due(self.reader, self.clock(), AT_ONCE_MAX + len(self._rest))
        due = [each for each in found if self._rest.get((each.invoice_id, each.kind), (0.0, 0.0))[0] <= now]
        await asyncio.gather(*map(self._try, due[:AT_ONCE_MAX]))
        return 0.0 if len(due) > AT_ONCE_MAX else LOOK_SECONDS

    async def _try(self, work: Unfinished) -> None:
        meta = Meta(self.who, causation=f"policy:{work.asked_position}", reason=REASONS[work.kind])
        told = {"kind": work.kind, "invoice_id": str(work.invoice_id)}
        try:
            await self._finish(work, meta)
            log_line.info("tried in the background", **told)
        except (*WAITS, Refused) as error:
            log_line.warning("not finished", **told, because=str(error))
        key = (work.invoice_id, work.kind)
        _, last = self._rest.get(key, (0.0, REST_SECONDS / 2))
        rest = min(2 * last, REST_SECONDS_MAX)
        self._rest[key] = (asyncio.get_running_loop().time() + rest, rest)

    async def _finish(self, work: Unfinished, meta: Meta) -> None:
        if work.kind == POSTING:
            await self.poster.finish(work.invoice_id, meta)
        elif work.kind == VOIDING:
            await self.poster.void(work.invoice_id, meta)
        else:
            await self.estimator.estimate(work.invoice_id, meta)
