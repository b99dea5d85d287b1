"""The read model `debit-memos`: every memo, those that are ready first, and which invoice billed which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from domain import debit_memo
from store.log import Recorded
from store.schema import REGISTRY

from .change import Change, Found, GoOn, Said, of_streams, projecting
from .histories import Histories
from .opening import append_size
from .projection import Block, Poison, Projection, Rows, View
from .reader import Answer, Page, Reader

CREATE = """
CREATE TABLE {table} (
    memo_id uuid PRIMARY KEY,
    rank bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    generation text COLLATE "C" NOT NULL,
    ready boolean NOT NULL,
    unique_identifier text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    legal_entity_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    order_id text COLLATE "C",
    invoice_id uuid,
    total_with_tax numeric NOT NULL,
    memo bytea NOT NULL
);
"""
INDEX = """
CREATE UNIQUE INDEX ON {table} (rank);
CREATE INDEX ON {table} (account_id, rank);
CREATE INDEX ON {table} (status, rank);
CREATE INDEX ON {table} (order_id, rank) WHERE order_id IS NOT NULL;
CREATE INDEX ON {table} (invoice_id) WHERE invoice_id IS NOT NULL;
"""
STORED = "SELECT memo_id, memo FROM {table} WHERE memo_id = ANY($1::uuid[])"
REMOVE = "DELETE FROM {table} WHERE memo_id = ANY($1::uuid[])"
ROWS = Rows(
    {
        "memo_id": "uuid",
        "rank": "int8",
        "status": "text",
        "generation": "text",
        "ready": "bool",
        "unique_identifier": "text",
        "account_id": "text",
        "legal_entity_id": "text",
        "currency": "text",
        "order_id": "text",
        "invoice_id": "uuid",
        "total_with_tax": "numeric",
        "memo": "bytea",
    }
)
FIND = "SELECT memo FROM {table} WHERE memo_id = %(memo_id)s"
LIST = """
SELECT rank, memo FROM {{table}}
WHERE {condition} AND rank < %(before)s
ORDER BY rank DESC LIMIT %(limit)s
"""
READY_RANK = 1 << 62  # above every position, so that what is ready comes first
NEWEST = 2**63 - 1
TOPICS = frozenset(name for name, entry in REGISTRY.items() if entry.type in debit_memo.EVENTS)


@dataclass(frozen=True, slots=True)
class FoundMemo:
    """A memo as its events have left it."""

    id: UUID
    state: debit_memo.DebitMemo
    created: datetime
    updated: datetime
    drafted_position: int
    position: int


@dataclass(frozen=True, slots=True)
class MemoFilter:
    """All of these conditions; what is empty or None does not matter."""

    account_id: str = ""
    statuses: frozenset[debit_memo.Status] = frozenset()
    generations: frozenset[debit_memo.Generation] = frozenset()
    ready: bool = False
    order_id: str = ""
    invoice_id: UUID | None = None
    legal_entity_id: str = ""
    currency: str = ""


EVERY = MemoFilter()
EQUAL = ("account_id", "order_id", "legal_entity_id", "currency")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(FoundMemo).decode


# Questions


async def find(
    reader: Reader, memo_id: UUID, *, min_position: int = 0, deadline: float | None = None
) -> Answer[FoundMemo | None]:
    answer = await reader.ask(
        DEBIT_MEMOS, FIND, {"memo_id": memo_id}, min_position=min_position, deadline=deadline
    )
    return Answer(next((_decode(memo) for (memo,) in answer.found), None), answer.position)


async def list_(
    reader: Reader,
    filter: MemoFilter = EVERY,  # noqa: A002
    *,
    before: int | None = None,
    size: int = 50,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[Page[FoundMemo]]:
    """A page of the memos that meet the filter: those that are ready first, each kind newest first."""
    parameters: dict[str, object] = {"before": NEWEST if before is None else before, "limit": size + 1}
    meets = " AND ".join(_conditions(filter, parameters)) or "true"
    if any("\0" in str(getattr(filter, name)) for name in EQUAL):
        meets, parameters = "false", {"before": 0, "limit": 0}
    answer = await reader.ask(
        DEBIT_MEMOS,
        LIST.format(condition=meets),
        parameters,
        min_position=min_position,
        deadline=deadline,
        prepare=False,
    )
    shown = answer.found[:size]
    following = shown[-1][0] if len(answer.found) > size else None
    return Answer(Page(tuple(_decode(memo) for _, memo in shown), following), answer.position)


def _conditions(filter: MemoFilter, parameters: dict[str, object]) -> Iterator[str]:  # noqa: A002
    for name in EQUAL:
        if value := getattr(filter, name):
            parameters[name] = value
            yield f"{name} = %({name})s"
    for name, values in (("status", filter.statuses), ("generation", filter.generations)):
        if values:
            parameters[name] = sorted(value.value for value in values)
            yield f"{name} = ANY(%({name})s)"
    if filter.ready:
        yield "ready"
    if filter.invoice_id is not None:
        parameters["invoice_id"] = filter.invoice_id
        yield "invoice_id = %(invoice_id)s"


# Rows


def begin(histories: Histories) -> Sequence[Block]:
    """Memos from their first event on."""
    return (ROWS.block([_row(_fold(None, history)) for history in histories]),)


def _change(histories: Histories, found: Sequence[Found]) -> Change:
    """Memos that began before."""
    stored = {memo_id: _decode(memo) for memo_id, memo in found[0]}
    left = [_fold(stored.get(history[0].stream), history) for history in histories]
    return Change((Said(REMOVE, [("uuid", list(stored))]),), (ROWS.block(map(_row, left)),))


def _fold(before: FoundMemo | None, history: Sequence[Recorded]) -> FoundMemo:
    state = before.state if before else None
    for recorded in history:
        follows = state.version + 1 if state else 1
        try:
            if recorded.version != follows:
                raise ValueError(f"version {recorded.version} does not follow {follows - 1}")
            state = debit_memo.evolve(state, recorded.event)
        except Exception as error:
            because = f"{type(error).__name__}: {error}"
            raise Poison(recorded.position, recorded.name, because) from error
    assert state is not None
    first, last = history[0], history[-1]
    return FoundMemo(
        id=last.stream,
        state=state,
        created=before.created if before else first.recorded,
        updated=last.recorded,
        drafted_position=before.drafted_position if before else first.position,
        position=last.position,
    )


def _row(found: FoundMemo) -> tuple[object, ...]:
    state = found.state
    return (
        found.id,
        found.drafted_position | (READY_RANK if state.ready else 0),
        state.status.value,
        state.generation.value,
        state.ready,
        state.unique_identifier,
        state.header.account_id,
        state.header.legal_entity_id,
        state.header.currency,
        state.header.order_id or None,
        state.invoice_id,
        state.totals.total_with_tax,
        _encode(found),
    )


GO_ON = GoOn(of_streams(STORED), _change)
DEBIT_MEMOS = Projection(
    name="debit_memos",
    code=1,
    topics=TOPICS,
    create=CREATE,
    index=INDEX,
    project=projecting(begin, GO_ON),
    openings={"DebitMemoDrafted": append_size, "DebitMemoUpdated": append_size},
    begin=begin,
    go_on=GO_ON,
    views=(
        View(
            name="debit_memos",
            about="Every debit memo as it stands: one row each.",
            columns={
                "memo_id": ("memo_id", "Its id, for ever."),
                "unique_identifier": ("unique_identifier", "The sender's own key."),
                "status": ("status", "DRAFT, POSTED, CANCELED or VOIDED."),
                "generation": ("generation", "How far its invoice is."),
                "ready": ("ready", "Whether it waits to be invoiced."),
                "account_id": ("account_id", "Who is charged."),
                "legal_entity_id": ("legal_entity_id", "The company that charges."),
                "currency": ("currency", "Of all amounts in this row, as ISO 4217 has it."),
                "order_id": ("order_id", "The order that it belongs to; null for none."),
                "invoice_id": ("invoice_id", "The invoice that billed it; null for none."),
                "total_with_tax": ("total_with_tax", "All its lines, with tax."),
            },
        ),
    ),
)
