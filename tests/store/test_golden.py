"""Golden payloads: the stored form of every event and version, kept for ever.

`python -m tests.store.test_golden` writes those that are missing. One that is there is never written again.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from domain import credit_memo, debit_memo, invoice, numbering, reference, sequence
from store import chain, schema
from store.codec import Codec, accompanying
from store.log import Event, Meta, Recorded, Stored, Who
from store.upcasts import UPCASTS

from .examples import EXAMPLES

GOLDEN = Path(__file__).parent / "golden"
META = Meta(Who("mtls", "spiffe://example/shop"), "c-1", "m-1", "month's end", "00-ab-cd-01")
RECORDED = b"2026-04-02T08:15:00.000123Z"
PREV = chain.commitment(b"", b"the event before")
SALT = bytes(range(16))
WRITER = Codec(schema.REGISTRY, UPCASTS, draw=lambda _: SALT)
READER = schema.codec()

st.register_type_strategy(
    Decimal,
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**15), max_value=10**15),
)
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))


def written(name: str, event: Event) -> tuple[bytes, bytes | None]:
    encoded = WRITER.encode(event)
    assert encoded.topic == name
    return encoded.state(RECORDED, accompanying(META), PREV), encoded.body


def read(name: str, state: bytes, personal: bytes | None) -> Recorded:
    return READER.decode(Stored(1, UUID(int=1), 1, name, state, personal))


def files(name: str, version: int) -> tuple[Path, Path]:
    return GOLDEN / f"{name}.v{version}.json", GOLDEN / f"{name}.v{version}.personal.json"


def payload(name: str, version: int) -> tuple[bytes, bytes | None]:
    state, personal = files(name, version)
    return state.read_bytes().rstrip(b"\n"), personal.read_bytes().rstrip(
        b"\n"
    ) if personal.exists() else None


def test_every_event_of_the_domain_is_in_the_registry() -> None:
    events = {
        *invoice.EVENTS,
        *credit_memo.EVENTS,
        *debit_memo.EVENTS,
        *reference.EVENTS,
        *numbering.EVENTS,
        *sequence.EVENTS,
    }
    assert {entry.type for entry in schema.REGISTRY.values()} == events


def test_every_event_and_version_has_a_golden_payload_and_an_example() -> None:
    needed = {(n, v) for n, entry in schema.REGISTRY.items() for v in range(1, entry.version + 1)}
    assert needed <= EXAMPLES.keys()
    assert {path for key in needed if not (path := files(*key)[0]).exists()} == set()


def test_no_golden_payload_is_forgotten() -> None:
    kept = {path.name.removesuffix(".personal.json").removesuffix(".json") for path in GOLDEN.glob("*.json")}
    assert kept == {f"{name}.v{version}" for name, version in EXAMPLES}


@pytest.mark.parametrize(("name", "version"), EXAMPLES, ids=str)
def test_a_golden_payload_means_what_it_meant(name: str, version: int) -> None:
    recorded = read(name, *payload(name, version))
    assert recorded.event == EXAMPLES[name, version]
    assert (recorded.meta, recorded.prev) == (META, PREV)


@pytest.mark.parametrize("name", schema.REGISTRY)
def test_todays_version_is_written_to_the_byte_like_its_golden_payload(name: str) -> None:
    version = schema.REGISTRY[name].version
    assert written(name, EXAMPLES[name, version]) == payload(name, version)


@pytest.mark.parametrize("name", schema.REGISTRY)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_event_comes_back_as_it_was(name: str, data: st.DataObject) -> None:
    event = data.draw(st.from_type(schema.REGISTRY[name].type))
    assume(getattr(event, "personal", "not erased") is not None)
    assert read(name, *written(name, event)).event == event


@pytest.mark.parametrize("name", schema.REGISTRY)
def test_the_examples_leave_no_field_at_its_default(name: str) -> None:
    event = EXAMPLES[name, schema.REGISTRY[name].version]
    for field in type(event).__dataclass_fields__.values():
        assert getattr(event, field.name) != field.default


def test_the_index_of_reference_data_names_its_events() -> None:
    of_reference = {name for name, entry in schema.REGISTRY.items() if entry.type in reference.EVENTS}
    assert set(schema.REFERENCE_TOPICS) == of_reference


def main() -> None:
    for (name, version), event in EXAMPLES.items():
        state, personal = files(name, version)
        if not state.exists():
            golden, body = written(name, event)
            state.write_bytes(golden + b"\n")
            if body is not None:
                personal.write_bytes(body + b"\n")


if __name__ == "__main__":
    main()
