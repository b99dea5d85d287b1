"""Given what has happened, when something is asked, then this follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

import pytest

from domain import identity, invoice
from domain.findings import Findings, Malformed, Rule
from domain.numbering import Number
from domain.refusal import Refused

from .examples import KEY, RULES

Command = invoice.Ingest | invoice.Revise | invoice.Update | invoice.Cancel | invoice.Post

INVOICE_ID = identity.invoice(KEY)


def given(*events: invoice.Event, rules: invoice.Rules = RULES) -> Given:
    return Given(events, rules)


def when(command: Command, rules: invoice.Rules = RULES) -> When:
    """On an empty book."""
    return given(rules=rules).when(command)


@dataclass(frozen=True)
class Given:
    events: tuple[invoice.Event, ...]
    rules: invoice.Rules

    def when(self, command: Command) -> When:
        return When(self.events, self.rules, command)


@dataclass(frozen=True)
class When:
    events: tuple[invoice.Event, ...]
    rules: invoice.Rules
    command: Command
    invoice_id: UUID = INVOICE_ID

    def decide(self, findings: Findings | None = None) -> invoice.Decision:
        return decide(self.command, invoice.fold(self.events), self.rules, findings or Findings())

    def then(self, *expected: invoice.Event | type[invoice.Event]) -> None:
        """Exactly these events, each in full or by its kind; none: nothing changes."""
        decided = self.decide().events
        got = [
            type(event) if isinstance(wanted, type) else event
            for event, wanted in zip(decided, expected, strict=False)
        ]
        assert (got, len(decided)) == (list(expected), len(expected))

    def then_number(self, claimed: Number | None = None, released: Number | None = None) -> None:
        decision = self.decide()
        assert (decision.claim, decision.release) == (claimed, released)

    def refused(self, state: type[Refused], **facts: str) -> None:
        with pytest.raises(state) as refusal:
            self.decide()
        assert refusal.value.facts.items() >= facts.items()

    def finds(self, path: str, rule: Rule) -> None:
        """This and nothing else."""
        self.finds_all({path: rule})

    def finds_all(self, expected: dict[str, Rule]) -> None:
        assert {path: rule.name for path, rule in self.found().items()} == {
            path: rule.name for path, rule in expected.items()
        }

    def found(self) -> dict[str, Rule]:
        try:
            self.decide()
        except Malformed as malformed:
            return {finding.path: finding.rule for finding in malformed.findings}
        return {}

    def says(self, path: str) -> str:
        """What the finding about the path says."""
        with pytest.raises(Malformed) as malformed:
            self.decide()
        return next(str(finding) for finding in malformed.value.findings if finding.path == path)

    @property
    def drafted(self) -> invoice.InvoiceDrafted:
        first = self.decide().events[0]
        assert isinstance(first, invoice.InvoiceDrafted)
        return first

    @property
    def lines(self) -> list[invoice.LineAdded]:
        return [event for event in self.decide().events if isinstance(event, invoice.LineAdded)]

    @property
    def becomes(self) -> invoice.Invoice:
        """The invoice after the decision."""
        state = invoice.fold((*self.events, *self.decide().events))
        assert state is not None
        return state


def decide(
    command: Command, state: invoice.Invoice | None, rules: invoice.Rules, findings: Findings
) -> invoice.Decision:
    match command:
        case invoice.Ingest():
            return invoice.ingest(command, state, INVOICE_ID, rules, findings)
        case invoice.Revise():
            return invoice.revise(command, state, INVOICE_ID, rules, findings)
        case invoice.Update():
            return invoice.update(command, state, INVOICE_ID, findings)
        case invoice.Cancel():
            return invoice.cancel(command, state, INVOICE_ID)
        case invoice.Post():
            return invoice.post(command, state, INVOICE_ID, rules)
        case _:
            assert_never(command)


def happened(*commands: Command, rules: invoice.Rules = RULES) -> tuple[invoice.Event, ...]:
    """What these commands, one after the other, leave in the invoice's stream."""
    events: tuple[invoice.Event, ...] = ()
    for command in commands:
        events += decide(command, invoice.fold(events), rules, Findings()).events
    return events


def state_of(events: Iterable[invoice.Event]) -> invoice.Invoice:
    state = invoice.fold(events)
    assert state is not None
    return state
