"""The read models themselves: how they fare, rebuilt, reverted, dropped and resumed on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import grpc

from daybook.v1 import projection_service_pb2 as pb
from daybook.v1 import projection_service_pb2_grpc as service_grpc
from domain.findings import Findings, Malformed, Rule, shown
from projections import checkpoint, generations, lag, rebuilds
from projections.checkpoint import Standing
from projections.generations import Key, NoSuchGeneration, NoSuchProjection
from projections.projection import Pool, Projection
from projections.rebuilds import Rebuild
from store.log import LogIdentity

from . import positions
from .calls import deadline
from .wire.read_models import write_projection, write_rebuild

Context = grpc.aio.ServicerContext[Any, Any]

LOOK_SECONDS = 0.1  # between looks at what is being done
TELL_SECONDS = 1.0  # at the latest, though nothing has changed
RATE_MAX = 10**9


class ReadModels(service_grpc.ProjectionServiceServicer):
    """The methods of `ProjectionService`."""

    def __init__(
        self,
        pool: Pool,
        projections: Sequence[Projection],
        identity: LogIdentity,
        clock: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._projections: Mapping[str, Projection] = {each.wire_name: each for each in projections}
        self._identity = identity
        self._clock = clock

    async def ListProjections(
        self, request: pb.ListProjectionsRequest, context: Context
    ) -> pb.ListProjectionsResponse:
        standings = await checkpoint.standings(self._pool)
        rebuilding = {(each.projection, each.code): each for each in await rebuilds.all_(self._pool)}
        found = [
            await self._written(each, standings, rebuilding.get((each.name, each.code)))
            for each in self._projections.values()
        ]
        head = positions.token(self._identity, await lag.head(self._pool))
        return pb.ListProjectionsResponse(projections=found, head=head)

    async def RebuildProjection(
        self, request: pb.RebuildProjectionRequest, context: Context
    ) -> AsyncIterator[pb.RebuildProjectionResponse]:
        projection = self._named(request.name)
        if not 0 <= request.max_events_per_second <= RATE_MAX:
            raise _broken(
                "max_events_per_second",
                Rule.OUT_OF_RANGE,
                least=0,
                most=RATE_MAX,
                value=request.max_events_per_second,
            )
        if request.follow:
            if await rebuilds.read(self._pool, projection) is None:
                raise rebuilds.NotRebuilding(projection=projection.wire_name)
        else:
            kind = "CHECK" if request.validate_only else "REBUILD"
            await rebuilds.ask(self._pool, projection, kind, rate_max=request.max_events_per_second)
        async for rebuild in self._watched(projection):
            yield pb.RebuildProjectionResponse(rebuild=write_rebuild(self._identity, rebuild))

    async def CancelRebuild(
        self, request: pb.CancelRebuildRequest, context: Context
    ) -> pb.CancelRebuildResponse:
        projection = self._named(request.name)
        rebuild = await self._ended(projection, await rebuilds.cancel(self._pool, projection), context)
        return pb.CancelRebuildResponse(rebuild=write_rebuild(self._identity, rebuild))

    async def RevertProjection(
        self, request: pb.RevertProjectionRequest, context: Context
    ) -> pb.RevertProjectionResponse:
        projection = self._named(request.name)
        kept = [each for each in await self._generations(projection) if not each.live]
        numbers = [
            each.generation for each in kept if each.generation == (request.generation or each.generation)
        ]
        if not numbers:
            raise _no_generation(projection, request.generation, kept)
        asked = await rebuilds.ask(self._pool, projection, "REVERT", generation=max(numbers))
        rebuild = await self._ended(projection, asked, context)
        return pb.RevertProjectionResponse(rebuild=write_rebuild(self._identity, rebuild))

    async def DropGeneration(
        self, request: pb.DropGenerationRequest, context: Context
    ) -> pb.DropGenerationResponse:
        projection = self._named(request.name)
        code = request.version or projection.code
        every = [
            each for each in await checkpoint.standings(self._pool) if each.projection == projection.name
        ]
        if not any((each.code, each.generation) == (code, request.generation) for each in every):
            raise _no_generation(projection, request.generation, every)
        await generations.drop(self._pool, Key(projection.name, code, request.generation))
        return pb.DropGenerationResponse()

    async def ResumeProjection(
        self, request: pb.ResumeProjectionRequest, context: Context
    ) -> pb.ResumeProjectionResponse:
        projection = self._named(request.name)
        await self._tried_again(projection, deadline(context))
        standings = await checkpoint.standings(self._pool)
        written = await self._written(projection, standings, await rebuilds.read(self._pool, projection))
        return pb.ResumeProjectionResponse(projection=written)

    async def _tried_again(self, projection: Projection, until: float) -> None:
        """Forget the trouble, and wait until the event was passed or has made trouble again."""
        stuck = await self._live(projection)
        if stuck is None or stuck.trouble is None:
            return
        await checkpoint.resume(self._pool, projection)
        while asyncio.get_running_loop().time() < until:
            now = await self._live(projection)
            if now is None or now.trouble or now.position > stuck.position:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _watched(self, projection: Projection) -> AsyncIterator[Rebuild]:
        """What is being done, whenever it has changed and at least so often, until it has ended."""
        told, loop = None, asyncio.get_running_loop()
        due = loop.time()
        while (rebuild := await rebuilds.read(self._pool, projection)) is not None:
            if rebuild != told or loop.time() >= due:
                yield rebuild
                told, due = rebuild, loop.time() + TELL_SECONDS
            if rebuild.ended:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _ended(self, projection: Projection, rebuild: Rebuild, context: Context) -> Rebuild:
        """Once it has ended, or as it stands when the caller's time is over."""
        until = deadline(context)
        while not rebuild.ended and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(LOOK_SECONDS)
            rebuild = await rebuilds.read(self._pool, projection) or rebuild
        return rebuild

    def _named(self, name: str) -> Projection:
        if not name:
            raise _broken("name", Rule.REQUIRED)
        if (found := self._projections.get(name)) is None:
            raise NoSuchProjection(name=shown(name), have=", ".join(self._projections))
        return found

    async def _generations(self, projection: Projection) -> Sequence[Standing]:
        """Those of this version, oldest first, but for one that is being built."""
        rebuild = await rebuilds.read(self._pool, projection)
        building = rebuild.generation if rebuild and not rebuild.ended else None
        return [
            each
            for each in await checkpoint.standings(self._pool)
            if (each.projection, each.code) == (projection.name, projection.code)
            and each.generation != building
        ]

    async def _live(self, projection: Projection) -> Standing | None:
        return next((each for each in await self._generations(projection) if each.live), None)

    async def _written(
        self, projection: Projection, standings: Sequence[Standing], rebuild: Rebuild | None
    ) -> pb.Projection:
        ours = [each for each in standings if each.projection == projection.name]
        live = next((each for each in ours if each.live and each.code == projection.code), None)
        behind = await lag.lag(self._pool, live.position if live else 0)
        written = write_projection(self._identity, projection, ours, live, behind, self._clock())
        if rebuild is not None:
            written.rebuild.CopyFrom(write_rebuild(self._identity, rebuild))
        return written


def _broken(path: str, rule: Rule, **facts: object) -> Malformed:
    findings = Findings()
    findings.add(path, rule, **facts)
    return Malformed(findings)


def _no_generation(projection: Projection, asked: int, have: Sequence[Standing]) -> NoSuchGeneration:
    return NoSuchGeneration(
        projection=projection.wire_name,
        generation=asked or "to go back to",
        have=", ".join(str(each.generation) for each in have) or "none",
    )
