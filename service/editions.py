"""Lists as they were: builds, lists and drops editions of the read models."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import grpc

from daybook.v1 import edition_service_pb2 as pb
from daybook.v1 import edition_service_pb2_grpc as service_grpc
from domain.findings import Findings, Malformed, Rule, listed, shown
from projections import editions
from projections.editions import Edition, NoSuchEdition, OtherPoint
from projections.feed import Decode
from projections.projection import Pool, Projection
from store.log import Log

from . import positions
from .jobs import Jobs
from .wire.points import read_point
from .wire.values import within, write_instant

Context = grpc.aio.ServicerContext[Any, Any]

READ_MODELS_MAX = 100
_NAME = re.compile(r"[a-z0-9]{1,24}").fullmatch


class Editions(service_grpc.EditionServiceServicer):
    """The methods of `EditionService`."""

    def __init__(
        self,
        log: Log,
        decode: Decode,
        pool: Pool,
        projections: Sequence[Projection],
        jobs: Jobs,
        dsn: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._decode = decode
        self._pool = pool
        self._projections = {each.wire_name: each for each in projections}
        self._jobs = jobs
        self._dsn = dsn
        self._clock = clock

    async def BuildEdition(
        self, request: pb.BuildEditionRequest, context: Context
    ) -> AsyncIterator[pb.BuildEditionResponse]:
        findings = Findings()
        _check_name(request.name, findings)
        wanted = self._wanted(request.read_models, findings)
        if request.point.HasField("version"):
            findings.add("point.version", Rule.NO_VERSION)
        if findings:
            raise Malformed(findings)
        edition = await self._edition(request)
        for projection in wanted:
            ready = await editions.begin(self._pool, edition, projection)
            yield self._answer(projection, edition, ready=ready)
            if not ready:
                told = {
                    "dsn": self._dsn,
                    "read_model": projection.wire_name,
                    "edition": edition.name,
                    "position": edition.position,
                    "instant": edition.instant.isoformat(),
                }
                async with self._jobs.doing("edition", told) as answers:
                    await answers.read()
                yield self._answer(projection, edition, ready=True)

    async def ListEditions(
        self, request: pb.ListEditionsRequest, context: Context
    ) -> pb.ListEditionsResponse:
        return pb.ListEditionsResponse(editions=map(self._written, await editions.all_(self._pool)))

    async def DropEdition(self, request: pb.DropEditionRequest, context: Context) -> pb.DropEditionResponse:
        findings = Findings()
        _check_name(request.name, findings)
        if findings:
            raise Malformed(findings)
        await editions.drop(self._pool, request.name)
        return pb.DropEditionResponse()

    def _wanted(self, names: Sequence[str], findings: Findings) -> Sequence[Projection]:
        for index, name in enumerate(within(names, READ_MODELS_MAX, "read_models", findings)):
            if name not in self._projections:
                have = listed(sorted(self._projections))
                findings.add(
                    f"read_models[{index}]",
                    Rule.NO_SUCH_ENTRY,
                    kind="read model",
                    value=shown(name),
                    have=have,
                )
        return [each for name, each in self._projections.items() if not names or name in names]

    async def _edition(self, request: pb.BuildEditionRequest) -> Edition:
        """The edition of that name: the one that there is, or a new one at the point."""
        point = read_point(request.point, self._log.identity, "point")
        found = await editions.find(self._pool, request.name)
        if found is not None and not request.HasField("point"):
            return found
        head = await self._log.head()
        position = head if point.position is None else min(point.position, head)
        instant = self._clock()
        if point.instant is not None:
            position, instant = await self._log.position_at(point.instant), point.instant
        elif point.position is not None:
            instant = await self._recorded(position) or instant
        if found is None:
            return Edition(request.name, position, instant)
        if (found.position, found.instant) != (position, instant):
            raise OtherPoint(
                name=found.name,
                position=positions.token(self._log.identity, found.position),
                asked=positions.token(self._log.identity, position),
            )
        return found

    async def _recorded(self, position: int) -> datetime | None:
        """When the event at a position was recorded; None where there is none just there."""
        there = await self._log.feed(position - 1, 1) if position else ()
        return self._decode(there[0]).recorded if there and there[0].position == position else None

    def _answer(self, projection: Projection, edition: Edition, *, ready: bool) -> pb.BuildEditionResponse:
        return pb.BuildEditionResponse(
            read_model=projection.wire_name, ready=ready, edition=self._written(edition)
        )

    def _written(self, edition: Edition) -> pb.Edition:
        return pb.Edition(
            name=edition.name,
            position=positions.token(self._log.identity, edition.position),
            time=write_instant(edition.instant),
            read_models=edition.read_models,
        )


def _check_name(name: str, findings: Findings) -> None:
    if not _NAME(name):
        findings.add("name", Rule.EDITION_NAME, value=shown(name))


def named(pool: Pool) -> Callable[[str], Awaitable[Edition]]:
    """Finds the edition that a call's metadata names."""

    async def find(name: str) -> Edition:
        found = await editions.find(pool, name) if _NAME(name) else None
        if found is None:
            raise NoSuchEdition(name=shown(name), needed="anything")
        return found

    return find
