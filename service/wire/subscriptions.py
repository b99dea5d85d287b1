"""What a subscriber wants, and how far he has come, from the wire and back."""

from __future__ import annotations

from collections.abc import Sequence

from daybook.v1 import audit_service_pb2 as pb
from domain.findings import Findings, Malformed, Rule, listed, shown
from domain.texts import check_text
from store.log import LogIdentity

from .. import positions
from ..belonging import Wanted
from ..subscription import Asked, Mark
from .events import PUBLISHED
from .values import within

TYPES_MAX = 100
IDS_MAX = 1_000
BEFORE_EARLIER = "+"  # in a token, between the position and how far the history of what enters next has come

TYPES = frozenset(each.__name__ for each in PUBLISHED)


def read_filter(message: pb.EventFilter, findings: Findings, path: str = "filter") -> Asked:
    types = within(message.types, TYPES_MAX, f"{path}.types", findings)
    for index, each in enumerate(types):
        if each not in TYPES:
            have = listed(sorted(TYPES))
            findings.add(
                f"{path}.types[{index}]", Rule.NO_SUCH_ENTRY, kind="event type", value=shown(each), have=have
            )
    wanted = Wanted(
        _ids(message.account_ids, f"{path}.account_ids", findings),
        _ids(message.order_ids, f"{path}.order_ids", findings),
    )
    return Asked(frozenset(types), wanted)


def _ids(said: Sequence[str], path: str, findings: Findings) -> frozenset[str]:
    ids = within(said, IDS_MAX, path, findings)
    for index, each in enumerate(ids):
        if each:
            check_text(each, f"{path}[{index}]", findings)
        else:
            findings.add(f"{path}[{index}]", Rule.REQUIRED)
    return frozenset(ids)


def read_mark(token: str, identity: LogIdentity, path: str = "after") -> Mark:
    """How far a subscriber has come, from a resume token or any position."""
    position, plus, earlier = token.partition(BEFORE_EARLIER)
    if plus and not (earlier.isascii() and earlier.isdecimal() and len(earlier) < 19):  # noqa: PLR2004
        findings = Findings()
        findings.add(path, Rule.POSITION, value=shown(token))
        raise Malformed(findings)
    return Mark(positions.read(identity, position, path), int(earlier or 0))


def mark_token(identity: LogIdentity, mark: Mark) -> str:
    text = positions.token(identity, mark.position)
    return f"{text}{BEFORE_EARLIER}{mark.earlier}" if mark.earlier else text
