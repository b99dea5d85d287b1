"""Which invoice a caller means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from domain import identity, invoice, numbering
from domain.findings import Findings, Malformed, Rule, listed, shown
from domain.refusal import Refused
from store.log import Log


class NumberAmbiguous(Refused):
    reason = "NUMBER_AMBIGUOUS"
    because = (
        "number {number} of legal entity {legal_entity_id} is carried by several invoices: {invoice_ids}"
    )


@dataclass(frozen=True, slots=True)
class Key:
    """One of an invoice's names. Exactly one of the three is set."""

    invoice_id: UUID | None = None
    unique_identifier: str = ""
    number: numbering.Number | None = None

    def __str__(self) -> str:
        if self.number:
            return (
                f"with number {shown(self.number.text)} of legal entity {shown(self.number.legal_entity_id)}"
            )
        return shown(self.unique_identifier) if self.unique_identifier else str(self.invoice_id)


@dataclass(frozen=True, slots=True)
class MemoKey:
    """A debit memo's id, and what the caller called it by."""

    id: UUID
    called: str

    def __str__(self) -> str:
        return self.called


def missing(path: str = "key") -> Malformed:
    findings = Findings()
    findings.add(path, Rule.REQUIRED)
    return Malformed(findings)


def the_one(ids: Iterable[UUID], key: Key) -> UUID:
    """The only invoice that a number names."""
    found = sorted(ids)
    if not found:
        raise invoice.NotFound(key=key)
    if len(found) > 1:
        assert key.number is not None
        raise NumberAmbiguous(
            number=shown(key.number.text),
            legal_entity_id=shown(key.number.legal_entity_id),
            invoice_ids=listed(map(str, found)),
        )
    return found[0]


async def resolved(key: Key, log: Log, deadline: float) -> UUID:
    """The invoice's id; a number is looked up where it is claimed, in the log."""
    if key.invoice_id is not None:
        return key.invoice_id
    if key.number is None:
        return identity.invoice(key.unique_identifier)
    history = await log.read(identity.number(key.number.legal_entity_id, key.number.text), deadline=deadline)
    return the_one(numbering.fold(history.events), key)


def there(state: invoice.Invoice | None, key: Key) -> invoice.Invoice:
    """The invoice that a caller means, or a refusal in the caller's own words."""
    if state is None:
        raise invoice.NotFound(key=key)
    return state
