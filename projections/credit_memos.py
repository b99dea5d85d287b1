"""The read model `credit-memos`: every credit memo, what it was made of, and where it is applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from domain import credit_memo, invoice
from store.log import Recorded
from store.schema import REGISTRY

from .change import Change, Found, GoOn, Said, of_streams, projecting
from .histories import Histories
from .opening import append_size
from .projection import Block, Poison, Projection, Rows, View
from .reader import Answer, Page, Reader

LINES_SHOWN_MAX = 500

CREATE = """
CREATE TABLE {table} (
    memo_id uuid PRIMARY KEY,
    posted_position bigint NOT NULL,
    origin text COLLATE "C" NOT NULL,
    invoice_id uuid NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    legal_entity_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    posted_date date NOT NULL,
    total_with_tax numeric NOT NULL,
    balance numeric NOT NULL,
    memo bytea NOT NULL
);
CREATE TABLE {table}_lines (
    memo_id uuid PRIMARY KEY,
    first_lines bytea NOT NULL
);
"""
INDEX = """
CREATE UNIQUE INDEX ON {table} (posted_position);
CREATE INDEX ON {table} (account_id, posted_position);
CREATE INDEX ON {table} (invoice_id, posted_position);
CREATE INDEX ON {table} (posted_position) WHERE balance > 0;
"""
STORED = "SELECT memo_id, memo FROM {table} WHERE memo_id = ANY($1::uuid[])"
REMOVE = "DELETE FROM {table} WHERE memo_id = ANY($1::uuid[])"
ROWS = Rows(
    {
        "memo_id": "uuid",
        "posted_position": "int8",
        "origin": "text",
        "invoice_id": "uuid",
        "account_id": "text",
        "legal_entity_id": "text",
        "currency": "text",
        "posted_date": "date",
        "total_with_tax": "numeric",
        "balance": "numeric",
        "memo": "bytea",
    }
)
LINES = Rows({"memo_id": "uuid", "first_lines": "bytea"}, "_lines")
FIND = """
SELECT memo, first_lines FROM {table} JOIN {table}_lines USING (memo_id) WHERE memo_id = %(memo_id)s
"""
LIST = """
SELECT posted_position, memo FROM {{table}}
WHERE {condition} AND posted_position < %(before)s
ORDER BY posted_position DESC LIMIT %(limit)s
"""
NEWEST = 2**63 - 1
TOPICS = frozenset(name for name, entry in REGISTRY.items() if entry.type in credit_memo.EVENTS)


@dataclass(frozen=True, slots=True)
class FoundCreditMemo:
    """A credit memo as its events have left it; its lines are at hand only where it was asked for alone."""

    id: UUID
    state: credit_memo.CreditMemo
    line_count: int
    created: datetime
    updated: datetime
    posted_position: int
    position: int


@dataclass(frozen=True, slots=True)
class CreditMemoFilter:
    """All of these conditions; what is empty or None does not matter."""

    account_id: str = ""
    invoice_id: UUID | None = None
    origins: frozenset[invoice.CreditOrigin] = frozenset()
    open: bool = False
    legal_entity_id: str = ""
    currency: str = ""


EVERY = CreditMemoFilter()
EQUAL = ("account_id", "legal_entity_id", "currency")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(FoundCreditMemo).decode
_lines = msgspec.json.Decoder(list[credit_memo.CreditMemoLineAdded]).decode


# Questions


async def find(
    reader: Reader, memo_id: UUID, *, min_position: int = 0, deadline: float | None = None
) -> Answer[FoundCreditMemo | None]:
    """One credit memo with the first of its lines, or None."""
    answer = await reader.ask(
        CREDIT_MEMOS, FIND, {"memo_id": memo_id}, min_position=min_position, deadline=deadline
    )
    for memo, lines in answer.found:
        found = _decode(memo)
        found.state.lines = _lines(lines)
        return Answer(found, answer.position)
    return Answer(None, answer.position)


async def list_(
    reader: Reader,
    filter: CreditMemoFilter = EVERY,  # noqa: A002
    *,
    before: int | None = None,
    size: int = 50,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[Page[FoundCreditMemo]]:
    """A page of the credit memos that meet the filter, newest first, without their lines."""
    parameters: dict[str, object] = {"before": NEWEST if before is None else before, "limit": size + 1}
    meets = " AND ".join(_conditions(filter, parameters)) or "true"
    if any("\0" in getattr(filter, name) for name in EQUAL):
        meets, parameters = "false", {"before": 0, "limit": 0}
    answer = await reader.ask(
        CREDIT_MEMOS,
        LIST.format(condition=meets),
        parameters,
        min_position=min_position,
        deadline=deadline,
        prepare=False,
    )
    shown = answer.found[:size]
    following = shown[-1][0] if len(answer.found) > size else None
    return Answer(Page(tuple(_decode(memo) for _, memo in shown), following), answer.position)


def _conditions(filter: CreditMemoFilter, parameters: dict[str, object]) -> Iterator[str]:  # noqa: A002
    for name in EQUAL:
        if value := getattr(filter, name):
            parameters[name] = value
            yield f"{name} = %({name})s"
    if filter.invoice_id is not None:
        parameters["invoice_id"] = filter.invoice_id
        yield "invoice_id = %(invoice_id)s"
    if filter.origins:
        parameters["origins"] = sorted(origin.value for origin in filter.origins)
        yield "origin = ANY(%(origins)s)"
    if filter.open:
        yield "balance > 0"


# Rows


def begin(histories: Histories) -> Sequence[Block]:
    """Credit memos from their first event on."""
    found = [_fold(None, history) for history in histories]
    lines = LINES.block((each.id, _encode(each.state.lines[:LINES_SHOWN_MAX])) for each in found)
    return ROWS.block(map(_row, found)), lines


def _change(histories: Histories, found: Sequence[Found]) -> Change:
    """Memos that began before."""
    stored = {memo_id: _decode(memo) for memo_id, memo in found[0]}
    left = [_fold(stored.get(history[0].stream), history) for history in histories]
    return Change((Said(REMOVE, [("uuid", list(stored))]),), (ROWS.block(map(_row, left)),))


def _fold(before: FoundCreditMemo | None, history: Sequence[Recorded]) -> FoundCreditMemo:
    state = before.state if before else None
    for recorded in history:
        follows = state.version + 1 if state else 1
        try:
            if recorded.version != follows:
                raise ValueError(f"version {recorded.version} does not follow {follows - 1}")
            state = credit_memo.evolve(state, recorded.event)
        except Exception as error:
            because = f"{type(error).__name__}: {error}"
            raise Poison(recorded.position, recorded.name, because) from error
    assert state is not None
    first, last = history[0], history[-1]
    return FoundCreditMemo(
        id=last.stream,
        state=state,
        line_count=before.line_count if before else len(state.lines),
        created=before.created if before else first.recorded,
        updated=last.recorded,
        posted_position=before.posted_position if before else first.position,
        position=last.position,
    )


def _row(found: FoundCreditMemo) -> tuple[object, ...]:
    state = found.state
    return (
        found.id,
        found.posted_position,
        state.header.origin.value,
        state.header.invoice_id,
        state.header.account_id,
        state.header.legal_entity_id,
        state.header.currency,
        state.posted_date,
        state.totals.total_with_tax,
        state.totals.balance,
        _encode(replace(found, state=replace(state, lines=[]))),
    )


GO_ON = GoOn(of_streams(STORED), _change)
CREDIT_MEMOS = Projection(
    name="credit_memos",
    code=1,
    topics=TOPICS,
    create=CREATE,
    index=INDEX,
    project=projecting(begin, GO_ON),
    openings={"CreditMemoPosted": append_size},
    begin=begin,
    go_on=GO_ON,
    views=(
        View(
            name="credit_memos",
            about="Every credit memo as it stands: one row each.",
            columns={
                "memo_id": ("memo_id", "Its id, for ever."),
                "origin": ("origin", "What it came of."),
                "invoice_id": ("invoice_id", "The invoice that it came of."),
                "account_id": ("account_id", "Whose credit it is."),
                "legal_entity_id": ("legal_entity_id", "The company that credits."),
                "currency": ("currency", "Of all amounts in this row, as ISO 4217 has it."),
                "posted_date": ("posted_date", "When it was posted, where the legal entity is."),
                "total_with_tax": ("total_with_tax", "All that it credits, with tax."),
                "balance": ("balance", "What of it is not applied yet."),
            },
        ),
    ),
)
