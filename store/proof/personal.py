"""Personal text beside the log: what is still there must be what its event is committed to."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from struct import Struct
from uuid import UUID

from ..codec import SALT_BYTES
from .findings import Fault, Finding
from .rows import Connection, copied

# The commitment stands last in an event, before its closing quote and braces. The body is last in a row.
PERSONAL = """
SELECT coalesce(event.notification_id, 0), personal.stream, personal.version,
    coalesce(substring(event.state FROM length(event.state) - 78 FOR 77), ''), personal.salt, personal.body
FROM daybook.personal
LEFT JOIN daybook.events AS event
    ON event.originator_id = personal.stream AND event.originator_version = personal.version
WHERE {where}
"""
COMMITTED = b'"personal":"'
# Where all is as we write it, a row is alike up to the body: there it need not be taken apart.
SAID, SALT, BODY = 46, slice(131, 147), slice(151, None)
BEFORE_DIGEST = (len(COMMITTED) + 64 + 1).to_bytes(4, "big") + COMMITTED
BEHIND_DIGEST = b'"' + SALT_BYTES.to_bytes(4, "big")
_LENGTH = Struct(">i").unpack_from


def personal_texts(connection: Connection, after: int | None) -> Iterator[Finding]:
    """Each text that is not what its event says; what was rubbed out is gone by right."""
    where = "true" if after is None else f"event.notification_id > {after}"
    for row in copied(connection, PERSONAL.format(where=where)):
        if row.startswith(
            BEFORE_DIGEST + sha256(row[SALT] + row[BODY]).hexdigest().encode() + BEHIND_DIGEST, SAID
        ):
            continue
        position, stream, version, said, salt, body = _fields(row)
        if said != COMMITTED + sha256(salt + body).hexdigest().encode() + b'"':
            yield Finding(
                Fault.PERSONAL_ALTERED,
                "has a personal text beside it that is not the one it was recorded with",
                int.from_bytes(position, "big", signed=True),
                str(UUID(bytes=stream)),
                int.from_bytes(version, "big", signed=True),
            )


def _fields(row: bytes) -> list[bytes]:
    """The fields of a row of COPY in binary form; null is empty."""
    found, at = [], 2
    while at < len(row):
        (length,) = _LENGTH(row, at)
        at += 4
        found.append(row[at : at + max(length, 0)])
        at += max(length, 0)
    return found
