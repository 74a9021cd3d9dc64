"""What a model can do, told from its config, its GGUF header and its template.

Source: Ollama's `capabilities`, in its order of discovery.
"""

from __future__ import annotations

from ollamapy.errors import InvalidFileError
from ollamapy.gguf import Header, read_header
from ollamapy.parsing.traits import read_traits
from ollamapy.store.models import Model

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


def capabilities(model: Model, header: Header, template: str | None, tool_template: str = "") -> tuple[str, ...]:
    """Return what a model can do with the template in force: completion, tools, thinking and such.

    `tool_template` is a second one, which renders chats with tools.
    """
    config = model.config
    found = [*(config.capabilities or ()), *_of_header(header), *_of_projectors(model)]
    if not header.has_pooling:
        found += _of_template(template or "")
        found += ["tools"] if tool_template else []
    if config.parser in _PARSERS and config.parser not in _PARSERS_WITHOUT_TOOLS:
        found.append("tools")
    if _PARSERS.get(config.parser) or "gptoss" in (config.model_family, header.architecture.replace("-", "")):
        found.append("thinking")
    return tuple(dict.fromkeys(found))


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


def _of_template(template: str) -> list[str]:
    traits = read_traits(template)
    offered = {"tools": traits.calls_tools, "insert": traits.inserts, "thinking": traits.thinks}
    return [capability for capability, is_offered in offered.items() if is_offered]
