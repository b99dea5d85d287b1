"""How an event of the domain is published: its detail, by the names of its fields, and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from .invoices import Positioned
from .values import write_date, write_decimal

Write: TypeAlias = Callable[[Any, Any, Positioned], None]
"""Fills the detail from the event. The position of reference data is made opaque by the last argument."""

NAMED_OTHERWISE = {
    "reference_data_position": "reference_position",
    "event_count": "size",
    "currency_code": "currency",
}
_WRITERS: dict[str, Callable[[Any], Message]] = {
    "google.type.Decimal": write_decimal,
    "google.type.Date": write_date,
}


def same_names(event: Any, detail: Message, position: Positioned) -> None:
    """Every field of the detail from the event's field of that name, or from its personal data."""
    for field in detail.DESCRIPTOR.fields:
        value = _said(event, field.name)
        if value is None:
            continue
        if field.name == "reference_data_position":
            setattr(detail, field.name, position(value))
        else:
            _fill(detail, field, value, position)


def _said(event: Any, name: str) -> Any:
    """What an event says under the name of a published field; None where it says nothing, or was erased."""
    name = NAMED_OTHERWISE.get(name, name)
    if name in type(event).__dataclass_fields__:
        return getattr(event, name)
    if name == "line_number":
        return event.number
    return getattr(event.personal, name) if getattr(event, "personal", None) else None


def _fill(detail: Message, field: Any, value: Any, position: Positioned) -> None:
    if isinstance(value, Mapping):
        getattr(detail, field.name).update(value)
    elif field.is_repeated:
        into = getattr(detail, field.name)
        for each in value:
            if field.message_type is None:
                into.append(_scalar(field, each))
            else:
                _fill_message(into.add(), each, position)
    elif field.message_type is not None:
        _fill_message(getattr(detail, field.name), value, position)
    else:
        setattr(detail, field.name, _scalar(field, value))


def _fill_message(into: Message, value: Any, position: Positioned) -> None:
    write = _WRITERS.get(into.DESCRIPTOR.full_name)
    if write is not None:
        into.CopyFrom(write(value))
    else:
        into.SetInParent()
        same_names(value, into, position)


def _scalar(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        return field.enum_type.values_by_name[prefix + value.name].number
    return str(value) if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else value


@dataclass(frozen=True, slots=True)
class Published:
    """How one event is published.

    Its detail is the message of the contract with the event's name, in the field of `Event` with that name.
    """

    sentence: Callable[[Any], str]
    write: Write = same_names
    business_date: Callable[[Any], date | None] = lambda event: None


@cache
def detail_field(descriptor: Descriptor, name: str) -> str | None:
    """The field of the published event that holds a detail of this name."""
    for field in descriptor.fields:
        if field.containing_oneof and field.message_type and field.message_type.name == name:
            return field.name
    return None
