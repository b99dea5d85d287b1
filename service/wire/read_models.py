"""Read models and what is done on them, as messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration

from daybook.v1 import projection_service_pb2 as pb
from projections.checkpoint import Standing, Trouble
from projections.lag import Lag
from projections.projection import Projection
from projections.rebuilds import Rebuild
from store.log import LogIdentity

from ..positions import token
from .values import write_instant

RATE_SECONDS = 10.0  # after which a rate says nothing any more
READING = ("BUILDING", "ASKED")


def write_projection(
    identity: LogIdentity,
    projection: Projection,
    standings: Sequence[Standing],
    live: Standing | None,
    behind: Lag,
    now: datetime,
) -> pb.Projection:
    written = pb.Projection(
        name=projection.wire_name,
        state=_state(live),
        version=projection.code,
        events_behind=behind.events,
        generations=[_generation(identity, each) for each in standings],
    )
    if live is not None:
        written.generation = live.generation
        written.position = token(identity, live.position)
        written.rate = live.rate if (now - live.moved).total_seconds() < RATE_SECONDS else 0.0
        if live.trouble is not None:
            written.trouble.CopyFrom(_trouble(identity, live.trouble))
    if behind.since is not None:
        written.time_behind.FromTimedelta(max(now - behind.since, now - now))
    return written


def write_rebuild(identity: LogIdentity, rebuild: Rebuild) -> pb.Rebuild:
    written = pb.Rebuild(
        name=rebuild.projection.replace("_", "-"),
        kind=pb.RebuildKind.Value(f"REBUILD_KIND_{rebuild.kind}"),
        state=pb.RebuildState.Value(f"REBUILD_STATE_{rebuild.state}"),
        generation=rebuild.generation or 0,
        done_events=rebuild.done,
        total_events=rebuild.total,
        rate=rebuild.rate,
        create_time=write_instant(rebuild.asked),
        update_time=write_instant(rebuild.changed),
        error=rebuild.error,
    )
    if rebuild.state in READING and rebuild.rate and rebuild.total:
        left = Duration(seconds=round(max(0, rebuild.total - rebuild.done) / rebuild.rate))
        written.time_left.CopyFrom(left)
    if rebuild.found:
        written.comparison.CopyFrom(_comparison(identity, rebuild.found))
    return written


def _state(live: Standing | None) -> pb.ProjectionState.ValueType:
    if live is None:
        return pb.PROJECTION_STATE_NOT_READY
    if live.trouble is not None:
        return pb.PROJECTION_STATE_STANDING_STILL
    return pb.PROJECTION_STATE_FOLLOWING


def _trouble(identity: LogIdentity, trouble: Trouble) -> pb.ProjectionTrouble:
    return pb.ProjectionTrouble(
        position=token(identity, trouble.position),
        event=trouble.event,
        error=trouble.error,
        attempts=trouble.attempts,
        since=write_instant(trouble.since),
    )


def _generation(identity: LogIdentity, standing: Standing) -> pb.ProjectionGeneration:
    return pb.ProjectionGeneration(
        generation=standing.generation,
        version=standing.code,
        live=standing.live,
        position=token(identity, standing.position),
    )


def _comparison(identity: LogIdentity, found: Mapping[str, Any]) -> pb.Comparison:
    return pb.Comparison(
        position=token(identity, found["position"]),
        live_rows=found["live_rows"],
        built_rows=found["built_rows"],
        live_digest=found["live_digest"],
        built_digest=found["built_digest"],
        differing_rows=found["differing_rows"],
        differences=[pb.Difference(**each) for each in found["differences"]],
    )
