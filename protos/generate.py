"""Writes the generated code beside the contract: `make protos`, with the tools pinned in tools.txt."""

import filecmp
import importlib.util
import re
import shutil
import sys
import tempfile
from pathlib import Path

CONTRACT = Path(__file__).resolve().parent
PACKAGES = (Path("daybook/tax/v1"), Path("daybook/v1"))
GENERATED = "*_pb2*.py*"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        generate(fresh := Path(scratch))
        for path in compare(fresh):
            (CONTRACT / path).unlink(missing_ok=True)
            if (fresh / path).exists():
                shutil.copyfile(fresh / path, CONTRACT / path)
            print(f"written: protos/{path}")


def generate(into: Path) -> None:
    into.mkdir(exist_ok=True)
    protoc(CONTRACT, f"--python_out={into}", f"--mypy_out=quiet:{into}")
    protoc(
        CONTRACT,
        f"--grpc_python_out={into}",
        f"--mypy_grpc_out=quiet:{into}",
        only=re.compile(r"^service ", re.MULTILINE),
    )


def protoc(contract: Path, *outputs: str, only: re.Pattern[str] = re.compile("")) -> None:
    from grpc_tools import protoc as compiler

    tools = Path(sys.executable).parent
    status = compiler.main(
        [
            "protoc",
            f"-I{contract}",
            f"-I{includes('google.type')}",
            f"-I{Path(compiler.__file__).parent / '_proto'}",
            f"--plugin=protoc-gen-mypy={tools / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={tools / 'protoc-gen-mypy_grpc'}",
            *outputs,
            *(str(source) for source in sources(contract) if only.search((contract / source).read_text())),
        ]
    )
    if status:
        raise SystemExit("the contract does not compile")


def sources(contract: Path) -> list[Path]:
    return sorted(
        path.relative_to(contract) for package in PACKAGES for path in contract.glob(f"{package}/*.proto")
    )


def includes(package: str) -> Path:
    """The folder from which the .proto files of an installed package are named."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, package
    return Path(next(iter(spec.submodule_search_locations or []))).parents[package.count(".")]


def compare(fresh: Path) -> list[Path]:
    """What differs between a fresh generation and the committed copy: changed, missing or left over."""
    names = {
        path.relative_to(root)
        for root in (fresh, CONTRACT)
        for package in PACKAGES
        for path in (root / package).glob(GENERATED)
    }
    return sorted(name for name in names if not same(fresh / name, CONTRACT / name))


def same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and filecmp.cmp(one, other, shallow=False)


if __name__ == "__main__":
    main()
