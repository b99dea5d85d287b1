"""Shows series of numbers, and proves them against the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import sequence_service_pb2 as pb
from daybook.v1 import sequence_service_pb2_grpc as service_grpc
from domain import identity, invoice, numbering, sequence
from domain.findings import Findings, Malformed, Rule, shown
from domain.sequence import Evidence, NumberAssigned, Proved
from domain.texts import check_text
from projections import invoices, series
from projections.reader import Reader
from projections.series import SeriesSummary
from store.log import History, Log, Recorded

from . import positions
from .calls import deadline
from .pages import pages, size
from .snapshot import Snapshot
from .wire.invoices import write_status
from .wire.values import write_date, write_instant

Context = grpc.aio.ServicerContext[Any, Any]

PAGE_DEFAULT = 100


class Sequences(service_grpc.SequenceServiceServicer):
    """The methods of `SequenceService`."""

    def __init__(self, reader: Reader, snapshot: Snapshot, log: Log) -> None:
        self._reader = reader
        self._snapshot = snapshot
        self._log = log
        self._identity = log.identity

    async def ListSequences(
        self, request: pb.ListSequencesRequest, context: Context
    ) -> pb.ListSequencesResponse:
        these = pages(self._identity, "ListSequences", "")
        answer = await series.list_(
            self._reader,
            after=these.cursor(request.page_token) or 0,
            size=size(request.page_size, PAGE_DEFAULT),
            min_position=positions.read(self._identity, request.min_position, "min_position"),
            deadline=deadline(context),
        )
        following = answer.found.next
        return pb.ListSequencesResponse(
            series=map(self._series, answer.found.items),
            next_page_token="" if following is None else these.token(following),
            position=positions.token(self._identity, answer.position),
        )

    def _series(self, summary: SeriesSummary) -> pb.Series:
        policy = self._snapshot.current.sequence_policies.get(summary.policy_id)
        return pb.Series(
            policy_id=summary.policy_id,
            period=summary.period,
            legal_entity_id=policy.legal_entity_id if policy else "",
            count=summary.count,
            first_number=summary.first_number,
            last_number=summary.last_number,
            update_time=write_instant(summary.updated),
        )

    async def ProveSequence(
        self, request: pb.ProveSequenceRequest, context: Context
    ) -> pb.ProveSequenceResponse:
        until = deadline(context)
        _check(request)
        these = pages(self._identity, "ProveSequence", request.policy_id, request.period)
        most = size(request.page_size, PAGE_DEFAULT)
        after = these.cursor(request.page_token) or 0
        begun = sequence.begun(
            (await self._log.read(identity.sequence(request.policy_id), deadline=until)).events
        )
        if begun is None or request.period not in begun.periods:
            period = f" in {shown(request.period)}" if request.period else ""
            raise sequence.SeriesNotFound(policy_id=shown(request.policy_id), period=period)
        stream = identity.series(request.policy_id, request.period)
        found = (await self._log.read(stream, after=after, upto=after + most + 1, deadline=until)).recorded
        by_version = {each.version: each for each in found}
        last = max(by_version, default=after)
        shown_ = range(after + 1, min(last, after + most) + 1)
        recorded = [by_version[nth] for nth in shown_ if nth in by_version]
        carrying = await self._carrying(recorded, until)
        evidence = await self._evidence(begun.policy.legal_entity_id, recorded, carrying, until)
        proved = [sequence.prove(nth, _event(by_version.get(nth)), begun.policy, evidence) for nth in shown_]
        return pb.ProveSequenceResponse(
            numbers=(self._number(each, by_version.get(each.nth), carrying) for each in proved),
            next_page_token=these.token(after + most) if last > after + most else "",
            fault_count=sum(bool(each.faults) for each in proved),
        )

    async def _carrying(self, recorded: Sequence[Recorded], until: float) -> Mapping[UUID, invoices.Carrying]:
        ids = [each.event.invoice_id for each in recorded]
        since = max((each.position for each in recorded), default=0)
        return await invoices.carrying(self._reader, ids, min_position=since, deadline=until)

    async def _evidence(
        self,
        legal_entity_id: str,
        recorded: Sequence[Recorded],
        carrying: Mapping[UUID, invoices.Carrying],
        until: float,
    ) -> Evidence:
        numbers = {
            identity.number(legal_entity_id, each.event.number): each.event.number for each in recorded
        }
        histories: Mapping[UUID, History] = await self._log.read_many(numbers, deadline=until)
        claimed = {numbers[key]: numbering.fold(each.events) for key, each in histories.items()}
        held = {
            key: each.number for key, each in carrying.items() if each.status is not invoice.Status.CANCELED
        }
        return Evidence(claimed, held)

    def _number(
        self, proved: Proved, recorded: Recorded | None, carrying: Mapping[UUID, invoices.Carrying]
    ) -> pb.SequenceNumber:
        message = pb.SequenceNumber(nth=proved.nth)
        message.faults.extend(
            pb.SequenceFaultKind.Value(f"SEQUENCE_FAULT_KIND_{fault.name}") for fault in proved.faults
        )
        if proved.assigned is None or recorded is None:
            return message
        message.number = proved.assigned.number
        message.invoice_id = str(proved.assigned.invoice_id)
        message.date.CopyFrom(write_date(proved.assigned.day))
        message.brought = proved.assigned.brought
        message.position = positions.token(self._identity, recorded.position)
        if found := carrying.get(proved.assigned.invoice_id):
            message.status = write_status(found.status)
        return message


def _event(recorded: Recorded | None) -> NumberAssigned | None:
    return recorded.event if recorded else None


def _check(request: pb.ProveSequenceRequest) -> None:
    findings = Findings()
    if not request.policy_id:
        findings.add("policy_id", Rule.REQUIRED)
    check_text(request.policy_id, "policy_id", findings)
    check_text(request.period, "period", findings)
    if findings:
        raise Malformed(findings)
