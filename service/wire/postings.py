"""What became of postings, in the contract's words."""

from __future__ import annotations

from daybook.v1 import invoice_service_pb2 as pb
from domain import invoice
from domain.refusal import Refused

from .estimates import write_failure


def write_posting_outcome(state: invoice.Invoice, given_up: Refused | None) -> pb.PostingOutcome.ValueType:
    if state.status is invoice.Status.POSTED:
        return pb.POSTING_OUTCOME_POSTED
    if given_up or state.posting.failure:
        return pb.POSTING_OUTCOME_FAILED
    return pb.POSTING_OUTCOME_PENDING


def write_posting_failure(state: invoice.Invoice, given_up: Refused | None) -> pb.TaxFailure | None:
    if given_up:
        return write_failure("", given_up.reason, str(given_up))
    failure = state.posting.failure
    return write_failure(failure.engine_id, failure.code, failure.because) if failure else None
