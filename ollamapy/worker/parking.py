"""Known prefixes that gave up their KV cells: the content is kept in memory, and put back when a prompt asks for it.

Cells are copied many times faster than they are computed. A parked node hangs in the prefix tree where it was, without
cells; what is below it is parked, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ollamapy.worker.prefixes import Node, common_prefix, path_of

WORTHWHILE_TOKENS = 16  # of a parked node that a prompt leaves in the middle
PIECE_BYTES = 4 << 20  # copied without a pause that streams would notice
FIRST_PIECE_CELLS = 64  # while it is not known what a cell takes


class Content(Protocol):
    """The content of cells. `ollamapy.worker.cell_state.CellState` has it."""

    def size_bytes(self, seq_id: int) -> int:
        """Return how many bytes `read` would give."""

    def read(self, seq_id: int) -> bytearray:
        """Return that of all cells of a sequence, empty where it can't be had."""

    def write(self, seq_id: int, start: int, end: int, data: memoryview) -> bool:
        """Give an unused sequence cells at positions [start, end) with what `read` gave. False if that fails."""


class Parking:
    """Takes at most `most_bytes`; what was parked first goes first, so that a node never goes before those below it.

    `piece_cells` is how many cells take `piece_bytes`, as far as that is known.
    """

    def __init__(self, content: Content, most_bytes: int, piece_bytes: int = PIECE_BYTES) -> None:
        self._content = content
        self._most_bytes, self._piece_bytes = most_bytes, piece_bytes
        self._nodes: dict[Node, None] = {}  # in the order in which they came
        self.n_bytes = 0
        self.piece_cells = FIRST_PIECE_CELLS

    def __repr__(self) -> str:
        return f"<Parking {len(self._nodes)} nodes, {self.n_bytes} bytes>"

    @property
    def n_tokens(self) -> int:
        """How many cells all that is parked would take."""
        return sum(len(node.tokens) for node in self._nodes)

    def park(self, leaf: Node) -> None:
        """Keep a leaf of the tree that is about to lose its cells, with what is parked below it.

        What is larger than the whole room is not kept, and no text behind pictures: they take other positions.
        """
        size = self._content.size_bytes(leaf.seq_id)
        fits = 0 < size <= self._most_bytes and all(min(step.tokens) >= 0 for step in path_of(leaf))
        data = self._content.read(leaf.seq_id) if fits else bytearray()
        if leaf.parent is None or not data:
            for below in list(leaf.parked):
                self.forget(below)
            return
        self.piece_cells = max(self._piece_bytes * len(leaf.tokens) // size, 1)
        node = Node(leaf.tokens, leaf.start, -1, leaf.parent, last_used=leaf.last_used, data=data)
        for twin in [other for other in leaf.parent.parked if other.tokens == leaf.tokens]:
            self.take(twin)
            _hand_over(twin, node)
        _hand_over(leaf, node)
        self.put_back(node)
        while self.n_bytes > self._most_bytes:
            self.forget(next(iter(self._nodes)))

    def find(self, node: Node, n_known: int, tokens: Sequence[int]) -> Node | None:
        """Return the parked node that carries on best behind the first `n_known` of these tokens, which end in `node`.

        One that the prompt leaves in the middle must be worth it.
        """
        best, most = None, n_known
        step: Node | None = node
        while step is not None:
            candidates = step.parked if step.end <= n_known else []
            rest = tokens[step.end :] if candidates else []
            for parked in candidates:
                if rest and parked.tokens[0] == rest[0]:
                    shared = step.end + common_prefix(parked.tokens, rest)
                    is_whole = shared == parked.end
                    if shared > most and (is_whole or shared >= n_known + WORTHWHILE_TOKENS):
                        best, most = parked, shared
            step = step.parent
        return best

    def take(self, node: Node) -> Node:
        """Take a node out, for its cells to be filled; give it to `put_back` or to `settle`."""
        if node.parent is not None:
            node.parent.parked.remove(node)
        del self._nodes[node]
        self.n_bytes -= len(node.data or b"")
        return node

    def put_back(self, node: Node) -> None:
        """Keep a node, below its parent."""
        if node.parent is not None:
            node.parent.parked.append(node)
        self._nodes[node] = None
        self.n_bytes += len(node.data or b"")

    def settle(self, node: Node, alive: Node) -> None:
        """Let what is parked below a node that was taken hang below the one that has its cells now."""
        _hand_over(node, alive)

    def fill(self, node: Node, seq_id: int) -> bool:
        """Give an unused sequence the cells of a parked node. False if that fails."""
        return node.data is not None and self._content.write(seq_id, node.start, node.end, memoryview(node.data))

    def forget(self, node: Node) -> None:
        """Give up a node and what is below it."""
        for below in list(node.parked):
            self.forget(below)
        self.take(node)


def _hand_over(source: Node, target: Node) -> None:
    """Let what is parked below one node hang below another that ends at the same position."""
    for below in source.parked:
        below.parent = target
    target.parked += source.parked
    source.parked = []
