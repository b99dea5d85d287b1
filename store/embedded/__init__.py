"""A real PostgreSQL from a wheel, for one machine and no set-up."""

from .failed import EmbeddedFailed, FolderTaken, NoBook
from .server import DATABASE, Embedded
from .user import APPLICATION, OWNER, SUPERUSER

__all__ = [
    "APPLICATION",
    "DATABASE",
    "OWNER",
    "SUPERUSER",
    "Embedded",
    "EmbeddedFailed",
    "FolderTaken",
    "NoBook",
]
