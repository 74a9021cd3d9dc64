"""What it takes to serve a model by vLLM instead: a pure plan out of what is known about the model.

Source: vLLM's `vllm serve` options; parsers are those of its tool-calling and reasoning documentation.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from ollamapy.cli.human import size_words
from ollamapy.dialects.native import ShowRecord
from ollamapy.types import Json

HUB = "https://huggingface.co/"
WEIGHT_BYTES = 2  # vLLM serves the published weights in 16 bits
CACHE_BYTES = 2
ACTIVATION_SHARE = 0.1  # of the weights, for activations and CUDA graphs
GPU_SHARE = 0.9  # vLLM's --gpu-memory-utilization
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_SOURCES = ("general.source.huggingface.repository", "general.source.repo_url", "general.base_model.0.repo_url")

# by what stands in the model's prompt template, the first that fits: vLLM's --tool-call-parser
_TOOL_PARSERS: Mapping[str, str] = {
    "<|start_header_id|>": "llama3_json",
    "[TOOL_CALLS]": "mistral",
    "<function=": "qwen3_coder",
    "tool▁call▁begin": "deepseek_v3",
    "<|tool_call_begin|>": "kimi_k2",
    "<|channel|>": "openai",
    "<arg_key>": "glm45",
    "<tool_call>": "hermes",
}
_REASONING_PARSERS: Mapping[str, str] = {
    "<|channel|>": "openai_gptoss",
    "[THINK]": "mistral",
    "tool▁call▁begin": "deepseek_r1",
    "<arg_key>": "glm45",
    "<think>": "qwen3",
}


@dataclass(frozen=True, slots=True)
class Handoff:
    """A model under vLLM. `repository` is empty where the file does not tell it; sizes are bytes.

    `trained_tokens` is the longest context that the model was trained on, 0 where the file does not tell it.
    """

    model: str
    repository: str
    context_tokens: int
    n_parallel: int
    weights_bytes: int
    cache_bytes: int
    tool_parser: str = ""
    reasoning_parser: str = ""
    trained_tokens: int = 0

    @property
    def memory_bytes(self) -> int:
        """GPU memory for weights, activations and a cache that holds all requests at their full length."""
        return int((self.weights_bytes * (1 + ACTIVATION_SHARE) + self.cache_bytes) / GPU_SHARE)

    @property
    def command(self) -> list[str]:
        """The words of vLLM's command."""
        words = ["vllm", "serve", self.repository or "ORGANIZATION/MODEL", "--served-model-name", self.model]
        words += ["--max-model-len", str(self.context_tokens), "--max-num-seqs", str(self.n_parallel)]
        if self.tool_parser:
            words += ["--enable-auto-tool-choice", "--tool-call-parser", self.tool_parser]
        if self.reasoning_parser:
            words += ["--reasoning-parser", self.reasoning_parser]
        return words


def plan_handoff(model: str, shown: ShowRecord, *, repository: str, context_tokens: int, n_parallel: int) -> Handoff:
    """Return the plan; `repository` and `context_tokens` are found in the model where they are empty or 0."""
    info = shown.model_info
    context = context_tokens or _parameter(shown.parameters, "num_ctx") or _number(info, "context_length") or 4096
    has = shown.capabilities
    return Handoff(
        model=model,
        repository=repository or find_repository(info),
        context_tokens=context,
        n_parallel=n_parallel,
        weights_bytes=WEIGHT_BYTES * _whole(info.get("general.parameter_count")),
        cache_bytes=n_parallel * context * cache_bytes_per_token(info),
        tool_parser=_fitting(_TOOL_PARSERS, shown.template) if "tools" in has else "",
        reasoning_parser=_fitting(_REASONING_PARSERS, shown.template) if "thinking" in has else "",
        trained_tokens=_number(info, "context_length"),
    )


def find_repository(info: Mapping[str, Json]) -> str:
    """Return the Hugging Face repository that a file says it was made of, or nothing."""
    texts = (str(info.get(key, "")).removeprefix(HUB).strip("/") for key in _SOURCES)
    return next((text for text in texts if _REPOSITORY.fullmatch(text)), "")


def cache_bytes_per_token(info: Mapping[str, Json]) -> int:
    """Return the size of a token's keys and values over all layers, in 16 bits."""
    heads = _number(info, "attention.head_count") or 1
    head_size = _number(info, "embedding_length") // heads
    keys = _number(info, "attention.key_length") or head_size
    values = _number(info, "attention.value_length") or head_size
    shared = _number(info, "attention.head_count_kv") or heads
    return _number(info, "block_count") * shared * (keys + values) * CACHE_BYTES


def handoff_text(handoff: Handoff, ours: str) -> str:
    """Return the plan in words; `ours` is the address that clients use now."""
    lines = ["# Serve it (vLLM reads the published weights, not the GGUF file):", shlex.join(handoff.command), ""]
    if not handoff.repository:
        lines += ["# The file does not say what it was made of: tell its Hugging Face name with --repository.", ""]
    if 0 < handoff.trained_tokens < handoff.context_tokens:
        lines += [
            f"# The model was trained on {handoff.trained_tokens} tokens: vLLM refuses a larger --max-model-len unless",
            "# --hf-overrides scales the model's positions, and answers get worse beyond it.",
            "",
        ]
    lines += [
        "# Clients: another address, the same model name. vLLM speaks OpenAI's API alone, so Ollama's routes",
        "# (/api/chat and others) become /v1/chat/completions.",
        f"OPENAI_BASE_URL=http://127.0.0.1:8000/v1   # was {ours}/v1",
        "",
        f"# Memory on the GPU, about {size_words(handoff.memory_bytes)}:",
        f"#   weights in 16 bits: {size_words(handoff.weights_bytes)}",
        f"#   {handoff.n_parallel} x {handoff.context_tokens} tokens of context: {size_words(handoff.cache_bytes)}",
        "# With less, lower --max-num-seqs or --max-model-len, or name a repository with quantized weights (AWQ, FP8).",
    ]
    return "\n".join(lines)


def _fitting(parsers: Mapping[str, str], template: str) -> str:
    return next((parser for mark, parser in parsers.items() if mark in template), "")


def _parameter(parameters: str, name: str) -> int:
    rows = [line.split() for line in parameters.splitlines()]
    return next((int(row[1]) for row in rows if len(row) == 2 and row[0] == name and row[1].isdecimal()), 0)


def _number(info: Mapping[str, Json], name: str) -> int:
    """Return a number of the model's architecture; of a list, one a layer, the largest."""
    value = info.get(f"{info.get('general.architecture', '')}.{name}")
    return max(map(_whole, value), default=0) if isinstance(value, list) else _whole(value)


def _whole(value: Json) -> int:
    return value if isinstance(value, int) else 0
