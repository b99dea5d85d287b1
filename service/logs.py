"""One line per call and per thing that an operator should know, as JSON on standard error."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from json import JSONEncoder
from typing import Any

import structlog

_encode = JSONEncoder(default=repr).encode
_quoted = JSONEncoder().encode


def _written(line: dict[str, Any], **_: object) -> str:
    """What json.dumps would write: it makes an encoder anew for every line."""
    return _encode(line)


class CallLines:
    """One line a call, without its content; those of probes and tools only when asked for.

    The same form as every other line, but put together at once: the chain of processors that writes the rest
    costs as much as reading a request.
    """

    def __init__(self, level: str, ours: str) -> None:
        least = logging.getLevelNamesMapping()[level.upper()]
        self._ours = ours
        self._told = least <= logging.INFO
        self._all_told = least <= logging.DEBUG

    def say(self, method: str, peer: str, seconds: float, code: str = "OK", reason: str = "") -> None:
        ours = method.startswith(self._ours)
        if not (self._told if ours else self._all_told):
            return
        told = f'"{reason}"' if reason else "null"
        at = datetime.now(UTC).isoformat(timespec="microseconds")[: -len("+00:00")]
        sys.stderr.write(
            f'{{"method": "{method.rpartition("/")[2]}", "code": "{code}", "reason": {told}, '
            f'"peer": {_quoted(peer)}, "ms": {round(seconds * 1000, 2)}, '
            f'"event": "call", "level": "{"info" if ours else "debug"}", "timestamp": "{at}Z"}}\n'
        )


def set_up(level: str) -> None:
    """Once, at start-up."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(_written),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="%(levelname)s %(name)s %(message)s")
