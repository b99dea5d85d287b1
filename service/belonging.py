"""Which accounts and orders an invoice or a memo belongs to: every one that any of its events ever named.

A stream begins to belong with the first event of the append that names what is asked for, for ever.
That follows from the stream alone, so that it is the same for everybody who asks, whenever he does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeAlias
from uuid import UUID

from domain import credit_memo, debit_memo, invoice
from projections.feed import Fed
from projections.invoice_summary import OPENINGS
from store.log import Log, Recorded
from store.schema import REGISTRY

STREAMS_MAX = 50_000  # that a subscription remembers; one that it forgot is read again

Happened: TypeAlias = Recorded | Fed


@dataclass(frozen=True, slots=True)
class Named:
    """What one event names."""

    account: str = ""
    orders: tuple[str, ...] = ()


def _header(event: invoice.InvoiceDrafted | invoice.InvoiceRevised) -> Named:
    return Named(event.header.account_id, _ordered(event.header.reference))


def _ordered(reference: invoice.Reference | None) -> tuple[str, ...]:
    is_order = reference is not None and reference.kind is invoice.ReferenceKind.ORDER
    return (reference.id,) if reference is not None and is_order else ()


def _line(event: invoice.LineAdded) -> Named:
    return Named(orders=(event.reference.order_id,) if event.reference else ())


def _memo(event: debit_memo.DebitMemoDrafted | debit_memo.DebitMemoUpdated) -> Named:
    return Named(event.header.account_id, (event.header.order_id,))


NAMES: dict[type, Callable[[Any], Named]] = {
    invoice.InvoiceDrafted: _header,
    invoice.InvoiceRevised: _header,
    invoice.LineAdded: _line,
    invoice.InvoiceUpdated: lambda event: Named(orders=_ordered(event.reference)),
    debit_memo.DebitMemoDrafted: _memo,
    debit_memo.DebitMemoUpdated: _memo,
    credit_memo.CreditMemoPosted: lambda event: Named(event.header.account_id),
}
"""The events that name accounts or orders. Whoever adds one that does adds it here."""
KINDS = (invoice.EVENTS, debit_memo.EVENTS, credit_memo.EVENTS)
"""The events of streams that can belong."""
SIZES: Mapping[str, Callable[[Recorded], int]] = OPENINGS | dict.fromkeys(
    ("DebitMemoDrafted", "DebitMemoUpdated", "CreditMemoPosted"), lambda recorded: int(recorded.event.size)
)
"""How many events of its stream an append has, by the event that opens it; of others it is one."""

_TYPES = {name: entry.type for name, entry in REGISTRY.items()}
_NAMING = frozenset(name for name, type_ in _TYPES.items() if type_ in NAMES)
_BELONGING = frozenset(name for name, type_ in _TYPES.items() if any(type_ in kind for kind in KINDS))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Accounts and orders; where none are said, any will do."""

    accounts: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.accounts or self.orders)


ANYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a stream up to a version: whether both were named, and with which append it was so."""

    account: bool
    order: bool
    upto: int = 0
    since: int | None = None  # version of the event that opens that append

    def after(self, append: Sequence[Happened], wanted: Wanted) -> Standing:
        account, order = self.account, self.order
        for each in append:
            if each.name in _NAMING:
                named = NAMES[_TYPES[each.name]](each.event)
                account = account or named.account in wanted.accounts
                order = order or not wanted.orders.isdisjoint(named.orders)
        since = append[0].version if account and order else None
        return Standing(account, order, append[-1].version, since)


@dataclass(frozen=True, slots=True)
class Chosen:
    """An event that is asked for; it `enters` where its stream begins to belong, with a history."""

    event: Fed
    enters: bool = False


class Belonging:
    """Chooses from the feed what belongs to what is wanted. One subscription's own."""

    def __init__(self, log: Log, wanted: Wanted) -> None:
        self._log = log
        self._wanted = wanted
        self._nothing = Standing(account=not wanted.accounts, order=not wanted.orders)
        self._known: OrderedDict[UUID, Standing] = OrderedDict()

    async def chosen(self, events: Sequence[Fed]) -> Sequence[Chosen]:
        there = [event for event in events if event.name in _BELONGING]
        await self._learn(there)
        found = []
        for event in there:
            since = self._known[event.stream].since
            if since is not None and since <= event.version:
                found.append(Chosen(event, enters=since == event.version > 1))
        self._forget()
        return found

    async def _learn(self, events: Iterable[Fed]) -> None:
        """Bring the standing of every stream up to the end of its last append that begins in these events."""
        cold: list[UUID] = []
        for stream, each in groupby(sorted(events, key=attrgetter("stream")), key=attrgetter("stream")):
            known = self._known.get(stream, self._nothing)
            new = [event for event in each if event.version > known.upto]
            self._known[stream] = known
            self._known.move_to_end(stream)
            if known.since is not None or not new:
                continue
            if new[0].version != known.upto + 1 or not self._take(stream, new):
                cold.append(stream)
        for stream, history in (await self._log.read_many(cold) if cold else {}).items():
            self._known[stream] = self._nothing
            self._take(stream, history.recorded)

    def _take(self, stream: UUID, events: Sequence[Happened]) -> bool:
        """Learn from the appends that follow what is known; whether the last of them is there in whole."""
        standing, at = self._known[stream], 0
        while at < len(events) and standing.since is None:
            opening = events[at]
            size = SIZES.get(opening.name)
            end = at + (size(opening) if size else 1)  # type: ignore[arg-type]
            if end > len(events):
                return False
            standing = standing.after(events[at:end], self._wanted)
            self._known[stream] = standing
            at = end
        return True

    def _forget(self) -> None:
        while len(self._known) > STREAMS_MAX:
            self._known.popitem(last=False)
