"""What the writer says to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from .batch import Row
from .session import BYTEAS, INT8S, TEXTS, UUIDS, Call, Statement, byteas, int8s, texts, uuids

TURN_KEY = 7017848462462  # the advisory lock that every append holds until its commit can be seen

BEGIN = Statement("begin", "BEGIN")
COMMIT = Statement("commit", "COMMIT")
ROLLBACK = Statement("rollback", "ROLLBACK")
TURN = Statement("turn", f"SELECT pg_advisory_xact_lock({TURN_KEY})")
NO_TURN = Statement("no_turn", "SELECT 1")
HEADS = Statement(
    "heads",
    """
    SELECT head.originator_id, head.originator_version,
        daybook.digest(head.originator_id, head.originator_version, head.topic, head.state)
    FROM unnest($1) AS wanted (stream)
    CROSS JOIN LATERAL (
        SELECT originator_id, originator_version, topic, state
        FROM daybook.events
        WHERE originator_id = wanted.stream
        ORDER BY originator_version DESC
        LIMIT 1
    ) AS head
    """,
    [UUIDS],
)
APPEND = Statement(
    "append",
    """
    INSERT INTO daybook.events (originator_id, originator_version, topic, state)
    SELECT stream, version, topic, state
    FROM unnest($1, $2, $3, $4) AS row (stream, version, topic, state)
    RETURNING notification_id
    """,
    [UUIDS, INT8S, TEXTS, BYTEAS],
)
KEEP_APART = Statement(
    "keep_apart",
    """
    INSERT INTO daybook.personal (stream, version, salt, body)
    SELECT stream, version, salt, body
    FROM unnest($1, $2, $3, $4) AS row (stream, version, salt, body)
    """,
    [UUIDS, INT8S, BYTEAS, BYTEAS],
)
NOTIFY = Statement(
    "notify",
    "SELECT pg_notify('daybook', currval('daybook.events_notification_id_seq')::text)",
)
READ_BACK = Statement(
    "read_back",
    """
    SELECT event.originator_id, event.originator_version, event.state, event.notification_id
    FROM unnest($1, $2) AS sent (stream, version)
    JOIN daybook.events AS event
        ON event.originator_id = sent.stream AND event.originator_version = sent.version
    """,
    [UUIDS, INT8S],
)


def inserts(rows: Sequence[Row]) -> Iterable[Call]:
    yield Call(
        APPEND,
        (
            uuids([row.stream for row in rows]),
            int8s([row.version for row in rows]),
            texts([row.topic for row in rows]),
            byteas([row.state for row in rows]),
        ),
    )
    apart = [row for row in rows if row.body is not None]
    if apart:
        yield Call(
            KEEP_APART,
            (
                uuids([row.stream for row in apart]),
                int8s([row.version for row in apart]),
                byteas([row.salt or b"" for row in apart]),
                byteas([row.body or b"" for row in apart]),
            ),
        )


def heads_of(streams: Iterable[UUID]) -> Call:
    return Call(HEADS, (uuids(sorted(streams)),))
