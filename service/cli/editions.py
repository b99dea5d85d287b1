"""`daybook editions`: lists as they were, built, listed and dropped."""

from __future__ import annotations

from collections.abc import Sequence

from daybook.v1 import edition_service_pb2 as pb

from .histories import point
from .options import Service, Shape
from .printing import add, bare_table, console, csv_rows, print_json
from .remote import remote

HEAD = ("name", "time", "position", "read_models")


def list_(service: Service, shape: Shape) -> None:
    shape.check()
    with remote(service) as there:
        found = there.editions.ListEditions(pb.ListEditionsRequest(), timeout=service.timeout).editions
    if shape.as_json:
        for each in found:
            print_json(each)
        return
    rows = [
        [each.name, each.time.ToJsonString(), each.position, " ".join(each.read_models)] for each in found
    ]
    if shape.as_csv:
        csv_rows(HEAD, rows)
    elif not rows:
        console().print("no editions")
    else:
        table = bare_table()
        for name in HEAD:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in rows:
            add(table, *row)
        console().print(table)


def build(service: Service, name: str, read_models: Sequence[str], at: str) -> None:
    screen, edition = console(), pb.Edition()
    request = pb.BuildEditionRequest(name=name, point=point(at), read_models=read_models)
    with remote(service) as there:
        for answer in there.editions.BuildEdition(request):
            edition = answer.edition
            screen.print(f"{answer.read_model}: {'ready' if answer.ready else 'building'}")
    screen.print(f"edition {name}: as of {edition.time.ToJsonString()}, up to position {edition.position}")


def drop(service: Service, name: str) -> None:
    with remote(service) as there:
        there.editions.DropEdition(pb.DropEditionRequest(name=name), timeout=service.timeout)
    console().print(f"edition {name}: dropped")
