"""GGUF files of well-known sizes without their weights: headers are whole, tensor data is a hole in the file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ollamapy.gguf.types import TENSOR_TYPES
from tests.gguf_builder import F32, I32, STRING, array, build, number, tensor, text

TYPES = {kind.name: (number_, kind) for number_, kind in TENSOR_TYPES.items()}
Extra = tuple[str, tuple[int, ...], str]


@dataclass(frozen=True)
class Family:
    """The numbers of a model. `extra` are further tensors of each layer; without `has_ffn` they hold its experts."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    context: int = 131_072
    head: int = 128
    is_tied: bool = False
    architecture: str = "llama"
    has_ffn: bool = True
    numbers: Mapping[str, float] = field(default_factory=dict)
    extra: Sequence[Extra] = ()


NORMS = (("attn_q_norm.weight", (128,), "F32"), ("attn_k_norm.weight", (128,), "F32"))
FAMILIES = {
    "1b": Family(16, 2048, 32, 8, 8192, 128_256, head=64, is_tied=True),
    "8b": Family(32, 4096, 32, 8, 14_336, 128_256),
    "14b": Family(40, 5120, 40, 8, 17_408, 151_936, 40_960, architecture="qwen3", extra=NORMS),
    "32b": Family(64, 5120, 64, 8, 25_600, 151_936, 40_960, architecture="qwen3", extra=NORMS),
    "70b": Family(80, 8192, 64, 8, 28_672, 128_256),
    "30b-moe": Family(
        48, 2048, 32, 4, 6144, 151_936, 40_960, architecture="qwen3moe", has_ffn=False,
        numbers={"expert_count": 128, "expert_used_count": 8, "expert_feed_forward_length": 768},
        extra=(
            *NORMS, ("ffn_gate_inp.weight", (2048, 128), "F32"), ("ffn_gate_exps.weight", (2048, 768, 128), "Q4_K"),
            ("ffn_up_exps.weight", (2048, 768, 128), "Q4_K"), ("ffn_down_exps.weight", (768, 2048, 128), "Q4_K"),
        ),
    ),
    "4b-windowed": Family(
        34, 2560, 8, 4, 10_240, 262_144, head=256, is_tied=True, architecture="gemma3",
        numbers={"attention.sliding_window": 1024},
        extra=(
            ("attn_q_norm.weight", (256,), "F32"), ("attn_k_norm.weight", (256,), "F32"),
            ("post_attention_norm.weight", (2560,), "F32"), ("post_ffw_norm.weight", (2560,), "F32"),
        ),
    ),
}  # fmt: skip


def write_family(folder: Path, name: str, kind: str) -> Path:
    """Write a file of that family with that type of tensors, if it is not there yet; return its path."""
    path = folder / f"{name}-{kind}.gguf"
    if not path.exists():
        family = FAMILIES[name]
        rows, offset = [], 0
        for tensor_name, shape, type_name in tensors(family, kind):
            rows.append(tensor(tensor_name, shape, offset, TYPES[type_name][0]))
            offset += -(-size_bytes(shape, type_name) // 32) * 32
        head = build(entries(family), rows)
        with path.open("wb") as file:
            file.write(head)
            file.truncate(len(head) + offset)
    return path


def size_bytes(shape: Sequence[int], kind: str) -> int:
    """Return the bytes of a tensor."""
    layout = TYPES[kind][1]
    return math.prod(shape) // layout.block_elements * layout.block_bytes


def tensors(family: Family, kind: str) -> list[Extra]:
    """Return all tensors with their shapes and types."""
    width, queries, keys = family.width, family.heads * family.head, family.kv_heads * family.head
    layer: list[Extra] = [
        ("attn_norm.weight", (width,), "F32"), ("ffn_norm.weight", (width,), "F32"),
        ("attn_q.weight", (width, queries), kind), ("attn_k.weight", (width, keys), kind),
        ("attn_v.weight", (width, keys), kind), ("attn_output.weight", (queries, width), kind), *family.extra,
    ]  # fmt: skip
    if family.has_ffn:
        layer += [(f"ffn_{part}.weight", (width, family.ffn), kind) for part in ("gate", "up")]
        layer.append(("ffn_down.weight", (family.ffn, width), kind))
    ends = (width, family.vocabulary)
    found: list[Extra] = [("token_embd.weight", ends, kind), ("output_norm.weight", (width,), "F32")]
    found += [] if family.is_tied else [("output.weight", ends, kind)]
    for block in range(family.layers):
        found += [(f"blk.{block}.{name}", shape, type_name) for name, shape, type_name in layer]
    return found


def entries(family: Family) -> list[bytes]:
    """Return the metadata."""
    arch, count = family.architecture, family.vocabulary
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [f"t{index}" for index in range(count - len(pieces))]
    numbers = {
        "context_length": family.context, "embedding_length": family.width, "block_count": family.layers,
        "feed_forward_length": family.ffn, "attention.head_count": family.heads,
        "attention.head_count_kv": family.kv_heads, "rope.dimension_count": family.head,
        "attention.key_length": family.head, "attention.value_length": family.head, **family.numbers,
    }  # fmt: skip
    return [
        text("general.architecture", arch),
        text("tokenizer.ggml.model", "llama"),
        array("tokenizer.ggml.tokens", STRING, pieces),
        array("tokenizer.ggml.scores", F32, [0.0] * count),
        array("tokenizer.ggml.token_type", I32, [2, 3, 3, *[6] * 256, *[1] * (count - 259)]),
        number(f"{arch}.attention.layer_norm_rms_epsilon", 1e-5, F32),
        *(number(f"{arch}.{key}", value) for key, value in numbers.items()),
    ]
