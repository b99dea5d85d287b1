"""Ids follow from business keys, for ever."""

from __future__ import annotations

from uuid import UUID, uuid5

from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import identity


def test_ids_never_change() -> None:
    """They are the streams of the past: if this fails, the code is wrong, and not the test."""
    assert UUID("0d7a3c52-6a0e-5c1b-9c3e-da7b00c0ffee") == identity.NAMESPACE
    assert str(identity.invoice("shop-4711")) == "aaef5cb5-f496-540b-83bd-f49d7930cc8e"
    assert identity.invoice("shop-4711") == uuid5(identity.NAMESPACE, "invoice:shop-4711")
    assert identity.number("de", "R-1") == uuid5(identity.NAMESPACE, "number:2:de:R-1")
    assert identity.reference("payment_term", "x") == uuid5(identity.NAMESPACE, "reference:payment_term:x")
    assert uuid5(identity.NAMESPACE, "reference") == identity.REFERENCE_HEAD


def test_keys_are_taken_exactly() -> None:
    keys = ["a", "A", "a ", " a", "á", "a\u0301", "а"]
    assert len({identity.invoice(key) for key in keys}) == len(keys)


def test_no_two_numbers_share_a_stream() -> None:
    assert identity.number("a:b", "c") != identity.number("a", "b:c")
    assert identity.number("1", ":a") != identity.number("1:", "a")


@for_all(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_without_a_key_is_a_uuid_of_version_7(millis: int, random: bytes) -> None:
    made = identity.uuid7(millis, random)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == millis


@for_all(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_later_ids_sort_later(millis: int, one: bytes, other: bytes) -> None:
    assert identity.uuid7(millis, one) < identity.uuid7(millis + 1, other)


def test_chance_tells_ids_of_one_instant_apart() -> None:
    assert identity.uuid7(1, bytes(10)) != identity.uuid7(1, bytes([0] * 9 + [1]))
