"""Proves the contract: generated code is fresh, style and form are kept, and no caller of the base is broken.

`make check` runs this with the tools pinned in tools.txt. Nothing is fetched: the imported google types
come from the installed googleapis-common-protos, so buf is given compiled images instead of sources.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from generate import CONTRACT, PACKAGES, compare, generate, protoc, sources

HOUSE = CONTRACT.parent
RULES = ["--config", str(HOUSE / "buf.yaml"), *(f"--path={package}" for package in PACKAGES)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--buf", default="buf", help="the buf binary")
    buf = arguments.parse_args().buf
    with tempfile.TemporaryDirectory() as scratch:
        checks = [
            fresh(Path(scratch)),
            run("buf format", [buf, "format", "-d", "--exit-code", str(CONTRACT)]),
            run("buf lint", [buf, "lint", image(CONTRACT, Path(scratch, "now")), *RULES]),
            unbroken(buf, Path(scratch)),
        ]
    return 0 if all(checks) else 1


def fresh(scratch: Path) -> bool:
    generate(into := scratch / "generated")
    stale = compare(into)
    return say("generated code", not stale, *(f"stale, run `make protos`: {path}" for path in stale))


def unbroken(buf: str, scratch: Path) -> bool:
    for base in bases():
        with ZipFile(BytesIO(git("archive", "--format=zip", base))) as archive:
            archive.extractall(scratch / "base")
        if not sources(scratch / "base/protos"):
            return say("buf breaking", True, f"{base} has no protos: nothing to break")
        then, now = image(scratch / "base/protos", scratch / "then"), image(CONTRACT, scratch / "now")
        return run(f"buf breaking against {base}", [buf, "breaking", now, "--against", then, *RULES])
    return say("buf breaking", True, "no origin/main and no tag: nothing to compare with")


def bases() -> Iterator[str]:
    """origin/main, unless it is the very commit that is checked; else the newest tag."""
    if commit("origin/main") not in (None, commit("HEAD")):
        yield "origin/main"
    yield from git("tag", "--sort=-creatordate").decode().split()
    if commit("origin/main"):
        yield "origin/main"


def commit(name: str) -> str | None:
    return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip() or None


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", HOUSE, *arguments], capture_output=True, check=False).stdout


def image(contract: Path, name: Path) -> str:
    path = name.with_suffix(".binpb")
    protoc(contract, "--include_imports", "--include_source_info", f"--descriptor_set_out={path}")
    return str(path)


def run(what: str, command: list[str]) -> bool:
    done = subprocess.run(
        command, cwd=HOUSE, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return say(what, done.returncode == 0, *done.stdout.splitlines())


def say(what: str, fine: bool, *details: str) -> bool:
    print(f"{what}: {'ok' if fine else 'FAILED'}", *details, sep="\n  ")
    return fine


if __name__ == "__main__":
    sys.exit(main())
