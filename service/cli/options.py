"""What several verbs ask for: where the service is, who calls and why, how the answer is wanted.

A verb takes such a group as one argument; the command line shows its fields as options.
"""

from __future__ import annotations

import getpass
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints
from urllib.parse import quote

import typer

if TYPE_CHECKING:
    from daybook.client import Tls

DEFAULT_SERVER = "127.0.0.1:50051"


class Format(StrEnum):
    """How a file is written."""

    YAML = "yaml"
    JSON = "json"
    LINES = "jsonl"


class Stop(Exception):
    """The command ends here, for a reason that is the caller's to know."""

    def __init__(self, text: str, status: int = 2) -> None:
        self.status = status
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is, and how it is reached."""

    server: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", envvar="DAYBOOK_SERVER", help="Where the service is."),
    ] = DEFAULT_SERVER
    tls_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="DAYBOOK_TLS_CA", help="PEM of who vouches for the server."),
    ] = None
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM of the certificate that you show.")
    ] = None
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM of its key.")] = None
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.001, max=3600, help="How long a call may take.")
    ] = 30.0
    edition: Annotated[
        str, typer.Option(metavar="NAME", help="Ask the lists as they were, in this edition (`editions`).")
    ] = ""

    def tls(self) -> Tls | None:
        """What TLS needs; None where nothing was said about it: then it is clear text."""
        if self.tls_ca is None and self.tls_cert is None and self.tls_key is None:
            return None
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Stop("--tls-cert and --tls-key go together")
        from daybook.client import Tls

        return Tls(*map(pem, (self.tls_ca, self.tls_cert, self.tls_key)))


def pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as trouble:
        raise Stop(f"{path}: {trouble.strerror}") from trouble


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and why: what the history keeps of it."""

    actor: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Who writes; the system's user when not said.")
    ] = ""
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the history.")] = ""
    correlation_id: Annotated[
        str, typer.Option(metavar="ID", help="What this belongs to, for the history.")
    ] = ""

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a header can carry: printable ASCII, everything else in percent signs."""
        name = self.actor or getpass.getuser()
        return (("daybook-actor", quote(name, safe=" !#$&'()*+,/:;=?@[]")),)


@dataclass(frozen=True, slots=True)
class Shape:
    """How the answer is wanted: a table for people, or a form for programs."""

    as_json: Annotated[
        bool, typer.Option("--json", help="The contract's canonical JSON, one object a line.")
    ] = False
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values with a heading.")] = False

    def check(self) -> None:
        if self.as_json and self.as_csv:
            raise Stop("--json and --csv exclude each other")


@dataclass(frozen=True, slots=True)
class Named:
    """Which invoice: one of its names."""

    invoice: Annotated[
        str,
        typer.Argument(
            metavar="[INVOICE]", help="Its id; or its unique identifier, unless that looks like an id."
        ),
    ] = ""
    key: Annotated[str, typer.Option(metavar="TEXT", help="Its unique identifier.")] = ""
    number: Annotated[str, typer.Option(metavar="TEXT", help="Its number, with --legal-entity.")] = ""
    legal_entity: Annotated[str, typer.Option(metavar="ID", help="Whose number it is.")] = ""

    def check(self) -> None:
        if sum(map(bool, (self.invoice, self.key, self.number))) != 1:
            raise Stop("say which invoice: its id, or --key, or --number with --legal-entity")
        if bool(self.number) != bool(self.legal_entity):
            raise Stop("--number and --legal-entity go together")


def verb(command: Callable[..., None]) -> Callable[..., None]:
    """A function whose groups of options are spread out; failures become a text and an exit status."""
    signature = inspect.signature(command, eval_str=True)
    annotations = {each.name: each.annotation for each in signature.parameters.values()}
    groups: dict[str, Any] = {name: group for name, group in annotations.items() if is_dataclass(group)}
    parameters = [
        part
        for each in signature.parameters.values()
        for part in (spread(each.annotation) if each.name in groups else [keyword(each)])
    ]

    @wraps(command)
    def run(**options: Any) -> None:
        as_json = bool(options.get("as_json"))
        try:
            for name, group in groups.items():
                options[name] = group(**{each.name: options.pop(each.name) for each in fields(group)})
            command(**options)
        except Exception as trouble:
            from .faults import told

            raise typer.Exit(told(trouble, as_json=as_json)) from None

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
    del run.__wrapped__
    return run


def spread(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [parameter(each, hints[each.name]) for each in fields(group)]


def parameter(each: Field[Any], annotation: Any) -> inspect.Parameter:
    default = each.default
    if each.default_factory is not MISSING:
        default = each.default_factory()
    if default is MISSING:
        default = inspect.Parameter.empty
    return inspect.Parameter(
        each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def keyword(each: inspect.Parameter) -> inspect.Parameter:
    return each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
