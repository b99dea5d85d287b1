"""Tells what went wrong, and with which exit status: 1 the service said no, 2 usage, 3 it could not say."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TextIO

import grpc

from daybook.client import Explanation, Finding, explain
from daybook.v1.invoice_service_pb2 import Finding as FindingMessage

from .forms import Problem
from .options import Stop
from .trees import Unreadable

REFUSED, USAGE, FAILED = 1, 2, 3

SAID_NO = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
}
LOAD_REFERENCE_DATA = "load it with: daybook reference apply FILE"


class Misspoken(Exception):
    """What a file says cannot be said in the contract."""

    def __init__(self, place: str, problems: Iterable[Problem]) -> None:
        self.place = place
        self.problems = tuple(problems)
        super().__init__(place)


def told(trouble: Exception, *, as_json: bool = False, to: TextIO | None = None) -> int:
    """Says it to standard error and answers the exit status. A stranger goes on its way."""
    to = to or sys.stderr
    match trouble:
        case grpc.RpcError():
            explanation = explain(trouble)
            print(json_error(explanation) if as_json else text_of(explanation), file=to)
            return REFUSED if explanation.code in SAID_NO else FAILED
        case Misspoken():
            print(f"{trouble.place}: not understood", file=to)
            for problem in trouble.problems:
                print(f"  {finding_line(problem)}", file=to)
            return REFUSED
        case Stop():
            print(trouble, file=to)
            return trouble.status
        case Unreadable():
            print(trouble, file=to)
            return USAGE
        case OSError() if trouble.filename:
            print(f"{trouble.filename}: {trouble.strerror}", file=to)
            return USAGE
        case _:
            raise trouble


def text_of(explanation: Explanation) -> str:
    """What the service said, for people: findings one a line, else its message."""
    if explanation.findings and explanation.code is grpc.StatusCode.INVALID_ARGUMENT:
        return "\n".join([head(explanation), *(f"  {finding_line(each)}" for each in explanation.findings)])
    lines = [f"{explanation.reason or explanation.code.name}: {message_of(explanation)}"]
    if explanation.reason == "NO_REFERENCE_DATA" and "reference apply" not in explanation.message:
        lines.append(f"  {LOAD_REFERENCE_DATA}")
    return "\n".join(lines)


def head(explanation: Explanation) -> str:
    total, said = int(explanation.facts.get("findings", 0)), len(explanation.findings)
    count = f"{max(total, said)} finding{'s' if max(total, said) != 1 else ''}"
    more = f", the first {said}" if said < total else ""
    return f"{explanation.reason or explanation.code.name}: {count}{more}"


def message_of(explanation: Explanation) -> str:
    if explanation.reason:
        return explanation.message
    match explanation.code:
        case grpc.StatusCode.UNAVAILABLE:
            return f"the service cannot be reached ({explanation.message})"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return "no answer within the time given; whether anything was written is not known"
        case grpc.StatusCode.UNIMPLEMENTED:
            return "the service does not know this yet"
        case _:
            return explanation.message


def finding_line(found: Finding | Problem) -> str:
    """`path: text`, whether or not the text says the path itself."""
    text = found.description
    if not found.path or text == found.path or text.startswith(f"{found.path}: "):
        return text
    return f"{found.path}: {text}"


def bare(found: Finding | Problem) -> str:
    """The text without the path."""
    return found.description.removeprefix(f"{found.path}: ")


def found(finding: FindingMessage) -> Finding:
    """A finding from the body of a dry run."""
    return Finding(finding.path, finding.rule, finding.description)


def json_error(explanation: Explanation) -> str:
    return json.dumps(
        {
            "code": explanation.code.name,
            "reason": explanation.reason,
            "message": message_of(explanation),
            "facts": dict(explanation.facts),
            "errors": errors(explanation),
        },
        ensure_ascii=False,
    )


def errors(explanation: Explanation) -> list[dict[str, str]]:
    """What is wrong, one entry each; the whole refusal where there are no findings."""
    if not explanation.findings or explanation.code is not grpc.StatusCode.INVALID_ARGUMENT:
        rule = explanation.reason or explanation.code.name
        return [{"path": "", "rule": rule, "description": message_of(explanation)}]
    return [error(each) for each in explanation.findings]


def error(found: Finding | Problem) -> dict[str, str]:
    return {"path": found.path, "rule": found.rule, "description": bare(found)}
