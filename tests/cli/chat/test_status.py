"""The line below the prompt."""

from __future__ import annotations

from ollamapy.cli.chat.status import context_of, status_words
from ollamapy.dialects.native import DetailsRecord, LoadedRecord, MetricsRecord

DETAILS = DetailsRecord(
    parent_model="", format="gguf", family="llama", families=None, parameter_size="", quantization_level=""
)


def loaded(name: str, context_length: int) -> LoadedRecord:
    return LoadedRecord(
        name=name,
        model=name,
        size=1,
        digest="",
        details=DETAILS,
        expires_at="",
        size_vram=0,
        context_length=context_length,
    )


def test_before_the_first_answer_only_the_model_is_told() -> None:
    assert status_words("wren", None, 512) == "wren"
    assert status_words("wren", MetricsRecord(), 512) == "wren"


def test_speed_context_and_cache_of_the_last_answer_are_told() -> None:
    last = MetricsRecord(
        done_reason="stop", prompt_eval_count=100, eval_count=28, eval_duration=2_000_000_000, cached_tokens=90,
        dropped_messages=2,
    )  # fmt: skip
    assert status_words("wren", last, 512) == (
        "wren · 14.0 tokens/s · context 128 of 512 (25%) · 90 cached · 2 messages dropped"
    )
    assert status_words("wren", MetricsRecord(done_reason="stop"), 0) == "wren · context 0 tokens · 0 cached"


def test_the_context_is_that_of_the_loaded_model() -> None:
    models = [loaded("other:latest", 1), loaded("Wren:latest", 512), loaded("wren:big", 4096)]
    assert context_of(models, "wren") == 512
    assert context_of(models, "wren:big") == 4096
    assert context_of(models, "gone") == 0
