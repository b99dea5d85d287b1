"""Writes the generated code beside the contract; with --check, says what would change and writes nothing.

`make protos` runs this with the tools pinned in tools.txt.
"""

import argparse
import filecmp
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

CONTRACT = Path(__file__).resolve().parent
PACKAGE = Path("daybook/v1")
GENERATED = "*_pb2*.py*"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="compare only; exit 1 if anything is stale")
    check = arguments.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        stale = compare(fresh)
        if not check:
            replace(fresh)
    for path in stale:
        print(f"{'stale' if check else 'written'}: protos/{path}")
    return 1 if check and stale else 0


def generate(into: Path) -> None:
    from grpc_tools import protoc

    sources = sorted(str(path.relative_to(CONTRACT)) for path in CONTRACT.glob(f"{PACKAGE}/*.proto"))
    plugins = Path(sys.executable).parent
    status = protoc.main(
        [
            "protoc",
            f"-I{CONTRACT}",
            f"-I{includes('google.type')}",
            f"-I{Path(protoc.__file__).parent / '_proto'}",
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
            f"--python_out={into}",
            f"--grpc_python_out={into}",
            f"--mypy_out=quiet:{into}",
            f"--mypy_grpc_out=quiet,generate_concrete_servicer_stubs:{into}",
            *sources,
        ]
    )
    if status:
        raise SystemExit("the contract does not compile")


def includes(package: str) -> Path:
    """The folder from which the .proto files of an installed package are named."""
    spec = importlib.util.find_spec(package)
    assert spec and spec.submodule_search_locations, package
    return Path(next(iter(spec.submodule_search_locations))).parents[package.count(".")]


def compare(fresh: Path) -> list[Path]:
    """What differs between a fresh generation and the committed copy: changed, missing or left over."""
    names = {path.relative_to(root) for root in (fresh, CONTRACT) for path in (root / PACKAGE).glob(GENERATED)}
    return sorted(name for name in names if not same(fresh / name, CONTRACT / name))


def same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and filecmp.cmp(one, other, shallow=False)


def replace(fresh: Path) -> None:
    for old in (CONTRACT / PACKAGE).glob(GENERATED):
        old.unlink()
    for new in (fresh / PACKAGE).glob(GENERATED):
        shutil.copyfile(new, CONTRACT / PACKAGE / new.name)


if __name__ == "__main__":
    sys.exit(main())
