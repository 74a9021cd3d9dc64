"""Documents as token ids, and the steps that training takes through them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from wren.world import Part

ENCODED_AT_ONCE = 5_000
POOL_DOCUMENTS = 4_000


@dataclass(frozen=True, slots=True)
class Document:
    """Token ids (uint16), and for each whether the model must predict it (uint8)."""

    ids: NDArray[np.uint16]
    wanted: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents side by side: (documents, length) ids, and a bool of the same shape that marks the predicted ones."""

    ids: Tensor
    wanted: Tensor


def encode(rows: Iterable[list[Part]], tokenizer: Tokenizer, context: int, folder: Path) -> int:
    """Write documents as arrays that `load` maps into memory; returns how many are left out as too long."""
    ids, wanted, ends, dropped = [], [], [0], 0
    source = iter(rows)
    while chunk := list(islice(source, ENCODED_AT_ONCE)):
        encoded = iter(tokenizer.encode_batch_fast([t for row in chunk for t, _ in row], add_special_tokens=False))
        for row in chunk:
            parts = [(next(encoded).ids, loss) for _, loss in row]
            size = sum(len(part) for part, _ in parts)
            if size > context:
                dropped += 1
                continue
            ids.append(np.array([i for part, _ in parts for i in part], dtype=np.uint16))
            wanted.append(np.array([mark for part in parts for mark in marks(*part)], dtype=np.uint8))
            ends.append(ends[-1] + size)
    for name, array in (("ids", np.concatenate(ids)), ("wanted", np.concatenate(wanted)), ("ends", np.array(ends))):
        np.save(folder / f"{name}.npy", array)
    return dropped


def marks(ids: Sequence[int], loss: int) -> list[int]:
    """Return which tokens of a part must be predicted."""
    return [0] + [1] * (len(ids) - 1) if loss == 2 else [loss] * len(ids)


def load(folder: Path) -> list[Document]:
    """Map the documents that `encode` wrote."""
    ids: NDArray[Any] = np.load(folder / "ids.npy", mmap_mode="r")
    wanted: NDArray[Any] = np.load(folder / "wanted.npy", mmap_mode="r")
    ends = np.load(folder / "ends.npy").tolist()
    return [Document(ids[a:b], wanted[a:b]) for a, b in pairwise(ends)]


def steps(documents: Sequence[Document], step_tokens: int, batch_tokens: int, seed: int) -> Iterator[list[Batch]]:
    """Yield steps of about `step_tokens` without end; a batch holds documents of like length, a step any batches."""
    rng, order = random.Random(seed), list(range(len(documents)))
    while True:
        rng.shuffle(order)
        for start in range(0, len(order), POOL_DOCUMENTS):
            groups = group_by_length([documents[i] for i in order[start : start + POOL_DOCUMENTS]], batch_tokens)
            rng.shuffle(groups)
            chosen: list[list[Document]] = []
            size = 0
            for group in groups:
                chosen.append(group)
                size += sum(len(document.ids) for document in group)
                if size >= step_tokens:
                    yield [pad(part) for part in chosen]
                    chosen, size = [], 0


def group_by_length(documents: list[Document], batch_tokens: int) -> list[list[Document]]:
    """Group documents such that little is padded."""
    groups: list[list[Document]] = []
    for document in sorted(documents, key=lambda d: len(d.ids), reverse=True):
        longest = len(groups[-1][0].ids) if groups else 0
        if groups and (len(groups[-1]) + 1) * longest <= batch_tokens:
            groups[-1].append(document)
        else:
            groups.append([document])
    return groups


def pad(documents: list[Document]) -> Batch:
    """Lay documents side by side; the length is one more than a multiple of 16, since odd inputs are slow."""
    length = -(-max(len(d.ids) - 1 for d in documents) // 16) * 16 + 1
    ids = torch.zeros(len(documents), length, dtype=torch.long)
    wanted = torch.zeros(len(documents), length, dtype=torch.bool)
    for row, document in enumerate(documents):
        ids[row, : len(document.ids)] = torch.from_numpy(document.ids.astype(np.int64))
        wanted[row, : len(document.ids)] = torch.from_numpy(document.wanted.astype(np.bool_))
    return Batch(ids, wanted)
