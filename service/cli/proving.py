"""`daybook receipt`, `export` and `seal-key`: proof for others, and the keys that sign it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from daybook.v1 import proof_pb2 as pb
from store.proof import keys

from .forms import message
from .options import Named, Service, Stop
from .remote import key_of, remote, understood
from .trees import Plain, Tree

T = TypeVar("T")


def receipt(service: Service, named: Named, output: Path) -> None:
    with remote(service) as there:
        request = pb.GetReceiptRequest(key=key_of(named))
        answer = there.audit.GetReceipt(request, timeout=service.timeout)
    write_new(output, [answer.receipt.encode()])
    unsealed = answer.unsealed_event_count
    more = f"; {unsealed} more are not sealed yet, ask again in ten seconds" if unsealed else ""
    print(f"{output}: what is sealed of the invoice's events{more}")


def export(service: Service, named: Named, output: Path, account: str, date_from: str, date_to: str) -> None:
    request = about(named, account, date_from, date_to)
    with remote(service) as there:
        answers = there.audit.ExportAuditPack(request, timeout=None)
        size = write_new(output, (answer.chunk for answer in answers))
    print(f"{output}: {size} bytes; to verify it: python3 -I verify.py {output}")


def about(named: Named, account: str, date_from: str, date_to: str) -> pb.ExportAuditPackRequest:
    by_name = bool(named.invoice or named.key or named.number)
    if by_name + bool(account) + bool(date_from or date_to) != 1:
        raise Stop("say what it is about: an invoice, --account, or --from and --to")
    if by_name:
        return pb.ExportAuditPackRequest(invoice=key_of(named))
    if account:
        return pb.ExportAuditPackRequest(account_id=account)
    days: dict[str, Tree] = {"first_date": Plain(date_from) or None, "last_date": Plain(date_to) or None}
    return understood(message(pb.ExportAuditPackRequest, {"period": days}), "this period")


def write_new(path: Path, parts: Iterable[bytes]) -> int:
    """Write a file that is there whole or not at all; answers its size."""
    if path.exists():
        raise Stop(f"{path} is there already")
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            size = file.tell()
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    return size


def new_key(file: Path) -> None:
    print(_or_stop(keys.make, file))


def rotate_key(file: Path) -> None:
    print(_or_stop(keys.rotate, file))


def retire_keys(file: Path) -> None:
    _print(_or_stop(keys.retire, file))


def show_keys(file: Path) -> None:
    _print(_or_stop(keys.read, file).trusted)


def _or_stop(deed: Callable[[Path], T], file: Path) -> T:
    try:
        return deed(file)
    except keys.BadKey as trouble:
        raise Stop(str(trouble)) from trouble


def _print(names: Sequence[str]) -> None:
    for name in names:
        print(name)
