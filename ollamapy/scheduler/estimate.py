"""How many bytes a model takes once it is loaded in a certain way: pure, and held against llama.cpp by a test.

The largest of three moments decides the compute buffer: attention, the feed-forward part and the output of a layer.
The factors were found by letting llama.cpp lay out graphs of many shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ollamapy import wire
from ollamapy.scheduler.shape import LayerShape, ModelShape

BYTES_PER_VALUE = {"f32": 4.0, "f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
FLOAT = 4
RECURRENT_SEQUENCES = 16
LEAST_CELLS = 256
LARGEST_MICRO_BATCH = 2048


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of a model by what they are for."""

    weights: int
    cache: int
    state: int
    compute: int
    output: int
    companions: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.cache + self.state + self.compute + self.output + self.companions


def estimate(shape: ModelShape, load: wire.LoadModel) -> Estimate:
    """Return what the model takes where all of it lies on one device."""
    return Estimate(
        weights=shape.weight_bytes,
        cache=sum(cache_bytes(layer, load) for layer in shape.layers),
        state=sum(state_bytes(layer, load) for layer in shape.layers),
        compute=compute_bytes(shape, load),
        output=output_buffer_bytes(shape, load),
        companions=companion_bytes(shape, load),
    )


def companion_bytes(shape: ModelShape, load: wire.LoadModel) -> int:
    """Return what projector, adapters and a draft model take, the latter with a cache of its own."""
    return shape.companion_bytes + (estimate(shape.draft, load).total if shape.draft and load.speculates else 0)


def layer_bytes(layer: LayerShape, load: wire.LoadModel) -> int:
    """Return what a layer takes on the device where it lies: weights, cache and state."""
    return layer.weight_bytes + cache_bytes(layer, load) + state_bytes(layer, load)


def cache_bytes(layer: LayerShape, load: wire.LoadModel) -> int:
    """Return the KV cache of a layer; that of an embedding model is small, where there is one at all."""
    cells = 0 if load.embeds else max(load.n_ctx, LEAST_CELLS)
    return int(cells * (layer.key_values + layer.value_values) * BYTES_PER_VALUE[load.kv_cache_type])


def state_bytes(layer: LayerShape, load: wire.LoadModel) -> int:
    """Return the recurrent state of all sequences in a layer."""
    return FLOAT * layer.state_values * min(load.n_seq_max, RECURRENT_SEQUENCES)


def compute_bytes(shape: ModelShape, load: wire.LoadModel, *, has_output: bool = True) -> int:
    """Return the buffer of intermediate results on a device; one without the output layer needs no logits."""
    tokens = micro_batch(shape, load)
    output = 0 if load.embeds or not has_output else shape.vocabulary + 2 * shape.width
    inner = max(_attention_values(shape, load, tokens), _forward_values(shape, load, tokens))
    return int(FLOAT * tokens * max(inner, output))


def output_buffer_bytes(shape: ModelShape, load: wire.LoadModel) -> int:
    """Return the buffer on the host that holds the logits, and embeddings where they are wanted."""
    return FLOAT * _sequences(shape, load) * (shape.vocabulary + (shape.width if load.embeds else 0))


def micro_batch(shape: ModelShape, load: wire.LoadModel) -> int:
    """Return how many tokens are computed at once."""
    batch = max(min(load.n_batch, load.n_ctx), _sequences(shape, load))
    return batch if load.embeds else min(batch, LARGEST_MICRO_BATCH)


def _sequences(shape: ModelShape, load: wire.LoadModel) -> int:
    return min(load.n_seq_max, RECURRENT_SEQUENCES) if shape.is_recurrent else load.n_seq_max


def _attention_values(shape: ModelShape, load: wire.LoadModel, tokens: int) -> float:
    """Return how many numbers per token lie in memory while a layer attends, or moves its state on."""
    states = max((layer.state_values for layer in shape.layers), default=0)
    recurrent = 20 * shape.width + states * RECURRENT_SEQUENCES / tokens if states else 0
    cached = max((layer.key_values for layer in shape.layers), default=0)
    if not cached:
        return recurrent
    scores = (shape.heads + 1) * _cells(load, tokens) if load.flash_attention == "off" else 0
    mask = _mask_values(shape, load, tokens)
    return max(2 * shape.width + 3 * shape.attention_values + cached + mask + scores, recurrent)


def _forward_values(shape: ModelShape, load: wire.LoadModel, tokens: int) -> float:
    """Return how many numbers per token lie in memory in a feed-forward part; small ones reuse each other's room."""
    ratio = shape.ffn_width / max(shape.width, 1)
    beside = 2 if ratio <= 1 else 3 if ratio <= 2 else 4
    return 3 * shape.ffn_width + beside * shape.width + _mask_values(shape, load, tokens)


def _mask_values(shape: ModelShape, load: wire.LoadModel, tokens: int) -> float:
    """Return the attention mask's share: half-precision numbers, one per cell."""
    attends = any(layer.key_values for layer in shape.layers)
    return _cells(load, tokens) / 2 if attends else 0


def _cells(load: wire.LoadModel, tokens: int) -> int:
    return tokens if load.embeds else max(load.n_ctx, LEAST_CELLS)
