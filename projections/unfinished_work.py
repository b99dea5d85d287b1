"""The read model `unfinished-work`: what was asked for and is not done, and when it is tried next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain import invoice
from store.log import Recorded

from .change import Change, Found, GoOn, Said, of_streams, projecting
from .histories import Histories
from .invoice_summary import OPENINGS
from .opening import DRAFTED, TODAY
from .projection import Block, Projection, Rows, View
from .reader import Answer, Page, Reader

CALLERS_OWN = timedelta(seconds=10)  # while whoever asked may still be at it
PAUSE_LEAST = timedelta(seconds=1)  # after the first failure, then doubled
PAUSE_MOST = timedelta(hours=1)
DOUBLED_MOST = 12
PAGE_SIZE_MAX = 500

CREATE = """
CREATE TABLE {table} (
    invoice_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    asked_position bigint NOT NULL,
    unique_identifier text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL,
    due timestamptz NOT NULL,
    failures integer NOT NULL,
    engine_id text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    because text NOT NULL,
    PRIMARY KEY (invoice_id, kind)
);
"""
INDEX = """
CREATE UNIQUE INDEX ON {table} (asked_position);
CREATE INDEX ON {table} (due);
"""
ROWS = Rows(
    {
        "invoice_id": "uuid",
        "kind": "text",
        "asked_position": "int8",
        "unique_identifier": "text",
        "since": "timestamptz",
        "due": "timestamptz",
        "failures": "int4",
        "engine_id": "text",
        "code": "text",
        "because": "text",
    }
)
NAMES = ", ".join(ROWS.columns)
STORED = f"SELECT {NAMES} FROM {{table}} WHERE invoice_id = ANY($1::uuid[])"
REMOVE = "DELETE FROM {table} WHERE invoice_id = ANY($1::uuid[])"
LIST = (
    f"SELECT {NAMES} FROM {{table}} WHERE asked_position > %(after)s ORDER BY asked_position LIMIT %(limit)s"
)
DUE = f"SELECT {NAMES} FROM {{table}} WHERE due <= %(now)s ORDER BY due LIMIT %(limit)s"


ESTIMATE, POSTING, VOIDING = "ESTIMATE", "POSTING", "VOIDING"
ASKED = b'"should_calculate_tax":true'
Key = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Something about an invoice that is asked for and not done."""

    invoice_id: UUID
    kind: str  # one of KINDS
    asked_position: int
    unique_identifier: str  # empty where there is none, or it was not at hand
    since: datetime
    due: datetime
    failures: int = 0
    engine_id: str = ""
    code: str = ""
    because: str = ""

    @property
    def row(self) -> tuple[object, ...]:
        return (
            self.invoice_id,
            self.kind,
            self.asked_position,
            self.unique_identifier,
            self.since,
            self.due,
            self.failures,
            self.engine_id,
            self.code,
            self.because,
        )


# Questions


async def list_(
    reader: Reader,
    *,
    after: int = 0,
    size: int = 50,
    min_position: int = 0,
    deadline: float | None = None,
) -> Answer[Page[Unfinished]]:
    """A page, what has waited longest first. `after` is the `next` of the page before this one."""
    asked = {"after": after, "limit": size + 1}
    answer = await reader.ask(UNFINISHED_WORK, LIST, asked, min_position=min_position, deadline=deadline)
    found = tuple(Unfinished(*row) for row in answer.found[:size])
    return Answer(
        Page(found, found[-1].asked_position if len(answer.found) > size else None), answer.position
    )


async def due(reader: Reader, now: datetime, size: int) -> tuple[Unfinished, ...]:
    """What should be tried by now."""
    answer = await reader.ask(UNFINISHED_WORK, DUE, {"now": now, "limit": size})
    return tuple(Unfinished(*row) for row in answer.found)


# Rows


def begin(histories: Histories) -> Sequence[Block]:
    """Invoices from their first event on."""
    batch = (each for history in histories for each in history if not _asks_nothing(each))
    return (ROWS.block([each.row for each in _followed({}, batch).values()]),)


def _asks_nothing(recorded: Recorded) -> bool:
    """Whether it is a draft for which nobody is to work out the tax: most of a log.

    No text looks like what is looked for: in a JSON string, quotation marks are escaped.
    """
    state = recorded.state
    return recorded.name == DRAFTED and state.startswith(TODAY[DRAFTED]) and ASKED not in state


def _followed(before: Mapping[Key, Unfinished], batch: Iterable[Recorded]) -> dict[Key, Unfinished]:
    after = dict(before)
    for recorded in batch:
        for kind, following in KINDS.items():
            key = (recorded.stream, kind)
            if (stands := following(after.get(key), recorded)) is None:
                after.pop(key, None)
            else:
                after[key] = stands
    return after


def _change(histories: Histories, found: Sequence[Found]) -> Change:
    """Invoices that began before; most of what happens to them leaves nothing here, and found nothing."""
    before = {row[:2]: Unfinished(*row) for row in found[0]}
    after = _followed(before, [each for history in histories for each in history])
    touched = {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    gone = touched & {key[0] for key in before}
    removed = [Said(REMOVE, [("uuid", list(gone))])] if gone else []
    return Change(removed, (ROWS.block([each.row for key, each in after.items() if key[0] in touched]),))


def follow(before: Unfinished | None, recorded: Recorded) -> Unfinished | None:
    """What is unfinished of an invoice's estimate after an event; None: nothing."""
    at = recorded.recorded
    match recorded.event:
        case invoice.InvoiceDrafted() | invoice.InvoiceRevised():
            wanted = recorded.event.header.should_calculate_tax
            return _asked(before, recorded, at + CALLERS_OWN, recorded.event) if wanted else None
        case invoice.TaxEstimationRequested():
            return _asked(before, recorded, at, None)
        case invoice.TaxEstimationFailed() as failed:
            return _failed(before or _asked(None, recorded, at, None), recorded, failed)
        case invoice.TaxEstimated(following=0) | invoice.TaxSkipped(following=0):
            return None
        case invoice.InvoiceCanceled() | invoice.InvoicePosted():
            return None
        case _:
            return before


def follow_posting(before: Unfinished | None, recorded: Recorded) -> Unfinished | None:
    """What is unfinished of its posting."""
    match recorded.event:
        case invoice.PostingTaxRequested():
            due = recorded.recorded + CALLERS_OWN
            return replace(before, due=due) if before else _new(POSTING, recorded, due)
        case invoice.PostingFailed() as failed:
            return _failed(before or _new(POSTING, recorded, recorded.recorded), recorded, failed)
        case (
            invoice.InvoicePosted()
            | invoice.InvoiceCanceled()
            | invoice.InvoiceRevised()
            | invoice.TaxVoidRequested()
        ):
            return None
        case _:
            return before


def follow_voiding(before: Unfinished | None, recorded: Recorded) -> Unfinished | None:
    """What is unfinished of voiding its documents at engines."""
    match recorded.event:
        case invoice.TaxVoidRequested():
            at = recorded.recorded
            return replace(before, due=at) if before else _new(VOIDING, recorded, at)
        case invoice.TaxVoidFailed() as failed:
            return _failed(before or _new(VOIDING, recorded, recorded.recorded), recorded, failed)
        case invoice.TaxVoided():
            return None
        case _:
            return before


Failed = invoice.TaxEstimationFailed | invoice.PostingFailed | invoice.TaxVoidFailed


def _failed(stands: Unfinished, recorded: Recorded, failed: Failed) -> Unfinished:
    failures = stands.failures + 1
    pause = min(PAUSE_LEAST * 2 ** min(failures - 1, DOUBLED_MOST), PAUSE_MOST)
    return replace(
        stands,
        failures=failures,
        due=recorded.recorded + pause,
        engine_id=failed.engine_id,
        code=failed.code,
        because=failed.because,
    )


def _new(kind: str, recorded: Recorded, due: datetime) -> Unfinished:
    return Unfinished(recorded.stream, kind, recorded.position, "", recorded.recorded, due)


def _asked(
    before: Unfinished | None,
    recorded: Recorded,
    due: datetime,
    content: invoice.InvoiceDrafted | invoice.InvoiceRevised | None,
) -> Unfinished:
    if before is not None and content is None:
        return replace(before, due=due)
    key = content.unique_identifier if isinstance(content, invoice.InvoiceDrafted) else ""
    if before is not None:
        key = key or before.unique_identifier
    return Unfinished(recorded.stream, ESTIMATE, recorded.position, key, recorded.recorded, due)


KINDS = {ESTIMATE: follow, POSTING: follow_posting, VOIDING: follow_voiding}


TOPICS = frozenset(
    (
        "InvoiceDrafted",
        "InvoiceRevised",
        "TaxEstimationRequested",
        "TaxEstimated",
        "TaxSkipped",
        "TaxEstimationFailed",
        "InvoiceCanceled",
        "InvoicePosted",
        "PostingTaxRequested",
        "PostingFailed",
        "TaxVoidRequested",
        "TaxVoidFailed",
        "TaxVoided",
    )
)
GO_ON = GoOn(of_streams(STORED), _change)
UNFINISHED_WORK = Projection(
    name="unfinished_work",
    code=2,
    topics=TOPICS,
    create=CREATE,
    index=INDEX,
    project=projecting(begin, GO_ON),
    openings=OPENINGS,
    lazy=True,
    begin=begin,
    go_on=GO_ON,
    views=(
        View(
            name="unfinished_work",
            about="Invoices whose tax is asked for and not worked out: one row each.",
            columns={
                "invoice_id": ("invoice_id", "The invoice."),
                "unique_identifier": ("unique_identifier", "The sender's own key, where it is at hand."),
                "since": ("since", "Since when it is wanted."),
                "due": ("due", "When the background tries next."),
                "failures": ("failures", "How often it has failed."),
                "engine_id": ("engine_id", "The tax engine that failed last."),
                "code": ("code", "Why it failed, as a word for programs."),
                "because": ("because", "Why it failed, for people."),
            },
        ),
    ),
)
