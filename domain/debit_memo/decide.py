"""What may be asked of a debit memo, and what the book says to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from .. import invoice
from ..decision import Decided
from ..findings import Findings, Malformed, Rule, shown
from ..refusal import Refused
from ..texts import check_free_text, check_text
from .content import Content, fingerprint
from .events import (
    DebitMemoBilled,
    DebitMemoCanceled,
    DebitMemoDrafted,
    DebitMemoInvoicePosted,
    DebitMemoPosted,
    DebitMemoProcessed,
    DebitMemoReleased,
    DebitMemoUpdated,
    DebitMemoVoided,
    Event,
    ProcessedTexts,
    Status,
)
from .rules import Checked, check
from .state import DebitMemo

# Refusals


class NotFound(Refused):
    reason = "DEBIT_MEMO_NOT_FOUND"
    because = "no debit memo {key}"


class CreatedDifferently(Refused):
    reason = "DEBIT_MEMO_CREATED_DIFFERENTLY"
    because = "{unique_identifier} stands for other content: debit memo {memo_id} differs in {fields}"


class NotDraft(Refused):
    reason = "DEBIT_MEMO_NOT_DRAFT"
    because = "debit memo {memo_id} is {status}; only a draft can be {verb}"


class VersionMoved(Refused):
    reason = "DEBIT_MEMO_VERSION_MOVED"
    because = "debit memo {memo_id} is at version {version}, not at {expected}; look at it again"


class WithoutLines(Refused):
    reason = "DEBIT_MEMO_WITHOUT_LINES"
    because = "debit memo {memo_id} has no lines; it charges nothing yet"


class NotPosted(Refused):
    reason = "DEBIT_MEMO_NOT_POSTED"
    because = "debit memo {memo_id} is {status}; only a posted one can be {verb}"


class NotInvoiceable(Refused):
    reason = "DEBIT_MEMO_NOT_INVOICEABLE"
    because = "debit memo {memo_id} was created not to be invoiced"


class ProcessedByHand(Refused):
    reason = "DEBIT_MEMO_PROCESSED"
    because = "debit memo {memo_id} was marked as processed by hand"


class AlreadyBilled(Refused):
    reason = "DEBIT_MEMO_BILLED"
    because = "debit memo {memo_id} is billed already, by invoice {invoice_id}"


class Erased(Refused):
    reason = "DEBIT_MEMO_ERASED"
    because = "the addresses of debit memo {memo_id} were erased; no invoice can be made of it"


# Commands


@dataclass(frozen=True, slots=True)
class Create:
    content: Content
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    content: Content
    expected_version: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    pass


@dataclass(frozen=True, slots=True)
class Cancel:
    pass


@dataclass(frozen=True, slots=True)
class Void:
    pass


@dataclass(frozen=True, slots=True)
class MarkProcessed:
    reason: str


@dataclass(frozen=True, slots=True)
class Decision(Decided[Event]):
    """The events of the memo's stream. No events: nothing changes."""


NOTHING = Decision()


# Decisions


def create(
    command: Create, memo: DebitMemo | None, memo_id: UUID, rules: invoice.Rules, findings: Findings
) -> Decision:
    """Says it once: the same content again decides nothing, other content under the same key is refused."""
    content, findings = command.content, findings.copy()
    if memo is not None:
        return _again(command, memo, memo_id, findings)
    check_text(command.request_id, "request_id", findings)
    checked = _checked(content, rules, findings)
    drafted = DebitMemoDrafted(
        unique_identifier=content.unique_identifier,
        header=checked.header,
        fingerprint=fingerprint(content),
        today=checked.today,
        reference_position=rules.reference.position,
        size=1 + len(checked.body),
        request_id=command.request_id,
        personal=checked.texts,
    )
    return Decision((drafted, *checked.body))


def _again(command: Create, memo: DebitMemo, memo_id: UUID, findings: Findings) -> Decision:
    if findings:
        raise Malformed(findings)
    content = command.content
    if fingerprint(content) in (memo.first_fingerprint, memo.fingerprint):
        return NOTHING
    raise CreatedDifferently(
        unique_identifier=shown(content.unique_identifier),
        memo_id=memo_id,
        fields=", ".join(_differences(content, memo)) or "what one leaves to defaults",
    )


_SAID = ("account_id", "order_id", "reason_code", "billing_address", "shipping_address", "ship_from_address")


def _differences(content: Content, memo: DebitMemo) -> Iterator[str]:
    """The fields of the memo that are not as they were."""
    header = memo.header
    yield from (f"memo.{name}" for name in _SAID if getattr(content, name) != getattr(header, name))
    if content.currency_code != header.currency:
        yield "memo.currency_code"
    if content.legal_entity_id != ("" if "legal_entity_id" in header.defaulted else header.legal_entity_id):
        yield "memo.legal_entity_id"
    if content.not_invoiceable is header.invoiceable:
        yield "memo.invoiceable"
    if dict(content.labels) != header.labels:
        yield "memo.labels"
    if memo.texts is not None:
        for name in ("account_name", "description"):
            if getattr(content, name) != getattr(memo.texts, name):
                yield f"memo.{name}"
    if [group.key for group in content.address_groups] != list(memo.addresses):
        yield "memo.address_groups"
    said = [(line.name, line.charge_amount) for line in content.lines]
    if said != [(line.added.name, line.added.charge) for line in memo.lines]:
        yield "memo.lines"


def _checked(content: Content, rules: invoice.Rules, findings: Findings) -> Checked:
    checked = check(content, rules, findings)
    if checked is None:
        raise Malformed(findings)
    return checked


def update(
    command: Update, memo: DebitMemo | None, memo_id: UUID, rules: invoice.Rules, findings: Findings
) -> Decision:
    """Replaces the content of a draft."""
    memo = _found(memo, memo_id)
    if command.request_id and command.request_id in memo.request_ids:
        return NOTHING
    if command.expected_version not in (0, memo.version):
        expected = command.expected_version
        raise VersionMoved(memo_id=memo_id, version=memo.version, expected=expected)
    _require_draft(memo, memo_id, "updated")
    content = replace(
        command.content, unique_identifier=command.content.unique_identifier or memo.unique_identifier
    )
    said = fingerprint(content)
    if said == memo.fingerprint and not findings:
        return NOTHING
    findings = findings.copy()
    check_text(command.request_id, "request_id", findings)
    _check_key(content, memo, findings)
    checked = _checked(content, rules, findings)
    updated = DebitMemoUpdated(
        header=checked.header,
        fingerprint=said,
        today=checked.today,
        reference_position=rules.reference.position,
        size=1 + len(checked.body),
        request_id=command.request_id,
        personal=checked.texts,
    )
    return Decision((updated, *checked.body))


def _check_key(content: Content, memo: DebitMemo, findings: Findings) -> None:
    if content.unique_identifier != memo.unique_identifier:
        facts = {"expected": shown(memo.unique_identifier), "value": shown(content.unique_identifier)}
        findings.add("memo.unique_identifier", Rule.UNIQUE_IDENTIFIER_DIFFERS, **facts)


def _found(memo: DebitMemo | None, memo_id: UUID) -> DebitMemo:
    if memo is None:
        raise NotFound(key=memo_id)
    return memo


def _require_draft(memo: DebitMemo, memo_id: UUID, verb: str) -> None:
    if memo.status is not Status.DRAFT:
        raise NotDraft(memo_id=memo_id, status=memo.status.lower(), verb=verb)


def post(command: Post, memo: DebitMemo | None, memo_id: UUID, rules: invoice.Rules) -> Decision:
    memo = _found(memo, memo_id)
    if memo.status is Status.POSTED:
        return NOTHING
    _require_draft(memo, memo_id, "posted")
    if not memo.lines:
        raise WithoutLines(memo_id=memo_id)
    return Decision((DebitMemoPosted(rules.reference.today(memo.header.legal_entity_id, rules.now)),))


def cancel(command: Cancel, memo: DebitMemo | None, memo_id: UUID) -> Decision:
    memo = _found(memo, memo_id)
    if memo.status is Status.CANCELED:
        return NOTHING
    _require_draft(memo, memo_id, "canceled")
    return Decision((DebitMemoCanceled(),))


def void(command: Void, memo: DebitMemo | None, memo_id: UUID) -> Decision:
    """Takes a posted charge back, as long as no invoice stands for it."""
    memo = _found(memo, memo_id)
    if memo.status is Status.VOID:
        return NOTHING
    if memo.status is not Status.POSTED:
        raise NotPosted(memo_id=memo_id, status=memo.status.lower(), verb="voided")
    _require_unbilled(memo, memo_id)
    return Decision((DebitMemoVoided(),))


def mark_processed(
    command: MarkProcessed, memo: DebitMemo | None, memo_id: UUID, findings: Findings
) -> Decision:
    memo = _found(memo, memo_id)
    findings = findings.copy()
    if not command.reason.strip():
        findings.add("reason", Rule.REQUIRED)
    check_free_text(command.reason, "reason", findings)
    if findings:
        raise Malformed(findings)
    if memo.processed:
        return NOTHING
    if memo.status is not Status.POSTED:
        raise NotPosted(memo_id=memo_id, status=memo.status.lower(), verb="marked as processed")
    if not memo.header.invoiceable:
        raise NotInvoiceable(memo_id=memo_id)
    _require_unbilled(memo, memo_id)
    return Decision((DebitMemoProcessed(ProcessedTexts(command.reason)),))


def _require_unbilled(memo: DebitMemo, memo_id: UUID) -> None:
    if memo.invoice_id is not None:
        raise AlreadyBilled(memo_id=memo_id, invoice_id=memo.invoice_id)


# What its invoice entails


def bill(memo: DebitMemo, memo_id: UUID, invoice_id: UUID) -> tuple[Event, ...]:
    """An invoice is made of it, and no other one while that one stands."""
    if memo.invoice_id == invoice_id:
        return ()
    if not memo.lines:
        raise WithoutLines(memo_id=memo_id)
    if memo.status is not Status.POSTED:
        raise NotPosted(memo_id=memo_id, status=memo.status.lower(), verb="billed")
    if not memo.header.invoiceable:
        raise NotInvoiceable(memo_id=memo_id)
    if memo.processed:
        raise ProcessedByHand(memo_id=memo_id)
    _require_unbilled(memo, memo_id)
    return (DebitMemoBilled(invoice_id),)


def release(memo: DebitMemo, invoice_id: UUID) -> tuple[Event, ...]:
    """The draft that billed it was canceled."""
    stands = memo.invoice_id == invoice_id and not memo.invoice_posted
    return (DebitMemoReleased(invoice_id),) if stands else ()


def invoice_posted(memo: DebitMemo, invoice_id: UUID) -> tuple[Event, ...]:
    """The draft that billed it was posted."""
    stands = memo.invoice_id == invoice_id and not memo.invoice_posted
    return (DebitMemoInvoicePosted(invoice_id),) if stands else ()
