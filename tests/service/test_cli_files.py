"""What is written in files is read as it stands: no float, no alias, no double key, and within bounds."""

import io
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cli.files import Reading, read, read_one
from service.cli.options import Format
from service.cli.trees import DEPTH_MAX, Plain, Tree, Unreadable, Written

VERBATIM = ["250.00", "0.1000000000000000055511151231257827", "1e999999", "-0.0", "12345678901234567890.10"]


def test_numbers_stay_the_text_that_was_written() -> None:
    for text in VERBATIM:
        assert tree(f"amount: {text}") == {"amount": text}
        assert tree(f'{{"amount": {text}}}', Format.JSON) == {"amount": text}


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_json_becomes_a_float(value: object) -> None:
    for thing in written(json.dumps([value]), Format.JSON):
        assert not list(numbers(thing.tree))


def test_what_has_no_quotes_is_known_as_plain() -> None:
    said = tree("{plain: 250.00, quoted: '250.00', nothing: , null: ~, tilde: null, empty: ''}")
    assert said == {
        "plain": "250.00",
        "quoted": "250.00",
        "nothing": None,
        "null": None,
        "tilde": None,
        "empty": "",
    }
    assert isinstance(said, dict)
    assert isinstance(said["plain"], Plain)
    assert not isinstance(said["quoted"], Plain)


@pytest.mark.parametrize("text", ["NO", "yes", "off", "true", "0012", "2026-04-01", "1:30", "0x1F", ".inf"])
def test_yaml_means_no_more_than_it_says(text: str) -> None:
    assert tree(f"country: {text}") == {"country": text}


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: !!python/object:os.system x", "tags"),
        ("a: !!float 1.0", "tags"),
        ("a: 1\na: 2", "stands here twice"),
        ("? [a]\n: 1", "a key is a text"),
        ("a: [1", "not YAML"),
        ("a: " + "[" * 1000 + "]" * 1000, "nested deeper"),
        ("a: " + "[" * 100_000, "nested deeper"),
    ],
)
def test_yaml_that_means_trouble_is_refused(text: str, because: str) -> None:
    assert because in only(text, Format.YAML).trouble


def test_an_alias_bomb_is_refused_at_its_first_alias() -> None:
    layers = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))
    assert "aliases (*a0)" in only(f"a0: &a0 [x]\n{layers}", Format.YAML).trouble


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('{"a": 1', "not JSON"),
        ("[" * 100_000, "nested deeper"),
        ('{"a": ' + "[" * DEPTH_MAX + "1" + "]" * DEPTH_MAX + "}", "nested deeper"),
        ('{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_json_that_means_trouble_is_refused(text: str, because: str) -> None:
    raw = text.encode("latin-1")
    assert because in next(read(io.BytesIO(raw), "x.json")).trouble


def test_a_line_that_cannot_be_read_does_not_stop_the_others() -> None:
    places = [(w.place, bool(w.trouble)) for w in written('{"a": 1}\n\n{"a": \n{"a": 3}\n', Format.LINES)]
    assert places == [("file:1", False), ("file:3", True), ("file:4", False)]


def test_each_document_and_each_entry_of_a_list_has_its_line() -> None:
    places = [w.place for w in written("a: 1\n---\n- b: 1\n- b: 2\n---\n# nothing\n", Format.YAML)]
    assert places == ["file:1", "file:3", "file:4"]


def test_what_stands_before_the_trouble_is_read() -> None:
    things = written("a: 1\n---\nb: [\n", Format.YAML)
    assert [(thing.tree, bool(thing.trouble)) for thing in things] == [({"a": "1"}, False), (None, True)]


@pytest.mark.parametrize(
    "text", ['{"a": 1}\n{"a": 2}\n', '[{"a": 1},\n {"a": 2}]', "a: 1\n---\na: 2\n", "\n\n- a: 1\n- a: 2\n"]
)
def test_a_stream_without_a_name_tells_what_it_is(text: str) -> None:
    assert [thing.tree for thing in written(text)] == [{"a": "1"}, {"a": "2"}]


def test_a_byte_order_mark_does_no_harm() -> None:
    for form in Format:
        assert [w.tree for w in read(io.BytesIO('\ufeff{"a": 1}'.encode()), "x", form)] == [{"a": "1"}]


def test_several_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    names = []
    for name, text in (("a.yaml", "a: 1"), ("b.jsonl", '{"a": 2}\n'), ("c.json", '[{"a": 3}]')):
        (tmp_path / name).write_text(text)
        names.append(str(tmp_path / name))
    reading = Reading((*names, "-"), io.BytesIO(b"a: 4"))
    assert [thing.tree for thing in reading] == [{"a": str(n)} for n in (1, 2, 3, 4)]
    assert reading.bytes_total() is None
    whole = Reading(tuple(names), io.BytesIO())
    assert len(list(whole)) == 3
    assert whole.bytes_read == whole.bytes_total()


def test_where_one_thing_is_wanted_there_is_one(tmp_path: Path) -> None:
    for text in ("", "a: 1\n---\na: 2"):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(Unreadable):
            read_one(str(tmp_path / "x.yaml"), io.BytesIO())


@given(st.binary(max_size=200), st.sampled_from([*Format, None]))
def test_whatever_the_bytes_are_they_are_read_or_told(raw: bytes, form: Format | None) -> None:
    for thing in read(io.BytesIO(raw), "x", form):
        assert isinstance(thing, Written)


def written(text: str, form: Format | None = None) -> list[Written]:
    return list(read(io.BytesIO(text.encode("utf-8", "surrogatepass")), "file", form))


def only(text: str, form: Format) -> Written:
    (thing,) = written(text, form)
    return thing


def tree(text: str, form: Format = Format.YAML) -> Tree:
    thing = only(text, form)
    assert not thing.trouble
    return thing.tree


def numbers(said: Tree) -> Iterable[object]:
    if isinstance(said, dict):
        for part in said.values():
            yield from numbers(part)
    elif isinstance(said, list):
        for part in said:
            yield from numbers(part)
    elif not isinstance(said, bool | str) and said is not None:
        yield said
