"""How many prompt tokens a step may take, where a step takes what the test says."""

from __future__ import annotations

import pytest

from ollamapy.worker.budget import MIN_CHUNK, MOST_SMALL, TILE_ROWS, StepBudget

N_BATCH = 512


def compute(
    budget: StepBudget, n_tokens: int, pass_seconds: float, token_seconds: float, n_decoding: int = 0
) -> tuple[StepBudget, float]:
    """Compute a prompt where a step takes a pass over the weights and the same for each token; return the seconds."""
    seconds = 0.0
    while n_tokens > 0:
        chunk = min(n_tokens, budget.tokens(n_decoding, [n_tokens], N_BATCH))
        taken = pass_seconds + chunk * token_seconds
        budget = budget.after(taken, n_decoding, chunk)
        seconds, n_tokens = seconds + taken, n_tokens - chunk
    return budget, seconds


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
    assert budget.tokens(4, [100], 512) > TILE_ROWS


def test_where_no_large_chunk_fits_small_ones_tell_and_none_is_tried() -> None:
    budget = StepBudget().after(0.1, 30, 0).after(0.5, 0, 500)  # 1 ms for a token among many
    sizes = []
    for _ in range(3 * MOST_SMALL):
        sizes.append(budget.tokens(30, [100], 33))
        budget = budget.after(0.1 + 0.01 * sizes[-1], 30, sizes[-1])  # 10 ms among few
    assert 0.1 + 0.01 * max(sizes[MOST_SMALL:]) <= 2 * 0.1
    assert budget.tokens(30, [100], 512) > 33


@pytest.mark.parametrize(("n_decoding", "n_waiting"), [(2, 14), (11, 5), (16, 2), (1, 3)])
def test_a_crowd_that_waits_gets_as_much_of_a_step_as_where_nobody_streams(n_decoding: int, n_waiting: int) -> None:
    budget = StepBudget().after(0.02, 4, 0).after(1.0, 0, 512)
    assert budget.tokens(n_decoding, [100] * n_waiting, 512) == budget.tokens(0, [100], 512)


@pytest.mark.parametrize(("n_decoding", "n_waiting"), [(1, 1), (2, 1), (16, 1), (40, 3)])
def test_few_who_wait_among_streams_get_less(n_decoding: int, n_waiting: int) -> None:
    budget = StepBudget().after(0.02, 4, 0).after(1.0, 0, 512)
    assert budget.tokens(n_decoding, [100] * n_waiting, 512) < budget.tokens(0, [100], 512)


def test_a_crowd_is_one_beside_all_streams_and_not_beside_those_whose_turn_it_is() -> None:
    budget = StepBudget().after(0.02, 47, 0).after(1.0, 0, 512)
    assert budget.tokens(47, [100] * 6, 512, 200) < budget.tokens(47, [100] * 6, 512)


def test_a_crowd_with_long_prompts_would_hold_the_streams_up_for_long() -> None:
    budget = StepBudget().after(0.02, 4, 0).after(1.0, 0, 512)
    assert budget.tokens(4, [6000, 6000], 512) == budget.tokens(4, [6000], 512)


def test_beside_streams_faster_than_anyone_reads_a_step_need_not_be_shorter() -> None:
    cheap = StepBudget().after(1.0, 0, 2000)
    quick, slow = cheap.after(0.005, 1, 0), cheap.after(0.033, 1, 0)
    assert 47 <= quick.tokens(1, [6000], 2048) <= 57
    assert 42 <= slow.tokens(1, [6000], 2048) <= 50


@pytest.mark.parametrize(("pass_seconds", "token_seconds"), [(1.0, 0.12), (0.5, 0.06), (2.0, 0.1), (2.0, 0.01)])
def test_a_slow_model_reads_its_weights_for_many_tokens_at_once(pass_seconds: float, token_seconds: float) -> None:
    budget = StepBudget().after(pass_seconds, 1, 0)
    for _ in range(3):
        budget, seconds = compute(budget, 1024, pass_seconds, token_seconds)
        assert seconds <= 1.7 * (1024 * token_seconds + 1024 / N_BATCH * pass_seconds)


def test_a_cold_start_is_soon_forgotten() -> None:
    budget = StepBudget().after(10.0, 0, 5)
    for _ in range(2):
        budget, _seconds = compute(budget, 500, 0.04, 0.004)
    assert budget.tokens(0, [500], N_BATCH) > 150


def test_where_streams_have_doubled_or_halved_a_step_shows_what_they_take_alone() -> None:
    budget = StepBudget().after(0.015, 4, 0).after(1.0, 0, 256)
    assert budget.tokens(5, [100], N_BATCH) > 0
    for n_decoding in (2, 8):
        assert budget.tokens(n_decoding, [100], N_BATCH) == 0
        assert budget.after(0.03, n_decoding, 0).tokens(n_decoding, [100], N_BATCH) > 0


def test_prompts_that_never_end_leave_a_step_to_the_streams_now_and_then() -> None:
    budget = StepBudget().after(0.1, 4, 0).after(1.0, 0, 256)
    chunks = []
    for _ in range(100):
        chunks.append(budget.tokens(4, [6000], N_BATCH))
        budget = budget.after(0.1 + 0.005 * chunks[-1], 4, chunks[-1])
    assert 4 <= chunks.count(0) <= 8


def test_guessed_tokens_tell_that_streams_ran_but_not_what_they_take() -> None:
    budget = StepBudget().after(0.1, 4, 0)
    assert budget.after(0.9, 4, 0, is_longer=True) == budget
    assert budget.after(0.9, 8, 0, is_longer=True).n_decoding == 8


def test_a_stall_makes_chunks_small_for_a_while_only() -> None:
    budget = StepBudget().after(0.02, 2, 0).after(0.08, 0, 400).after(5.0, 2, 79)
    for _ in range(2 * MOST_SMALL):
        n_tokens = budget.tokens(2, [6000], N_BATCH)
        cost = 0.00015 if n_tokens >= TILE_ROWS else 0.0006
        budget = budget.after(0.02 + n_tokens * cost, 2, n_tokens)
    assert budget.tokens(2, [6000], N_BATCH) > TILE_ROWS


def test_crowds_without_end_hold_streams_up_for_a_while_only() -> None:
    budget, long_steps = StepBudget().after(0.1, 16, 0).after(1.0, 0, 256), 0
    for _ in range(400):
        n_tokens = budget.tokens(16, [700, 700, 700], N_BATCH)
        budget = budget.after(0.1 + 0.004 * n_tokens, 16, n_tokens)
        long_steps += n_tokens > 2 * TILE_ROWS
    assert 40 <= long_steps <= 120


def test_no_sample_is_so_small_that_the_budget_overflows() -> None:
    budget = StepBudget().after(0.1, 2, 0)
    for _ in range(4000):
        budget = budget.after(0.01, 2, 100)
    assert budget.tokens(0, [100], N_BATCH) == N_BATCH
