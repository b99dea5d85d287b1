"""Reference data in their thousands are taken in without holding up the calls beside them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daybook.v1 import reference_data_service_pb2 as pb
from service import snapshot as taking
from service.calls import Callers
from service.reference_data import ReferenceDataServicer
from service.snapshot import Snapshot
from store import batch, schema
from store.memory import MemoryLog

from .messages import apply

pytestmark = pytest.mark.asyncio

MANY = 1000


class Nobody:
    """A call that nobody waits for."""

    def time_remaining(self) -> None:
        return None

    def invocation_metadata(self) -> tuple[()]:
        return ()


NOBODY: Any = Nobody()


def terms(days: int) -> pb.ApplyReferenceDataRequest:
    kind = pb.PAYMENT_TERM_TYPE_PERIOD_BASED
    return apply(
        pb.ReferenceData(
            payment_terms=[
                pb.PaymentTerm(id=f"term-{number}", name="A term", type=kind, days=days)
                for number in range(MANY)
            ]
        )
    )


def snapshot_of(log: MemoryLog) -> Snapshot:
    return Snapshot(log, schema.codec().decode, schema.REFERENCE_TOPICS)


async def turns_meanwhile(work: asyncio.Task[Any]) -> int:
    """How often others had their turn until it was done."""
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    await work
    return turns


async def test_while_many_entries_are_folded_others_have_their_turn_and_nobody_sees_a_part_of_them() -> None:
    log = MemoryLog(schema.codec())
    await ReferenceDataServicer(log, snapshot_of(log), Callers("me")).ApplyReferenceData(terms(30), NOBODY)
    snapshot = snapshot_of(log)
    seen: set[int] = set()

    async def watch() -> None:
        while True:
            seen.add(len(snapshot.current.payment_terms))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    turns = await turns_meanwhile(asyncio.create_task(snapshot.refresh()))
    watching.cancel()
    assert turns >= MANY // taking.AT_ONCE
    assert seen <= {0, MANY}
    assert len(snapshot.current.payment_terms) == MANY
    await log.close()


async def test_while_many_entries_are_applied_others_have_their_turn() -> None:
    log = MemoryLog(schema.codec())
    servicer = ReferenceDataServicer(log, snapshot_of(log), Callers("me"))
    await servicer.ApplyReferenceData(terms(30), NOBODY)
    applying: Any = servicer.ApplyReferenceData(terms(60), NOBODY)
    turns = await turns_meanwhile(asyncio.create_task(applying))
    assert turns >= MANY // taking.AT_ONCE + MANY // batch.WRITES_AT_ONCE - 1
    await log.close()
