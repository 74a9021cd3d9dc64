from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.worker.speculation import FORGET_STEPS, HitRate, StepCosts, draft_lengths

LINEAR = [0.0, *(float(n) for n in range(1, 40))]
FLAT = [1.0] * 40
CPU = [0.0, 18.7, 36.2, 43.3, 46.1, 63.1, 67.4, 69.0, 70.4, 80.0, 85.0, 90.0, 91.4, 95.0, 100.0, 106.0, 113.2]
"""Milliseconds of a step by its rows, as two cores took for a model of 0.5B parameters in Q8_0."""


def test_where_rows_cost_nothing_every_guess_is_tried() -> None:
    assert draft_lengths([[0.5, 0.25], [0.1]], FLAT, [0, 0]) == [2, 1]


def test_where_each_row_costs_as_much_as_a_step_no_guess_is_tried() -> None:
    assert draft_lengths([[0.99] * 8, [0.9] * 8], LINEAR[2:], [0, 0]) == [0, 0]


def test_on_a_processor_only_long_sure_guesses_pay() -> None:
    assert draft_lengths([[0.6, 0.36, 0.2]], CPU[1:], [0]) == [0]
    assert draft_lengths([[0.95**n for n in range(1, 16)]], CPU[1:], [0])[0] >= 7


def test_the_likelier_guess_gets_the_rows() -> None:
    costs = [2.0, 2.1, 2.2, 9.0, 9.0]
    assert draft_lengths([[0.2, 0.1], [0.9, 0.8]], costs, [0, 0]) == [0, 2]


def test_a_guess_that_is_dear_to_make_is_not_made() -> None:
    assert draft_lengths([[0.9, 0.8]], FLAT, [0.1]) == [2]
    assert draft_lengths([[0.9, 0.8]], FLAT, [2.0]) == [0]


@given(
    st.lists(st.lists(st.floats(0, 1), max_size=16), min_size=1, max_size=8),
    st.lists(st.floats(0, 1e3), min_size=10, max_size=60),
)
def test_a_choice_keeps_to_the_guesses_and_to_the_rows(chances: list[list[float]], costs: list[float]) -> None:
    chances, costs = [sorted(row, reverse=True) for row in chances], sorted(costs)
    lengths = draft_lengths(chances, costs, [0.0] * len(chances))
    assert all(0 <= n <= len(row) for n, row in zip(lengths, chances, strict=True))
    assert sum(lengths) <= len(costs) - 1


def test_costs_between_measured_sizes_are_interpolated_and_never_fall() -> None:
    costs = StepCosts()
    for n_rows, seconds in ((1, 1.0), (2, 9.0), (5, 4.0)):
        costs.learn(n_rows, seconds)
    assert costs.curve(0, 5) == [0.0, 1.0, 4.0, 4.0, 4.0, 4.0]


def test_costs_beyond_the_largest_size_grow_by_a_part_of_its_rows() -> None:
    costs = StepCosts()
    costs.learn(2, 1.0)
    assert costs.curve(0, 4) == [0.0, 0.5, 1.0, 1.25, 1.5]


def test_a_cost_that_was_not_measured_for_long_is_forgotten() -> None:
    costs = StepCosts()
    costs.learn(4, 100.0)
    for _ in range(2 * FORGET_STEPS):
        costs.learn(1, 1.0)
    assert costs.curve(4, 4)[0] == pytest.approx(2.5)


def test_nothing_measured_gives_no_curve() -> None:
    assert StepCosts().curve(1, 8) == []


def test_chances_fall_along_a_guess_and_learn_from_hits() -> None:
    hits = HitRate()
    before = hits.chances(3, 4)
    assert before == sorted(before, reverse=True)
    for _ in range(50):
        hits.learn(3, hit=True)
    assert hits.chances(3, 1)[0] > 0.95 > before[0]
    assert hits.chances(9, 1) == HitRate().chances(9, 1), "another class of matches"
