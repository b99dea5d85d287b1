"""Why an embedded PostgreSQL cannot be run."""

from __future__ import annotations


class EmbeddedFailed(Exception):
    """The embedded PostgreSQL cannot be run here; the text says why and what helps."""


class NoBook(EmbeddedFailed):
    """There is no database in this data folder."""


class FolderTaken(EmbeddedFailed):
    """Another process looks after this data folder."""
