from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ollamapy.worker.plan import LARGE_CHUNK, MIN_CHUNK, MOST_SCORED, Plan, StepBudget, plan_batch, split


def sequence(n_left: int, *, decoding: bool = False, scored: bool = False) -> Any:
    return SimpleNamespace(n_left=n_left, n_text=n_left, is_decoding=decoding, is_scored=scored)


def sizes(plan: Plan) -> list[int]:
    return [part.n_tokens for part in plan.parts]


def test_streams_come_before_prompts_and_prompts_in_order_of_arrival() -> None:
    first, stream, second = sequence(30), sequence(1, decoding=True), sequence(50)
    plan = plan_batch(*split([first, stream, second]), 512, 40)
    assert [part.sequence for part in plan.parts] == [stream, first, second]
    assert sizes(plan) == [1, 30, 10]
    assert [part.is_last for part in plan.parts] == [True, True, False]
    assert (plan.n_decoding, plan.n_prefill, plan.n_rows) == (1, 40, 41)


def test_the_batch_is_never_larger_than_llama_cpp_takes() -> None:
    plan = plan_batch(*split([sequence(1, decoding=True) for _ in range(5)] + [sequence(100)]), 8, 100)
    assert plan.n_rows == sum(sizes(plan)) == 8


def test_where_forced_tokens_do_not_fit_each_stream_gets_one() -> None:
    plan = plan_batch([sequence(5, decoding=True), sequence(1, decoding=True), sequence(3, decoding=True)], [], 8, 100)
    assert sizes(plan) == [1, 1, 1]
    assert [part.is_last for part in plan.parts] == [False, True, False]


def test_a_prompt_whose_logits_are_all_wanted_comes_in_small_pieces() -> None:
    (scored, plain) = plan_batch([], [sequence(200, scored=True), sequence(200)], 512, 512).parts
    assert (scored.n_tokens, scored.n_wanted) == (MOST_SCORED, MOST_SCORED)
    assert (plain.n_tokens, plain.n_wanted) == (200, 1)


def test_nobody_to_run_plans_nothing() -> None:
    assert plan_batch([], [], 512, 512).parts == []


@pytest.mark.parametrize("n_decoding", [0, 4])
def test_the_budget_shrinks_when_prompt_tokens_are_dear(n_decoding: int) -> None:
    budget = StepBudget().after(0.02, 4, 0)
    cheap = budget.after(0.1, 0, 512).tokens(n_decoding, [100], 512)
    dear = budget.after(10.0, 0, 512).tokens(n_decoding, [100], 512)
    assert MIN_CHUNK <= dear < cheap <= 512


def test_a_step_with_streams_takes_fewer_prompt_tokens_than_one_without() -> None:
    budget = StepBudget().after(0.02, 4, 0).after(1.0, 0, 512)
    assert budget.tokens(4, [100], 512) < budget.tokens(0, [100], 512)


def test_short_prompts_teach_little() -> None:
    budget = StepBudget().after(1.0, 0, 512)
    assert budget.after(0.05, 0, 2).tokens(0, [100], 512) > 0.8 * budget.tokens(0, [100], 512)


def test_a_prompt_whose_tokens_are_dear_in_small_chunks_holds_no_stream_up() -> None:
    budget = StepBudget().after(0.06, 4, 0).after(1.0, 0, 256)  # 4 ms for a token among many
    alone, n_tokens = budget.tokens(0, [100], 512), 0
    for _ in range(8):
        n_tokens = budget.tokens(4, [100], 512)
        budget = budget.after(0.06 + 0.012 * n_tokens, 4, n_tokens)  # 12 ms among few
    assert 0.06 + 0.012 * n_tokens <= 2 * 0.06
    assert budget.tokens(0, [100], 512) == alone


def test_where_a_large_chunk_is_due_a_small_one_says_nothing() -> None:
    budget = StepBudget().after(0.02, 4, 0).after(0.05, 0, 512).after(0.03, 4, 10)
    assert budget.tokens(4, [100], 512) > LARGE_CHUNK


@pytest.mark.parametrize(("n_decoding", "n_waiting"), [(2, 14), (11, 5), (16, 2), (1, 3)])
def test_a_crowd_that_waits_gets_as_much_of_a_step_as_where_nobody_streams(n_decoding: int, n_waiting: int) -> None:
    budget = StepBudget().after(0.02, 4, 0).after(1.0, 0, 512)
    assert budget.tokens(n_decoding, [100] * n_waiting, 512) == budget.tokens(0, [100], 512)


@pytest.mark.parametrize(("n_decoding", "n_waiting"), [(1, 1), (2, 1), (16, 1), (40, 3)])
def test_few_who_wait_among_streams_get_less(n_decoding: int, n_waiting: int) -> None:
    budget = StepBudget().after(0.02, 4, 0).after(1.0, 0, 512)
    assert budget.tokens(n_decoding, [100] * n_waiting, 512) < budget.tokens(0, [100], 512)


def test_a_crowd_with_long_prompts_would_hold_the_streams_up_for_long() -> None:
    budget = StepBudget().after(0.02, 4, 0).after(1.0, 0, 512)
    assert budget.tokens(4, [6000, 6000], 512) == budget.tokens(4, [6000], 512)


def test_beside_streams_faster_than_anyone_reads_a_step_need_not_be_shorter() -> None:
    cheap = StepBudget().after(1.0, 0, 2000)
    quick, slow = cheap.after(0.005, 1, 0), cheap.after(0.033, 1, 0)
    assert 100 <= quick.tokens(1, [6000], 2048) <= 120
    assert 50 <= slow.tokens(1, [6000], 2048) <= 60
