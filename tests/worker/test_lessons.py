from __future__ import annotations

import gc
import weakref

import pytest

from ollamapy.worker.lessons import MOST_STEPS, Lessons
from ollamapy.worker.plan import Plan, Slice, plan_of
from ollamapy.worker.race import Race
from ollamapy.worker.speculation import StepCosts
from ollamapy.worker.speculator import Speculator


class Teachable(Speculator):
    """A speculator that notes what it is taught: rows, steps, and the seconds of all of them."""

    def __init__(self) -> None:
        super().__init__(None, lambda: 0.0)
        self.taught: list[tuple[int, int, float]] = []

    def learn(self, plan: Plan, n_accepted: int, seconds: float, n_steps: int = 1) -> None:
        """Note it, and learn."""
        self.taught.append((plan.n_rows, n_steps, round(seconds, 6)))
        super().learn(plan, n_accepted, seconds, n_steps)


class Stream:
    """What a plan asks of a sequence."""

    constraint = None
    is_scored = False


def stream(*draft: int) -> Slice:
    return Slice(Stream(), 1, is_last=True, draft=draft)  # type: ignore[arg-type]


@pytest.fixture
def speculator() -> Teachable:
    return Teachable()


def test_steps_of_a_round_are_learned_from_together_the_first_at_once(speculator: Teachable) -> None:
    lessons, plan = Lessons(speculator), plan_of([stream(), stream()], 2)
    for _ in range(3 * MOST_STEPS):
        lessons.take(plan, 0.02, 0, is_round=True)
    sizes = [n_steps for _, n_steps, _ in speculator.taught]
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert max(sizes) == MOST_STEPS
    assert all(seconds == pytest.approx(0.02 * n_steps) for _, n_steps, seconds in speculator.taught)


def test_the_budget_knows_every_step(speculator: Teachable) -> None:
    lessons, plan = Lessons(speculator), plan_of([stream(), stream()], 2)
    for _ in range(MOST_STEPS + 3):
        lessons.take(plan, 0.02, 0, is_round=True)
    assert lessons.budget.decode_seconds == pytest.approx(0.02)
    assert lessons.budget.n_decoding == 2
    assert sum(n_steps for _, n_steps, _ in speculator.taught) == MOST_STEPS + 3


def test_what_many_steps_teach_at_once_weighs_as_much_as_they_do_one_by_one() -> None:
    one_by_one = together = Lessons(None).budget.after(0.02, 4, 0)
    costs, race = (StepCosts(), StepCosts()), (Race(), Race())
    for number in range(2):
        costs[number].learn(4, 0.02)
    for _ in range(6):
        one_by_one = one_by_one.after(0.03, 4, 0)
        costs[0].learn(4, 0.03)
        race[0].learn(0, 0.03, 4)
    together = together.after(0.03, 4, 0, n_steps=6)
    costs[1].learn(4, 0.03, 6)
    race[1].learn(0, 6 * 0.03, 6 * 4, 6)
    assert together.decode_seconds == pytest.approx(one_by_one.decode_seconds)
    assert costs[1].curve(4, 4) == pytest.approx(costs[0].curve(4, 4))
    assert race[1].ways[0].pace == pytest.approx(race[0].ways[0].pace)
    assert race[1].ways[0].n_trials == race[0].ways[0].n_trials


def test_a_step_that_something_held_up_does_not_count_for_the_others(speculator: Teachable) -> None:
    lessons, plan = Lessons(speculator), plan_of([stream(), stream()], 2)
    for number in range(4 * MOST_STEPS):
        lessons.take(plan, 0.5 if number % MOST_STEPS == 1 else 0.02, 0, is_round=True)
    alone = lessons.budget.decode_seconds
    assert alone is not None
    assert alone < 0.03


def test_nothing_of_a_round_is_kept_behind_its_end(speculator: Teachable) -> None:
    lessons, plan = Lessons(speculator), plan_of([stream()], 1)
    for _ in range(5):
        lessons.take(plan, 0.02, 0, is_round=True)
    kept = weakref.ref(plan.parts[0].sequence)
    lessons.end_round()
    del plan
    gc.collect()
    assert kept() is None
    assert sum(n_steps for _, n_steps, _ in speculator.taught) == 5


def test_a_step_with_guesses_between_others_is_learned_from_in_its_turn(speculator: Teachable) -> None:
    lessons, plan, guessed = Lessons(speculator), plan_of([stream()], 1), plan_of([stream(7, 8)], 1)
    for _ in range(5):
        lessons.take(plan, 0.02, 0, is_round=True)
    lessons.take(guessed, 0.03, 2, is_round=False)
    lessons.take(plan, 0.02, 0, is_round=True)
    assert lessons.budget.decode_seconds == pytest.approx(0.02)
    assert [(rows, steps) for rows, steps, _ in speculator.taught] == [(1, 1), (1, 2), (1, 2), (3, 1), (1, 1)]


def test_streams_that_rest_for_several_steps_at_once_rest_as_long() -> None:
    crowd = Lessons(None).budget.after(0.02, 4, 0).after(1.0, 0, 512).after(3.0, 4, 64)
    one_by_one = together = crowd
    for _ in range(4):
        one_by_one = one_by_one.after(0.02, 4, 0)
    together = together.after(0.02, 4, 0, n_steps=4)
    assert together.held_up_seconds == pytest.approx(one_by_one.held_up_seconds)
    assert together.held_up_seconds < crowd.held_up_seconds
