"""Events survive the way to bytes and back, and the bytes say what they always said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import chain
from store.codec import Codec, Encoded, Entry, accompanying
from store.log import Meta, Stored, Unreadable, Who

from .events import META, Happened, Met, Names, codec

STREAM = UUID(int=7)
RECORDED = b"2026-11-23T10:00:00.000000Z"


def stored(encoded: Encoded, prev: str = "", personal: bytes | None = None) -> Stored:
    return Stored(1, STREAM, 1, encoded.topic, encoded.state(RECORDED, accompanying(META), prev), personal)


def test_the_stored_form_can_be_read_without_this_program() -> None:
    state = stored(codec().encode(Happened("it", Decimal("1.50"))), prev="ab").state
    assert state == (
        b'{"v":1,"meta":{"recorded":"2026-11-23T10:00:00.000000Z","who":{"kind":"local","id":"tester"},'
        b'"correlation":"a test","prev":"ab"},"data":{"what":"it","amount":"1.50"}}'
    )


def test_what_holds_nothing_is_left_out() -> None:
    assert codec().encode(Happened("it")).data == b'{"what":"it"}'


def test_what_was_told_besides_is_read_again() -> None:
    recorded = codec().decode(stored(codec().encode(Happened("it")), prev="ab"))
    assert recorded.meta == META
    assert recorded.recorded == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert recorded.prev == "ab"


def test_events_of_several_appends_keep_apart_what_was_told_with_each() -> None:
    told = [META, Meta(Who("mtls", "shop"), reason='as "said"},"data":{'), Meta(Who("mtls", "shop"))]
    mine = codec()
    for number in (0, 0, 1, 1, 2, 0, 2, 1):
        for prev in ("", "5a" * 32, "ab"):
            state = mine.encode(Happened("it")).state(RECORDED, accompanying(told[number]), prev)
            recorded = mine.decode(Stored(1, STREAM, 1, "Happened", state))
            assert (recorded.meta, recorded.prev, recorded.event) == (told[number], prev, Happened("it"))


@given(
    st.builds(
        Happened,
        what=st.text(st.characters(exclude_categories=["Cs"])),
        amount=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    )
)
def test_every_event_comes_back_as_it_was(event: Happened) -> None:
    again = codec().decode(stored(codec().encode(event))).event
    assert again == event
    assert str(again.amount) == str(event.amount)


def test_a_text_may_look_like_a_number_that_is_none() -> None:
    for text in ("NaN", "Infinity", "-inf", "nan1", "Nancy"):
        assert codec().decode(stored(codec().encode(Happened(text)))).event == Happened(text)


@pytest.mark.parametrize("text", ["NaN", "nan", "-NaN123", "sNaN", "Infinity", "-inf", "+Infinity"])
def test_an_amount_that_is_no_number_is_neither_written_nor_read(text: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        codec().encode(Happened("it", Decimal(text)))
    good = stored(codec().encode(Happened("it", Decimal(5))))
    bad = msgspec.structs.replace(good, state=good.state.replace(b'"5"', f'"{text}"'.encode()))
    with pytest.raises(Unreadable, match="finite"):
        codec().decode(bad)


def test_personal_data_is_kept_apart_and_only_committed_to() -> None:
    encoded = codec().encode(Met("here", Names("Ada", "L.")))
    assert encoded.body == b'{"first":"Ada","last":"L."}'
    assert encoded.salt is not None
    assert encoded.data == (
        b'{"place":"here","personal":"%s"}' % chain.commitment(encoded.salt, encoded.body).encode()
    )
    assert codec().decode(stored(encoded, personal=encoded.body)).event == Met("here", Names("Ada", "L."))


def test_erased_personal_data_is_none() -> None:
    encoded = codec().encode(Met("here", Names("Ada", "L.")))
    for erased in (None, b""):
        assert codec().decode(stored(encoded, personal=erased)).event == Met("here", None)


def test_nobody_is_not_erased() -> None:
    encoded = codec().encode(Met("here"))
    assert (encoded.salt, encoded.body) == (None, None)
    assert encoded.data == b'{"place":"here"}'
    assert codec().decode(stored(encoded)).event == Met("here", Names())


def test_the_same_person_twice_leaves_different_commitments() -> None:
    event = Met("here", Names("Ada"))
    assert codec().encode(event).data != codec().encode(event).data


def test_a_stranger_is_refused() -> None:
    with pytest.raises(TypeError, match="registry"):
        codec().encode(Names("Ada"))
    encoded = codec().encode(Happened("it"))
    with pytest.raises(Unreadable, match="Unheard"):
        codec().decode(msgspec.structs.replace(stored(encoded), topic="Unheard"))


def test_damage_is_told_with_its_position() -> None:
    good = stored(codec().encode(Happened("it", Decimal(5))))
    for damage in (b"", b"{}", b'{"v":1,"meta":{}}', good.state[:-1], good.state.replace(b'"5"', b'"five"')):
        with pytest.raises(Unreadable, match="position 1"):
            codec().decode(msgspec.structs.replace(good, state=damage))


@dataclass(frozen=True, slots=True)
class HappenedNow:
    """What `Happened` has become: in its third version it says where."""

    what: str
    where: str


def second(data: dict[str, Any]) -> dict[str, Any]:
    return {"what": data["what"].upper()}


def third(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "where": "unknown"}


def upcasting() -> Codec:
    return Codec({"Happened": Entry(HappenedNow, 3)}, {("Happened", 1): second, ("Happened", 2): third})


def test_yesterdays_event_is_read_as_todays() -> None:
    old = stored(codec().encode(Happened("it")))
    assert upcasting().decode(old).event == HappenedNow("IT", "unknown")
    new = stored(upcasting().encode(HappenedNow("it", "here")))
    assert new.state.startswith(b'{"v":3,')
    assert upcasting().decode(new).event == HappenedNow("it", "here")


def test_tomorrows_event_is_refused() -> None:
    with pytest.raises(Unreadable, match="newer"):
        codec().decode(stored(upcasting().encode(HappenedNow("it", "here"))))


def test_an_event_without_its_upcast_is_refused() -> None:
    without = Codec({"Happened": Entry(HappenedNow, 3)}, {("Happened", 1): second})
    with pytest.raises(Unreadable):
        without.decode(stored(codec().encode(Happened("it"))))


@dataclass(frozen=True, slots=True)
class WithFloat:
    amount: float


@dataclass(frozen=True, slots=True)
class WithUnion:
    one_of: Names | Happened


@pytest.mark.parametrize("event", [WithFloat, WithUnion])
def test_what_the_stored_form_does_not_know_is_refused_at_the_start(event: type) -> None:
    with pytest.raises(TypeError, match="stored form"):
        Codec({"It": Entry(event)})


def test_one_class_stands_under_one_name() -> None:
    with pytest.raises(TypeError, match="two names"):
        Codec({"A": Entry(Happened), "B": Entry(Happened)})
