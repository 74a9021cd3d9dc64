"""Makes random weight matrices in the types of GGUF, quickly enough for files of many gigabytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, quants
from gguf.quants import quant_shape_to_byte_shape

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.generic]
Edit = Callable[[Floats, int], None]  # changes rows in place, given the index of the first of them

POOL_ROWS = 1024
CHUNK_ROWS = 8192
# llama.cpp stores a K-quant's weight as scale x code (- minimum); these are the standard deviations of a block of
# random codes with a unit scale, for which the comments in the functions below give the layout.
Q4_K_SPREAD = 258.0
Q6_K_SPREAD = 1366.0


@dataclass(slots=True)
class WeightMaker:
    """Draws matrices from one seeded generator; layer matrices of one width and type share a pool of random rows."""

    random: np.random.Generator
    pools: dict[tuple[str, int], Rows] = field(default_factory=dict)

    def pooled(self, type_name: str, rows: int, columns: int, spread: float) -> Rows:
        """Return a (rows, …) matrix whose rows are random picks from a pool; its values have deviation `spread`.

        Making a fresh row costs ten times the copying of one, and the time that a decode step takes does not depend
        on what the weights are.
        """
        key = (f"{type_name} {spread}", columns)
        if key not in self.pools:
            self.pools[key] = self.fresh(type_name, POOL_ROWS, columns, spread)
        return self.pools[key][self.random.integers(0, POOL_ROWS, rows)]

    def fresh(self, type_name: str, rows: int, columns: int, spread: float, edit: Edit | None = None) -> Rows:
        """Return a (rows, …) matrix of all different rows; `edit` may change their values before they are packed."""
        if type_name == "Q4_K":
            return self._random_q4_k(rows, columns, spread)
        if type_name == "Q6_K":
            return self._random_q6_k(rows, columns, spread)
        parts = []
        for first in range(0, rows, CHUNK_ROWS):
            values = self.random.random((min(CHUNK_ROWS, rows - first), columns), dtype=np.float32)
            values -= 0.5
            values *= spread * 12**0.5
            if edit is not None:
                edit(values, first)
            parts.append(pack(type_name, values))
        return np.concatenate(parts)

    def _random_q4_k(self, rows: int, columns: int, spread: float) -> Rows:
        """Random Q4_K rows: blocks of 256 are scale f16, minimum f16, 12 bytes of sub-scales, 128 bytes of codes."""
        blocks = self._random_blocks(rows * columns // 256, 144)
        scale = spread / Q4_K_SPREAD
        blocks[:, 0:4] = np.array([scale, 7.5 * scale], dtype=np.float16).view(np.uint8)
        return blocks.reshape(rows, -1)

    def _random_q6_k(self, rows: int, columns: int, spread: float) -> Rows:
        """Random Q6_K rows: blocks of 256 are 192 bytes of codes, 16 signed sub-scales, scale f16."""
        blocks = self._random_blocks(rows * columns // 256, 210)
        blocks[:, 208:210] = np.array([spread / Q6_K_SPREAD], dtype=np.float16).view(np.uint8)
        return blocks.reshape(rows, -1)

    def _random_blocks(self, count: int, size_bytes: int) -> npt.NDArray[np.uint8]:
        return self.random.integers(0, 256, (count, size_bytes), dtype=np.uint8)


def pack(type_name: str, values: Floats) -> Rows:
    """Return float rows in a GGUF type that the gguf package can write."""
    packed: Rows = quants.quantize(values, GGMLQuantizationType[type_name])
    return packed


def packed_bytes(type_name: str, rows: int, columns: int) -> int:
    """Return the size of a (rows, columns) matrix in bytes; raises ValueError if columns do not fill whole blocks."""
    sizes = {"F32": 4, "F16": 2}
    if type_name in sizes:
        return rows * columns * sizes[type_name]
    row_bytes: int = quant_shape_to_byte_shape((columns,), GGMLQuantizationType[type_name])[0]
    return rows * row_bytes
