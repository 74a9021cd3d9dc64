"""What of a model's header decides how much memory it takes: weights per layer, cache per token, state per sequence.

Source: llama.cpp's `llama-hparams.cpp` (sizes of keys, values and recurrent states) and `llama-kv-cache.cpp`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ollamapy.gguf import ArrayRef, Header

_LAYER = re.compile(r"blk\.(\d+)\.")
_OUTPUT = ("output.", "output_norm.")
_HYBRID_INTERVAL = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}  # every fourth layer attends, the others have a state


@dataclass(frozen=True, slots=True)
class LayerShape:
    """One layer: bytes of its weights, numbers that a token's key and value have, numbers of a sequence's state."""

    weight_bytes: int
    key_values: int = 0
    value_values: int = 0
    state_values: int = 0


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A whole model. Weights are bytes: `input_bytes` stay on the host, `output_bytes` go with the last layer.

    `tied_bytes` are those of embeddings that are the output's weights, too. `companion_bytes` are those of projector
    and adapters. `attention_values` is the width of all heads.
    """

    layers: tuple[LayerShape, ...]
    input_bytes: int
    output_bytes: int
    tied_bytes: int
    companion_bytes: int
    width: int
    ffn_width: int
    vocabulary: int
    heads: int
    attention_values: int
    context_length: int
    is_recurrent: bool
    draft: ModelShape | None = None

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights in the model's own files."""
        return self.input_bytes + self.output_bytes + sum(layer.weight_bytes for layer in self.layers)


def shape_of(header: Header, companion_bytes: int = 0, draft: ModelShape | None = None) -> ModelShape:
    """Read the shape of a model from its header; arrays are read from the file."""
    reader = _Reader(header)
    weights = [0] * (header.block_count or 0)
    input_bytes = output_bytes = embedding_bytes = 0
    has_output = False
    for tensor in header.tensors:
        layer = _LAYER.match(tensor.name)
        if layer and int(layer[1]) < len(weights):
            weights[int(layer[1])] += tensor.size_bytes
        elif tensor.name.startswith(_OUTPUT):
            output_bytes += tensor.size_bytes
            has_output = has_output or tensor.name == "output.weight"
        else:
            input_bytes += tensor.size_bytes
            embedding_bytes += tensor.size_bytes if tensor.name == "token_embd.weight" else 0
    return ModelShape(
        layers=tuple(reader.layer(index, size) for index, size in enumerate(weights)),
        input_bytes=input_bytes,
        output_bytes=output_bytes,
        tied_bytes=0 if has_output else embedding_bytes,
        companion_bytes=companion_bytes,
        width=header.embedding_length or 0,
        ffn_width=reader.ffn_width,
        vocabulary=header.vocabulary_size or header.integer(f"{header.architecture}.vocab_size") or 0,
        heads=max(reader.heads, default=0),
        attention_values=max(reader.heads, default=0) * reader.key_length,
        context_length=header.context_length or 0,
        is_recurrent=any(reader.has_state(index) for index in range(len(weights))),
        draft=draft,
    )


class _Reader:
    """Reads the numbers of `<architecture>.*`, which stand once or once per layer."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._count = header.block_count or 0
        self.heads = self._per_layer("attention.head_count", 1)
        self._kv_heads = self._per_layer("attention.head_count_kv", None) or self.heads
        width = header.embedding_length or 0
        self.key_length = self._number("attention.key_length") or width // max(max(self.heads, default=1), 1)
        self._value_length = self._number("attention.value_length") or self.key_length
        self._is_latent = bool(self._number("attention.key_length_mla"))  # keys hold the values, too
        self._state = self._state_values(width)
        self._interval = self._number("full_attention_interval") or _HYBRID_INTERVAL.get(header.architecture, 0)

    @property
    def ffn_width(self) -> int:
        dense = max(self._per_layer("feed_forward_length", 0), default=0)
        experts = self._number("expert_feed_forward_length") * max(self._number("expert_used_count"), 1)
        return experts or dense

    def layer(self, index: int, weight_bytes: int) -> LayerShape:
        state = self._state if self.has_state(index) else 0
        if self._is_purely_recurrent(index):
            return LayerShape(weight_bytes, state_values=state)
        keys = self._kv_heads[index] * self.key_length
        values = 0 if self._is_latent else self._kv_heads[index] * self._value_length
        return LayerShape(weight_bytes, keys, values, state)

    def has_state(self, index: int) -> bool:
        """Whether the layer has a recurrent state, beside its attention or in its place."""
        return bool(self._state) and (self._header.architecture == "falcon-h1" or self._is_purely_recurrent(index))

    def _is_purely_recurrent(self, index: int) -> bool:
        if not self._state:
            return False
        if self._interval:
            return (index + 1) % self._interval != 0
        return not self.heads[index] or not self._kv_heads[index]

    def _state_values(self, width: int) -> int:
        if head := self._number("wkv.head_size"):
            return (self._number("token_shift_count") or 2) * width + width * head
        if cache := self._number("shortconv.l_cache"):
            return width * (cache - 1)
        inner, state = self._number("ssm.inner_size"), self._number("ssm.state_size")
        kernel, groups = self._number("ssm.conv_kernel"), self._number("ssm.group_count")
        return max(kernel - 1, 0) * (inner + 2 * groups * state) + state * inner

    def _number(self, key: str) -> int:
        return self._header.integer(f"{self._header.architecture}.{key}") or 0

    def _per_layer(self, key: str, default: int | None) -> list[int]:
        full = f"{self._header.architecture}.{key}"
        value = self._header.metadata.get(full)
        if isinstance(value, ArrayRef):
            numbers: Sequence[object] = self._header.array(full)
            found = [number if isinstance(number, int) else 0 for number in numbers]
            return (found + [0] * self._count)[: self._count]
        if isinstance(value, int):
            return [value] * self._count
        return [] if default is None else [default] * self._count
