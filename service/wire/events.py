"""Events as they are published. A new event needs its message in the contract and a line in a table here."""

from __future__ import annotations

from uuid import UUID

from daybook.v1 import audit_service_pb2 as audit_pb
from daybook.v1 import event_pb2 as pb
from domain import credit_memo, debit_memo, identity, invoice, numbering, reference, sequence
from domain.findings import Findings, Malformed, Rule
from domain.texts import check_text
from store.log import Event, Recorded

from .debit_memo_events import DEBIT_MEMO_EVENTS
from .invoice_events import INVOICE_EVENTS, NUMBER_EVENTS
from .invoices import Positioned
from .publishing import Published, detail_field
from .reference_events import REFERENCE_EVENTS
from .sequence_events import SEQUENCE_EVENTS
from .settlement_events import CREDIT_MEMO_EVENTS, SETTLEMENT_EVENTS
from .values import read_uuid, write_date, write_instant

STREAM_ID_MAX = 1_000

PUBLISHED: dict[type, Published] = {
    **INVOICE_EVENTS,
    **SETTLEMENT_EVENTS,
    **DEBIT_MEMO_EVENTS,
    **CREDIT_MEMO_EVENTS,
    **NUMBER_EVENTS,
    **SEQUENCE_EVENTS,
    **REFERENCE_EVENTS,
}

_KIND_OF: dict[type, pb.StreamKind.ValueType] = {
    **dict.fromkeys(invoice.EVENTS, pb.STREAM_KIND_INVOICE),
    **dict.fromkeys(debit_memo.EVENTS, pb.STREAM_KIND_DEBIT_MEMO),
    **dict.fromkeys(credit_memo.EVENTS, pb.STREAM_KIND_CREDIT_MEMO),
    **dict.fromkeys(numbering.EVENTS, pb.STREAM_KIND_NUMBER),
    sequence.NumberAssigned: pb.STREAM_KIND_SERIES,
    sequence.SeriesOpened: pb.STREAM_KIND_SEQUENCE,
    reference.ReferenceDataApplied: pb.STREAM_KIND_REFERENCE_DATA,
}
_STREAMS = {
    pb.STREAM_KIND_INVOICE: identity.invoice,
    pb.STREAM_KIND_DEBIT_MEMO: identity.debit_memo,
    pb.STREAM_KIND_SEQUENCE: identity.sequence,
}
_BY_UUID = (pb.STREAM_KIND_UNSPECIFIED, pb.STREAM_KIND_CREDIT_MEMO)
_REFERENCE_KINDS = {pb.StreamKind.Value(f"STREAM_KIND_{kind.name}"): kind for kind in reference.Kind}
_KINDS_OF_REFERENCE = {kind: number for number, kind in _REFERENCE_KINDS.items()}


def write_event(recorded: Recorded, position: Positioned) -> pb.Event:
    """An event as callers see it; what was erased of it is empty, and it says so."""
    event, meta = recorded.event, recorded.meta
    published = PUBLISHED[type(event)]
    day = published.business_date(event)
    message = pb.Event(
        position=position(recorded.position),
        stream_id=str(recorded.stream),
        stream_kind=kind_of(event),
        version=recorded.version,
        type=recorded.name,
        record_time=write_instant(recorded.recorded),
        business_date=write_date(day) if day else None,
        who=pb.Actor(kind=pb.ActorKind.Value(f"ACTOR_KIND_{meta.who.kind.upper()}"), id=meta.who.id),
        reason=meta.reason,
        correlation_id=meta.correlation,
        causation_id=meta.causation,
        trace=meta.trace,
        digest=recorded.digest,
        previous_digest=recorded.prev,
        sentence=published.sentence(event),
        personal_data_erased=getattr(event, "personal", event) is None,
    )
    name = detail_field(pb.Event.DESCRIPTOR, type(event).__name__)
    assert name is not None, f"{type(event).__name__} is not published"
    detail = getattr(message, name)
    detail.SetInParent()
    published.write(event, detail, position)
    return message


def kind_of(event: Event) -> pb.StreamKind.ValueType:
    """What the stream of an event is about."""
    of_type = _KIND_OF.get(type(event))
    if of_type is not None:
        return of_type
    removed = isinstance(event, reference.ReferenceEntryRemoved)
    return _KINDS_OF_REFERENCE[event.kind if removed else reference.kind_of(event.entry)]


def read_stream_key(message: audit_pb.StreamKey, path: str = "key") -> UUID:
    """The stream that a caller means."""
    findings = Findings()
    stream = _stream(message, path, findings)
    if findings or stream is None:
        raise Malformed(findings)
    return stream


def _stream(message: audit_pb.StreamKey, path: str, findings: Findings) -> UUID | None:
    kind = message.kind
    if kind not in pb.StreamKind.values():
        have = ", ".join(name.removeprefix("STREAM_KIND_") for name in pb.StreamKind.keys()[1:])
        findings.add(f"{path}.kind", Rule.ENUM, have=have, value=kind)
        return None
    if kind == pb.STREAM_KIND_REFERENCE_DATA:
        return identity.REFERENCE_HEAD
    if kind == pb.STREAM_KIND_SETTINGS:
        return identity.reference(reference.Kind.SETTINGS, reference.SETTINGS_ID)
    if not message.id:
        findings.add(f"{path}.id", Rule.REQUIRED)
    check_text(message.id, f"{path}.id", findings, STREAM_ID_MAX)
    if kind == pb.STREAM_KIND_NUMBER:
        if not message.legal_entity_id:
            findings.add(f"{path}.legal_entity_id", Rule.REQUIRED)
        return identity.number(message.legal_entity_id, message.id)
    if kind == pb.STREAM_KIND_SERIES:
        check_text(message.period, f"{path}.period", findings)
        return identity.series(message.id, message.period)
    if kind in _BY_UUID:
        return read_uuid(message.id, f"{path}.id", findings) if not findings else None
    if kind in _REFERENCE_KINDS:
        return identity.reference(_REFERENCE_KINDS[kind], message.id)
    return _STREAMS[kind](message.id)
