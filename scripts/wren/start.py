"""Begin from a model that exists, whatever its tokenizer, of the same shape or with fewer layers.

That is a GGUF file, a Hugging Face folder, or a checkpoint of a training with its `tokenizer.json` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from wren.model import Block, Shape
from wren.names import from_hugging_face, to_gguf, to_hugging_face
from wren.tokens import tokenizer_of

CHECKPOINT = ".pt"
LAYER_NUMBER = re.compile(r"\.(\d+)\.")


def tokenizer_at(path: Path) -> Tokenizer:
    """Return the tokenizer of a model."""
    if path.is_dir() or path.suffix == CHECKPOINT:
        folder = path if path.is_dir() else path.parent
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    fields = gguf.GGUFReader(path).fields
    tokens, merges = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges"))
    return tokenizer_of(tokens, merges)


def weights_at(path: Path, shape: Shape) -> dict[str, NDArray[Any]]:
    """Return the weights of a model under our names, as float32; it may have fewer layers than the shape."""
    if path.suffix == CHECKPOINT:
        saved = torch.load(path, map_location="cpu", weights_only=True)["model"]
        return {name: weight.float().numpy() for name, weight in saved.items()}
    if path.is_dir():
        found = load_file(path / "model.safetensors")
        return from_hugging_face(found, with_layers_of(shape, found))
    found = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    shape = with_layers_of(shape, found)
    weights = {name: found[to_gguf(name)] for name in hugging_face_names(shape)}
    for name in weights:
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weights[name] = deinterleave(weights[name], shape.head_size)
    return from_hugging_face(weights, shape)


def with_layers_of(shape: Shape, names: Iterable[str]) -> Shape:
    """Return the shape with as many layers as have weights among the names."""
    numbers = [int(found[0]) for name in names if (found := LAYER_NUMBER.findall(name))]
    return replace(shape, layers=max(numbers) + 1)


def deepened(weights: dict[str, NDArray[Any]], shape: Shape) -> dict[str, NDArray[Any]]:
    """Return weights with the shape's layers: new ones between the old ones, which add nothing before they learn.

    Raises ValueError for a model with more layers than that.
    """
    old = with_layers_of(shape, weights).layers
    if old > shape.layers:
        raise ValueError(
            f"the model to begin from has {old} layers, and one of {shape.layers} is made; begin from another"
        )
    kept = {round(i * (shape.layers - 1) / max(old - 1, 1)): i for i in range(old)}
    out = {name: weight for name, weight in weights.items() if not LAYER_NUMBER.search(name)}
    for i in range(shape.layers):
        torch.manual_seed(i)  # the same in each model of a blend
        ours = Block(shape).state_dict()
        for part, new in ours.items():
            out[f"blocks.{i}.{part}"] = weights[f"blocks.{kept[i]}.{part}"] if i in kept else new.numpy()
    return out


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
    weights, old = deepened(weights_at(path, shape), shape), tokenizer_at(path)
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
