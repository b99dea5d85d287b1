"""One line per call and per thing that an operator should know, as JSON on standard error."""

from __future__ import annotations

import logging
import sys
from json import JSONEncoder
from typing import Any

import structlog

_encode = JSONEncoder(default=repr).encode


def _written(line: dict[str, Any], **_: object) -> str:
    """What json.dumps would write: it makes an encoder anew for every line."""
    return _encode(line)


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
