"""Proves the log: verifies it, shows its seals, hands out receipts and packs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import grpc

from daybook.v1 import audit_service_pb2_grpc as service_grpc
from daybook.v1 import proof_pb2 as pb
from domain import invoice
from domain.refusal import Refused
from store.log import Log
from store.proof.evidence import receipt_of
from store.proof.kept import KeptSeals

from . import positions
from .calls import deadline
from .jobs import JobRefused, Jobs
from .keys import Key, resolved
from .pages import pages, size
from .wire.keys import read_key
from .wire.proof import read_about, read_verification, write_seal, write_told

Context = grpc.aio.ServicerContext[Any, Any]

SEALS_DEFAULT = 100
SEAL_SECONDS_MAX = 12.0  # a sealer takes ten
LOOK_SECONDS = 0.25  # between looks for a seal
ANSWER_SECONDS = 1.0  # kept back for the receipt itself
CHUNK_BYTES_MAX = 64 * 1024


class SealNotTrusted(Refused):
    reason = "SEAL_NOT_TRUSTED"
    because = "{because}"


class WitnessUnreadable(Refused):
    reason = "WITNESS_UNREADABLE"
    because = "{because}"


class NothingToExport(Refused):
    reason = "NOTHING_TO_EXPORT"
    because = "{because}"


REFUSED = {
    "NotTrusted": SealNotTrusted,
    "BadWitness": WitnessUnreadable,
    "NothingToTell": NothingToExport,
}


class Prover:
    """What proof needs: the log's database, its seals, the keys that are trusted, and the witness."""

    def __init__(
        self, dsn: str, *, keys: tuple[str, ...], key_file: str, witness: str, now: Callable[[], datetime]
    ) -> None:
        self.dsn = dsn
        self.keys = keys
        self.key_file = key_file
        self.witness = witness
        self.now = now
        self.seals = KeptSeals(dsn)
        self.jobs = Jobs()

    async def sealed(self, position: int, deadline: float) -> None:
        """Wait until the log is sealed up to a position, as far as a sealer is at work, or give up."""
        loop = asyncio.get_running_loop()
        until = min(deadline, loop.time() + SEAL_SECONDS_MAX)
        while await self.seals.upto(deadline) < position:
            if loop.time() + LOOK_SECONDS > until:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def receipt(self, stream: UUID) -> tuple[str, int]:
        return await asyncio.to_thread(receipt_of, self.dsn, stream)

    def close(self) -> None:
        self.seals.close()


class ProofServicer(service_grpc.AuditServiceServicer):
    """The methods of `AuditService` that prove."""

    def __init__(self, log: Log, prover: Prover) -> None:
        self._log = log
        self._prover = prover

    async def VerifyLog(
        self, request: pb.VerifyLogRequest, context: Context
    ) -> AsyncIterator[pb.VerifyLogResponse]:
        prover = self._prover
        asked: dict[str, object] = {"keys": prover.keys, **read_verification(request)}
        told = {"dsn": prover.dsn, "witness": prover.witness, **asked}
        try:
            async with prover.jobs.doing("verification", told) as answers:
                async for line in answers:
                    yield write_told(json.loads(line), self._position)
        except JobRefused as refused:
            raise REFUSED[refused.kind](because=str(refused)) from refused

    async def ListSeals(self, request: pb.ListSealsRequest, context: Context) -> pb.ListSealsResponse:
        most = size(request.page_size, SEALS_DEFAULT)
        these = pages(self._log.identity, "ListSeals", str(request.since_seal))
        after = these.cursor(request.page_token)
        after = max(request.since_seal, 0) if after is None else after
        found = await self._prover.seals.after(after, most + 1, deadline(context))
        seals = [write_seal(sealed, self._position) for sealed in found[:most]]
        following = these.token(seals[-1].number) if len(found) > most else ""
        return pb.ListSealsResponse(seals=seals, next_page_token=following)

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Context) -> pb.GetReceiptResponse:
        until = deadline(context)
        invoice_id, position = await self._known(read_key(request.key), until)
        await self._prover.sealed(position, until - ANSWER_SECONDS)
        receipt, unsealed = await self._prover.receipt(invoice_id)
        return pb.GetReceiptResponse(receipt=receipt, unsealed_event_count=unsealed)

    async def ExportAuditPack(
        self, request: pb.ExportAuditPackRequest, context: Context
    ) -> AsyncIterator[pb.ExportAuditPackResponse]:
        prover, until = self._prover, deadline(context)
        about = read_about(request)
        if isinstance(about, Key):
            stream, position = await self._known(about, until)
            about = {"stream": str(stream)}
        else:
            position = await self._log.head()
        await prover.sealed(position, until)
        told = {"key_file": prover.key_file, "about": about, "made": prover.now().isoformat()}
        try:
            async with prover.jobs.doing("export", {"dsn": prover.dsn, **told}) as answers:
                while chunk := await answers.read(CHUNK_BYTES_MAX):
                    yield pb.ExportAuditPackResponse(chunk=chunk)
        except JobRefused as refused:
            raise REFUSED[refused.kind](because=str(refused)) from refused

    async def _known(self, key: Key, until: float) -> tuple[UUID, int]:
        """The invoice that a key names, and the position of its last event."""
        invoice_id = await resolved(key, self._log, until)
        history = await self._log.read(invoice_id, deadline=until)
        if not history.recorded or not isinstance(history.recorded[0].event, invoice.EVENTS):
            raise invoice.NotFound(key=key)
        return invoice_id, history.position

    def _position(self, position: int) -> str:
        return positions.token(self._log.identity, position)
