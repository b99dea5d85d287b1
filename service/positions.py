"""Positions as callers see them: opaque, and of one log and epoch."""

from __future__ import annotations

import re
from collections.abc import Callable

from domain.findings import Findings, Malformed, Rule, shown
from domain.refusal import Refused
from store.log import LogIdentity

_TOKEN = re.compile(r"([0-9a-f]{12})\.([0-9]{1,9})\.([0-9]{1,18})").fullmatch


class LogRestored(Refused):
    reason = "LOG_RESTORED"
    because = "{position} belongs to a log that this one is not: another book, or one restored since"


def token(identity: LogIdentity, position: int) -> str:
    """The position as it is answered; empty for none."""
    return tokens(identity)(position)


def tokens(identity: LogIdentity) -> Callable[[int], str]:
    """The positions of a log, as they are answered."""
    begins = f"{identity.log_id.hex[-12:]}.{identity.epoch}."
    return lambda position: f"{begins}{position}" if position else ""


def read(identity: LogIdentity, text: str, path: str) -> int:
    """The position that a caller gives back; 0 for none."""
    if not text:
        return 0
    parts = _TOKEN(text)
    if parts is None:
        findings = Findings()
        findings.add(path, Rule.POSITION, value=shown(text))
        raise Malformed(findings)
    log, epoch, number = parts.groups()
    if log != identity.log_id.hex[-12:] or int(epoch) != identity.epoch:
        raise LogRestored(position=text)
    return int(number)
