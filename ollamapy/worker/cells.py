"""Who holds the KV cells: sequence ids and cells are handed out one by one, nothing is reserved per request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from ollamapy.worker.parking import Parking
from ollamapy.worker.prefixes import Memory, Node, PrefixTree, path_of
from ollamapy.worker.sequence import Sequence


class CellPool:
    """The cells of one context, shared by running sequences and by remembered prefixes.

    `shares_prefixes` is false for models whose memory can't be cut at a position (recurrent state, sliding windows);
    their sequences then own all that they compute. `parking` keeps prefixes that lost their cells, if it is given.
    """

    def __init__(
        self, memory: Memory, n_cells: int, n_seq_max: int, *, shares_prefixes: bool, parking: Parking | None = None
    ) -> None:
        self._memory = memory
        self._free_ids = list(range(n_seq_max - 1, -1, -1))
        self._nodes: dict[Sequence, Node] = {}
        self.n_cells = n_cells
        self.parking = parking
        leave = parking.park if parking else lambda _node: None
        self.tree = PrefixTree(memory, self._take_free_id, self._free_ids.append, leave) if shares_prefixes else None

    def __repr__(self) -> str:
        cached = self.tree.n_cells if self.tree else 0
        held = f"{self.n_private} private, {cached} in prefixes"
        return f"<CellPool {self.n_cells} cells, {held}, {len(self._free_ids)} ids free>"

    @property
    def n_private(self) -> int:
        """Cells that belong to one running sequence alone."""
        return sum(s.n_computed - s.n_shared for s in self._nodes)

    @property
    def n_free(self) -> int:
        """Cells that nobody holds."""
        return self.n_cells - self.n_private - (self.tree.n_cells if self.tree else 0)

    def open(self, sequence: Sequence) -> bool:
        """Give a waiting sequence an id and the longest known prefix of its tokens. False if no id can be had.

        A prompt whose log probabilities are wanted is computed as a whole: nobody remembers those.
        """
        self._recall(sequence)
        if not self.free_an_id():
            return False
        sequence.seq_id = self._free_ids.pop()
        node = Node([], 0, -1, None)
        if self.tree:
            node = self.tree.attach(self._shareable(self.tree, sequence), sequence.seq_id)
        self._nodes[sequence] = node
        sequence.n_computed = sequence.n_shared = node.end
        return True

    def _shareable(self, tree: PrefixTree, sequence: Sequence) -> list[int]:
        if sequence.is_scored or sequence.is_private:
            return []
        tokens = sequence.tokens[:-1]
        return tokens[: sequence.whole_prefix(tree.match(tokens))] if sequence.pictures else tokens

    def _recall(self, sequence: Sequence) -> None:
        """Put what is parked of a sequence's prompt back into cells, as far as there is room."""
        if not self.tree or not self.parking or sequence.is_scored or sequence.is_private:
            return
        tokens = sequence.tokens[:-1]
        while True:
            node, n_known = self.tree.descend(tokens)
            parked = self.parking.find(node, n_known, tokens)
            if parked is None:
                return
            self.tree.pin(node)
            is_back = self._put_back(self.tree, self.parking, parked, tokens[: parked.start] + parked.tokens)
            self.tree.release(node)
            if not is_back:
                return

    def _put_back(self, tree: PrefixTree, parking: Parking, parked: Node, tokens: list[int]) -> bool:
        parking.take(parked)  # or making room might take it
        is_back = self.make_room(len(parked.tokens)) and self.plant(
            tokens, parked.start, lambda seq_id: parking.fill(parked, seq_id)
        )
        if is_back:
            alive, _ = tree.descend(tokens)
            parking.settle(parked, alive)
        else:
            parking.put_back(parked)
        return is_back

    def could_take(self, sequence: Sequence, n_more: int) -> bool:
        """Whether there is room for a sequence and so many cells more, if all that nobody uses were given up."""
        used = self._nodes_in_use()
        n_in_use = sum(len(node.tokens) for node in used)
        n_shared = 0
        if self.tree:
            node, n_known = self.tree.descend(sequence.tokens[:-1])
            n_shared = max((min(step.end, n_known) for step in path_of(node) if step in used), default=0)
        return len(sequence.tokens) - n_shared + n_more <= self.n_cells - self.n_private - n_in_use

    def known_prefix(self, tokens: list[int]) -> int:
        """Return how many leading tokens need not be computed; the last one always must be."""
        return self.tree.match(tokens[:-1]) if self.tree else 0

    def remember(self, sequence: Sequence) -> None:
        """Put what the sequence has computed into the prefix tree, for others to share."""
        if self.tree and sequence.n_computed > sequence.n_shared and not sequence.is_private:
            node = self.tree.extend(self._nodes[sequence], sequence.tokens[: sequence.n_computed], sequence.seq_id)
            self._nodes[sequence] = node
            sequence.n_shared = node.end

    def close(self, sequence: Sequence) -> None:
        """Take back the id and the private cells of a sequence; shared ones stay with the tree."""
        node = self._nodes.pop(sequence)
        if self.tree:
            self.tree.release(node)
        self._memory.remove(sequence.seq_id)
        self._free_ids.append(sequence.seq_id)
        sequence.seq_id = -1
        sequence.n_computed = sequence.n_shared = 0

    def make_room(self, n_cells: int) -> bool:
        """Drop unused prefixes, least recently used first, until `n_cells` are free. False if that is not enough."""
        return n_cells <= self.n_free or self._evict(n_cells - self.n_free)

    def trim(self, most_unused: int) -> None:
        """Drop prefixes that nobody uses beyond so many cells: attention walks over all cells up to the last in use."""
        if (beyond := self._n_unused - most_unused) > 0:
            self._evict(beyond)

    def park_some(self, most_unused: int) -> bool:
        """Park a piece of what nobody uses beyond so many cells. False where nothing is left to be parked."""
        if not self.tree or not self.parking or (beyond := self._n_unused - most_unused) <= 0:
            return False
        return self.tree.evict_end(min(beyond, self.parking.piece_cells)) > 0

    def _evict(self, n_cells: int) -> bool:
        """Drop unused prefixes of so many cells, in pieces where they are parked. False if there are not so many."""
        if not self.tree:
            return False
        if not self.parking:
            return self.tree.evict(n_cells) >= n_cells
        while n_cells > 0:
            if not (freed := self.tree.evict_end(self.parking.piece_cells)):
                return False
            n_cells -= freed
        return True

    @property
    def _n_unused(self) -> int:
        """Cells of prefixes that no running sequence uses."""
        return (self.tree.n_cells if self.tree else 0) - sum(len(node.tokens) for node in self._nodes_in_use())

    def _nodes_in_use(self) -> set[Node]:
        return {node for pinned in self._nodes.values() for node in path_of(pinned)}

    def plant(self, tokens: list[int], start: int, fill: Callable[[int], bool]) -> bool:
        """Remember `tokens`, whose first `start` are known, once `fill` has filled the cells of the rest."""
        n_new = len(tokens) - start
        if not self.tree or not self._free_ids or n_new > self.n_free or self.tree.match(tokens[:start]) < start:
            return False
        seq_id = self._free_ids.pop()
        node = self.tree.attach(tokens[:start], seq_id)
        if node.end == start and fill(seq_id):
            node = self.tree.extend(node, tokens, seq_id)
        self.tree.release(node)
        self._memory.remove(seq_id)
        self._free_ids.append(seq_id)
        return node.end == len(tokens)

    def free_an_id(self) -> bool:
        """Drop the least recently used prefix if no id is free. False if none can be had."""
        return bool(self._free_ids) or (self.tree is not None and self.tree.evict_one())

    @contextmanager
    def lent(self, node: Node, start: int, end: int) -> Iterator[int]:
        """Give an id, of which one must be free, that holds a node's cells at positions [start, end) in the block."""
        seq_id = self._free_ids.pop()
        self._memory.share(node.seq_id, seq_id, start, end)
        try:
            yield seq_id
        finally:
            self._memory.remove(seq_id)
            self._free_ids.append(seq_id)

    def _take_free_id(self) -> int | None:
        return self._free_ids.pop() if self._free_ids else None


def committed_cells(running: Iterable[Sequence]) -> int:
    """Cells that admitted sequences will need for what is left of their tokens."""
    return sum(s.n_left for s in running)
