"""The line below the prompt."""

from __future__ import annotations

from ollamapy.cli.chat.status import status_words
from ollamapy.dialects.native import MetricsRecord


def test_before_the_first_answer_only_the_model_is_told() -> None:
    assert status_words("wren", None) == "wren"
    assert status_words("wren", MetricsRecord(num_ctx=512)) == "wren"


def test_speed_context_and_cache_of_the_last_answer_are_told() -> None:
    last = MetricsRecord(
        done_reason="stop", prompt_eval_count=100, eval_count=28, eval_duration=2_000_000_000, cached_tokens=90,
        dropped_messages=2, num_ctx=512,
    )  # fmt: skip
    assert status_words("wren", last) == (
        "wren · 14.0 tokens/s · context 128 of 512 (25%) · 90 cached · 2 messages dropped"
    )
    assert status_words("wren", MetricsRecord(done_reason="stop")) == "wren · context 0 tokens · 0 cached"


def test_an_answer_that_outlived_its_context_fills_it_and_no_more() -> None:
    last = MetricsRecord(done_reason="stop", prompt_eval_count=100, eval_count=593, num_ctx=256)
    assert status_words("wren", last) == "wren · context 256 of 256 (100%) · 0 cached"
