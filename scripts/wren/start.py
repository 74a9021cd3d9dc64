"""Begin from a model that exists, of the same shape, whatever its tokenizer.

That is a GGUF file, a Hugging Face folder, or a checkpoint of a training with its `tokenizer.json` beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from wren.model import Shape
from wren.names import from_hugging_face, to_gguf, to_hugging_face
from wren.tokens import tokenizer_of

CHECKPOINT = ".pt"


def tokenizer_at(path: Path) -> Tokenizer:
    """Return the tokenizer of a model."""
    if path.is_dir() or path.suffix == CHECKPOINT:
        folder = path if path.is_dir() else path.parent
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    fields = gguf.GGUFReader(path).fields
    tokens, merges = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges"))
    return tokenizer_of(tokens, merges)


def weights_at(path: Path, shape: Shape) -> dict[str, NDArray[Any]]:
    """Return the weights of a model under our names, as float32."""
    if path.suffix == CHECKPOINT:
        saved = torch.load(path, map_location="cpu", weights_only=True)["model"]
        return {name: weight.float().numpy() for name, weight in saved.items()}
    if path.is_dir():
        return from_hugging_face(load_file(path / "model.safetensors"), shape)
    found = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    weights = {name: found[to_gguf(name)] for name in hugging_face_names(shape)}
    for name in weights:
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weights[name] = deinterleave(weights[name], shape.head_size)
    return from_hugging_face(weights, shape)


def hugging_face_names(shape: Shape) -> list[str]:
    """Return the names of all weights."""
    parts = ("qkv", "out", "gate_up", "down", "norm1", "norm2")
    ours = [
        "embed.weight",
        "norm.weight",
        *(f"blocks.{i}.{part}.weight" for i in range(shape.layers) for part in parts),
    ]
    rows = (shape.heads + 2 * shape.kv_heads) * shape.head_size
    return list(to_hugging_face({name: np.zeros((rows, 1), dtype=np.float32) for name in ours}, shape))


def deinterleave(weight: NDArray[Any], head_size: int) -> NDArray[Any]:
    """Undo what llama.cpp's order of rows needs; see `export.interleave`."""
    halves = weight.reshape(-1, head_size // 2, 2, weight.shape[1]).swapaxes(1, 2)
    return np.ascontiguousarray(halves.reshape(weight.shape))


def take_over(path: Path, tokenizer: Tokenizer, shape: Shape, target: Path) -> int:
    """Write the weights of a model for our tokenizer; returns how many tokens both have.

    A token that the old tokenizer lacks starts as the mean of the old tokens of its text.
    """
    weights, old = weights_at(path, shape), tokenizer_at(path)
    old_ids, vectors = old.get_vocab(), weights["embed.weight"]
    embedding = np.zeros((shape.vocabulary, shape.width), dtype=np.float32)
    shared = 0
    for token, i in tokenizer.get_vocab().items():
        if token in old_ids:
            embedding[i], shared = vectors[old_ids[token]], shared + 1
        else:
            embedding[i] = vectors[old.encode(tokenizer.decode([i]), add_special_tokens=False).ids].mean(0)
    weights["embed.weight"] = embedding
    save_file(weights, target)
    return shared
