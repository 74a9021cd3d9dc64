"""Model families of Hugging Face's transformers: their sizes and the names of their tensors, as llama.cpp has them.

Source: transformers' `config.json` and state dictionaries; llama.cpp's `llama-arch.cpp` and `src/models`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from ollamapy.convert.draft import NewValue
from ollamapy.convert.tokens import BY_HAND
from ollamapy.errors import InvalidFileError, UnsupportedError
from ollamapy.types import Json

MOST = 1 << 24  # of any size in a configuration
_POOLING = {"pooling_mode_mean_tokens": 1, "pooling_mode_cls_token": 2, "pooling_mode_lasttoken": 3}
_BLOCK = re.compile(r"(?:model\.layers|encoder\.layer)\.([0-9]{1,4})\.(.+)\.(weight|bias)")
_LLAMA = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_LLAMA_OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_BERT = {
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}  # fmt: skip
_BERT_OUTSIDE = {
    "embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm",
}  # fmt: skip
_LEFT_OUT = re.compile(r".*rotary_emb\.inv_freq|(bert\.)?embeddings\.position_ids|(bert\.)?pooler\..*")


class Config(msgspec.Struct):
    """What is used of a `config.json`."""

    architectures: list[str] = []
    vocab_size: int = 0
    hidden_size: int = 0
    intermediate_size: int = 0
    num_hidden_layers: int = 0
    num_attention_heads: int = 0
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 0
    type_vocab_size: int = 0
    hidden_act: str = ""
    rms_norm_eps: float = 0.0
    layer_norm_eps: float = 0.0
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Json] | None = None
    tie_word_embeddings: bool = False
    position_embedding_type: str = "absolute"
    attention_bias: bool = False
    mlp_bias: bool = False
    use_sliding_window: bool = False
    quantization_config: Json = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Numbers per head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, slots=True)
class Family:
    """How one of transformers' classes is called and laid out in llama.cpp.

    `turns_heads` says that rotary pairs lie beside each other there and half a head apart here.
    """

    arch: str
    inside: Mapping[str, str]
    outside: Mapping[str, str]
    values: Callable[[Config], dict[str, NewValue]]
    turns_heads: bool = False

    def rename(self, name: str) -> str | None:
        """Return what a tensor is called in llama.cpp, None for one that is left out; raises UnsupportedError."""
        if _LEFT_OUT.fullmatch(name):
            return None
        name = name.removeprefix("bert.")
        if block := _BLOCK.fullmatch(name):
            if block[2] in self.inside:
                return f"blk.{int(block[1])}.{self.inside[block[2]]}.{block[3]}"
        else:
            base, _, part = name.rpartition(".")
            if base in self.outside and part in ("weight", "bias"):
                return f"{self.outside[base]}.{part}"
        raise UnsupportedError(f"the tensor {name[:80]!r} is not known in this kind of model; {BY_HAND}")

    def heads(self, name: str, config: Config) -> int:
        """Return of how many heads the rows of a tensor are, where they have to be put in another order; else 0."""
        turned = {"attn_q": config.num_attention_heads, "attn_k": config.kv_heads}
        return turned.get(name.split(".")[-2], 0) if self.turns_heads and name.startswith("blk.") else 0


def read_config(data: bytes) -> tuple[Family, Config]:
    """Read a `config.json`; raises InvalidFileError, and UnsupportedError for what can't be converted."""
    try:
        config = msgspec.json.decode(data, type=Config)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidFileError(f"malformed config.json: {str(exc)[:200]}") from exc
    name = config.architectures[0] if config.architectures else ""
    family = FAMILIES.get(name)
    if family is None:
        raise UnsupportedError(f"unsupported architecture {name[:80]!r}; {BY_HAND}")
    sizes = (config.vocab_size, config.hidden_size, config.intermediate_size, config.num_hidden_layers,
             config.num_attention_heads, config.kv_heads, config.max_position_embeddings)  # fmt: skip
    if not all(0 < size <= MOST for size in sizes) or config.num_hidden_layers > 1024:
        raise InvalidFileError("malformed config.json: a size is missing, 0 or too large")
    if config.num_attention_heads > config.hidden_size or not 0 < config.head_size <= MOST:
        raise InvalidFileError("malformed config.json: there are more heads than numbers")
    _check(family, config)
    return family, config


def _check(family: Family, config: Config) -> None:
    """Raise UnsupportedError for what changes the computation in a way that is not handled here."""
    odd = {
        "quantization_config": config.quantization_config is not None,
        "hidden_act": config.hidden_act != ("gelu" if family.arch == "bert" else "silu"),
        "use_sliding_window": config.use_sliding_window,
        "attention_bias": config.attention_bias,
        "mlp_bias": config.mlp_bias,
        "position_embedding_type": config.position_embedding_type != "absolute",
        "rope_scaling": _scaling(config) not in ("", "linear", "llama3"),
    }
    for key, is_odd in odd.items():
        if is_odd:
            raise UnsupportedError(f"{key} in config.json is not supported; {BY_HAND}")


def _scaling(config: Config) -> str:
    scaling = config.rope_scaling or {}
    kind = scaling.get("rope_type", scaling.get("type", "")) if scaling else ""
    return "" if kind == "default" else str(kind)


def llama_values(config: Config) -> dict[str, NewValue]:
    """Return the sizes of a Llama or a Qwen, without their prefix."""
    values = _sizes(config) | {
        "attention.head_count_kv": config.kv_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "attention.key_length": config.head_size,
        "attention.value_length": config.head_size,
        "rope.dimension_count": config.head_size,
        "rope.freq_base": config.rope_theta,
    }
    factor = (config.rope_scaling or {}).get("factor")
    if _scaling(config) == "linear" and isinstance(factor, int | float):
        values |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(factor)}
    return values


def bert_values(config: Config) -> dict[str, NewValue]:
    """Return the sizes of a BERT, without their prefix."""
    return _sizes(config) | {"attention.layer_norm_epsilon": config.layer_norm_eps, "attention.causal": False}


def pooling_values(data: bytes) -> dict[str, NewValue]:
    """Return how a sentence transformer pools, told by its `1_Pooling/config.json`; raises UnsupportedError."""
    try:
        raw = msgspec.json.decode(data, type=dict[str, Json])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidFileError("malformed 1_Pooling/config.json") from exc
    modes = [key for key, value in raw.items() if key.startswith("pooling_mode_") and value is True]
    if len(modes) != 1 or modes[0] not in _POOLING:
        raise UnsupportedError(f"this pooling is not supported: {', '.join(modes)[:200] or 'none'}; {BY_HAND}")
    return {"pooling_type": _POOLING[modes[0]]}


def rope_factors(config: Config) -> list[float] | None:
    """Return by what Llama 3.1 and later divide each rotary frequency, None for others."""
    if _scaling(config) != "llama3":
        return None
    scaling = {
        key: float(value) for key, value in (config.rope_scaling or {}).items() if isinstance(value, int | float)
    }
    factor, low, high = (
        scaling.get(k, v) for k, v in (("factor", 8.0), ("low_freq_factor", 1.0), ("high_freq_factor", 4.0))
    )
    context = scaling.get("original_max_position_embeddings", 8192.0)
    factors = []
    for index in range(0, config.head_size, 2):
        wave = 2 * math.pi * config.rope_theta ** (index / config.head_size)
        if wave < context / high:
            factors.append(1.0)
        elif wave > context / low:
            factors.append(factor)
        else:
            smooth = (context / wave - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def _sizes(config: Config) -> dict[str, NewValue]:
    return {
        "vocab_size": config.vocab_size,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
    }


FAMILIES: Mapping[str, Family] = {
    "LlamaForCausalLM": Family("llama", _LLAMA, _LLAMA_OUTSIDE, llama_values, turns_heads=True),
    "MistralForCausalLM": Family("llama", _LLAMA, _LLAMA_OUTSIDE, llama_values, turns_heads=True),
    "Qwen2ForCausalLM": Family("qwen2", _LLAMA, _LLAMA_OUTSIDE, llama_values),
    "Qwen3ForCausalLM": Family("qwen3", _LLAMA, _LLAMA_OUTSIDE, llama_values),
    "BertModel": Family("bert", _BERT, _BERT_OUTSIDE, bert_values),
}
