"""Sets of byte ranges, against sets of bytes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ollamapy.store.ranges import Ranges

PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)))


@given(PAIRS, st.integers(0, 45))
def test_ranges_are_a_set_of_bytes(pairs, size):
    ranges = Ranges(pairs)
    expected = {byte for start, end in pairs for byte in range(start, end)}
    assert {byte for start, end in ranges for byte in range(start, end)} == expected
    assert ranges.total_bytes == len(expected)
    assert {b for start, end in ranges.missing(size) for b in range(start, end)} == set(range(size)) - expected
    assert ranges.frontier == next(byte for byte in range(50) if byte not in expected)


@given(PAIRS)
def test_ranges_are_sorted_and_apart(pairs):
    made = list(Ranges(pairs))
    assert made == sorted(made)
    assert all(before[1] < after[0] for before, after in pairwise(made))
