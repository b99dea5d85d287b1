"""Dates, decimals, money, instants and enums between the wire and the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeVar
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as WireDecimal
from google.type.money_pb2 import Money

from domain import money
from domain.findings import Findings, Rule, shown
from domain.texts import LABELS_MAX

T = TypeVar("T")

PATHS_MAX = 100  # of a field mask
NANOS = Decimal(10) ** 9
YEAR_MOST = 9999
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS_A_DAY = 24 * 60 * 60


class WireEnum(Protocol):
    """An enum of the contract, by its names."""

    def Value(self, name: str) -> int: ...


class EnumTable:
    """An enum of the contract beside the domain's: same names, the contract's with a prefix."""

    def __init__(self, wire: WireEnum, domain: type[StrEnum], prefix: str) -> None:
        self.domain: dict[int, StrEnum] = {wire.Value(f"{prefix}_{each.name}"): each for each in domain}
        self.wire: dict[StrEnum, int] = {each: number for number, each in self.domain.items()}
        self.names = ", ".join(each.name for each in domain)

    def read(self, number: int, path: str, findings: Findings) -> StrEnum | None:
        """The domain's value; None for the unspecified one; a finding for a number that has no meaning."""
        if not number:
            return None
        value = self.domain.get(number)
        if value is None:
            findings.add(path, Rule.ENUM, have=self.names, value=number)
        return value


def read_date(message: Date, path: str, findings: Findings) -> date | None:
    try:
        return date(message.year, message.month, message.day)
    except ValueError:
        said = f"{message.year:04}-{message.month:02}-{message.day:02}"
        findings.add(path, Rule.DATE, value=shown(said))
        return None


def read_decimal(
    message: WireDecimal, path: str, findings: Findings, decimals: int = money.DECIMALS_MAX
) -> Decimal | None:
    try:
        return money.decimal(message.value, decimals)
    except money.NotDecimal as fault:
        findings.add(path, fault.rule, **fault.facts)
        return None


def read_money(message: Money, path: str, findings: Findings) -> Decimal | None:
    """The amount of it; its currency is for the domain to look at."""
    most = int(NANOS) - 1
    least = -most if message.units <= 0 else 0
    most = most if message.units >= 0 else 0
    if not least <= message.nanos <= most:
        findings.add(f"{path}.nanos", Rule.OUT_OF_RANGE, least=least, most=most, value=message.nanos)
        return None
    return Decimal(message.units) + Decimal(message.nanos).scaleb(-9)


def read_uuid(text: str, path: str, findings: Findings) -> UUID | None:
    try:
        value = UUID(text)
    except ValueError:
        findings.add(path, Rule.UUID_TEXT, value=shown(text))
        return None
    if str(value) != text.lower():
        findings.add(path, Rule.UUID_TEXT, value=shown(text))
        return None
    return value


def write_date(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)


def write_decimal(value: Decimal) -> WireDecimal:
    return WireDecimal(value=money.plain(value))


def write_money(amount: Decimal, currency: str) -> Money:
    message = Money()
    put_money(message, amount, currency)
    return message


def put_money(message: Money, amount: Decimal, currency: str) -> None:
    """Into a message that stands already: to put a finished one into another is to copy it."""
    message.currency_code = currency
    message.units = units = int(amount)
    if units != amount:
        message.nanos = int((amount - units) * NANOS)


def write_instant(instant: datetime) -> Timestamp:
    since = instant - EPOCH
    return Timestamp(seconds=since.days * SECONDS_A_DAY + since.seconds, nanos=since.microseconds * 1000)


def within(messages: Sequence[T], limit: int, path: str, findings: Findings) -> Sequence[T]:
    """These, or none with a finding where there are more than may be: they need not even be looked at."""
    if len(messages) <= limit:
        return messages
    findings.add(path, Rule.TOO_MANY, limit=limit, count=len(messages))
    return ()


def read_labels(labels: Mapping[str, str], path: str, findings: Findings) -> dict[str, str]:
    if len(labels) <= LABELS_MAX:
        return {key: labels[key] for key in labels}
    findings.add(path, Rule.TOO_MANY, limit=LABELS_MAX, count=len(labels))
    return {}


def known_paths(paths: Sequence[str], known: Iterable[str], path: str, findings: Findings) -> frozenset[str]:
    """Paths of a field mask; one that names no field is a finding."""
    have = sorted(known)
    wanted = frozenset(within(paths, PATHS_MAX, path, findings))
    for each in sorted(wanted - set(have)):
        findings.add(path, Rule.MASK, field=shown(each), have=", ".join(have))
    return wanted
