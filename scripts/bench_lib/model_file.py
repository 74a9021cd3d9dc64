"""Writes a GGUF model of a given shape with random weights and a real vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter

from bench_lib.shapes import FILE_TYPES, Shape, tensor_type
from bench_lib.vocabulary import Vocabulary
from bench_lib.weights import Floats, Rows, WeightMaker, packed_bytes

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN_CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
EMBEDDING_SPREAD = 0.1
LOGIT_SPREAD = 3.0
# The first value of every hidden state stays near a constant: token embeddings set it, and nothing that the layers
# add is as large. A token whose output row has a large negative weight there is never likely, whatever the context.
MARKER_VALUE = 2.0
BAN_WEIGHT = -8.0


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor to be written: `spread` is the deviation of its values, `rows` is 0 for a vector."""

    name: str
    type_name: str
    rows: int
    columns: int
    spread: float = 0.0

    @property
    def size_bytes(self) -> int:
        """Return its size in the file, without padding."""
        return packed_bytes(self.type_name, max(self.rows, 1), self.columns)


def write_model(path: Path, shape: Shape, vocabulary: Vocabulary, file_type: str, seed: int) -> int:
    """Write the file, one tensor in memory at a time, and rename it into place; return its size in bytes."""
    partial = path.with_name(path.name + ".partial")
    writer = GGUFWriter(partial, shape.architecture)
    _add_metadata(writer, shape, vocabulary, file_type)
    tensors = list(plan_tensors(shape, len(vocabulary.tokens), file_type))
    for tensor in tensors:
        dimensions = (tensor.rows, tensor.columns) if tensor.rows else (tensor.columns,)
        raw_type = GGMLQuantizationType[tensor.type_name]
        writer.add_tensor_info(tensor.name, dimensions, np.dtype(np.float32), tensor.size_bytes, raw_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    maker = WeightMaker(np.random.default_rng(seed))
    for tensor in tensors:
        writer.write_tensor_data(_make_tensor(tensor, maker, vocabulary))
    writer.close()
    partial.rename(path)
    return path.stat().st_size


def plan_tensors(shape: Shape, n_vocab: int, file_type: str) -> Iterator[Tensor]:
    """Yield the tensors of a model in the order of the file."""
    width, kv_width, ffn_width = shape.width, shape.kv_width, shape.ffn_width
    yield Tensor("token_embd.weight", tensor_type(file_type, "token_embd", 0, 1), n_vocab, width, EMBEDDING_SPREAD)
    matrices = {  # what the layers add to the hidden state is kept below what the token put there
        "attn_q": (width, width, width**-0.5),
        "attn_k": (kv_width, width, width**-0.5),
        "attn_v": (kv_width, width, width**-0.5),
        "attn_output": (width, width, EMBEDDING_SPREAD * width**-0.5),
        "ffn_gate": (ffn_width, width, width**-0.5),
        "ffn_up": (ffn_width, width, width**-0.5),
        "ffn_down": (width, ffn_width, EMBEDDING_SPREAD * ffn_width**-0.5),
    }
    for layer in range(shape.layers):
        yield Tensor(f"blk.{layer}.attn_norm.weight", "F32", 0, width)
        yield Tensor(f"blk.{layer}.ffn_norm.weight", "F32", 0, width)
        for name, (rows, columns, spread) in matrices.items():
            type_name = tensor_type(file_type, name, layer, shape.layers)
            yield Tensor(f"blk.{layer}.{name}.weight", type_name, rows, columns, spread)
            if shape.architecture == "qwen2" and name in ("attn_q", "attn_k", "attn_v"):
                yield Tensor(f"blk.{layer}.{name}.bias", "F32", 0, rows)
    yield Tensor("output_norm.weight", "F32", 0, width)
    yield Tensor("output.weight", tensor_type(file_type, "output", 0, 1), n_vocab, width, LOGIT_SPREAD * width**-0.5)


def _make_tensor(tensor: Tensor, maker: WeightMaker, vocabulary: Vocabulary) -> Rows:
    name, size = tensor.name, (tensor.type_name, tensor.rows, tensor.columns, tensor.spread)
    if name.endswith(".bias"):
        return np.zeros(tensor.columns, dtype=np.float32)
    if name.endswith("norm.weight"):
        weights = np.ones(tensor.columns, dtype=np.float32)
        weights[0] = 1.0 if name == "output_norm.weight" else 0.0  # the layers do not see the marker
        return weights
    if name == "token_embd.weight":
        return maker.fresh(*size, edit=_mark_rows)
    if name == "output.weight":
        return _ban_tokens(tensor, maker, vocabulary)
    return maker.pooled(*size)


def _mark_rows(values: Floats, _first: int) -> None:
    values[:, 0] = MARKER_VALUE


def _ban_tokens(tensor: Tensor, maker: WeightMaker, vocabulary: Vocabulary) -> Rows:
    """Return the output matrix, in which banned tokens have the marker's negative weight and nothing else.

    It is not tied to the embeddings: a tied random matrix would make each token predict itself.
    """
    banned = vocabulary.banned
    if tensor.type_name == "Q6_K":
        rows = maker.fresh(tensor.type_name, tensor.rows, tensor.columns, tensor.spread)
        rows[banned] = _banned_q6_k_row(tensor.columns)
        return rows

    def ban(values: Floats, first: int) -> None:
        mask = banned[first : first + len(values)]
        values[mask] = 0.0
        values[mask, 0] = BAN_WEIGHT

    return maker.fresh(tensor.type_name, tensor.rows, tensor.columns, tensor.spread, edit=ban)


def _banned_q6_k_row(columns: int) -> Rows:
    """Return a packed row of the ban weight and zeros: the first code is 0, for -32; the others are 32, for 0."""
    row = np.zeros((columns // 256, 210), dtype=np.uint8)
    row[0, 128:192] = 0b10101010  # the upper two bits of every code: 0b10_0000 is zero
    row[0, 128] = 0b10101000
    row[0, 192] = 1
    row[0, 208:210] = np.array([-BAN_WEIGHT / 32], dtype=np.float16).view(np.uint8)
    return row.reshape(-1)


def _add_metadata(writer: GGUFWriter, shape: Shape, vocabulary: Vocabulary, file_type: str) -> None:
    writer.add_name("ollamapy bench model, random weights")
    writer.add_file_type(FILE_TYPES[file_type])
    writer.add_quantization_version(2)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn_width)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(shape.rope_base)
    if shape.architecture == "llama":
        writer.add_rope_dimension_count(shape.head_width)
        writer.add_vocab_size(len(vocabulary.tokens))
    for key, value in vocabulary.fields.items():
        _add_field(writer, key, value)
    writer.add_chat_template(CHATML if vocabulary.has_chatml else PLAIN_CHAT)


def _add_field(writer: GGUFWriter, key: str, value: object) -> None:
    """Add a tokenizer field; ids are unsigned, and lists carry the type of their items."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, str):
        writer.add_key_value(key, value, GGUFValueType.STRING)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    else:
        raise TypeError(f"{key} of the vocabulary is of a type that is not written: {type(value).__name__}")
