"""The shapes and the weight types that `scripts/make_bench_model` knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Architecture = Literal["qwen2", "llama"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Dimensions of a decoder: counts of layers, heads and key/value heads, widths in values, context in tokens."""

    architecture: Architecture
    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn_width: int
    context_length: int = 32768
    rope_base: float = 1_000_000.0

    @property
    def head_width(self) -> int:
        """Return the values in one head."""
        return self.width // self.heads

    @property
    def kv_width(self) -> int:
        """Return the values in all key (or value) heads together."""
        return self.head_width * self.kv_heads


SHAPES = {
    "tiny": Shape("qwen2", layers=2, width=64, heads=4, kv_heads=2, ffn_width=128, context_length=4096),
    "0.5b": Shape("qwen2", layers=24, width=896, heads=14, kv_heads=2, ffn_width=4864),
    "1.5b": Shape("qwen2", layers=28, width=1536, heads=12, kv_heads=2, ffn_width=8960),
    "8b": Shape("llama", layers=32, width=4096, heads=32, kv_heads=8, ffn_width=14336, rope_base=500_000.0),
}

FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K_M": 15, "BF16": 32}
"""Names that `--type` takes, with GGUF's number for each (`general.file_type`)."""


def tensor_type(file_type: str, tensor: str, layer: int, layers: int) -> str:
    """Return the type of a matrix in a file of `file_type`, mixed as llama.cpp mixes it for Q4_K_M.

    The token table of a Q4_K_M file is Q8_0 here: it is only looked up, never multiplied.
    """
    if file_type != "Q4_K_M":
        return file_type
    if tensor == "token_embd":
        return "Q8_0"
    if tensor == "output":
        return "Q6_K"
    eighth = layers // 8
    is_kept_finer = layer < eighth or layer >= 7 * eighth or (layer - eighth) % 3 == 2
    return "Q6_K" if tensor in ("attn_v", "ffn_down") and is_kept_finer else "Q4_K"
