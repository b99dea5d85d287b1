"""Invoices as they are stored, for who passes on what they say: amounts, ids and choices stay texts.

Every text has one character for each byte of its UTF-8, so that its length is the one on the wire.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from domain import invoice

from .invoice_summary import InvoiceSummary, decode

TEXTS = (str, Decimal, UUID, Enum)
AS_THEY_ARE = (int, bool, date, datetime)
BYTES = "latin-1"  # which has a character for every byte


@dataclass(frozen=True, slots=True)
class StoredInvoice:
    """An invoice with its address groups and the first of its lines, in JSON."""

    header: bytes
    addresses: bytes
    lines: Sequence[bytes]  # chunk by chunk

    @property
    def summary(self) -> InvoiceSummary:
        return decode(self.header)


def read_summary(stored: bytes) -> Any:
    """An InvoiceSummary in texts; its totals are amounts, to be added up, its ledger is as it may be."""
    return _summary(_bytewise(stored))


def read_addresses(stored: bytes) -> Any:
    return _addresses(_bytewise(stored))


def read_lines(stored: bytes) -> Any:
    """Lines as `invoice.Line` has them."""
    return _lines(_bytewise(stored))


def text(bytewise: str) -> str:
    """What a text says."""
    return bytewise if bytewise.isascii() else bytewise.encode(BYTES).decode()


def _bytewise(stored: bytes) -> bytes:
    if b"\\u" in stored:  # of which only what stands for one byte may be left
        stored = msgspec.json.encode(msgspec.json.decode(stored))
    return stored if stored.isascii() else stored.decode(BYTES).encode()


def in_texts(kind: type, kept: Mapping[type, Any]) -> Any:
    """A Struct with the fields of a dataclass; `kept` says what stands for those that are not as others."""
    hints = typing.get_type_hints(kind)
    members = [
        (each.name, form := _form(hints[each.name], kept), *_default(each, form)) for each in fields(kind)
    ]
    return msgspec.defstruct(kind.__name__, members, frozen=True, gc=False)


def _form(hint: Any, kept: Mapping[type, Any]) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        forms = [_form(each, kept) for each in arguments if each is not types.NoneType]
        return typing.Optional[forms[0]] if len(forms) == 1 else hint  # noqa: UP045
    if origin is tuple:
        return tuple.__class_getitem__((_form(arguments[0], kept), ...))
    if (origin is dict and arguments == (str, str)) or hint in AS_THEY_ARE:
        return hint
    if hint in kept:
        return kept[hint]
    if is_dataclass(hint) and isinstance(hint, type):
        return in_texts(hint, kept)
    if isinstance(hint, type) and issubclass(hint, TEXTS):
        return str
    raise TypeError(f"no invoice is stored with a {hint}")


def _default(field: Field[Any], form: Any) -> tuple[Any, ...]:
    if field.default_factory is not MISSING:
        return (msgspec.field(default_factory=field.default_factory),)
    if field.default is MISSING:
        return ()
    return (msgspec.convert(msgspec.to_builtins(field.default), form),)


_KEPT = {invoice.Totals: invoice.Totals, invoice.Ledger: Any}
_summary = msgspec.json.Decoder(in_texts(InvoiceSummary, _KEPT)).decode
_addresses = msgspec.json.Decoder(list[in_texts(invoice.AddressGroupAssigned, {})]).decode  # type: ignore[misc]
_lines = msgspec.json.Decoder(list[in_texts(invoice.Line, {})]).decode  # type: ignore[misc]
