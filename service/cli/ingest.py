"""`daybook ingest`: sends files of invoices and says what became of each."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from google.protobuf.json_format import MessageToDict

from daybook.client import connect_async
from daybook.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from daybook.v1.reference_data_service_pb2 import GetReferenceDataRequest

from . import faults
from .files import STDIN, Reading
from .options import Author, Format, Service, Shape, Stop
from .printing import amount, console, money, status
from .remote import remote, stdin
from .sending import Interrupted, Outcome, Result, Sender
from .together import Together

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

LONG = 512 * 1024  # bytes from which on, or on standard input, progress is shown
AGAIN = "  run it again: what is recorded is answered as replayed"
MANY = 1000  # invoices from which on a rate says something
OF_REFERENCE_DATA = frozenset(("NO_DEFAULT", "NO_SUCH_ENTRY"))  # rules that an empty book breaks
CSV_HEAD = (
    "place",
    "outcome",
    "unique_identifier",
    "invoice_id",
    "status",
    "currency_code",
    "total_with_tax",
    "position",
    "reason",
    "errors",
)


@dataclass(frozen=True, slots=True)
class Done:
    """The exit status, and the position of the last invoice in the order of the files."""

    status: int
    position: str


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be ingested, and how."""

    files: tuple[str, ...]
    format: Format | None = None
    refused: Path | None = None
    dry_run: bool = False
    window: int = 256
    quiet: bool = False


def ingest(service: Service, author: Author, shape: Shape, job: Job) -> Done:
    """Sends everything and says what became of it."""
    shape.check()
    check(job)
    reading = Reading(job.files, stdin(), job.format)
    reading.bytes_total()  # a missing file is told before anything is sent
    with ExitStack() as stack:
        said = stack.enter_context(report(shape, job))
        if long_for_people(reading, shape):
            stack.enter_context(said.progress(reading))
        try:
            asyncio.run(sent(service, author, job, reading, said, in_full=shape.as_json))
        except Interrupted as trouble:
            said.interrupted(trouble)
        except KeyboardInterrupt:
            print(f"stopped by hand\n{AGAIN}", file=sys.stderr)
            said.end()
            raise
    if said.misses_reference_data and book_is_empty(service):
        print(f"the book has no reference data yet; {faults.LOAD_REFERENCE_DATA}", file=sys.stderr)
    return Done(said.end(), said.position)


def check(job: Job) -> None:
    if job.files.count(STDIN) > 1:
        raise Stop("standard input can be read once")
    if job.refused and any(job.refused.resolve() == Path(name).resolve() for name in job.files):
        raise Stop(f"{job.refused} is to be read; write what is refused elsewhere")


def book_is_empty(service: Service) -> bool:
    with remote(service) as there:
        answer = there.reference.GetReferenceData(GetReferenceDataRequest(), timeout=service.timeout)
    return not answer.version


async def sent(
    service: Service, author: Author, job: Job, reading: Reading, said: Report, *, in_full: bool
) -> None:
    async with connect_async(service.server, service.tls()) as channel:
        stub = InvoiceServiceStub(channel)
        together = Together(stub, author, service.timeout)
        sender = Sender(together, author, job.dry_run, job.window, in_full)
        async for result in sender.send(iter(reading), reading.more):
            said.add(result)


def long_for_people(reading: Reading, shape: Shape) -> bool:
    if shape.as_json or shape.as_csv or not sys.stderr.isatty():
        return False
    total = reading.bytes_total()
    return total is None or total > LONG


@dataclass(slots=True)
class Report:
    """Says what became of each invoice, and at the end of all."""

    shape: Shape
    job: Job
    screen: Console
    refused: TextIO | None = None
    counts: Counter[Outcome] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)
    position: str = ""
    broken: bool = False
    misses_reference_data: bool = False
    bar: tuple[Progress, TaskID, Reading] | None = None

    def add(self, result: Result) -> None:
        self.counts[result.outcome] += 1
        self.position = result.answer.position or self.position
        self.misses_reference_data |= any(each["rule"] in OF_REFERENCE_DATA for each in result.errors)
        if result.outcome is Outcome.REFUSED and self.refused:
            print(json.dumps(result.refused_as(), ensure_ascii=False), file=self.refused, flush=True)
        if self.shape.as_json:
            print(json.dumps(as_json(result), ensure_ascii=False))
        elif self.shape.as_csv:
            self.csv(result)
        elif result.outcome is Outcome.REFUSED or not self.job.quiet:
            for line in lines(result):
                self.screen.print(line, soft_wrap=True)
        if self.bar:
            progress, task, reading = self.bar
            done = self.counts.total()
            progress.update(task, completed=reading.bytes_read, invoices=done, rate=self.rate(done))

    def rate(self, done: int) -> int:
        """Invoices a second, since the beginning."""
        return round(done / max(0.001, time.monotonic() - self.began))

    def csv(self, result: Result) -> None:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        if self.counts.total() == 1:
            writer.writerow(CSV_HEAD)
        writer.writerow(csv_cells(result))

    def interrupted(self, trouble: Interrupted) -> None:
        self.broken = True
        print(f"stopped at {trouble.place}: {faults.text_of(trouble.explanation)}", file=sys.stderr)
        print(AGAIN, file=sys.stderr)

    def end(self) -> int:
        """The sum of it, and the exit status."""
        seconds = time.monotonic() - self.began
        parts = [f"{self.counts[each]} {each}" for each in Outcome if self.counts[each]]
        where = f" (see {self.job.refused})" if self.refused and self.counts[Outcome.REFUSED] else ""
        nothing = "nothing recorded" if self.broken else "nothing to ingest"
        done = self.counts.total()
        rate = f", {self.rate(done)} a second" if done >= MANY else ""
        text = f"{', '.join(parts) or nothing}{where} in {seconds:.1f} s{rate}"
        print(text, file=sys.stderr if self.shape.as_json or self.shape.as_csv else sys.stdout)
        if self.broken:
            return faults.FAILED
        return faults.REFUSED if self.counts[Outcome.REFUSED] else 0

    @contextmanager
    def progress(self, reading: Reading) -> Iterator[None]:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn("{task.fields[invoices]} invoices, {task.fields[rate]} a second"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console(stderr=True),
            transient=True,
        )
        with bar:
            self.bar = (bar, bar.add_task("", total=reading.bytes_total(), invoices=0, rate=0), reading)
            if self.screen.is_terminal:
                self.screen = bar.console
            yield


@contextmanager
def report(shape: Shape, job: Job) -> Iterator[Report]:
    if job.refused is None:
        yield Report(shape, job, console())
        return
    with job.refused.open("w", encoding="utf-8") as refused:
        yield Report(shape, job, console(), refused)


# Each result


def lines(result: Result) -> Iterator[str]:
    content, answer = result.content, result.answer
    name = content.invoice_number or content.unique_identifier or content.account_id
    if result.outcome is Outcome.REFUSED:
        more = result.finding_count - len(result.errors)
        yield f"{result.outcome:9} {' '.join(filter(None, (result.place, name)))}"
        yield from (f"          {error_line(each)}" for each in result.errors)
        if more > 0:
            yield f"          … and {more} more"
        return
    totals = answer.totals if answer.HasField("totals") else answer.invoice.totals
    due = f"{totals.total_with_tax.currency_code} {amount(totals.total_with_tax):>14}"
    stands = status(answer.status or answer.invoice.status)
    yield f"{result.outcome:9} {due}  {stands:8}  {name}  {result.place}"


def error_line(each: dict[str, str]) -> str:
    return (
        f"{each['path']}: {each['description']}" if each["path"] else f"{each['rule']}: {each['description']}"
    )


def as_json(result: Result) -> dict[str, Any]:
    said: dict[str, Any] = {"place": result.place, "outcome": result.outcome.value}
    if result.content.unique_identifier:
        said["uniqueIdentifier"] = result.content.unique_identifier
    if result.outcome is Outcome.REFUSED:
        return said | {
            "reason": result.reason,
            "findingCount": result.finding_count,
            "errors": list(result.errors),
        }
    return said | MessageToDict(result.answer)


def csv_cells(result: Result) -> list[str]:
    answer = result.answer
    totals = answer.totals if answer.HasField("totals") else answer.invoice.totals
    good = result.outcome is not Outcome.REFUSED
    return [
        result.place,
        result.outcome,
        result.content.unique_identifier,
        answer.invoice_id,
        status(answer.status or answer.invoice.status) if good else "",
        totals.total_with_tax.currency_code or result.content.currency_code,
        money(totals.total_with_tax) if good else "",
        answer.position,
        result.reason,
        "; ".join(map(error_line, result.errors)),
    ]
