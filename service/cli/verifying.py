"""`daybook verify`: the log compared with its seals, by the service or straight on the database."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from daybook.v1 import proof_pb2 as pb
from store.proof import keys, witness
from store.proof.findings import Finding, Progress, Verdict
from store.proof.verify import Asked

from ..wire.proof import write_told
from .options import Service, Stop
from .printing import print_json
from .remote import Remote, remote
from .serving import config_of

PAGE_MAX = 500
FAULT = "VERIFICATION_FAULT_"


@dataclass(frozen=True, slots=True)
class Asking:
    """What the caller wants verified, and believes."""

    since: int
    digest: str
    witness: Path | None
    keys: tuple[str, ...]

    @classmethod
    def said(cls, since: str, witness_file: Path | None, said_keys: list[str]) -> Asking:
        number, _, digest = since.partition(":")
        if since and not number.isdecimal():
            raise Stop(f"--since {since}: a seal as `verify` has told it, N or N:DIGEST")
        try:
            return cls(int(number or 0), digest, witness_file, keys.named(said_keys))
        except keys.BadKey as trouble:
            raise Stop(str(trouble)) from trouble


class Paper:
    """Puts what is told on paper; afterwards it knows whether the log holds."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._on_terminal = sys.stderr.isatty() and not as_json
        self.findings = 0

    def put(self, told: pb.VerifyLogResponse) -> None:
        if told.HasField("verdict"):
            self.findings = max(self.findings, told.verdict.finding_count)
        elif told.HasField("finding"):
            self.findings += 1
        if self._as_json:
            print_json(told)
        elif told.HasField("progress"):
            self._go_on(told.progress)
        elif told.HasField("finding"):
            self._clear()
            print(finding_line(told.finding))
        else:
            self._clear()
            print(verdict_text(told.verdict, self.findings))

    def _go_on(self, progress: pb.VerificationProgress) -> None:
        if self._on_terminal:
            print(f"\r{progress.event_count:,} events", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._on_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def verify_here(asking: Asking, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> bool:
    from .. import bootstrap

    paper = Paper(as_json=as_json)
    asked = Asked(asking.since, asking.digest, asking.keys, asking.witness)

    def hear(told: Progress | Finding | Verdict) -> None:
        paper.put(write_told({"told": type(told).__name__, **asdict(told)}, str))

    config = config_of(data_dir, database_url)
    try:
        asyncio.run(bootstrap.verify_here(config, asked, hear, lambda text: print(text, file=sys.stderr)))
    except bootstrap.CANNOT_VERIFY as error:
        raise Stop(str(error)) from error
    return not paper.findings


def verify_there(service: Service, asking: Asking, *, as_json: bool) -> bool:
    """By the service; what it knows of its seals is compared with our own witness here."""
    paper = Paper(as_json=as_json)
    request = pb.VerifyLogRequest(since_seal=asking.since, since_digest=asking.digest, keys=asking.keys)
    with remote(service) as there:
        if asking.witness is not None:
            for finding in witnessed(there, service, asking.witness):
                paper.put(pb.VerifyLogResponse(finding=finding))
        for told in there.audit.VerifyLog(request, timeout=None):
            paper.put(told)
    return not paper.findings


def witnessed(there: Remote, service: Service, file: Path) -> Iterator[pb.VerificationFinding]:
    """What the witness holds and the service does not say."""
    ours = seals_of(there, service)
    said = next(ours, None)
    try:
        for seal, sealed in witness.seals(file):
            while said is not None and said.number < seal.number:
                said = next(ours, None)
            if said is None or said.statement != sealed.statement:
                is_there = said is not None and said.number == seal.number
                what = "is another one than was witnessed" if is_there else "is not in the log any more"
                text = f"seal {seal.number} {what}; it covers positions {seal.after + 1} to {seal.last}"
                fault = pb.VERIFICATION_FAULT_WITNESS
                yield pb.VerificationFinding(fault=fault, text=text, seal=seal.number)
    except witness.BadWitness as trouble:
        raise Stop(str(trouble)) from trouble


def seals_of(there: Remote, service: Service) -> Iterator[pb.Seal]:
    request = pb.ListSealsRequest(page_size=PAGE_MAX)
    while True:
        page = there.audit.ListSeals(request, timeout=service.timeout)
        yield from page.seals
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def finding_line(finding: pb.VerificationFinding) -> str:
    fault = pb.VerificationFault.Name(finding.fault).removeprefix(FAULT).lower().replace("_", " ")
    if not finding.stream_id:
        return f"{fault}: {finding.text}"
    position = finding.position.rpartition(".")[2]
    place = f"position {position}, stream {finding.stream_id} version {finding.version}"
    return f"{fault}: {place}: {finding.text}"


def verdict_text(verdict: pb.VerificationVerdict, findings: int) -> str:
    lines = [f"NOT VERIFIED; findings: {findings:,}" if findings else "VERIFIED"]
    lines.append(f"  events under seals: {verdict.event_count:,} under {verdict.seal_count:,}")
    if verdict.keys:
        lines.append(f"  seals signed: {verdict.signed_count:,}, with {', '.join(verdict.keys)}")
    else:
        lines.append("  no key was named: signatures were compared with nothing; give --key")
    if verdict.witnessed_count:
        lines.append(f"  seals compared with the witness: {verdict.witnessed_count:,}")
    if verdict.unsealed_event_count:
        lines.append(f"  events not sealed yet: {verdict.unsealed_event_count:,}")
    if not findings and verdict.last_seal:
        lines.append(f"  the next time: --since {verdict.last_seal}:{verdict.last_digest}")
    return "\n".join(lines)
