"""Estimating the tax of a draft: what to ask which engine, and what its answers make of the invoice.

Whole or not at all: unless every engine has answered well, lines and rows stay as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from .. import tax
from ..money import CURRENCIES, ZERO
from ..reference import EngineType, EntryStatus, RateTable, ReferenceData, TaxEngine
from .amounts import TOTAL_DIGITS_MAX
from .events import (
    AddressGroupAssigned,
    Event,
    Header,
    LineAdded,
    Status,
    TaxEngineCalled,
    TaxEstimated,
    TaxEstimationFailed,
    TaxPosted,
    TaxSkipped,
    TaxStatus,
)
from .limits import Rules
from .state import Invoice
from .taxes import TAX_ROWS_PER_LINE_MAX

DOCUMENT_CODE_MAX = 64
REASON_MAX = 500  # characters of why an engine failed
_TOTAL_MOST = Decimal(10) ** TOTAL_DIGITS_MAX


class FailureCode(StrEnum):
    """Why an estimation failed."""

    NO_ENGINE = "NO_ENGINE"
    ENGINE_NOT_ACTIVE = "ENGINE_NOT_ACTIVE"
    TOO_LARGE = "TOO_LARGE"
    UNREACHABLE = "UNREACHABLE"
    TIMEOUT = "TIMEOUT"
    REFUSED = "REFUSED"
    NONSENSE = "NONSENSE"


class EngineFailed(Exception):
    """An engine has not answered, or not what can be used."""

    def __init__(self, engine_id: str, code: FailureCode, because: str) -> None:
        self.engine_id = engine_id
        self.code = code
        self.because = because[:REASON_MAX]
        super().__init__(self.because)


@dataclass(frozen=True, slots=True)
class Asked:
    """An engine and what it is asked."""

    engine: TaxEngine
    request: tax.Request


@dataclass(frozen=True, slots=True)
class Answered:
    asked: Asked
    answer: tax.Answer


@dataclass(frozen=True, slots=True)
class Work:
    """All that is to be worked out for an invoice."""

    asked: tuple[Asked, ...]
    skipped: tuple[int, ...]  # nontaxable lines
    currency: str
    effective_date: date
    reference_position: int

    @property
    def elsewhere(self) -> tuple[Asked, ...]:
        return tuple(each for each in self.asked if each.engine.type is EngineType.REMOTE)

    @property
    def only_rate_tables(self) -> bool:
        return all(each.engine.type is EngineType.RATE_TABLE for each in self.asked)


@dataclass(frozen=True, slots=True)
class Subject:
    """What of a draft matters to its tax."""

    header: Header
    addresses: Mapping[str, AddressGroupAssigned]
    lines: Sequence[LineAdded]


def work(
    subject: Subject,
    invoice_id: object,
    reference: ReferenceData,
    today: date,
    effective_date: date | None = None,
    purpose: str = "estimate",
    *,
    commit: bool = False,
) -> Work:
    """What to ask. Raises EngineFailed where a taxable line has no engine that could be asked."""
    header = subject.header
    effective = effective_date or header.invoice_date
    by_engine: dict[str, list[tax.Line]] = {}
    skipped: list[int] = []
    places = {key: _place(group) for key, group in subject.addresses.items()}
    for line in subject.lines:
        if line.taxable:
            engine_id, asked_line = _line(line, places, reference)
            by_engine.setdefault(engine_id, []).append(asked_line)
        else:
            skipped.append(line.number)
    charge = sum((line.charge for line in subject.lines), ZERO)
    kind = tax.TransactionType.CREDIT if charge < 0 else tax.TransactionType.DEBIT
    asked = []
    for engine_id, lines in by_engine.items():
        engine = _engine(engine_id, lines[0], reference)
        request = tax.Request(
            engine_id=engine_id,
            document_code=document_code(invoice_id, purpose, engine_id),
            transaction_type=kind,
            transaction_date=today,
            effective_date=effective,
            currency=header.currency,
            legal_entity_id=header.legal_entity_id,
            account_id=header.account_id,
            seller_code=engine.seller_code,
            lines=tuple(lines),
            commit=commit,
        )
        asked.append(Asked(engine, request))
    return Work(tuple(asked), tuple(skipped), header.currency, effective, reference.position)


def document_code(invoice_id: object, purpose: str, engine_id: str) -> str:
    """The same for the same invoice, purpose and engine, whatever the attempt."""
    return f"{invoice_id}-{purpose}-{hashlib.sha256(engine_id.encode()).hexdigest()[:8]}"


def _line(line: LineAdded, places: Mapping[str, tax.Place], reference: ReferenceData) -> tuple[str, tax.Line]:
    treatment = reference.tax_treatments.get(line.tax_treatment_id)
    tax_code, product_code = treatment.codes(line.product_id) if treatment else ("", "")
    return treatment.engine_id if treatment else "", tax.Line(
        number=line.number,
        amount=line.charge,
        quantity=line.quantity,
        unit_price=line.unit_price,
        tax_code=tax_code,
        product_code=product_code,
        product_id=line.product_id,
        name=line.name,
        ship_to=places[line.shipping_address],
        bill_to=places[line.billing_address],
        ship_from=places.get(line.ship_from_address),
    )


def _place(group: AddressGroupAssigned) -> tax.Place:
    text = group.personal
    if text is None:
        return tax.Place(state=group.state, country=group.country)
    return tax.Place(
        text.street, text.city, group.state, text.postal_code, group.country, text.latitude, text.longitude
    )


def _engine(engine_id: str, line: tax.Line, reference: ReferenceData) -> TaxEngine:
    engine = reference.tax_engines.get(engine_id)
    if engine is None:
        because = f"the tax treatment of line {line.number} names no tax engine"
        raise EngineFailed(engine_id, FailureCode.NO_ENGINE, because)
    if engine.status is not EntryStatus.ACTIVE:
        because = f"tax engine {engine_id} is {engine.status.lower()}"
        raise EngineFailed(engine_id, FailureCode.ENGINE_NOT_ACTIVE, because)
    return engine


def by_rate_tables(asked: Iterable[Asked], rates: RateTable) -> tuple[Answered, ...]:
    """The answers of the engines that are rate tables."""
    return tuple(
        Answered(each, tax.estimate(each.request, rates))
        for each in asked
        if each.engine.type is EngineType.RATE_TABLE
    )


def check_answer(asked: Asked, answer: tax.Answer, currency: str) -> None:
    """Raises EngineFailed where an engine answers nonsense: other lines, or finer amounts than there are."""
    engine_id = asked.engine.id
    wanted, got = [each.number for each in asked.request.lines], [each.number for each in answer.lines]
    if sorted(wanted) != sorted(got):
        nonsense(engine_id, f"asked about {len(wanted)} lines, it answered {len(got)}, not each of them once")
    exactly = CURRENCIES[currency].exactly
    for line in answer.lines:
        if len(line.rows) > TAX_ROWS_PER_LINE_MAX:
            nonsense(engine_id, f"{len(line.rows)} taxes on line {line.number}")
        for row in line.rows:
            for amount in (row.amount, row.exempt_amount or ZERO):
                if exactly(amount) is None:
                    nonsense(engine_id, f"{amount} on line {line.number} is finer than {currency} has units")


def nonsense(engine_id: str, because: str) -> None:
    raise EngineFailed(engine_id, FailureCode.NONSENSE, because)


def estimated(
    work: Work, answers: Sequence[Answered], lines: Sequence[LineAdded], taxes: Mapping[int, Decimal]
) -> list[Event]:
    """The events of an estimation that went well; `taxes` is what lines had until now."""
    made = worked_out(TaxEstimated, work, answers, lines, taxes)
    events: list[TaxEstimated | TaxSkipped] = [*made]
    if work.skipped or not events:
        events.append(TaxSkipped(work.skipped))
    return [replace(event, following=len(events) - number) for number, event in enumerate(events, 1)]


T = TypeVar("T", TaxEstimated, TaxPosted)


def worked_out(
    kind: type[T],
    work: Work,
    answers: Sequence[Answered],
    lines: Sequence[LineAdded],
    taxes: Mapping[int, Decimal],
) -> list[T]:
    """What the engines said, each in an event; `taxes` is what lines had until now."""
    taxes = dict(taxes)
    made = [_worked_out(kind, work, each, taxes) for each in answers]
    _check_total(work, made, lines, taxes)
    return made


def _worked_out(kind: type[T], work: Work, answered: Answered, taxes: dict[int, Decimal]) -> T:
    """What one engine said; `taxes` is brought up to date."""
    asked = answered.asked
    lines = tuple(sorted(answered.answer.lines, key=lambda line: line.number))
    taxes |= {line.number: sum((row.amount for row in line.rows), ZERO) for line in lines}
    return kind(
        engine_id=asked.engine.id,
        engine_version=answered.answer.engine_version,
        document_code=asked.request.document_code,
        effective_date=work.effective_date,
        reference_position=work.reference_position,
        total_tax=sum(taxes.values(), ZERO),
        following=0,
        lines=lines,
        rounding=tax.ROUNDING.name if asked.engine.type is EngineType.RATE_TABLE else "",
    )


def _check_total(
    work: Work,
    made: Sequence[TaxEstimated | TaxPosted],
    lines: Sequence[LineAdded],
    taxes: Mapping[int, Decimal],
) -> None:
    """Whatever is summed up of them later, in whatever order, stays within bounds."""
    charges = sum((abs(line.charge) for line in lines), ZERO)
    kept = sum((abs(taxes.get(number, ZERO)) for number in work.skipped), ZERO)
    rows = sum((abs(row.amount) for each in made for line in each.lines for row in line.rows), ZERO)
    if charges + kept + rows >= _TOTAL_MOST:
        engine_id = work.asked[0].engine.id if work.asked else ""
        because = f"charges and taxes come to more than {TOTAL_DIGITS_MAX} digits before the decimal point"
        raise EngineFailed(engine_id, FailureCode.TOO_LARGE, because)


def differing(state: Invoice, work: Work, answers: Sequence[Answered]) -> tuple[Work, list[Answered]]:
    """What of an estimation says otherwise than the invoice has it."""
    new = [each for each in answers if not _stands(state, work, each)]
    skipped = tuple(n for n in work.skipped if state.lines[n - 1].tax_status is TaxStatus.PENDING)
    return replace(work, skipped=skipped), new


def _stands(state: Invoice, work: Work, answered: Answered) -> bool:
    asked, version = answered.asked, answered.answer.engine_version
    facts = (asked.engine.id, version, asked.request.document_code, work.effective_date)
    return all(
        (estimate := state.lines[line.number - 1].estimate) is not None
        and (estimate.engine_id, estimate.engine_version, estimate.document_code, estimate.effective_date)
        == facts
        and estimate.rows == line.rows
        for line in answered.answer.lines
    )


def failed(failure: EngineFailed, effective_date: date, reference_position: int) -> TaxEstimationFailed:
    return TaxEstimationFailed(
        engine_id=failure.engine_id,
        code=failure.code.value,
        because=failure.because,
        effective_date=effective_date,
        reference_position=reference_position,
    )


# What is asked of a draft


@dataclass(frozen=True, slots=True)
class Estimate:
    """Works the tax out. Another date or other rates than the book's are for a dry run."""

    effective_date: date | None = None
    rates: RateTable | None = None

    @property
    def purpose(self) -> str:
        return "estimate" if self.effective_date is None and self.rates is None else "what-if"


@dataclass(frozen=True, slots=True)
class Said:
    """What engines elsewhere have said, by their ids, and the calls that it took."""

    answers: Mapping[str, tuple[tax.Request, tax.Answer | EngineFailed]] = field(default_factory=dict)
    calls: tuple[TaxEngineCalled, ...] = ()


NOTHING_SAID = Said()


class AskAgain(Exception):
    """Engines elsewhere have not been asked yet, or not what would have to be asked now."""

    def __init__(self, asked: tuple[Asked, ...]) -> None:
        super().__init__(f"{len(asked)} engines to ask")
        self.asked = asked


def conclude(
    command: Estimate, state: Invoice, invoice_id: object, rules: Rules, said: Said
) -> tuple[Event, ...]:
    """What the answers make of the draft. Raises AskAgain where one is missing."""
    effective = command.effective_date or state.header.invoice_date
    try:
        events = _concluded(command, state, invoice_id, rules, said)
    except EngineFailed as failure:
        new = failed(failure, effective, rules.reference.position)
        stands = state.tax_failure is not None and _same_failure(state.tax_failure, new)
        events = [] if stands and not said.calls else [new]
    return (*said.calls, *events)


def _concluded(
    command: Estimate, state: Invoice, invoice_id: object, rules: Rules, said: Said
) -> list[Event]:
    reference = rules.reference
    lines = [line.added for line in state.lines]
    today = reference.today(state.header.legal_entity_id, rules.now)
    subject = Subject(state.header, state.addresses, lines)
    to_do = work(subject, invoice_id, reference, today, command.effective_date, command.purpose)
    rates = reference.rate_table if command.rates is None else command.rates
    elsewhere = answers_of(to_do, said)
    answers = [*by_rate_tables(to_do.asked, rates), *elsewhere]
    if not state.tax_asked:
        to_do, answers = differing(state, to_do, answers)
        if not answers and not to_do.skipped:
            return []
    return estimated(to_do, answers, lines, {line.added.number: line.tax for line in state.lines})


def answers_of(to_do: Work, said: Said) -> list[Answered]:
    """What engines elsewhere have said to just this. Raises AskAgain where one has not been asked it."""
    elsewhere = to_do.elsewhere
    found = [said.answers.get(each.engine.id) for each in elsewhere]
    if any(each is None or each[0] != asked.request for asked, each in zip(elsewhere, found, strict=True)):
        raise AskAgain(elsewhere)
    answers: list[Answered] = []
    for asked, each in zip(elsewhere, found, strict=True):
        assert each is not None
        if isinstance(each[1], EngineFailed):
            raise each[1]
        check_answer(asked, each[1], to_do.currency)
        answers.append(Answered(asked, each[1]))
    return answers


def _same_failure(one: TaxEstimationFailed, other: TaxEstimationFailed) -> bool:
    return (one.engine_id, one.code, one.because) == (other.engine_id, other.code, other.because)


class TaxOutcome(StrEnum):
    """What became of the tax that was asked for."""

    NOT_REQUESTED = "NOT_REQUESTED"
    PENDING = "PENDING"
    ESTIMATED = "ESTIMATED"
    FAILED = "FAILED"


def tax_outcome(state: Invoice) -> TaxOutcome:
    if state.tax_asked and state.status is Status.DRAFT:
        return TaxOutcome.FAILED if state.tax_failure else TaxOutcome.PENDING
    asked_once = state.header.should_calculate_tax or any(line.estimate for line in state.lines)
    done = asked_once and state.tax_status is TaxStatus.ESTIMATED
    return TaxOutcome.ESTIMATED if done else TaxOutcome.NOT_REQUESTED
