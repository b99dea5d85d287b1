"""Reference data: applied as a whole, read as it stands."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc

from daybook.v1 import reference_data_service_pb2 as pb
from daybook.v1 import reference_data_service_pb2_grpc as service_grpc
from domain import identity, reference, sequence
from domain.findings import Findings, Malformed
from domain.reference import Apply, Kind, Plan, ReferenceData
from store.log import Conflict, Log, Unavailable, Write

from . import positions
from .calls import Callers, deadline
from .errors import Contended
from .keys import missing
from .snapshot import Snapshot
from .transact import ATTEMPTS_MAX
from .wire.reference_data import read_apply, write_change, write_reference_data
from .wire.values import write_instant

Context = grpc.aio.ServicerContext[Any, Any]


class ReferenceDataServicer(service_grpc.ReferenceDataServiceServicer):
    """The methods of `ReferenceDataService`.

    What is worked out for many thousands of entries is worked out in a thread: other calls are answered
    meanwhile.
    """

    def __init__(self, log: Log, snapshot: Snapshot, callers: Callers) -> None:
        self._log = log
        self._snapshot = snapshot
        self._callers = callers
        self._applying = asyncio.Lock()

    async def ApplyReferenceData(
        self, request: pb.ApplyReferenceDataRequest, context: Context
    ) -> pb.ApplyReferenceDataResponse:
        if not request.HasField("data"):
            raise missing("data")
        meta = self._callers.meta(context, request.reason, request.correlation_id)
        findings = Findings()
        command = await asyncio.to_thread(read_apply, request, findings)
        async with self._applying:  # in this process one after the other; of several, the fastest wins
            for _ in range(ATTEMPTS_MAX):
                stands = await self._snapshot.refresh()
                plan = await asyncio.to_thread(reference.plan, command, stands, findings.copy())
                guards = await self._not_begun(command, plan)
                if request.validate_only or not plan.changes:
                    return await asyncio.to_thread(self._answer, plan, stands.version, 0)
                entries = await asyncio.to_thread(writes, plan, stands)
                try:
                    appended = await self._log.append(
                        [*guards, *entries], meta, deadline=deadline(context), caller=meta.who.id
                    )
                except Conflict:
                    continue
                await self._know()
                return await asyncio.to_thread(self._answer, plan, stands.version + 1, appended.position)
        raise Contended(attempts=ATTEMPTS_MAX)

    async def _know(self) -> None:
        """Who has applied something decides with it from now on. Unreadable or not, it is written."""
        with suppress(Unavailable, TimeoutError):
            await self._snapshot.refresh()

    async def _not_begun(self, command: Apply, plan: Plan) -> list[Write]:
        """Refuses what would change the numbers of a series that has begun; guards against one beginning."""
        changed = {
            identity.sequence(change.id): change.id
            for change in plan.changes
            if change.kind is Kind.SEQUENCE_POLICY
        }
        if not changed:
            return []
        histories = await self._log.read_many(changed)
        begun = {
            changed[key]: found for key, each in histories.items() if (found := sequence.begun(each.events))
        }
        findings = Findings()
        sequence.check_frozen(command.entries, plan.changes, begun, findings)
        if findings:
            raise Malformed(findings)
        return [Write(stream, histories[stream].version, ()) for stream in changed]

    def _answer(self, plan: Plan, version: int, position: int) -> pb.ApplyReferenceDataResponse:
        return pb.ApplyReferenceDataResponse(
            changes=map(write_change, plan.changes),
            unchanged_count=plan.unchanged,
            version=version,
            position=positions.token(self._log.identity, position),
        )

    async def GetReferenceData(
        self, request: pb.GetReferenceDataRequest, context: Context
    ) -> pb.GetReferenceDataResponse:
        positions.read(self._log.identity, request.min_position, "min_position")
        stands = await self._snapshot.refresh()  # reads the log itself: nothing acknowledged is missing
        return pb.GetReferenceDataResponse(
            data=await asyncio.to_thread(write_reference_data, stands),
            version=stands.version,
            position=positions.token(self._log.identity, stands.position),
            update_time=write_instant(stands.recorded) if stands.recorded else None,
        )


def writes(plan: Plan, stands: ReferenceData) -> list[Write]:
    """Each entry to its own stream; the application last, to the one that counts them."""
    entries = [
        Write(
            identity.reference(change.kind, change.id),
            stands.stream_versions.get((change.kind, change.id), 0),
            (change.event,),
        )
        for change in plan.changes
    ]
    return [*entries, Write(identity.REFERENCE_HEAD, stands.version, (plan.applied,))]
