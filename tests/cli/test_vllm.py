"""The plan of handing a model over to vLLM."""

from __future__ import annotations

from typing import Any

import pytest

from ollamapy.cli.vllm import cache_bytes_per_token, find_repository, handoff_text, plan_handoff
from ollamapy.dialects.native import DetailsRecord, ShowRecord
from ollamapy.types import Json

DETAILS = DetailsRecord(
    parent_model="", format="gguf", family="", families=None, parameter_size="", quantization_level=""
)
LLAMA: dict[str, Json] = {  # Llama 3.1 8B, as its file has it
    "general.architecture": "llama",
    "general.parameter_count": 8_030_261_248,
    "general.base_model.0.repo_url": "https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct",
    "llama.block_count": 32,
    "llama.context_length": 131072,
    "llama.embedding_length": 4096,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
}


def shown(info: dict[str, Json] = LLAMA, **more: Any) -> ShowRecord:
    return ShowRecord(details=DETAILS, model_info=info, modified_at="", **more)


def test_memory_is_weights_in_16_bits_and_a_cache_for_every_request() -> None:
    plan = plan_handoff("llama3.1", shown(), repository="", context_tokens=8192, n_parallel=16)
    assert plan.weights_bytes == 16_060_522_496
    assert cache_bytes_per_token(LLAMA) == 32 * 8 * 256 * 2 == 131_072
    assert plan.cache_bytes == 16 * 8192 * 131_072
    assert plan.memory_bytes > plan.weights_bytes + plan.cache_bytes


def test_the_command_names_the_repository_and_keeps_the_models_name() -> None:
    record = shown(template="<|start_header_id|>tools", capabilities=["completion", "tools"])
    plan = plan_handoff("llama3.1:8b", record, repository="", context_tokens=0, n_parallel=4)
    assert " ".join(plan.command) == (
        "vllm serve meta-llama/Llama-3.1-8B-Instruct --served-model-name llama3.1:8b --max-model-len 131072 "
        "--max-num-seqs 4 --enable-auto-tool-choice --tool-call-parser llama3_json"
    )


def test_the_context_is_that_of_the_modelfile_where_it_has_one() -> None:
    record = shown(parameters='num_ctx                        4096\nstop "x"')
    assert plan_handoff("m", record, repository="", context_tokens=0, n_parallel=1).context_tokens == 4096
    assert plan_handoff("m", record, repository="", context_tokens=512, n_parallel=1).context_tokens == 512


def test_a_context_beyond_what_the_model_was_trained_on_is_warned_about() -> None:
    def told(context_tokens: int) -> str:
        plan = plan_handoff("m", shown(), repository="", context_tokens=context_tokens, n_parallel=1)
        return handoff_text(plan, "http://127.0.0.1:11434")

    assert "trained on 131072 tokens" in told(131073)
    assert "trained on" not in told(131072)


@pytest.mark.parametrize(
    ("info", "repository"),
    [
        ({}, ""),
        ({"general.base_model.0.repo_url": "https://huggingface.co/a/b/"}, "a/b"),
        ({"general.source.huggingface.repository": "c/d", "general.base_model.0.repo_url": "x"}, "c/d"),
        ({"general.base_model.0.repo_url": "https://example.org/; rm -rf /"}, ""),
    ],
)
def test_a_repository_is_one_or_none(info: dict[str, Json], repository: str) -> None:
    assert find_repository(info) == repository


def test_what_the_file_does_not_tell_is_asked_for() -> None:
    plan = plan_handoff("m", shown({}), repository="", context_tokens=0, n_parallel=1)
    assert "--repository" in handoff_text(plan, "http://127.0.0.1:11434")
    known = plan_handoff("m", shown({}), repository="a/b", context_tokens=0, n_parallel=1)
    assert "vllm serve a/b" in handoff_text(known, "http://127.0.0.1:11434")


def test_heads_that_differ_by_layer_count_at_their_most() -> None:
    info = {**LLAMA, "llama.attention.head_count_kv": [4, 8]}
    assert cache_bytes_per_token(info) == cache_bytes_per_token(LLAMA)


@pytest.mark.parametrize(
    ("template", "tool_parser", "reasoning_parser"),
    [
        ("<tool_call> <think>", "hermes", "qwen3"),
        ("<|channel|>", "openai", "openai_gptoss"),
        ("plain", "", ""),
    ],
)
def test_parsers_are_those_of_the_models_template(template: str, tool_parser: str, reasoning_parser: str) -> None:
    record = shown(template=template, capabilities=["completion", "tools", "thinking"])
    plan = plan_handoff("m", record, repository="", context_tokens=0, n_parallel=1)
    assert (plan.tool_parser, plan.reasoning_parser) == (tool_parser, reasoning_parser)
