"""A quick class is the frozen dataclass that it was, and only made faster."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from domain import invoice
from domain.quick import quick


@dataclass(frozen=True, slots=True)
class Plain:
    name: str
    count: int = 3
    labels: dict[str, str] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    name: str
    count: int = 3
    labels: dict[str, str] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class Hashed:
    name: str = ""
    count: int = 0


def test_it_takes_its_fields_by_place_and_by_name_and_fills_in_defaults() -> None:
    one, other = Quick("a", 3, {}), Quick(labels={}, name="a")
    assert one == other
    assert (one.name, one.count, one.labels) == ("a", 3, {})
    assert repr(one) == repr(Plain("a")).replace("Plain", "Quick")


def test_what_a_factory_makes_is_shared_with_nobody() -> None:
    assert Quick("a").labels is not Quick("a").labels


@pytest.mark.parametrize(
    "given", [((), {}), (("a",), {"name": "b"}), (("a", 1, {}, 2), {}), (("a",), {"x": 1})]
)
def test_it_refuses_what_a_dataclass_refuses(given: tuple[tuple[object, ...], dict[str, object]]) -> None:
    arguments, named = given
    for kind in (Plain, Quick):
        with pytest.raises(TypeError):
            kind(*arguments, **named)  # type: ignore[arg-type]


def test_once_made_it_is_frozen() -> None:
    made = Quick("a")
    assert type(made) is Quick
    with pytest.raises(FrozenInstanceError):
        made.name = "b"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del made.name
    with pytest.raises((AttributeError, TypeError)):
        made.other = 1  # type: ignore[attr-defined]


def test_it_is_replaced_copied_hashed_and_pickled_like_any_other() -> None:
    assert replace(Quick("a"), count=4) == Quick("a", 4)
    assert copy.deepcopy(Quick("a")) == Quick("a")
    assert pickle.loads(pickle.dumps(Quick("a"))) == Quick("a")
    assert {Hashed("a"): 1}[Hashed("a")] == 1


def test_the_events_and_contents_of_an_invoice_are_frozen() -> None:
    for made in (invoice.LineContent(), invoice.Content(), invoice.HeaderTexts(), invoice.Place()):
        with pytest.raises(FrozenInstanceError):
            setattr(made, fields(made)[0].name, "b")
