"""The tree: every leaf leads to the root, and nothing else does."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.proof.tree import LEAF_BYTES, branches, led_to, root


def leaves_of(count: int) -> bytes:
    return b"".join(n.to_bytes(8, "big") + sha256(b"%d" % n).digest() for n in range(1, count + 1))


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 255, 256, 257, 4096, 4097, 10_000])
def test_all_leaves_together_lead_to_the_root(count: int) -> None:
    leaves = leaves_of(count)
    assert led_to(branches(leaves, range(count)), count) == root(leaves)


@given(data=st.data(), count=st.integers(1, 700))
def test_any_leaves_lead_to_the_root_and_altered_ones_do_not(data: st.DataObject, count: int) -> None:
    leaves = leaves_of(count)
    wanted = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=8))
    found = branches(leaves, wanted)
    for number in wanted:
        at = number % 16 * LEAF_BYTES
        leaf = leaves[number * LEAF_BYTES : (number + 1) * LEAF_BYTES]
        assert found[0][number // 16][at : at + LEAF_BYTES] == leaf
    assert led_to(found, count) == root(leaves)
    level = data.draw(st.integers(0, len(found) - 1))
    group = data.draw(st.sampled_from(sorted(found[level])))
    at = data.draw(st.integers(0, len(found[level][group]) - 1))
    hung = found[level][group]
    touched = [dict(each) for each in found]
    touched[level][group] = hung[:at] + bytes([hung[at] ^ 1]) + hung[at + 1 :]
    assert led_to(touched, count) != root(leaves)


def test_no_two_logs_have_one_root() -> None:
    assert len({root(leaves_of(count)) for count in range(1, 400)}) == 399
