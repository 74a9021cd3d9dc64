"""Layouts of GGUF files that only Ollama's own engines could load: what they are told by, and what becomes of them.

Source: Ollama's llama/compat, which does the same in memory; llama.cpp's model loader and tools/mtmd/clip.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ollamapy.convert.draft import Draft
from ollamapy.convert.text import (
    embeddinggemma,
    gemma3,
    gptoss,
    is_embeddinggemma,
    is_gemma3,
    is_llama3,
    is_qwen3vl,
    llama3,
    olmo3,
    qwen3vl,
    qwen25vl,
)
from ollamapy.convert.vision import gemma3_projector, llava_projector, qwen3vl_projector, qwen25vl_projector
from ollamapy.errors import UnsupportedError
from ollamapy.gguf import Header

Edit = Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout: `weights` and `projector` make a draft of the file into one that llama.cpp loads; None makes nothing.

    Where neither is there, the file can't be loaded, and `instead` says what can.
    """

    name: str
    weights: Edit | None = None
    projector: Edit | None = None
    instead: str = ""


def find_layout(header: Header) -> Layout | None:
    """Return the layout of a file that llama.cpp can't load as it is, None for any other file."""
    if header.split_count > 1:
        return None
    for is_it, layout in _LAYOUTS:
        if is_it(header):
            has_vision = any(tensor.name.startswith("v.") for tensor in header.tensors)
            return layout if has_vision or layout.weights is None else Layout(layout.name, layout.weights)
    return None


def check_layout(layout: Layout | None) -> None:
    """Raise UnsupportedError for a layout that nothing can be made of, naming what can be pulled instead."""
    if layout is not None and layout.instead:
        raise UnsupportedError(
            f"this {layout.name} file is in a layout of Ollama's own, which llama.cpp can't load; pull a model that "
            f"it can load instead, such as {layout.instead}"
        )


def _of(*architectures: str) -> Callable[[Header], bool]:
    return lambda header: header.architecture in architectures


def _holding(architecture: str, *prefixes: str) -> Callable[[Header], bool]:
    """Tell files of an architecture with tensors or keys that begin so."""

    def is_it(header: Header) -> bool:
        names = (*(tensor.name for tensor in header.tensors), *header.metadata)
        return header.architecture == architecture and any(name.startswith(prefixes) for name in names)

    return is_it


def _is_llava(header: Header) -> bool:
    has_type = {"clip.projector_type", "clip.vision.projector_type"} & header.metadata.keys()
    return header.architecture == "clip" and header.metadata.get("clip.has_vision_encoder") is True and not has_type


def _lfm2(header: Header) -> bool:
    names = {tensor.name for tensor in header.tensors}
    return header.architecture == "lfm2" and "output_norm.weight" in names and "token_embd_norm.weight" not in names


def _gemma3n(header: Header) -> bool:
    rows = {tensor.name: tensor.shape[-1] for tensor in header.tensors}
    words, layers = rows.get("token_embd.weight"), rows.get("per_layer_token_embd.weight")
    return header.architecture == "gemma3n" and None not in (words, layers) and words != layers


def _refused(name: str, repository: str) -> Layout:
    return Layout(name, instead=f"hf.co/{repository}")


_OMNI = ("v.", "a.", "mm.", "mtp.")
_LAYOUTS: tuple[tuple[Callable[[Header], bool], Layout], ...] = (
    (is_embeddinggemma, Layout("embeddinggemma", embeddinggemma)),
    (is_gemma3, Layout("gemma3", gemma3, gemma3_projector)),
    (_of("qwen25vl"), Layout("qwen25vl", qwen25vl, qwen25vl_projector)),
    (is_qwen3vl, Layout("qwen3vl", qwen3vl, qwen3vl_projector)),
    (_holding("gptoss", "blk.0.attn_qkv.", "blk.0.ffn_gate_up_exps."), _refused("gptoss", "ggml-org/gpt-oss-20b-GGUF")),
    (_of("gptoss"), Layout("gptoss", gptoss)),
    (_of("olmo3"), Layout("olmo3", olmo3)),
    (is_llama3, Layout("llama3", llama3)),
    (_is_llava, Layout("llava", None, llava_projector)),
    (_of("mllama"), _refused("mllama", "ggml-org/gemma-3-4b-it-GGUF")),
    (_of("deepseekocr"), _refused("deepseekocr", "ggml-org/DeepSeek-OCR-GGUF")),
    (_of("glmocr"), _refused("glmocr", "ggml-org/GLM-OCR-GGUF")),
    (_of("glm4moelite"), _refused("glm4moelite", "unsloth/GLM-4.7-Flash-GGUF")),
    (_gemma3n, _refused("gemma3n", "ggml-org/gemma-3n-E4B-it-GGUF")),
    (_holding("gemma4", "a.", "v.", "mm.", "model.vision_tower."), _refused("gemma4", "ggml-org/gemma-4-E4B-it-GGUF")),
    (_lfm2, _refused("lfm2", "LiquidAI/LFM2-1.2B-GGUF")),
    (
        _holding("mistral3", "v.", "mm.", "mistral3.rope.scaling.beta_fast", "mistral3.rope.scaling_beta"),
        _refused("mistral3", "unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF"),
    ),
    (_holding("qwen35", "v.", "mtp.", "qwen35.vision.", "qwen35.image"), _refused("qwen35", "unsloth/Qwen3.5-4B-GGUF")),
    (
        _holding("qwen35moe", "v.", "mtp.", "qwen35moe.vision.", "qwen35moe.image"),
        _refused("qwen35moe", "unsloth/Qwen3.5-35B-A3B-GGUF"),
    ),
    (_holding("llama4", "v.", "mm."), _refused("llama4", "ggml-org/Llama-4-Scout-17B-16E-Instruct-GGUF")),
    (_holding("nemotron_h_omni", *_OMNI), _refused("nemotron_h_omni", "unsloth/Nemotron-3-Nano-30B-A3B-GGUF")),
    (
        _holding("nemotron_h_moe", "mtp.", "blk.0.ffn_latent_in", "blk.1.ffn_latent_in"),
        _refused("nemotron_h_moe", "unsloth/Nemotron-3-Nano-30B-A3B-GGUF"),
    ),
)
