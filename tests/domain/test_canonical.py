"""The canonical text is the JSON that any library writes of what was set, whatever was set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import invoice
from domain.canonical import Canonical
from domain.debit_memo import content as memo_content
from domain.invoice.content import CANONICAL

DECIMALS = st.builds(Decimal, st.from_regex(r"-?[0-9]{1,15}(\.[0-9]{1,12})?", fullmatch=True))
TEXTS = st.text(max_size=3)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    Decimal: DECIMALS,
    str: TEXTS,
    date: st.dates(),
    bool: st.booleans(),
    NoneType: st.none(),
}


def plain(value: Any) -> Any:
    """What a client would give to its JSON library."""
    if is_dataclass(value):
        said = {each.name: getattr(value, each.name) for each in fields(value)}
        return {name: plain(each) for name, each in said.items() if each or isinstance(each, Decimal)}
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value


def written(content: object) -> str:
    return json.dumps(plain(content), sort_keys=True, separators=(",", ":"))


def anything(hint: Any) -> st.SearchStrategy[Any]:
    """Whatever a field with this hint may hold."""
    arguments = get_args(hint)
    if get_origin(hint) in (UnionType, Union):
        return st.one_of(*map(anything, arguments))
    if get_origin(hint) is tuple:
        return st.lists(anything(arguments[0]), max_size=2).map(tuple)
    if get_origin(hint) is Mapping:
        return st.dictionaries(TEXTS, TEXTS, max_size=3)
    if isinstance(hint, type) and is_dataclass(hint):
        return st.builds(hint, **{name: anything(each) for name, each in get_type_hints(hint).items()})
    return LEAVES[hint] if hint in LEAVES else st.sampled_from(hint)


@pytest.mark.parametrize("content", [invoice.Content, memo_content.Content], ids=["invoice", "debit memo"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_it_is_the_json_of_what_was_set(content: type, data: st.DataObject) -> None:
    said = data.draw(anything(content))
    canonical = CANONICAL if content is invoice.Content else memo_content.CANONICAL
    assert canonical.text(said) == written(said)


def test_a_field_of_a_kind_it_does_not_know_is_refused_at_once() -> None:
    with pytest.raises(TypeError):
        Canonical(Measured)


@dataclass(frozen=True, slots=True)
class Measured:
    length: complex = 0
