"""The verbs about proof: what each asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The PEM file of the key.")]


def new(file: KeyFile) -> None:
    """Make a key that signs seals; print its public half, for those who verify."""
    from .proving import new_key as run

    run(file)


def rotate(file: KeyFile) -> None:
    """Put a new key before the one of a file; serve then once more, and the old one vouches for it."""
    from .proving import rotate_key as run

    run(file)


def retire(file: KeyFile) -> None:
    """Keep only the public half of the keys that sign no more, once the new one has sealed."""
    from .proving import retire_keys as run

    run(file)


def show(file: KeyFile) -> None:
    """Print the public keys of a file, the one that signs first."""
    from .proving import show_keys as run

    run(file)


SEAL_KEY_VERBS = {"new": new, "rotate": rotate, "retire": retire, "show": show}
