"""Posts invoices, one or many at once: reads requests, has drafts posted, and writes the answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import repeat

from daybook.v1 import invoice_service_pb2 as pb
from domain import invoice
from domain.findings import Findings, Malformed

from .calls import Caller
from .ingestion import AT_ONCE, Replies, failure
from .keys import Key, resolved
from .poster import Poster, Posting, Wanted
from .transact import Book
from .wire.invoices import check_view
from .wire.keys import read_key
from .wire.postings import write_posting_failure, write_posting_outcome


@dataclass(frozen=True, slots=True)
class Said:
    """A request that was read: what the caller calls the invoice, and what is wanted of it."""

    request: pb.PostInvoiceRequest
    key: Key
    wanted: Wanted


@dataclass(slots=True)
class Postings:
    """The rules are the same for one and for many, and so are the answers."""

    book: Book
    poster: Poster
    replies: Replies

    async def one(
        self, request: pb.PostInvoiceRequest, caller: Caller, until: float
    ) -> pb.PostInvoiceResponse:
        said = await self._read(request, caller, until)
        try:
            posting = await self.poster.post(said.wanted, until)
        except invoice.NotFound:
            raise invoice.NotFound(key=said.key) from None
        return self._answer(said, posting)

    async def batch(
        self, batch: pb.BatchPostInvoicesRequest, caller: Caller, until: float
    ) -> pb.BatchPostInvoicesResponse:
        said = await asyncio.gather(*map(self._read_one, batch.requests, repeat(caller), repeat(until)))
        wanted = [each.wanted for each in said if isinstance(each, Said)]
        postings = iter(await self.poster.post_each(wanted, until))
        answer = pb.BatchPostInvoicesResponse()
        newest = 0
        for count, (request, each) in enumerate(zip(batch.requests, said, strict=True), 1):
            posting = next(postings) if isinstance(each, Said) else each
            if isinstance(posting, Posting):
                newest = max(newest, posting.outcome.position)
            answer.results.append(self._result(request, each, posting))
            if not count % AT_ONCE:
                await asyncio.sleep(0)
        if newest:
            answer.position = self.replies.position(newest)
        return answer

    async def _read(self, request: pb.PostInvoiceRequest, caller: Caller, until: float) -> Said:
        findings = Findings()
        meta = caller.meta(request.reason, request.correlation_id, findings)
        check_view(request.view, findings)
        if findings:
            raise Malformed(findings)
        key = read_key(request.key)
        return Said(request, key, Wanted(await resolved(key, self.book.log, until), meta))

    async def _read_one(
        self, request: pb.PostInvoiceRequest, caller: Caller, until: float
    ) -> Said | Exception:
        """One of many; what cannot be read stands as what it is refused with."""
        try:
            return await self._read(request, caller, until)
        except Exception as error:
            return error

    def _result(
        self, request: pb.PostInvoiceRequest, said: Said | Exception, posting: Posting | Exception
    ) -> pb.PostingResult:
        if isinstance(said, Said) and isinstance(posting, Posting):
            return pb.PostingResult(key=request.key, response=self._answer(said, posting))
        if isinstance(said, Said) and isinstance(posting, invoice.NotFound):
            posting = invoice.NotFound(key=said.key)
        assert isinstance(posting, Exception)
        return pb.PostingResult(key=request.key, failure=failure(posting))

    def _answer(self, said: Said, posting: Posting) -> pb.PostInvoiceResponse:
        state, given_up = posting.outcome.state, posting.given_up
        return pb.PostInvoiceResponse(
            position=self.replies.position(posting.outcome.position),
            replayed=posting.replayed,
            posting=write_posting_outcome(state, given_up),
            failure=write_posting_failure(state, given_up),
            invoice=self.replies.invoice(said.wanted.invoice_id, posting.outcome, said.request.view),
        )
