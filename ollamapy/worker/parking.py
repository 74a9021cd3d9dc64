"""Known prefixes that gave up their KV cells: the content is kept in memory, and put back when a prompt asks for it.

A copy of cells is read and written at the speed of memory, a hundred times faster than they are computed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ollamapy.worker.prefixes import Node, common_prefix, tokens_to

LEAST_TOKENS = 16  # fewer are computed as fast
MOST_PREFIXES = 1024  # a prompt is compared with each
MEMORY_SHARE = 16  # one part in so many of the machine's memory
PIECE_BYTES = 16 << 20  # copied in a few milliseconds
FIRST_PIECE_CELLS = 64  # while it is not known what a cell takes


class Content(Protocol):
    """The content of cells. `ollamapy.worker.cell_state.CellState` has it."""

    def read(self, seq_id: int) -> bytearray:
        """Return that of all cells of a sequence, empty where it can't be had."""

    def write(self, seq_id: int, start: int, end: int, data: memoryview) -> bool:
        """Give an unused sequence cells at positions [start, end) with what `read` gave. False if that fails."""


@dataclass(frozen=True, slots=True, eq=False)
class Parked:
    """The content of the cells of `tokens[start:]`; those of the tokens before are elsewhere."""

    tokens: list[int]
    start: int
    data: bytearray

    @property
    def n_cells(self) -> int:
        """How many cells it takes."""
        return len(self.tokens) - self.start


class Parking:
    """Takes at most `most_bytes`; what was parked first goes first."""

    def __init__(self, content: Content, most_bytes: int) -> None:
        self._content = content
        self._most_bytes = most_bytes
        self._parked: list[Parked] = []
        self.n_bytes = 0
        self.piece_cells = FIRST_PIECE_CELLS  # what is copied at once without a noticeable pause

    def __repr__(self) -> str:
        return f"<Parking {len(self._parked)} prefixes, {self.n_bytes} bytes>"

    @property
    def newest_first(self) -> list[Parked]:
        """All of them."""
        return self._parked[::-1]

    def park(self, node: Node) -> None:
        """Keep the content of a node's cells. Pictures are not kept: they take other positions than tokens."""
        tokens = tokens_to(node)
        if min(tokens) < 0:
            return
        data = self._content.read(node.seq_id)
        if not data or len(data) > self._most_bytes:
            return
        self.piece_cells = max(PIECE_BYTES * len(node.tokens) // len(data), 1)
        for known in [parked for parked in self._parked if (parked.start, parked.tokens) == (node.start, tokens)]:
            self.remove(known)
        self._parked.append(Parked(tokens, node.start, data))
        self.n_bytes += len(data)
        while self.n_bytes > self._most_bytes or len(self._parked) > MOST_PREFIXES:
            self.remove(self._parked[0])

    def find(self, tokens: Sequence[int], n_known: int) -> Parked | None:
        """Return what carries on best behind the first `n_known` of these tokens, None where little is won."""
        best, most = None, n_known + LEAST_TOKENS - 1
        if len(tokens) <= most:
            return None
        for parked in self._parked:
            if parked.start <= n_known < len(parked.tokens) and parked.tokens[n_known] == tokens[n_known]:
                shared = common_prefix(parked.tokens, tokens)
                if shared > most:
                    best, most = parked, shared
        return best

    def fill(self, parked: Parked, seq_id: int) -> bool:
        """Give an unused sequence the cells of a parked prefix. False if that fails."""
        return self._content.write(seq_id, parked.start, len(parked.tokens), memoryview(parked.data))

    def remove(self, parked: Parked) -> None:
        """Forget one of them."""
        self._parked.remove(parked)
        self.n_bytes -= len(parked.data)


def usual_bytes() -> int:
    """Return how much of this machine's memory a worker may take for it; 0 where the system does not tell its size."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEMORY_SHARE
    except (OSError, ValueError):
        return 0
