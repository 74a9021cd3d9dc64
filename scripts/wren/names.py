"""The names of weights: ours, Hugging Face's for LlamaForCausalLM, and llama.cpp's in GGUF files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wren.model import Shape

Arrays = Mapping[str, NDArray[Any]]
_PAIRS = {
    "out": "self_attn.o_proj",
    "down": "mlp.down_proj",
    "norm1": "input_layernorm",
    "norm2": "post_attention_layernorm",
}
_GGUF = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.layers": "blk",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def to_hugging_face(weights: Arrays, shape: Shape) -> dict[str, NDArray[Any]]:
    """Return our weights under Hugging Face's names."""
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    out = {"model.embed_tokens.weight": weights["embed.weight"], "model.norm.weight": weights["norm.weight"]}
    for i in range(shape.layers):
        ours, theirs = f"blocks.{i}.", f"model.layers.{i}."
        q, k, v = np.split(weights[ours + "qkv.weight"], [queries, queries + keys])
        gate, up = np.split(weights[ours + "gate_up.weight"], 2)
        parts = {"self_attn.q_proj": q, "self_attn.k_proj": k, "self_attn.v_proj": v}
        parts |= {"mlp.gate_proj": gate, "mlp.up_proj": up}
        parts |= {name: weights[f"{ours}{our}.weight"] for our, name in _PAIRS.items()}
        out |= {f"{theirs}{name}.weight": array for name, array in parts.items()}
    return {name: np.ascontiguousarray(array) for name, array in out.items()}


def from_hugging_face(weights: Arrays, shape: Shape) -> dict[str, NDArray[Any]]:
    """Return weights with Hugging Face's names under ours, as float32."""
    out = {"embed.weight": weights["model.embed_tokens.weight"], "norm.weight": weights["model.norm.weight"]}
    for i in range(shape.layers):
        ours, theirs = f"blocks.{i}.", f"model.layers.{i}."
        attention = [weights[f"{theirs}self_attn.{name}_proj.weight"] for name in "qkv"]
        out[ours + "qkv.weight"] = np.concatenate(attention)
        out[ours + "gate_up.weight"] = np.concatenate([weights[f"{theirs}mlp.{n}_proj.weight"] for n in ("gate", "up")])
        out |= {f"{ours}{our}.weight": weights[f"{theirs}{name}.weight"] for our, name in _PAIRS.items()}
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in out.items()}


def to_gguf(name: str) -> str:
    """Return llama.cpp's name for one of Hugging Face's."""
    for old, new in _GGUF.items():
        name = name.replace(old, new)
    return name
