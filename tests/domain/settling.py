"""A small book in memory: what invoices and credit memos do to each other, one command after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, assert_never
from uuid import UUID

import pytest

from domain import credit_memo, crediting, identity, invoice
from domain.decision import Decided
from domain.findings import Findings, Malformed, Rule
from domain.refusal import Refused

from .examples import RULES, a_line, a_posted_invoice, a_tax

Command = (
    crediting.Void
    | crediting.Convert
    | crediting.WriteOff
    | invoice.RecordPayment
    | invoice.ReversePayment
    | credit_memo.Apply
    | credit_memo.Unapply
)


def lines(*charges: str, tax: str = "0.00") -> tuple[invoice.LineContent, ...]:
    """Lines of a posted invoice, each with one tax of the same part of its charge."""
    return tuple(
        a_line(
            name=f"line {number}",
            charge_amount=Decimal(charge),
            taxes=(a_tax(amount=(Decimal(charge) * Decimal(tax)).quantize(Decimal("0.01"))),),
        )
        for number, charge in enumerate(charges, 1)
    )


def pay(amount: str, request_id: str = "p-1", **said: Any) -> invoice.RecordPayment:
    return invoice.RecordPayment(Decimal(amount), said.pop("currency", "EUR"), request_id, **said)


@dataclass
class Book:
    """Streams of invoices and of credit memos."""

    rules: invoice.Rules = RULES
    invoices: dict[UUID, list[Any]] = field(default_factory=dict)
    credit_memos: dict[UUID, list[Any]] = field(default_factory=dict)

    def posted(self, *charges: str, key: str = "a", tax: str = "0.00", **changes: Any) -> UUID:
        """A posted import with these lines."""
        said = {"lines": lines(*charges, tax=tax), "invoice_number": f"R-{key}"} | changes
        return self.ingested(a_posted_invoice(unique_identifier=key, **said))

    def ingested(self, content: invoice.Content) -> UUID:
        invoice_id = identity.invoice(content.unique_identifier)
        decision = invoice.ingest(invoice.Ingest(content), None, invoice_id, self.rules, Findings())
        self.take(crediting.following(decision, None, invoice_id, self.rules), invoice_id, self.invoices)
        return invoice_id

    def invoice(self, invoice_id: UUID) -> invoice.Invoice:
        state = invoice.fold(self.invoices[invoice_id])
        assert state is not None
        return state

    def memo(self, memo_id: UUID) -> credit_memo.CreditMemo:
        state = credit_memo.fold(self.credit_memos[memo_id])
        assert state is not None
        return state

    def balance(self, invoice_id: UUID) -> str:
        return str(self.invoice(invoice_id).totals.balance)

    @property
    def only_memo(self) -> UUID:
        [memo_id] = self.credit_memos
        return memo_id

    def decide(self, command: Command, subject: UUID) -> Decided[Any]:
        match command:
            case credit_memo.Apply() | credit_memo.Unapply():
                return self._decide_credit(command, subject)
            case crediting.Void():
                return crediting.void(command, self.invoice(subject), subject, self.rules)
            case crediting.Convert():
                return crediting.convert(command, self.invoice(subject), subject, self.rules, Findings())
            case crediting.WriteOff():
                return crediting.write_off(command, self.invoice(subject), subject, self.rules, Findings())
            case invoice.RecordPayment():
                return invoice.record_payment(command, self.invoice(subject), subject, self.rules, Findings())
            case invoice.ReversePayment():
                return invoice.reverse_payment(
                    command, self.invoice(subject), subject, self.rules, Findings()
                )
            case _:
                assert_never(command)

    def _decide_credit(
        self, command: credit_memo.Apply | credit_memo.Unapply, memo_id: UUID
    ) -> credit_memo.Decision:
        memo = credit_memo.fold(self.credit_memos.get(memo_id, []))
        known = {each: self.invoice(each) for each in self.invoices}
        rules = invoice.Rules(self.rules.reference, self.rules.now, invoices=known)
        if isinstance(command, credit_memo.Apply):
            return crediting.apply(command, memo, memo_id, rules, Findings())
        return crediting.unapply(command, memo, memo_id, rules, Findings())

    def do(self, command: Command, subject: UUID) -> list[Any]:
        """The events of the subject that it led to."""
        decision = self.decide(command, subject)
        of_memo = isinstance(command, credit_memo.Apply | credit_memo.Unapply)
        self.take(decision, subject, self.credit_memos if of_memo else self.invoices)
        return list(decision.events)

    def take(self, decision: Decided[Any], subject: UUID, streams: dict[UUID, list[Any]]) -> None:
        """Both sides in one append; every stream that is touched is one that was looked at, or is new."""
        streams.setdefault(subject, []).extend(decision.events)
        for each in decision.elsewhere:
            others = self.invoices if each.stream in self.invoices else self.credit_memos
            others.setdefault(each.stream, []).extend(each.events)

    def refuses(self, command: Command, subject: UUID, state: type[Refused], **facts: str) -> None:
        with pytest.raises(state) as refusal:
            self.decide(command, subject)
        assert refusal.value.facts.items() >= facts.items()

    def finds(self, command: Command, subject: UUID, expected: dict[str, Rule]) -> None:
        with pytest.raises(Malformed) as malformed:
            self.decide(command, subject)
        assert {each.path: each.rule for each in malformed.value.findings} == expected

    def names(self, events: Iterable[Any]) -> list[str]:
        return [type(event).__name__ for event in events]
