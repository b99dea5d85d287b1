"""Every event that the store knows is published: in a message of the contract, in full, and in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message

from daybook.v1 import event_pb2 as pb
from service.wire.events import PUBLISHED, kind_of, write_event
from service.wire.publishing import detail_field
from store import schema
from store.log import Meta, Recorded, Stored, Who

from ..store.examples import EXAMPLES

META = Meta(Who("mtls", "spiffe://example/shop"), "c-1", "m-1", "month's end", "00-ab-cd-01")
TODAY = {name: EXAMPLES[name, entry.version] for name, entry in schema.REGISTRY.items()}


def published(name: str, event: Any) -> pb.Event:
    stored = Stored(77, UUID(int=9), 3, name, b"{}", None)
    return write_event(
        Recorded(event, datetime(2026, 4, 2, 8, 15, tzinfo=UTC), META, "ab", stored), lambda n: f"at.{n}"
    )


def detail(event: pb.Event) -> Message:
    name = event.WhichOneof("detail")
    assert name is not None
    return getattr(event, name)  # type: ignore[no-any-return]


def test_every_event_that_the_store_knows_has_a_message_and_a_sentence() -> None:
    known = {entry.type for entry in schema.REGISTRY.values()}
    assert set(PUBLISHED) == known
    assert [name for name in schema.REGISTRY if detail_field(pb.Event.DESCRIPTOR, name) is None] == []


@pytest.mark.parametrize("name", TODAY)
def test_an_event_is_published_under_its_own_name_with_all_that_accompanies_it(name: str) -> None:
    event = published(name, TODAY[name])
    assert event.type == detail(event).DESCRIPTOR.name == name
    assert (event.position, event.stream_id, event.version) == ("at.77", str(UUID(int=9)), 3)
    assert (event.who.kind, event.who.id) == (pb.ACTOR_KIND_MTLS, "spiffe://example/shop")
    assert (event.reason, event.correlation_id) == ("month's end", "c-1")
    assert (event.causation_id, event.trace, event.previous_digest) == ("m-1", "00-ab-cd-01", "ab")
    assert len(event.digest) == 64
    assert event.record_time.ToDatetime() == datetime(2026, 4, 2, 8, 15)  # noqa: DTZ001
    assert event.stream_kind == kind_of(TODAY[name]) != pb.STREAM_KIND_UNSPECIFIED


@pytest.mark.parametrize("name", TODAY)
def test_nothing_that_an_event_says_is_left_out(name: str) -> None:
    said, told = list(leaves(TODAY[name])), list(texts(detail(published(name, TODAY[name]))))
    assert [text for text in said if text not in told] == []


@pytest.mark.parametrize("name", TODAY)
def test_every_event_has_a_sentence_in_words(name: str) -> None:
    sentence = published(name, TODAY[name]).sentence
    assert sentence[0].isupper()
    assert " " in sentence
    assert "None" not in sentence
    assert "(" not in sentence or ")" in sentence


@pytest.mark.parametrize("name", [n for n, event in TODAY.items() if hasattr(event, "personal")])
def test_what_was_erased_is_empty_and_shows_as_erased(name: str) -> None:
    whole, erased = published(name, TODAY[name]), published(name, replace(TODAY[name], personal=None))
    assert (whole.personal_data_erased, erased.personal_data_erased) == (False, True)
    for text in leaves(TODAY[name].personal):
        assert text in list(texts(detail(whole)))
        if text and not text.isdecimal():
            assert text not in list(texts(detail(erased)))
            assert text not in erased.sentence


def leaves(value: Any) -> Iterator[str]:
    """Every single thing that an event says, as the contract would write it."""
    match value:
        case None:
            return
        case bool():
            yield str(value)
        case Enum():
            yield str(value.value)
        case Decimal():
            yield format(value, "f")
        case str() | int() | date() | UUID():
            yield str(value)
        case Mapping():
            for key, each in value.items():
                yield from (key, each)
        case tuple():
            for each in value:
                yield from leaves(each)
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from leaves(getattr(value, each.name))
        case _:
            raise AssertionError(value)


def texts(message: Message) -> Iterator[str]:
    """Every single thing in a message, what is not set included."""
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            for key in value:
                yield from (key, value[key])
        else:
            for each in value if field.is_repeated else [value]:
                yield from one(field, each)


def one(field: Any, value: Any) -> Iterator[str]:
    if isinstance(value, Message):
        if value.DESCRIPTOR.full_name == "google.type.Date":
            yield f"{value.year:04}-{value.month:02}-{value.day:02}"  # type: ignore[attr-defined]
        else:
            yield from texts(value)
    elif field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        yield field.enum_type.values_by_number[value].name.removeprefix(prefix)
    else:
        yield str(value).removeprefix("at.")
