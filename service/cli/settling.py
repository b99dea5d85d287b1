"""`daybook void`, `write-off`, `payment …` and `credit convert`: changes to what is owed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import uuid4

from google.protobuf.message import Message
from google.type.money_pb2 import Money

from daybook.v1 import invoice_service_pb2 as service_pb
from domain import money

from .changing import said
from .forms import message
from .options import Author, Named, Service, Shape, Stop
from .printing import print_json
from .remote import authored, key_of, remote, understood
from .settlement_verbs import Sum
from .trees import Plain

M = TypeVar("M", bound=Message)


def money_of(sum_: Sum) -> Money | None:
    """The amount that was written, exactly; None where none was."""
    sum_.check()
    if not sum_.amount:
        return None
    try:
        amount = money.decimal(sum_.amount, decimals_max=9)
    except money.NotDecimal as fault:
        raise Stop(f"--amount: {fault}") from None
    units = int(amount)
    nanos = int((amount - units).scaleb(9))
    return Money(currency_code=sum_.currency, units=units, nanos=nanos)


def dated(kind: type[M], date: str) -> M:
    """A request that counts for this day, written as in a file."""
    tree = {"effective_date": Plain(date)} if date else {}
    return understood(message(kind, dict(tree)), "--date")


def settle(service: Service, author: Author, shape: Shape, method: str, request: Any, what: str) -> str:
    """Asks, and says how the invoice stands now: `what` may name the answer's fields; JSON has all of them.

    Answers the position of what was written.
    """
    shape.check()
    with remote(service) as there:
        answer = getattr(there.invoices, method)(
            authored(request, author), timeout=service.timeout, metadata=author.metadata()
        )
    if shape.as_json:
        print_json(answer)
        return str(answer.position)
    fields = {each.name: getattr(answer, each.name) for each in answer.DESCRIPTOR.fields}
    done = what.format(**fields)
    said(answer.invoice, shape, f"stood so already; {done}" if answer.replayed else done)
    return str(answer.position)


def void(service: Service, author: Author, shape: Shape, named: Named) -> str:
    request = service_pb.VoidInvoiceRequest(key=key_of(named))
    return settle(service, author, shape, "VoidInvoice", request, "voided by credit memo {credit_memo_id}")


def write_off(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    *,
    reason_code: str,
    date: str,
    request_id: str,
) -> None:
    request = dated(service_pb.WriteOffInvoiceRequest, date)
    request.key.CopyFrom(key_of(named))
    request.reason_code, request.request_id = reason_code, request_id or str(uuid4())
    settle(service, author, shape, "WriteOffInvoice", request, "written off by credit memo {credit_memo_id}")


def record(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    *,
    sum_: Sum,
    date: str,
    reference: str,
    request_id: str,
) -> None:
    request = dated(service_pb.RecordPaymentRequest, date)
    request.key.CopyFrom(key_of(named))
    request.amount.CopyFrom(money_of(sum_) or Money())
    request.reference, request.request_id = reference, request_id or str(uuid4())
    settle(service, author, shape, "RecordPayment", request, "paid: payment {payment_id}")


def reverse(
    service: Service,
    author: Author,
    shape: Shape,
    payment: str,
    named: Named,
    *,
    sum_: Sum,
    date: str,
    request_id: str,
) -> None:
    request = dated(service_pb.ReversePaymentRequest, date)
    request.key.CopyFrom(key_of(named))
    if (amount := money_of(sum_)) is not None:
        request.amount.CopyFrom(amount)
    request.payment_id, request.request_id = payment, request_id or str(uuid4())
    settle(service, author, shape, "ReversePayment", request, f"payment {payment} taken back")


def convert(
    service: Service,
    author: Author,
    shape: Shape,
    named: Named,
    *,
    lines: Sequence[int],
    date: str,
    request_id: str,
) -> None:
    request = dated(service_pb.ConvertNegativeLinesRequest, date)
    request.key.CopyFrom(key_of(named))
    request.line_numbers.extend(lines)
    request.request_id = request_id or str(uuid4())
    settle(
        service, author, shape, "ConvertNegativeLines", request, "converted to credit memo {credit_memo_id}"
    )
