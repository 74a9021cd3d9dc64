"""Tells whether an adapter fits a model, by the tables of their tensors.

Source: llama.cpp's `src/llama-adapter.cpp`, which refuses the same when it loads an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping

from ollamapy.gguf import Header

Shapes = Mapping[str, tuple[int, ...]]
_A, _B = ".lora_a", ".lora_b"


def shapes_of(header: Header) -> Shapes:
    """Return the shape of each tensor, the fastest dimension first."""
    return {tensor.name: tensor.shape for tensor in header.tensors}


def find_misfit(adapter: Shapes, model: Shapes) -> str | None:
    """Return why a LoRA adapter can't belong to a model, or None where it may."""
    for name, shape in adapter.items():
        if name.endswith(_A):
            changed = name.removesuffix(_A)
            misfit = _misfit_of(shape, adapter.get(changed + _B), model.get(changed))
            if misfit is not None:
                return f"{changed[:60]} {misfit}"
    return None


def _misfit_of(a: tuple[int, ...], b: tuple[int, ...] | None, changed: tuple[int, ...] | None) -> str | None:
    if changed is None:
        return "is not in the model"
    if b is None or len(a) < 2 or len(b) < 2 or len(changed) < 2:
        return "is no pair of matrices for a matrix"
    # Embeddings have their two factors the other way round.
    fits = (a[0], b[1]) == changed[:2] and a[1] == b[0]
    fits_flipped = (b[1], a[1]) == changed[:2]
    if fits or fits_flipped:
        return None
    if (a[0], b[1]) == changed[:2]:
        return f"has factors of unequal rank, {a[1]} and {b[0]}"
    return f"changes {a[0]} x {b[1]} numbers, the model has {changed[0]} x {changed[1]}"
