"""Posting a draft: its taxes for good, its number, and from then on it is final.

Where engines elsewhere file tax documents, it is on record that they are asked before they are: whatever
becomes of the process that asked, the posting is finished later, or the documents are voided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from .. import sequence
from ..reference import PeriodStatus, ReferenceData, SequenceTarget
from .decide import NOTHING, Decision, NotDraft, NotFound
from .documents import void_documents
from .estimates import (
    NOTHING_SAID,
    EngineFailed,
    Said,
    Subject,
    Work,
    answers_of,
    by_rate_tables,
    work,
    worked_out,
)
from .events import (
    Event,
    Header,
    InvoicePosted,
    PostingFailed,
    PostingTaxRequested,
    Status,
    TaxDocument,
    TaxEngineCalled,
    TaxPosted,
    TaxVoided,
    TaxVoidFailed,
    TaxVoidRequested,
)
from .limits import Rules
from .settlement import PeriodClosed
from .state import Invoice

PURPOSE = "post"


@dataclass(frozen=True, slots=True)
class Post:
    pass


def post(
    command: Post, invoice: Invoice | None, invoice_id: UUID, rules: Rules, said: Said = NOTHING_SAID
) -> Decision:
    """Posts a draft, whole or not at all. Posting what is posted decides nothing.

    AskAgain where engines elsewhere must be asked; what says so is appended before.
    """
    if invoice is None:
        raise NotFound(key=invoice_id)
    if invoice.status is Status.POSTED:
        return NOTHING
    if invoice.status is not Status.DRAFT:
        raise NotDraft(invoice_id=invoice_id, status=invoice.status.lower(), verb="posted")
    reference, header = rules.reference, invoice.header
    today = reference.today(header.legal_entity_id, rules.now)
    _refuse_closed(invoice, reference)
    place = None if invoice.number else _place(header, reference, today)
    try:
        to_do = _work(invoice, invoice_id, reference, today)
        if new := _unheard_of(to_do, invoice):
            requested = PostingTaxRequested(new, invoice.posting.day or today, reference.position)
            return Decision((requested,))
        taxes = _taxes(to_do, invoice, rules, said)
    except EngineFailed as failure:
        return Decision((*said.calls, *_failed(failure, invoice, reference, anew=bool(said.calls))))
    posted = InvoicePosted(
        number=invoice.number,
        posted_date=today,
        policy_id=place.policy.id if place else "",
        period=place.period if place else "",
    )
    before: tuple[Event, ...] = (*said.calls, *_unused(to_do, invoice), *taxes)
    return Decision((*before, posted), place=place, place_at=len(before))


def give_up(invoice: Invoice | None, invoice_id: UUID, because: str, said: Said = NOTHING_SAID) -> Decision:
    """The posting that was under way cannot be finished: what engines have filed for it is voided."""
    if invoice is None or invoice.status is not Status.DRAFT:
        return NOTHING
    filed = void_documents(invoice, because)
    return Decision((*said.calls, *filed)) if filed else NOTHING


def record_void(
    invoice: Invoice | None,
    asked: tuple[TaxDocument, ...],
    calls: tuple[TaxEngineCalled, ...],
    failure: EngineFailed | None,
) -> Decision:
    """What engines said when they were asked to void these documents."""
    if invoice is None or not invoice.posting.to_void:
        return NOTHING
    if failure is not None:
        return Decision((*calls, TaxVoidFailed(failure.engine_id, failure.code.value, failure.because)))
    if not set(invoice.posting.to_void) <= set(asked):
        return Decision(calls)  # more are to be voided meanwhile: all of them are asked for again
    return Decision((*calls, TaxVoided(invoice.posting.to_void)))


def _refuse_closed(invoice: Invoice, reference: ReferenceData) -> None:
    if reference.settings.closed_periods_allowed:
        return
    header = invoice.header
    for period_id in sorted(_periods(invoice, reference)):
        period = reference.accounting_periods.get(period_id)
        if period is not None and period.status is PeriodStatus.CLOSED:
            raise PeriodClosed(
                day=header.invoice_date, period=period_id, legal_entity_id=header.legal_entity_id
            )


def _periods(invoice: Invoice, reference: ReferenceData) -> set[str]:
    """Those of the invoice and its lines; where the invoice has none, the one that its date lies in."""
    header = invoice.header
    own = header.accounting_period_id
    if not own and (found := reference.period_of(header.legal_entity_id, header.invoice_date)):
        own = found.id
    return {own, *(line.added.accounting_period_id for line in invoice.lines)}


def _place(header: Header, reference: ReferenceData, today: date) -> sequence.Place | None:
    return sequence.place(
        reference, SequenceTarget.INVOICE, header.legal_entity_id, today, dict(_facts(header))
    )


def _facts(header: Header) -> Iterator[tuple[str, str]]:
    """What the conditions of sequence policies may ask for."""
    yield "account_id", header.account_id
    yield "bill_to_contact_id", header.bill_to_contact_id
    yield "currency_code", header.currency
    yield "owner_id", header.owner_id
    yield "payment_term_id", header.payment_term_id
    yield "purchase_order_number", header.purchase_order_number
    if header.reference:
        yield "reference_kind", header.reference.kind.value
    if header.source:
        yield "source_system", header.source.system
    yield from ((f"labels.{key}", value) for key, value in header.labels.items())


def _work(invoice: Invoice, invoice_id: UUID, reference: ReferenceData, today: date) -> Work:
    """What to ask; after a posting that was given up its documents have other codes."""
    posting = invoice.posting
    purpose = f"{PURPOSE}-{posting.given_up + 1}" if posting.given_up else PURPOSE
    subject = Subject(invoice.header, invoice.addresses, [line.added for line in invoice.lines])
    return work(subject, invoice_id, reference, posting.day or today, purpose=purpose, commit=True)


def _documents(to_do: Work) -> Iterable[TaxDocument]:
    return (TaxDocument(each.engine.id, each.request.document_code) for each in to_do.elsewhere)


def _unheard_of(to_do: Work, invoice: Invoice) -> tuple[TaxDocument, ...]:
    """The documents that are to be filed, and of which it is not on record that they will be."""
    return tuple(each for each in _documents(to_do) if invoice.posting.documents.get(each.engine_id) != each)


def _unused(to_do: Work, invoice: Invoice) -> tuple[TaxVoidRequested, ...]:
    """Documents at engines that are no longer asked: the reference data has changed meanwhile."""
    used = set(_documents(to_do))
    unused = tuple(each for each in invoice.posting.documents.values() if each not in used)
    return (TaxVoidRequested(unused, "another engine was asked"),) if unused else ()


def _taxes(to_do: Work, invoice: Invoice, rules: Rules, said: Said) -> list[TaxPosted]:
    lines = [line.added for line in invoice.lines]
    elsewhere = answers_of(to_do, said)
    answers = [*by_rate_tables(to_do.asked, rules.reference.rate_table), *elsewhere]
    brought = {line.added.number: line.tax for line in invoice.lines}
    made = worked_out(TaxPosted, to_do, answers, lines, brought)
    return [replace(each, following=len(made) - number) for number, each in enumerate(made)]


def _failed(
    failure: EngineFailed, invoice: Invoice, reference: ReferenceData, *, anew: bool
) -> tuple[PostingFailed, ...]:
    """Nothing where it failed just so the last time, and nobody was asked again."""
    new = PostingFailed(failure.engine_id, failure.code.value, failure.because, reference.position)
    stands = invoice.posting.failure
    same = stands is not None and (stands.engine_id, stands.code, stands.because) == (
        new.engine_id,
        new.code,
        new.because,
    )
    return () if same and not anew else (new,)
