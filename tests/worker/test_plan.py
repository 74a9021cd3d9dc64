from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ollamapy.worker.budget import TILE_ROWS
from ollamapy.worker.llama import Batch
from ollamapy.worker.plan import (
    LARGE_CHUNK,
    LEAST_ROOM,
    MOST_SCORED,
    Plan,
    Slice,
    below_tiles,
    fill_batch,
    plan_batch,
    plan_of,
    split,
    take_turns,
)


def sequence(
    n_left: int, *, computed: int = 0, last_step: int = 0, decoding: bool = False, scored: bool = False
) -> Any:
    return SimpleNamespace(
        n_left=n_left,
        n_text=n_left,
        n_computed=computed,
        last_step=last_step,
        is_decoding=decoding,
        is_scored=scored,
        constraint=None,
    )


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


def test_only_one_token_of_everybody_makes_a_round() -> None:
    assert plan_batch(streams(3), [], 8, 0).is_round(3)
    assert not plan_batch(streams(3), [], 8, 0).is_round(4)  # somebody has no turn
    assert not plan_batch(streams(2), [sequence(1)], 8, 8).is_round(3)
    assert not plan_batch([sequence(2, decoding=True)], [], 8, 0).is_round(1)


def test_the_next_round_writes_what_a_new_plan_would() -> None:
    told = [sequence(1, computed=at, decoding=True) for at in (5, 9, 7)]
    for number, one in enumerate(told):
        one.tokens, one.position, one.seq_id = list(range(one.n_computed + 1)), one.n_computed, number + 3
    plan, kept, anew = plan_batch(told, [], 8, 0), Batch(8), Batch(8)
    fill_batch(kept, plan.parts)
    for one in told:
        one.tokens.append(100 + one.seq_id)
        one.n_computed = one.position = one.n_computed + 1
    kept.advance([100 + one.seq_id for one in told])
    fill_batch(anew, plan_batch(told, [], 8, 0).parts)
    for field in ("tokens", "positions", "sequences", "wants_logits"):
        assert getattr(kept, field).tolist() == getattr(anew, field).tolist()


def test_guesses_move_the_rows_of_those_behind_them() -> None:
    first, second = streams(2)
    plan = plan_of([Slice(first, 1, is_last=True, draft=(4, 5)), Slice(second, 1, is_last=True)], 2)
    assert [row for _, row in plan.due] == [0, 3]
    assert plan.has_guesses
    assert plan.n_rows == 4


def test_forced_tokens_make_a_step_longer_but_are_no_guesses() -> None:
    plan = plan_batch([sequence(7, decoding=True)], [], 8, 0)
    assert plan.is_longer
    assert not plan.has_guesses


def test_nobody_to_run_plans_nothing() -> None:
    assert plan_batch([], [], 512, 512).parts == []


def streams(count: int) -> list[Any]:
    return [sequence(1, computed=100, decoding=True) for _ in range(count)]


def test_among_many_streams_a_step_stays_below_the_rows_that_attention_takes_in_tiles() -> None:
    assert below_tiles(streams(30), [sequence(40), sequence(30)], 200) + 30 == TILE_ROWS - 1


@pytest.mark.parametrize(
    ("n_streams", "prompts", "budget"),
    [
        (0, [sequence(100)], 200),  # nobody streams
        (30, [sequence(33)], 200),  # all fit below
        (30, [sequence(500)], 20),
        (30, [sequence(LARGE_CHUNK)], 200),  # a chunk that is worth it
        (30, [sequence(40, computed=1000)], 200),  # a long context of its own
        (55, [sequence(40)], 200),  # hardly any room
        (100, [sequence(40)], 200),
    ],
)
def test_where_tiles_are_worth_their_cost_or_not_reached_the_budget_stays(
    n_streams: int, prompts: list[Any], budget: int
) -> None:
    assert below_tiles(streams(n_streams), prompts, budget) == budget


@pytest.mark.parametrize(("has_prompts", "most"), [(False, TILE_ROWS - 1), (True, TILE_ROWS - 1 - LEAST_ROOM)])
def test_more_streams_than_stay_below_tiles_take_turns(has_prompts: bool, most: int) -> None:
    running = [sequence(1, computed=100, last_step=i % 2, decoding=True) for i in range(2 * most)]
    chosen = take_turns(running, has_prompts=has_prompts)
    assert [stream.last_step for stream in chosen] == [0] * most
    assert take_turns(running[:most], has_prompts=has_prompts) == running[:most]
