"""Messages by the paths of their fields, every value as text: what two states are compared by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as WireDecimal
from google.type.money_pb2 import Money

from daybook.v1 import invoice_pb2 as pb
from domain.money import CURRENCIES, plain

from .values import NANOS

Fields = Mapping[str, str]

ROW, EXPLANATION = "content.taxes[{}].", "tax_explanations[{}]."


def flat(message: Message) -> Fields:
    """What is set in a message; messages that repeat are left out."""
    return dict(_flat(message, ""))


def flat_line(line: pb.Line) -> tuple[Fields, list[Fields]]:
    """A line's own fields, and those of each of its tax rows, under paths that lack the row's place."""
    explanations = (*line.tax_explanations, *[None] * len(line.content.taxes))
    rows = [_row(row, why) for row, why in zip(line.content.taxes, explanations, strict=False)]
    return {name: value for name, value in flat(line).items() if name != "line_number"}, rows


def _row(row: pb.TaxRow, explanation: pb.TaxExplanation | None) -> Fields:
    fields = {ROW + name: value for name, value in flat(row).items()}
    if explanation is not None:
        fields |= {EXPLANATION + name: value for name, value in flat(explanation).items()}
    return fields


def _flat(message: Message, path: str) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        at = f"{path}{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from ((f'{at}["{key}"]', value[key]) for key in sorted(value))
        elif field.is_repeated:
            if field.message_type is None:
                yield at, ", ".join(map(str, value))
        elif field.message_type is not None:
            said = text(value)
            if said is None:
                yield from _flat(value, f"{at}.")
            else:
                yield at, said
        else:
            yield at, _scalar(field, value)


def text(value: Message) -> str | None:
    """A value that is a message; None where it is more than one value."""
    match value:
        case WireDecimal():
            return value.value
        case Date():
            return f"{value.year:04}-{value.month:02}-{value.day:02}"
        case Money():
            return f"{value.currency_code} {_amount(value)}"
        case Timestamp():
            return value.ToJsonString()
        case _:
            return None


def _amount(money: Money) -> str:
    amount = Decimal(money.units) + money.nanos / NANOS
    currency = CURRENCIES.get(money.currency_code)
    return plain(amount.quantize(currency.unit)) if currency else plain(amount)


def _scalar(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        return str(field.enum_type.values_by_number[value].name.removeprefix(prefix))
    return str(value).lower() if isinstance(value, bool) else str(value)
