"""The invoice of a debit memo: what the memo gives it, and what becomes of the memo with it.

An invoice and its memo are two streams. Whatever happens to the invoice entails its consequence for the memo
in the same decision, so that both are appended together or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from . import debit_memo, identity, invoice
from .decision import Elsewhere
from .findings import Findings, Malformed, Rule, shown
from .invoice import (
    Content,
    Filled,
    LineReferenceKind,
    Reference,
    ReferenceContent,
    ReferenceKind,
    Rules,
    is_of_memo,
)

Memos = Mapping[UUID, debit_memo.DebitMemo]

_ONE = Decimal(1)  # a memo's line has no quantity
_TAKEN = ("account_id", "currency_code", "legal_entity_id")
_ROLES = ("billing_address", "shipping_address", "ship_from_address")


# Which memos are meant


def memo_id_of(text: str) -> UUID:
    """A memo is called by its id, or by its unique identifier."""
    try:
        memo_id = UUID(text)
    except ValueError:
        return identity.debit_memo(text)
    return memo_id if str(memo_id) == text.lower() else identity.debit_memo(text)


def named(content: Content) -> frozenset[UUID]:
    """The memos that a content names: as its reference, or as that of a line."""
    return frozenset(_named(content))


def _named(content: Content) -> Iterator[UUID]:
    if is_of_memo(content.reference):
        assert content.reference is not None
        yield memo_id_of(content.reference.id)
    elif content.reference and (credit := _credit_memo(content.reference)):
        yield credit
    for line in content.lines:
        if line.reference and line.reference.kind is LineReferenceKind.DEBIT_MEMO_LINE:
            yield memo_id_of(line.reference.id.rpartition("/")[0])


def _credit_memo(reference: ReferenceContent) -> UUID | None:
    """The credit memo that a reference names; those have no name but their id."""
    if reference.kind is not ReferenceKind.CREDIT_MEMO:
        return None
    try:
        return UUID(reference.id)
    except ValueError:
        return None


def memo_of(state: invoice.Invoice | None) -> UUID | None:
    """The memo that an invoice was made from."""
    if state is None or not is_of_memo(state.header.reference):
        return None
    assert state.header.reference is not None
    return memo_id_of(state.header.reference.id)


# What a memo gives its invoice


def ingest(
    command: invoice.Ingest,
    state: invoice.Invoice | None,
    invoice_id: UUID,
    rules: Rules,
    findings: Findings,
) -> invoice.Decision:
    """As `invoice.ingest`, by the content alone or by the memo that it names."""
    if not (rules.memos or rules.credit_memos or is_of_memo(command.content.reference)):
        return invoice.ingest(command, state, invoice_id, rules, findings)
    meant = _canonical(command.content, rules)
    command = replace(command, filled=Filled(meant))
    rules = replace(rules, known=_known(rules))
    if state is not None or not is_of_memo(meant.reference):
        return invoice.ingest(command, state, invoice_id, rules, findings)
    assert meant.reference is not None
    findings = findings.copy()
    if meant.reference.id not in rules.known:
        facts = {"kind": "debit memo", "value": shown(meant.reference.id)}
        findings.add("invoice.reference.id", Rule.NO_SUCH_MEMO, **facts)
        raise Malformed(findings)  # what else would be wrong hangs on the memo
    command = replace(command, filled=_filled(meant, rules.memos, findings))
    return invoice.ingest(command, None, invoice_id, replace(rules, lines_required=False), findings)


def revise(
    command: invoice.Revise,
    state: invoice.Invoice | None,
    invoice_id: UUID,
    rules: Rules,
    findings: Findings,
) -> invoice.Decision:
    """As `invoice.revise`; an invoice of a memo stays that memo's, and its lines stay the memo's."""
    heard = state is not None and command.request_id in state.request_ids
    if state is None or heard:
        return invoice.revise(command, state, invoice_id, rules, findings)
    meant, findings = _canonical(command.content, rules), findings.copy()
    rules = replace(rules, known=_known(rules))
    filled = Filled(meant)
    if not _same_memo(meant.reference, state.header.reference):
        facts = {"expected": _told(state.header.reference), "value": _told(meant.reference)}
        findings.add("invoice.reference", Rule.MEMO_STAYS, **facts)
    elif is_of_memo(meant.reference):
        filled = _filled(meant, rules.memos, findings)
        rules = replace(rules, lines_required=False)
    return invoice.revise(replace(command, filled=filled), state, invoice_id, rules, findings)


def _same_memo(said: ReferenceContent | None, stands: Reference | None) -> bool:
    if not is_of_memo(said) and not is_of_memo(stands):
        return True
    return said is not None and stands is not None and (said.kind, said.id) == (stands.kind, stands.id)


def _told(reference: ReferenceContent | Reference | None) -> str:
    return shown(reference.id) if reference and is_of_memo(reference) else "none"


def _known(rules: Rules) -> frozenset[str]:
    """What memos, and the lines of debit memos, are called."""
    lines = (
        debit_memo.line_id(memo_id, line.added.number)
        for memo_id, memo in rules.memos.items()
        for line in memo.lines
    )
    return frozenset((*map(str, rules.memos), *map(str, rules.credit_memos), *lines))


def _canonical(content: Content, rules: Rules) -> Content:
    """The content with every memo of this book called by its id."""
    memos = rules.memos
    if not (memos or rules.credit_memos):
        return content
    reference = content.reference
    if reference and is_of_memo(reference) and (memo_id := memo_id_of(reference.id)) in memos:
        reference = replace(reference, id=str(memo_id))
    elif reference and (credit := _credit_memo(reference)) in rules.credit_memos:
        reference = replace(reference, id=str(credit))
    lines = tuple(_canonical_line(line, memos) for line in content.lines)
    return replace(content, reference=reference, lines=lines)


def _canonical_line(line: invoice.LineContent, memos: Memos) -> invoice.LineContent:
    reference = line.reference
    if reference is None or reference.kind is not LineReferenceKind.DEBIT_MEMO_LINE:
        return line
    memo, slash, number = reference.id.rpartition("/")
    if (memo_id := memo_id_of(memo)) not in memos:
        return line
    return replace(line, reference=replace(reference, id=f"{memo_id}{slash}{number}"))


def _filled(content: Content, memos: Memos, findings: Findings) -> Filled:
    """The content with what its memo gives it; findings where it says otherwise itself."""
    assert content.reference is not None
    memo_id = UUID(content.reference.id)
    memo = memos[memo_id]
    _check(content, memo, memo_id, findings)
    if any(address.personal is None for address in memo.addresses.values()):
        raise debit_memo.Erased(memo_id=memo_id)
    header = memo.header
    name = memo.texts.account_name if memo.texts else ""
    whole = replace(
        content,
        status=None,
        account_id=header.account_id,
        account_name=content.account_name or name,
        currency_code=header.currency,
        legal_entity_id=header.legal_entity_id,
        address_groups=tuple(map(_address, memo.addresses.values())),
        billing_address=header.billing_address,
        shipping_address=header.shipping_address,
        ship_from_address=header.ship_from_address,
        lines=tuple(_line(line, memo, memo_id, content) for line in memo.lines),
    )
    return Filled(whole, tuple(name for name in _TAKEN if not getattr(content, name)))


def _check(content: Content, memo: debit_memo.DebitMemo, memo_id: UUID, findings: Findings) -> None:
    if content.status not in (None, invoice.Status.DRAFT):
        findings.add("invoice.status", Rule.MEMO_STAYS_DRAFT, value=content.status.lower())
    for name in ("lines", "address_groups", *_ROLES):
        if getattr(content, name):
            findings.add(f"invoice.{name}", Rule.MEMO_BRINGS, memo=memo_id)
    header = memo.header
    for name, expected in zip(
        _TAKEN, (header.account_id, header.currency, header.legal_entity_id), strict=True
    ):
        if (value := getattr(content, name)) not in ("", expected):
            facts = {"memo": memo_id, "expected": shown(expected), "value": shown(value)}
            findings.add(f"invoice.{name}", Rule.MEMO_DIFFERS, **facts)


def _address(assigned: debit_memo.DebitMemoAddressAssigned) -> invoice.AddressContent:
    place = assigned.personal or invoice.Place()
    return invoice.AddressContent(
        assigned.group,
        place.street,
        place.city,
        assigned.state,
        place.postal_code,
        assigned.country,
        place.latitude,
        place.longitude,
    )


def _line(
    line: debit_memo.Line, memo: debit_memo.DebitMemo, memo_id: UUID, content: Content
) -> invoice.LineContent:
    """One at the charge of the memo's line. Its taxes come along where they are called an estimate."""
    added = line.added
    reference = invoice.LineReferenceContent(
        LineReferenceKind.DEBIT_MEMO_LINE, debit_memo.line_id(memo_id, added.number), memo.header.order_id
    )
    estimated = content.tax_status is invoice.TaxStatus.ESTIMATED
    return invoice.LineContent(
        name=added.name,
        start_date=added.start_date,
        end_date=added.end_date,
        quantity=_ONE,
        unit_price=added.charge,
        charge_amount=added.charge,
        billing_address=added.billing_address,
        shipping_address=added.shipping_address,
        ship_from_address=added.ship_from_address,
        tax_treatment_id=added.tax_treatment_id,
        accounting_period_id=added.accounting_period_id,
        product_id=added.product_id,
        product_name=added.product_name,
        description=added.personal.description if added.personal else "",
        reference=reference,
        taxes=tuple(_taxes(line)) if estimated else (),
    )


def _taxes(line: debit_memo.Line) -> Iterator[invoice.TaxContent]:
    texts = line.row_texts.descriptions if line.row_texts else ()
    for index, row in enumerate(line.rows):
        yield invoice.TaxContent(
            transaction_number=row.transaction_number,
            amount=row.amount,
            rate=row.rate,
            name=row.name,
            code=row.code,
            effective_date=row.effective_date,
            document_number=row.document_number,
            exempt_amount=row.exempt_amount,
            description=texts[index] if index < len(texts) else "",
        )


# What becomes of the memo


def following(
    decision: invoice.Decision, before: invoice.Invoice | None, invoice_id: UUID, memos: Memos
) -> invoice.Decision:
    """The decision with its consequences for the memo that the invoice is, or was, made from."""
    elsewhere = tuple(
        Elsewhere(memo_id, events)
        for event in decision.events
        for memo_id, events in _consequences(event, before, invoice_id, memos)
        if events
    )
    return replace(decision, elsewhere=(*decision.elsewhere, *elsewhere)) if elsewhere else decision


def _consequences(
    event: invoice.Event, before: invoice.Invoice | None, invoice_id: UUID, memos: Memos
) -> Collection[tuple[UUID, tuple[debit_memo.Event, ...]]]:
    match event:
        case invoice.InvoiceDrafted(header=header) | invoice.InvoiceRevised(header=header):
            if not is_of_memo(header.reference):
                return ()
            assert header.reference is not None
            memo_id = UUID(header.reference.id)
            return [(memo_id, debit_memo.bill(memos[memo_id], memo_id, invoice_id))]
        case invoice.InvoiceCanceled() if own := memo_of(before):
            return [(own, debit_memo.release(memos[own], invoice_id))]
        case invoice.InvoicePosted() if own := memo_of(before):
            return [(own, debit_memo.invoice_posted(memos[own], invoice_id))]
        case _:
            return ()
