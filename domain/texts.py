"""Texts as callers write them: how long they may be, and which characters a book can keep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .findings import Findings, Rule, shown

TEXT_MAX = 255
LABELS_MAX = 64
LABEL_KEY_MAX = 63

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]").search


def check_text(value: str, path: str, findings: Findings, limit: int = TEXT_MAX) -> None:
    """A name or an id: one line."""
    if len(value) > limit:
        findings.add(path, Rule.TOO_LONG, limit=limit, length=len(value))
    elif not value.isprintable() and _CONTROL(value):
        findings.add(path, Rule.CHARACTERS)


def check_texts(names: Sequence[str], values: Sequence[str], path: str, findings: Findings) -> None:
    """Names and ids of one message, by the names of their fields."""
    together = "".join(values)
    if len(together) <= TEXT_MAX and together.isprintable():
        return  # then so is each of them
    for name, value in zip(names, values, strict=True):
        check_text(value, f"{path}.{name}", findings)


def check_required(value: str, path: str, findings: Findings, limit: int = TEXT_MAX) -> None:
    """A text that must be there; nothing but white space is nothing."""
    if not value.strip():
        findings.add(path, Rule.REQUIRED)
    elif len(value) > limit or not value.isprintable():
        check_text(value, path, findings, limit)


def check_free_text(value: str, path: str, findings: Findings, limit: int = TEXT_MAX) -> None:
    """Free text may have several lines."""
    if len(value) > limit:
        findings.add(path, Rule.TOO_LONG, limit=limit, length=len(value))
    elif not value.isprintable() and _CONTROL_IN_LINES(value):
        findings.add(path, Rule.CHARACTERS)


def check_labels(labels: Mapping[str, str], path: str, findings: Findings) -> None:
    if len(labels) > LABELS_MAX:
        findings.add(path, Rule.TOO_MANY, limit=LABELS_MAX, count=len(labels))
        return
    for key, value in labels.items():
        at = f"{path}[{shown(key)}]"
        check_required(key, at, findings, LABEL_KEY_MAX)
        check_text(value, at, findings)
