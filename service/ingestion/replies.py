"""What the answers about invoices have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from daybook.v1 import invoice_pb2 as pb
from daybook.v1 import invoice_service_pb2 as service_pb
from domain import invoice
from domain.findings import Finding
from store.log import LogIdentity

from .. import positions
from ..attempt import Outcome
from ..wire.invoices import write_invoice
from ..wire.summaries import days_open, days_overdue

FINDINGS_MAX = 1000  # in a body


@dataclass(frozen=True, slots=True)
class Replies:
    """Writes positions as those of one log, and invoices as a command left them."""

    identity: LogIdentity
    today: Callable[[str], date]  # where a legal entity is

    def position(self, position: int) -> str:
        return positions.token(self.identity, position)

    def invoice(
        self,
        invoice_id: UUID,
        outcome: Outcome[invoice.Invoice],
        view: pb.InvoiceView.ValueType,
        *,
        dry_run: bool = False,
    ) -> pb.Invoice:
        default = pb.INVOICE_VIEW_FULL if dry_run else pb.INVOICE_VIEW_BASIC
        state, before = outcome.state, outcome.history.recorded
        message = write_invoice(
            invoice_id,
            state,
            self.position,
            created=before[0].recorded if before else outcome.recorded,
            updated=outcome.recorded or before[-1].recorded,
            full=(view or default) == pb.INVOICE_VIEW_FULL,
        )
        if state.status is invoice.Status.POSTED:
            today = self.today(state.header.legal_entity_id)
            message.days_open, message.days_overdue = days_open(state, today), days_overdue(state, today)
        return message


def write_findings(findings: Iterable[Finding]) -> list[service_pb.Finding]:
    return [
        service_pb.Finding(path=each.path, rule=each.rule.name, description=str(each))
        for _, each in zip(range(FINDINGS_MAX), findings, strict=False)
    ]
