"""Begin from a model that exists, with another tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from wren.model import Shape
from wren.names import from_hugging_face


def take_over(folder: Path, tokenizer: Tokenizer, shape: Shape, target: Path) -> int:
    """Write the weights of a Hugging Face folder for our tokenizer; returns how many tokens both have.

    A token that the old tokenizer lacks starts as the mean of the old tokens of its text.
    """
    weights = from_hugging_face(load_file(folder / "model.safetensors"), shape)
    old = Tokenizer.from_file(str(folder / "tokenizer.json"))
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
