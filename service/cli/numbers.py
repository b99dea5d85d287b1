"""`daybook numbers`: series of numbers, and the proof that none is missing."""

from __future__ import annotations

from collections.abc import Iterator

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import sequence_service_pb2 as sequence_pb

from . import faults
from .forms import choice
from .options import Service
from .printing import add, bare_table, console, print_json
from .remote import Remote, remote

PAGE_MAX = 500


def numbers(service: Service, policy_id: str, period: str, *, as_json: bool) -> int:
    with remote(service) as there:
        if not policy_id:
            return list_(there, service, as_json=as_json)
        return prove(there, service, policy_id, period, as_json=as_json)


def list_(there: Remote, service: Service, *, as_json: bool) -> int:
    table, count = bare_table(), 0
    for name in ("policy", "period", "legal entity", "numbers", "first", "last"):
        table.add_column(name)
    asked = sequence_pb.ListSequencesRequest(page_size=PAGE_MAX)
    while True:
        answer = there.sequences.ListSequences(asked, timeout=service.timeout)
        for each in answer.series:
            count += 1
            if as_json:
                print_json(each)
            row = (each.policy_id, each.period, each.legal_entity_id, str(each.count))
            add(table, *row, each.first_number, each.last_number)
        asked.page_token = answer.next_page_token
        if not asked.page_token:
            break
    if not as_json:
        screen = console()
        if count:
            screen.print(table)
        screen.print(f"{count} series")
    return 0


def proved(
    there: Remote, service: Service, policy_id: str, period: str
) -> Iterator[sequence_pb.SequenceNumber]:
    asked = sequence_pb.ProveSequenceRequest(policy_id=policy_id, period=period, page_size=PAGE_MAX)
    while True:
        answer = there.sequences.ProveSequence(asked, timeout=service.timeout)
        yield from answer.numbers
        asked.page_token = answer.next_page_token
        if not asked.page_token:
            return


def prove(there: Remote, service: Service, policy_id: str, period: str, *, as_json: bool) -> int:
    """Exit status 1 where a number is missing, or is not what it should be."""
    table = bare_table()
    for name in ("n", "number", "day", "invoice", "status", ""):
        table.add_column(name)
    all_, faulty = [], 0
    for each in proved(there, service, policy_id, period):
        all_.append(each.number)
        faulty += bool(each.faults)
        if as_json:
            print_json(each)
            continue
        wrong = [choice(sequence_pb.SequenceFaultKind.DESCRIPTOR, fault) for fault in each.faults]
        notes = [*(["brought"] if each.brought else []), *wrong]
        day = f"{each.date.year:04}-{each.date.month:02}-{each.date.day:02}" if each.HasField("date") else ""
        status = choice(pb.InvoiceStatus.DESCRIPTOR, each.status) if each.status else ""
        add(table, str(each.nth), each.number, day, each.invoice_id, status, ", ".join(notes))
    if not as_json:
        screen = console()
        screen.print(table)
        told = f"{faulty} with a fault" if faulty else "none missing"
        screen.print(f"{len(all_)} numbers, {all_[0]} to {all_[-1]}: {told}")
    return faults.REFUSED if faulty else 0
