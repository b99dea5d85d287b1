"""Page tokens: where a list goes on, and for which question."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from google.protobuf.message import Message

from domain.findings import Findings, Malformed, Rule, shown
from store.log import LogIdentity

from .positions import LogRestored

_LAYOUT = struct.Struct(">8s6sIq")  # question, log, epoch, where to go on
SIZE_MAX = 500


@dataclass(frozen=True, slots=True)
class Pages:
    """Tokens of one list method's question."""

    identity: LogIdentity
    question: bytes

    def token(self, cursor: int) -> str:
        log = self.identity.log_id.bytes[-6:]
        packed = _LAYOUT.pack(self.question, log, self.identity.epoch, cursor)
        return base64.urlsafe_b64encode(packed).decode()

    def cursor(self, token: str) -> int | None:
        """Where to go on; None for the first page."""
        if not token:
            return None
        try:
            question, log, epoch, cursor = _LAYOUT.unpack(base64.b64decode(token, b"-_", validate=True))
        except (struct.error, binascii.Error, ValueError):
            raise _refused(token) from None
        if question != self.question:
            raise _refused(token)
        if (log, epoch) != (self.identity.log_id.bytes[-6:], self.identity.epoch):
            raise LogRestored(position=token)
        return int(cursor)

    def token_after(self, first: str, second: str) -> str:
        """For a list that goes on after the row of these two names."""
        packed = base64.urlsafe_b64decode(self.token(0))
        return base64.urlsafe_b64encode(packed + f"{first}\0{second}".encode()).decode()

    def after(self, token: str) -> tuple[str, str]:
        """The names after whose row to go on; empty ones for the first page."""
        if not token:
            return "", ""
        try:
            packed = base64.b64decode(token, b"-_", validate=True)
            first, second = packed[_LAYOUT.size :].decode().split("\0")
        except (binascii.Error, ValueError):
            raise _refused(token) from None
        self.cursor(base64.urlsafe_b64encode(packed[: _LAYOUT.size]).decode())
        return first, second


def pages(identity: LogIdentity, method: str, *asked: Message | str) -> Pages:
    """The pages of a method for a filter; other questions have other tokens."""
    parts = [
        each.encode() if isinstance(each, str) else each.SerializeToString(deterministic=True)
        for each in asked
    ]
    digest = hashlib.sha256(b"\0".join([method.encode(), *parts])).digest()
    return Pages(identity, digest[:8])


def _refused(token: str) -> Malformed:
    findings = Findings()
    findings.add("page_token", Rule.PAGE_TOKEN, value=shown(token))
    return Malformed(findings)


def size(asked: int, default: int) -> int:
    if not 0 <= asked <= SIZE_MAX:
        findings = Findings()
        findings.add("page_size", Rule.OUT_OF_RANGE, least=0, most=SIZE_MAX, value=asked)
        raise Malformed(findings)
    return asked or default
