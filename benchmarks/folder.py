"""Where a run keeps its data, until it ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder that even an unprivileged PostgreSQL can reach, by a path short enough for its sockets."""
    folder = Path(tempfile.mkdtemp(prefix="daybook-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
