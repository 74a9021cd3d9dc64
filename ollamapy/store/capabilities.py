"""What a model can do, told from its config, its GGUF header and its template.

Source: Ollama's `capabilities`, in its order of discovery.
"""

from __future__ import annotations

import re

from ollamapy.errors import InvalidFileError
from ollamapy.gguf import Header, read_header
from ollamapy.store.models import Model

_GO_ACTION = re.compile(r"\{\{-?\s*(?:(?:if|else if|range|with|block|and|or|not|eq|json|len)\s[^}]*?)?[.$][A-Z]")
_SPLITS_THINKING = re.compile(r"""split\(\s*['"]</think>['"]\s*\)""")

# Ollama's built-in parsers, and whether their models think; all but the last call tools.
_PARSERS = {
    "harmony": True,
    "qwen3": False,
    "qwen3-thinking": True,
    "qwen3-coder": False,
    "qwen3.5": True,
    "ornith": True,
    "qwen3-vl-instruct": False,
    "qwen3-vl-thinking": True,
    "nemotron-3-nano": True,
    "nemotron-3.5-nano": True,
    "glm-4.7": True,
    "glm-ocr": False,
    "laguna": True,
    "poolside-v1": True,
    "deepseek3": True,
    "cogito": True,
    "ministral": False,
    "olmo3": False,
    "lfm2": False,
    "lfm2-thinking": True,
    "functiongemma": False,
    "gemma4": True,
    "gemma4-no-thinking": False,
    "cohere": True,
    "glimmer": True,
    "olmo3-think": True,
}
_PARSERS_WITHOUT_TOOLS = ("olmo3-think",)


def capabilities(model: Model, header: Header) -> tuple[str, ...]:
    """Return what a model can do: completion, tools, insert, vision, embedding, thinking, audio."""
    config = model.config
    found = [*(config.capabilities or ()), *_of_header(header), *_of_projectors(model)]
    if not header.has_pooling:
        found += _of_template(model.template, header.chat_template())
    if config.parser in _PARSERS and config.parser not in _PARSERS_WITHOUT_TOOLS:
        found.append("tools")
    if _PARSERS.get(config.parser) or "gptoss" in (config.model_family, header.architecture.replace("-", "")):
        found.append("thinking")
    return tuple(dict.fromkeys(found))


def is_go_template(text: str) -> bool:
    """Tell a Go template (`{{ .Prompt }}`) from a Jinja one."""
    return "{%" not in text and _GO_ACTION.search(text) is not None


def _of_header(header: Header) -> list[str]:
    found = ["embedding" if header.has_pooling else "completion"]
    if header.has_vision:
        found.append("vision")
    if header.has_audio and header.architecture != "nemotron_h_omni":
        found.append("audio")
    return found


def _of_projectors(model: Model) -> list[str]:
    found = ["vision"] if model.projectors else []
    for path in model.projectors:
        try:
            header = read_header(path)
        except InvalidFileError:
            continue  # says no more than that it is there; loading it will tell why
        hears = any(key.endswith("has_audio_encoder") and value is True for key, value in header.metadata.items())
        if hears and header.text("clip.projector_type") != "gemma3nv":
            found.append("audio")
    return found


def _of_template(own: str | None, embedded: str | None) -> list[str]:
    """Tell from the template in force: the model's own one, unless the GGUF's Jinja template offers more."""
    if own is None:
        return _of_jinja(embedded or "")
    if not is_go_template(own):
        return _of_jinja(own)
    go, jinja = _of_go(own), _of_jinja(embedded or "")
    return jinja if len(jinja) > len(go) else go


def _of_jinja(template: str) -> list[str]:
    found = ["tools"] if "tools" in template or "tool_call" in template else []
    has_tags = "<think>" in template and "</think>" in template
    is_cut = "reasoning_content" not in template and "<SPECIAL_12>" not in template
    if has_tags or (is_cut and _SPLITS_THINKING.search(template)):
        found.append("thinking")
    return found


def _of_go(template: str) -> list[str]:
    variables = {"tools": ".Tools", "insert": ".Suffix", "thinking": ".Thinking"}
    return [capability for capability, variable in variables.items() if variable in template]
