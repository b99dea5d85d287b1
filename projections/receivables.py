"""The read model `receivables`: what each account owes in each currency, and what credit it has.

A row is what one invoice, or one credit memo, leaves open. They are summed up when somebody asks, because
what is overdue depends on the day of the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from operator import attrgetter
from uuid import UUID

from domain import credit_memo, invoice
from store.log import Recorded
from store.schema import REGISTRY

from .change import Change, Found, GoOn, Said, of_streams, projecting
from .histories import Histories
from .invoice_filter import Parameters, Today, todays
from .invoice_summary import OPENINGS
from .opening import NOTHING, Opened, append_size, shared
from .projection import Block, Poison, Projection, Rows, View
from .reader import Answer, Reader

# Drafts have a row as well: what they come to is needed once they are posted.
CREATE = """
CREATE TABLE {table} (
    id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    legal_entity_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    due_date date NOT NULL,
    charge numeric NOT NULL,
    tax numeric NOT NULL,
    converted numeric NOT NULL,
    paid numeric NOT NULL,
    credited numeric NOT NULL,
    balance numeric NOT NULL
);
"""
INDEX = """
CREATE INDEX ON {table} (account_id, currency) WHERE status = 'POSTED' AND balance <> 0;
"""
COLUMNS = {
    "id": "uuid",
    "kind": "text",
    "version": "int8",
    "status": "text",
    "account_id": "text",
    "legal_entity_id": "text",
    "currency": "text",
    "due_date": "date",
    "charge": "numeric",
    "tax": "numeric",
    "converted": "numeric",
    "paid": "numeric",
    "credited": "numeric",
    "balance": "numeric",
}
ROWS = Rows(COLUMNS)
_row = attrgetter(*COLUMNS)
STORED = f"SELECT {', '.join(COLUMNS)} FROM {{table}} WHERE id = ANY($1::uuid[])"
REMOVE = "DELETE FROM {table} WHERE id = ANY($1::uuid[])"
INVOICE, CREDIT = "INVOICE", "CREDIT_MEMO"

# What is overdue is so where its legal entity is.
OVERDUE = """kind = 'INVOICE' AND balance > 0
    AND due_date < coalesce((%(todays)s::jsonb ->> legal_entity_id)::date, %(today_elsewhere)s)"""
LIST = """
SELECT account_id, currency,
    count(*) FILTER (WHERE kind = 'INVOICE'),
    coalesce(sum(balance) FILTER (WHERE kind = 'INVOICE'), 0),
    count(*) FILTER (WHERE {overdue}),
    coalesce(sum(balance) FILTER (WHERE {overdue}), 0),
    min(due_date) FILTER (WHERE kind = 'INVOICE' AND balance > 0),
    coalesce(sum(balance) FILTER (WHERE kind = 'CREDIT_MEMO'), 0)
FROM {{table}}
WHERE status = 'POSTED' AND balance <> 0 AND {condition}
    AND (account_id, currency) > (%(after_account)s, %(after_currency)s)
GROUP BY account_id, currency
HAVING {having}
ORDER BY account_id, currency LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class ReceivablesFilter:
    """All of these conditions; what is empty or None does not matter."""

    account_id: str = ""
    currency: str = ""
    legal_entity_id: str = ""
    overdue: bool = False


EVERY = ReceivablesFilter()
EQUAL = ("account_id", "currency", "legal_entity_id")


@dataclass(frozen=True, slots=True)
class Receivable:
    """What one account owes in one currency."""

    account_id: str
    currency: str
    open_invoices: int
    balance: Decimal
    overdue_invoices: int
    overdue: Decimal
    oldest_due_date: date | None
    unapplied_credit: Decimal

    @property
    def net(self) -> Decimal:
        return self.balance - self.unapplied_credit


After = tuple[str, str]  # an account and a currency
FIRST: After = ("", "")


# Questions


async def list_(
    reader: Reader,
    today: Today,
    filter: ReceivablesFilter = EVERY,  # noqa: A002
    *,
    after: After = FIRST,
    size: int = 50,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[tuple[Sequence[Receivable], bool]]:
    """A page by account and currency, and whether there are more."""
    parameters: Parameters = {
        **todays(today),
        "after_account": after[0],
        "after_currency": after[1],
        "limit": size + 1,
    }
    meets = " AND ".join(_conditions(filter, parameters)) or "true"
    if any("\0" in getattr(filter, name) for name in EQUAL):
        return Answer(((), False), await reader.wait_until(RECEIVABLES, min_position, deadline))
    having = f"bool_or({OVERDUE})" if filter.overdue else "true"
    answer = await reader.ask(
        RECEIVABLES,
        LIST.format(condition=meets, overdue=OVERDUE, having=having),
        parameters,
        min_position=min_position,
        deadline=deadline,
        prepare=False,
    )
    found = [Receivable(*row) for row in answer.found]
    return Answer((found[:size], len(found) > size), answer.position)


def _conditions(filter: ReceivablesFilter, parameters: Parameters) -> Iterator[str]:  # noqa: A002
    for name in EQUAL:
        if value := getattr(filter, name):
            parameters[name] = value
            yield f"{name} = %({name})s"


# Rows


@dataclass(frozen=True, slots=True)
class Item:
    """What an invoice or a credit memo comes to, as far as that is needed here."""

    id: UUID
    kind: str
    version: int
    status: str
    account_id: str
    legal_entity_id: str
    currency: str
    due_date: date
    charge: Decimal
    tax: Decimal
    converted: Decimal
    paid: Decimal
    credited: Decimal
    balance: Decimal


def begin(histories: Histories) -> Sequence[Block]:
    """Invoices and credit memos from their first event on."""
    return (ROWS.block(map(_row, map(_begun, histories))),)


def _begun(history: Sequence[Recorded]) -> Item:
    opened = shared(history)
    if opened is None:
        return _fold(None, history)
    return _fold(_drafted(opened), opened.later) if opened.later else _drafted(opened)


def _drafted(opened: Opened) -> Item:
    header, totals = opened.header, opened.summary.totals
    return Item(
        id=opened.id,
        kind=INVOICE,
        version=opened.summary.version,
        status=invoice.Status.DRAFT.value,
        account_id=header.account_id,
        legal_entity_id=header.legal_entity_id,
        currency=header.currency,
        due_date=header.due_date,
        charge=totals.charge,
        tax=totals.tax,
        converted=NOTHING,
        paid=NOTHING,
        credited=NOTHING,
        balance=totals.charge + totals.tax,
    )


def _change(histories: Histories, found: Sequence[Found]) -> Change:
    """Invoices and credit memos that began before."""
    stored = {row[0]: Item(*row) for row in found[0]}
    items = [_fold(stored.get(history[0].stream), history) for history in histories]
    return Change((Said(REMOVE, [("uuid", list(stored))]),), (ROWS.block(map(_row, items)),))


def _fold(before: Item | None, history: Sequence[Recorded]) -> Item:
    recorded = history[0]
    try:
        if recorded.version != (before.version if before else 0) + 1:
            raise ValueError(f"version {recorded.version} does not follow")
        if (before.kind == CREDIT) if before else isinstance(recorded.event, credit_memo.CreditMemoPosted):
            return _credit(before, history)
        return _invoice(before, history)
    except Exception as error:
        because = f"{type(error).__name__}: {error}"
        raise Poison(recorded.position, recorded.name, because) from error


def _invoice(before: Item | None, history: Sequence[Recorded]) -> Item:
    state = invoice.fold((each.event for each in history), _resumed(before) if before else None)
    assert state is not None
    header, totals = state.header, state.totals
    return Item(
        id=history[0].stream,
        kind=INVOICE,
        version=history[-1].version,
        status=state.status.value,
        account_id=header.account_id,
        legal_entity_id=header.legal_entity_id,
        currency=header.currency,
        due_date=header.due_date,
        charge=totals.charge,
        tax=totals.tax,
        converted=totals.converted_negative,
        paid=totals.payments_applied,
        credited=totals.credits_applied,
        balance=totals.balance,
    )


def _resumed(item: Item) -> invoice.Invoice:
    """The state to fold on from; what no balance depends on is not in it."""
    header = invoice.Header(
        account_id=item.account_id,
        bill_to_contact_id="",
        invoice_date=item.due_date,
        due_date=item.due_date,
        currency=item.currency,
        legal_entity_id=item.legal_entity_id,
        tax_status=invoice.TaxStatus.PENDING,
    )
    return invoice.Invoice(
        unique_identifier="",
        first_fingerprint="",
        fingerprint="",
        header=header,
        texts=None,
        size=0,
        reference_position=0,
        version=item.version,
        status=invoice.Status(item.status),
        charge=item.charge,
        tax=item.tax,
        ledger=invoice.Ledger(item.converted, item.paid, item.credited),
    )


def _credit(before: Item | None, history: Sequence[Recorded]) -> Item:
    """A credit memo: what it comes to, and what it is applied to already."""
    if before is None:
        state = credit_memo.fold(each.event for each in history)
        assert state is not None
        header, totals = state.header, state.totals
        zero = Decimal(0)
        return Item(
            history[0].stream,
            CREDIT,
            history[-1].version,
            "POSTED",
            header.account_id,
            header.legal_entity_id,
            header.currency,
            state.posted_date,
            totals.credit,
            totals.tax,
            zero,
            zero,
            totals.applied,
            totals.balance,
        )
    applied = before.credited
    for each in history:
        match each.event:
            case credit_memo.CreditMemoApplied(amount=amount):
                applied += amount
            case credit_memo.CreditMemoUnapplied(amount=amount):
                applied -= amount
            case other:
                raise ValueError(f"{other} comes first, or never")
    balance = before.charge + before.tax - applied
    return replace(before, version=history[-1].version, credited=applied, balance=balance)


EVENTS = (*invoice.EVENTS, *credit_memo.EVENTS)
GO_ON = GoOn(of_streams(STORED), _change)
RECEIVABLES = Projection(
    name="receivables",
    code=1,
    topics=frozenset(name for name, entry in REGISTRY.items() if entry.type in EVENTS),
    create=CREATE,
    index=INDEX,
    project=projecting(begin, GO_ON),
    openings={**OPENINGS, "CreditMemoPosted": append_size},
    lazy=True,
    begin=begin,
    go_on=GO_ON,
    views=(
        View(
            name="receivables",
            about="What each posted invoice and credit memo leaves open: a row for each that does.",
            columns={
                "id": ("id", "The invoice, or the credit memo."),
                "kind": ("kind", "INVOICE or CREDIT_MEMO."),
                "account_id": ("account_id", "Who owes, or has the credit."),
                "legal_entity_id": ("legal_entity_id", "The company that invoiced."),
                "currency": ("currency", "Of all amounts in this row, as ISO 4217 has it."),
                "due_date": ("due_date", "When it is to be paid."),
                "balance": ("balance", "What is open: owed on an invoice, unapplied on a credit memo."),
            },
            source="{table} WHERE status = 'POSTED' AND balance <> 0",
        ),
    ),
)
