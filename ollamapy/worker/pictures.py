"""Pictures as the engine sees them: a stretch of tokens that is computed at once, by the projector."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

_PLACEHOLDER_BYTES = 5  # with the 16 bits that count within a picture they fit the 63 bits of a message


@dataclass(eq=False, slots=True)
class Picture:
    """One picture, or a tile of a large one, in a prompt.

    It stands for `n_tokens` tokens, whose `placeholders` are negative and the same wherever this picture is seen.
    `n_positions` is how far it moves what follows. `embeddings`, (n_tokens x width,) float32, are kept once they are
    computed; `chunk` is the projector's own.
    """

    chunk: Any
    n_tokens: int
    n_positions: int
    placeholders: list[int]
    embeddings: npt.NDArray[np.float32] | None = field(default=None, repr=False)


class Retina(Protocol):
    """What puts pictures into the KV cache."""

    def decode(self, picture: Picture, seq_id: int, position: int) -> None:
        """Compute a picture for a sequence, from that position on; raises DecodeError."""


def placeholders_of(seed: bytes, index: int, n_tokens: int) -> list[int]:
    """Return the token ids that stand for a picture: the same for the same picture, and none of a vocabulary's."""
    digest = hashlib.sha256(seed + index.to_bytes(4, "little")).digest()
    first = int.from_bytes(digest[:_PLACEHOLDER_BYTES], "little") << 16
    return [-1 - first - number for number in range(n_tokens)]
