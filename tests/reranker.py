"""Makes a small reranker out of the word-vector BERT: a document scores by how much it speaks of one word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter

RANK_POOLING = 4
TOPIC = "cat"
SHARPNESS = 8.0  # how much the words count beside the first token, whose output is what is scored


def make_reranker(source: Path, target: Path) -> None:
    """Write a reranker whose attention looks at all tokens alike and whose only label is the direction of TOPIC."""
    reader = GGUFReader(source)
    writer = GGUFWriter(target, "bert")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = RANK_POOLING if name == "bert.pooling_type" else field.contents()
        inner = field.types[1] if field.types[0] is GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], inner)
    words = reader.fields["tokenizer.ggml.tokens"].contents()
    for tensor in reader.tensors:
        data = tensor.data
        if tensor.name == "token_embd.weight":
            label = _direction(data, words.index(f"▁{TOPIC}"))
        if tensor.name == "blk.0.attn_v.weight":
            data = np.eye(len(data), dtype=data.dtype)
        if tensor.name == "blk.0.attn_output.weight":
            data = np.eye(len(data), dtype=data.dtype) * data.dtype.type(SHARPNESS)
        writer.add_tensor(tensor.name, data)
    writer.add_tensor("cls.output.weight", label)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _direction(embeddings: np.ndarray, token: int) -> np.ndarray:
    word = embeddings[token].astype(np.float32)
    return ((word - word.mean()) * (np.abs(word) < 9)).reshape(1, -1)
