"""The chain: every event carries the digest of the one before it in its stream, so that tampering shows."""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from uuid import UUID

_UUID_AND_VERSION = Struct(">i16siqi").pack
_LENGTH = Struct(">i").pack


def digest(stream: UUID, version: int, topic: str, state: bytes) -> str:
    """SHA-256 over stream, version, topic and state, each after its length in four bytes, as hex.

    The position is not in it: it belongs to one copy of the log. `daybook.digest` computes the same in SQL.
    """
    name = topic.encode()
    begin = _UUID_AND_VERSION(16, stream.bytes, 8, version, len(name))
    return sha256(b"".join((begin, name, _LENGTH(len(state)), state))).hexdigest()


def commitment(salt: bytes, text: bytes) -> str:
    """What an event keeps of its personal data: SHA-256 over salt and text, as hex."""
    return sha256(salt + text).hexdigest()
