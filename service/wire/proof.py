"""Seals and verifications, to and from the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from daybook.v1 import proof_pb2 as pb
from domain.findings import Findings, Malformed, Rule, shown
from domain.texts import check_text
from store.proof.findings import Fault
from store.proof.seal import Sealed, stated

from ..keys import Key
from .invoices import Positioned
from .keys import read_key
from .values import read_date, write_instant

KEYS_MAX = 100
BOTH = 2
HEX = re.compile(r"[0-9a-f]{64}")


def read_verification(request: pb.VerifyLogRequest) -> dict[str, object]:
    """What to verify, as a job is told it."""
    findings = Findings()
    if request.since_seal < 0:
        findings.add("since_seal", Rule.OUT_OF_RANGE, least=0, most=2**63 - 1, value=request.since_seal)
    if len(request.keys) > KEYS_MAX:
        findings.add("keys", Rule.OUT_OF_RANGE, least=0, most=KEYS_MAX, value=len(request.keys))
    said = {f"keys[{i}]": key for i, key in enumerate(request.keys[:KEYS_MAX])}
    if request.since_digest:
        said["since_digest"] = request.since_digest
        if not request.since_seal:
            findings.add("since_seal", Rule.REQUIRED)
    for path, text in said.items():
        if not HEX.fullmatch(text):
            findings.add(path, Rule.HEX_TEXT, value=shown(text))
    if findings:
        raise Malformed(findings)
    asked: dict[str, object] = {"since": request.since_seal, "digest": request.since_digest}
    return asked | ({"keys": list(request.keys)} if request.keys else {})


def read_about(request: pb.ExportAuditPackRequest) -> Key | dict[str, str]:
    """What a pack is about, as a job is told it; an invoice's name is still to be looked up."""
    findings = Findings()
    about: dict[str, str] = {}
    match request.WhichOneof("about"):
        case "invoice":
            return read_key(request.invoice, "invoice")
        case "account_id":
            check_text(request.account_id, "account_id", findings)
            about = {"account": request.account_id}
            if not request.account_id:
                findings.add("account_id", Rule.REQUIRED)
        case "period":
            about = _period(request.period, findings)
        case _:
            findings.add("about", Rule.REQUIRED)
    if findings:
        raise Malformed(findings)
    return about


def _period(period: pb.Period, findings: Findings) -> dict[str, str]:
    days: dict[str, date] = {}
    for name in ("first_date", "last_date"):
        if not period.HasField(name):
            findings.add(f"period.{name}", Rule.REQUIRED)
        elif day := read_date(getattr(period, name), f"period.{name}", findings):
            days[name] = day
    if len(days) == BOTH and days["last_date"] < days["first_date"]:
        least, most = days["first_date"], date.max
        findings.add("period.last_date", Rule.OUT_OF_RANGE, least=least, most=most, value=days["last_date"])
    return {name.removesuffix("_date"): day.isoformat() for name, day in days.items()}


def write_seal(sealed: Sealed, position: Positioned) -> pb.Seal:
    seal = stated(sealed.statement)
    return pb.Seal(
        number=seal.number,
        statement=sealed.statement,
        digest=sealed.digest,
        signature=bytes.fromhex(sealed.signature),
        countersignature=bytes.fromhex(sealed.countersignature),
        event_count=seal.events,
        position=position(seal.last),
        seal_time=write_instant(datetime.fromisoformat(seal.sealed)),
        key=seal.key,
    )


def write_told(told: Mapping[str, Any], position: Positioned) -> pb.VerifyLogResponse:
    match told["told"]:
        case "Progress":
            progress = pb.VerificationProgress(
                event_count=told["events"],
                position=position(told["position"]),
                head_position=position(told["head"]),
            )
            return pb.VerifyLogResponse(progress=progress)
        case "Finding":
            return pb.VerifyLogResponse(finding=_finding(told, position))
        case _:
            return pb.VerifyLogResponse(verdict=_verdict(told, position))


def _finding(told: Mapping[str, Any], position: Positioned) -> pb.VerificationFinding:
    return pb.VerificationFinding(
        fault=pb.VerificationFault.Value(f"VERIFICATION_FAULT_{Fault(told['fault']).name}"),
        text=told["text"],
        position=position(told["position"]),
        stream_id=told["stream"],
        version=told["version"],
        seal=told["seal"],
    )


def _verdict(told: Mapping[str, Any], position: Positioned) -> pb.VerificationVerdict:
    return pb.VerificationVerdict(
        finding_count=told["found"],
        event_count=told["events"],
        unsealed_event_count=told["unsealed"],
        seal_count=told["seals"],
        signed_count=told["signed"],
        witnessed_count=told["witnessed"],
        last_seal=told["seal"],
        last_digest=told["digest"],
        position=position(told["position"]),
        keys=told["keys"],
    )
