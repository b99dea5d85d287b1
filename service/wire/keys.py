"""An invoice's name, from the wire."""

from __future__ import annotations

from daybook.v1 import invoice_service_pb2 as pb
from domain.findings import Findings, Malformed, Rule
from domain.numbering import Number

from ..keys import Key, missing
from .values import read_uuid


def read_key(message: pb.InvoiceKey, path: str = "key") -> Key:
    findings = Findings()
    key: Key | None = None
    match message.WhichOneof("key"):
        case "invoice_id":
            invoice_id = read_uuid(message.invoice_id, f"{path}.invoice_id", findings)
            key = Key(invoice_id=invoice_id)
        case "unique_identifier":
            _require(message.unique_identifier, f"{path}.unique_identifier", findings)
            key = Key(unique_identifier=message.unique_identifier)
        case "number":
            _require(message.number.legal_entity_id, f"{path}.number.legal_entity_id", findings)
            _require(message.number.number, f"{path}.number.number", findings)
            key = Key(number=Number(message.number.legal_entity_id, message.number.number))
        case None:
            pass
    if key is None:
        raise missing(path)
    if findings:
        raise Malformed(findings)
    return key


def _require(text: str, path: str, findings: Findings) -> None:
    if not text:
        findings.add(path, Rule.REQUIRED)
