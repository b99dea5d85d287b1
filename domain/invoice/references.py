"""What an invoice or a line was made from: the rules of references and sources."""

from __future__ import annotations

from collections.abc import Collection

from ..findings import Findings, Rule, shown
from ..texts import check_required, check_texts
from .content import LineReferenceContent, ReferenceContent, SourceContent
from .events import LineReference, LineReferenceKind, Reference, ReferenceKind, Source

MEMO_KINDS = (ReferenceKind.DEBIT_MEMO, ReferenceKind.CREDIT_MEMO)


def is_of_memo(reference: ReferenceContent | Reference | None) -> bool:
    """Whether something was made from a debit memo."""
    return reference is not None and reference.kind is ReferenceKind.DEBIT_MEMO


def check_reference(
    said: ReferenceContent, path: str, findings: Findings, known: Collection[str]
) -> Reference | None:
    """`known` are the memos of this book that were looked up and found."""
    check_texts(("id", "system", "kind_name"), (said.id, said.system, said.kind_name), path, findings)
    check_required(said.id, f"{path}.id", findings)
    if said.kind is None:
        findings.add(f"{path}.kind", Rule.REQUIRED)
        return None
    _check_kind_name(said.kind is ReferenceKind.OTHER, said.kind_name, path, findings)
    if said.kind in MEMO_KINDS and said.id not in known:
        memo = said.kind.lower().replace("_", " ")
        findings.add(f"{path}.id", Rule.NO_SUCH_MEMO, kind=memo, value=shown(said.id))
    return Reference(said.kind, said.id, said.system, said.kind_name)


def check_line_reference(
    said: LineReferenceContent, path: str, findings: Findings, known: Collection[str]
) -> LineReference:
    """A thing with its kind, an order, or both. `known` are lines of memos that were looked up and found."""
    texts = (said.id, said.order_id, said.system, said.kind_name)
    check_texts(("id", "order_id", "system", "kind_name"), texts, path, findings)
    has_id = bool(said.id.strip())
    if said.kind is None and has_id:
        findings.add(f"{path}.kind", Rule.REQUIRED)
    elif said.kind is not None and not has_id:
        findings.add(f"{path}.id", Rule.REQUIRED)
    elif not has_id and not said.order_id.strip():
        findings.add(path, Rule.ID_OR_ORDER)
    if said.kind is not None or said.kind_name:
        _check_kind_name(said.kind is LineReferenceKind.OTHER, said.kind_name, path, findings)
    if said.kind is LineReferenceKind.DEBIT_MEMO_LINE and said.id not in known:
        findings.add(f"{path}.id", Rule.NO_SUCH_MEMO, kind="debit memo line", value=shown(said.id))
    return LineReference(said.kind, said.id, said.order_id, said.system, said.kind_name)


def _check_kind_name(is_other: bool, kind_name: str, path: str, findings: Findings) -> None:
    if is_other != bool(kind_name.strip()):
        findings.add(f"{path}.kind_name", Rule.KIND_NAME)


def check_source(said: SourceContent, path: str, findings: Findings) -> Source:
    check_required(said.system, f"{path}.system", findings)
    check_texts(("id",), (said.id,), path, findings)
    return Source(said.system, said.id)
