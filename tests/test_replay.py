"""The history of the samples, as it was once recorded, still comes to what it came to.

`make history` records it anew, from what `daybook demo` does; version control then shows which past total
changed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from domain import credit_memo, debit_memo, invoice, numbering
from domain.money import plain
from store import schema
from store.embedded import Embedded
from store.log import Recorded, Stored
from store.postgres import open_log
from tests.serving import DAYBOOK
from tests.test_samples import contents

HISTORY = Path(__file__).parent / "history"
EVENTS, REPLAYED, REPLAY_HASH = HISTORY / "samples.jsonl", HISTORY / "replayed.txt", HISTORY / "replay.sha256"
PAGE = 500
AGAIN = "if that is meant: make history, and say in the commit why"


def test_the_history_of_the_samples_comes_to_what_it_came_to() -> None:
    lines = list(replayed(recorded()))
    assert lines == REPLAYED.read_text().splitlines(), AGAIN
    assert digest(lines) == REPLAY_HASH.read_text().strip(), AGAIN


def test_the_history_is_chained_and_whole() -> None:
    heads: dict[UUID, Recorded] = {}
    for each in recorded():
        before = heads.get(each.stream)
        assert each.version == (before.version + 1 if before else 1)
        assert each.prev == (before.digest if before else "")
        heads[each.stream] = each


def test_the_history_holds_every_sample() -> None:
    drafted = {e.event.unique_identifier for e in recorded() if isinstance(e.event, invoice.InvoiceDrafted)}
    assert {content.unique_identifier for content in contents()} - drafted - {""} == set(), "make history"


def recorded() -> Iterator[Recorded]:
    """The events of the history, read as the log reads them."""
    codec = schema.codec()
    with EVENTS.open(encoding="utf-8") as file:
        for position, line in enumerate(file, 1):
            told = json.loads(line)
            personal = told.get("personal")
            yield codec.decode(
                Stored(
                    position,
                    UUID(told["stream"]),
                    told["version"],
                    told["name"],
                    told["state"].encode(),
                    personal.encode() if personal is not None else None,
                )
            )


def replayed(events: Iterable[Recorded]) -> Iterator[str]:
    """What the history comes to, in lines: every total of everything that has one."""
    histories: dict[UUID, list[Any]] = {}
    names: Counter[str] = Counter()
    for each in events:
        histories.setdefault(each.stream, []).append(each.event)
        names[each.name] += 1
    for told in sorted("\n".join(of_stream(stream, history)) for stream, history in histories.items()):
        yield from told.splitlines()
    yield from (f"{name} {names[name]}" for name in sorted(names))


def of_stream(stream: UUID, history: list[Any]) -> Iterator[str]:
    match history[0]:
        case invoice.InvoiceDrafted():
            yield from of_invoice(invoice.fold(history))
        case debit_memo.DebitMemoDrafted():
            memo = debit_memo.fold(history)
            assert memo is not None
            sums = amounts(memo.totals.total, memo.totals.total_with_tax)
            yield f"debit memo {stream} {memo.status} {sums}"
        case credit_memo.CreditMemoPosted():
            yield of_credit(stream, history)
        case numbering.NumberClaimed():
            yield f"number {history[0].number} {len(numbering.fold(history))}"
        case _:
            pass


def of_invoice(state: invoice.Invoice | None) -> Iterator[str]:
    assert state is not None
    header, totals = state.header, state.totals
    sums = amounts(totals.total, totals.tax, totals.total_with_tax, totals.balance)
    name = f"invoice {state.unique_identifier} {state.number}"
    yield f"{name} {state.status} {state.tax_status} {state.settlement} {header.currency} {sums}"
    for line in state.lines:
        taxes = " ".join(f"{row.name} {amounts(row.rate, row.amount)}" for row in line.rows)
        yield f"  {line.added.number} {amounts(line.added.charge, line.tax)} {taxes}".rstrip()


def of_credit(stream: UUID, history: list[Any]) -> str:
    memo: credit_memo.CreditMemo | None = None
    for event in history:
        memo = credit_memo.evolve(memo, event)
    assert memo is not None
    return f"credit memo {stream} {amounts(memo.totals.credit, memo.totals.tax, memo.totals.applied)}"


def amounts(*values: Any) -> str:
    return " ".join(map(plain, values))


def digest(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()


def record() -> None:
    """Let `daybook demo` do all that it does, and keep what it left in the log."""
    with tempfile.TemporaryDirectory(prefix="daybook-", dir="/tmp") as name:
        subprocess.run([DAYBOOK, "demo", "--data-dir", name], check=True)
        events = asyncio.run(left_in(Path(name)))
    EVENTS.write_text("".join(json.dumps(told(each), ensure_ascii=False) + "\n" for each in events))


async def left_in(folder: Path) -> list[Stored]:
    events: list[Stored] = []
    async with Embedded(folder) as embedded, await open_log(embedded.app_dsn, schema.codec()) as log:
        while page := await log.feed(events[-1].position if events else 0, PAGE):
            events += page
    return events


def told(stored: Stored) -> dict[str, object]:
    form = {
        "stream": str(stored.stream),
        "version": stored.version,
        "name": stored.topic,
        "state": stored.state.decode(),
    }
    return form if stored.personal is None else form | {"personal": stored.personal.decode()}


def main() -> None:
    HISTORY.mkdir(exist_ok=True)
    record()
    lines = list(replayed(recorded()))
    REPLAYED.write_text("\n".join(lines) + "\n", encoding="utf-8")
    REPLAY_HASH.write_text(digest(lines) + "\n")
    print(digest(lines))


if __name__ == "__main__":
    main()
