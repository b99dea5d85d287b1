"""`daybook reference`: applies reference data, and shows what stands so that it can be applied again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import yaml
from google.protobuf.message import Message

from daybook.v1 import reference_data_service_pb2 as pb

from .forms import Problem, message, tree
from .options import Author, Service
from .printing import add, bare_table, console, print_json
from .remote import authored, remote, understood, written_in
from .trees import Plain, Tree

SIGNS = {
    pb.REFERENCE_CHANGE_ACTION_ADDED: "+",
    pb.REFERENCE_CHANGE_ACTION_CHANGED: "~",
    pb.REFERENCE_CHANGE_ACTION_REMOVED: "-",
}
ALIKE_SHOWN = 8  # new entries of a kind; all of them in JSON


def apply(
    service: Service,
    author: Author,
    file: str,
    *,
    dry_run: bool = False,
    prune: bool = False,
    base: int = 0,
    as_json: bool = False,
) -> None:
    written = written_in(file)
    request = understood(application(written.tree), written.place)
    request.validate_only |= dry_run
    request.prune |= prune
    request.base_version = base or request.base_version
    with remote(service) as there:
        answer = there.reference.ApplyReferenceData(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    if as_json:
        print_json(answer)
    else:
        print_changes(answer, dry_run=request.validate_only)


def application(said: Tree) -> tuple[pb.ApplyReferenceDataRequest, list[Problem]]:
    """A request from the entries as they stand, or from a request whose `data` they are."""
    wrapped = isinstance(said, dict) and "data" in said
    return message(pb.ApplyReferenceDataRequest, said if wrapped else {"data": said})


def print_changes(answer: pb.ApplyReferenceDataResponse, *, dry_run: bool) -> None:
    screen = console()
    if answer.changes:
        table = bare_table(heading=False)
        for sign, kind, alike in by_kind(answer.changes):
            for change in alike[:ALIKE_SHOWN]:
                add(table, sign, kind, change.id, detail(change))
            if len(alike) > ALIKE_SHOWN:
                add(table, sign, kind, f"… and {len(alike) - ALIKE_SHOWN} more", "")
        screen.print(table)
    count = len(answer.changes)
    would = "would change" if dry_run else "changed"
    screen.print(f"{count} {would}, {answer.unchanged_count} stood already; version {answer.version}")


def by_kind(changes: Iterable[pb.ReferenceChange]) -> Iterator[tuple[str, str, list[pb.ReferenceChange]]]:
    """New entries of one kind together; every other change by itself."""
    for (action, kind), alike in groupby(changes, key=lambda change: (change.action, change.kind)):
        sign, words = SIGNS.get(action, "?"), kind.replace("_", " ")
        if action == pb.REFERENCE_CHANGE_ACTION_ADDED:
            yield sign, words, list(alike)
        else:
            yield from ((sign, words, [change]) for change in alike)


def detail(change: pb.ReferenceChange) -> str:
    if change.action != pb.REFERENCE_CHANGE_ACTION_CHANGED:
        return ""
    return ", ".join(
        f"{each.field}: {each.before or '–'} → {each.after or '–'}" for each in change.differences
    )


def show(service: Service, *, as_json: bool, min_position: str) -> None:
    request = pb.GetReferenceDataRequest(min_position=min_position)
    with remote(service) as there:
        answer = there.reference.GetReferenceData(request, timeout=service.timeout)
    if as_json:
        print_json(answer)
        return
    recorded = f", recorded {answer.update_time.ToJsonString()}" if answer.HasField("update_time") else ""
    print(f"# version {answer.version}{recorded}")
    print(as_yaml(answer.data), end="")


def as_yaml(data: pb.ReferenceData) -> str:
    """The entries as a person would write them."""
    said = tree(data)
    said |= {
        "payment_terms": [complete(term, days=Plain(0)) for term in data.payment_terms],
        "tax_treatments": [complete(treatment, taxable=False) for treatment in data.tax_treatments],
    }
    said = {kind: entries for kind, entries in said.items() if entries != []}
    return yaml.dump(said, Dumper=Writer, sort_keys=False, allow_unicode=True, width=110) if said else ""


def complete(entry: Message, **zeros: Tree) -> Tree:
    """An entry that also says what is zero, in the contract's order."""
    said = zeros | tree(entry)
    return {each.name: said[each.name] for each in entry.DESCRIPTOR.fields if each.name in said}


class Writer(yaml.SafeDumper):
    """Writes scalars plainly where they are plain."""


def plain(writer: yaml.SafeDumper, value: Any) -> yaml.Node:
    tag = writer.resolve(yaml.ScalarNode, str(value), (True, False))  # type: ignore[no-untyped-call]
    return writer.represent_scalar(tag, str(value))


def text(writer: yaml.SafeDumper, value: str) -> yaml.Node:
    """In double quotes where something cannot be seen: other styles would fold it."""
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=None if value.isprintable() else '"')


Writer.add_representer(Plain, plain)
Writer.add_representer(str, text)
