"""Which KV cells hold which prefix: a radix tree over token ids, shared by finished and running requests.

Each node owns one llama.cpp sequence id that holds just the cells of the node's own tokens; a request uses a path of
nodes by adding its own sequence id to their cells, so nothing is copied. A node with users or children stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Memory(Protocol):
    """What the tree needs of the KV cache."""

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Let `target` use the cells of `source` at positions [start, end)."""

    def remove(self, seq_id: int, start: int = -1, end: int = -1) -> bool:
        """Drop `seq_id` from the cells at positions [start, end), -1 for open ends."""


@dataclass(slots=True, eq=False)
class Node:
    """`tokens` at positions [start, start + len(tokens)), held by `seq_id`. The root is empty and has no cells.

    Nodes in `parked` follow like children, but have no cells: `data` is the content that they had.
    """

    tokens: list[int]
    start: int
    seq_id: int
    parent: Node | None
    children: dict[int, Node] = field(default_factory=dict)
    users: int = 0
    last_used: int = 0
    parked: list[Node] = field(default_factory=list)
    data: bytearray | None = None

    @property
    def end(self) -> int:
        """The position after the node's last token."""
        return self.start + len(self.tokens)


class PrefixTree:
    """The tree and its cells. `take_id` returns a free sequence id or None, `give_id` takes one back.

    `leave` is told of each node that is about to lose its cells.
    """

    def __init__(
        self,
        memory: Memory,
        take_id: Callable[[], int | None],
        give_id: Callable[[int], None],
        leave: Callable[[Node], None] = lambda _node: None,
    ) -> None:
        self._memory = memory
        self._take_id = take_id
        self._give_id = give_id
        self._leave = leave
        self._clock = 0
        self.root = Node([], 0, -1, None)
        self.n_cells = 0

    def match(self, tokens: Sequence[int]) -> int:
        """Return how many leading tokens are in the tree; changes nothing."""
        _, length = self.descend(tokens)
        return length

    def descend(self, tokens: Sequence[int]) -> tuple[Node, int]:
        """Return the last node that has some of the leading tokens, and how many of them are in the tree."""
        node, length = self.root, 0
        while length < len(tokens) and (child := node.children.get(tokens[length])) is not None:
            node = child
            length += common_prefix(child.tokens, tokens[length : length + len(child.tokens)])
            if length < child.end:
                break
        return node, length

    def attach(self, tokens: Sequence[int], seq_id: int) -> Node:
        """Let `seq_id` use the cells of the longest known prefix and return its node, pinned until `release`."""
        node, length = self.descend(tokens)
        if length < node.end and (upper := self._split(node, length)) is not None:
            node = upper
        elif length < node.end:
            node = node.parent or self.root
        for step in path_of(node):
            self._memory.share(step.seq_id, seq_id, step.start, step.end)
        self.pin(node)
        return node

    def extend(self, node: Node, tokens: Sequence[int], seq_id: int) -> Node:
        """Put `tokens`, all computed by `seq_id`, under its pinned `node`; return the node that is pinned now.

        Where the tree already knows some of them, the request's own cells are given up for the tree's. Where no
        sequence id is free, the tree stays as it is.
        """
        while node.end < len(tokens):
            child = node.children.get(tokens[node.end])
            if child is None:
                return self._grow(node, tokens, seq_id)
            length = child.start + common_prefix(child.tokens, tokens[child.start : child.end])
            target: Node | None = child if length == child.end else self._split(child, length)
            if target is None:
                return node
            self._memory.remove(seq_id, target.start, target.end)
            self._memory.share(target.seq_id, seq_id, target.start, target.end)
            self.release(node)
            self.pin(target)
            node = target
        return node

    def touch(self, tokens: Sequence[int]) -> None:
        """Note that the known prefix of `tokens` is in use now."""
        node, _ = self.descend(tokens)
        self._touch(node)

    @property
    def clock(self) -> int:
        """A count that grows with each use of the tree."""
        return self._clock

    def pin(self, node: Node) -> None:
        """Note a user of a node and of all above it, which keep their cells until `release`."""
        node.users += 1
        self._touch(node)

    def release(self, node: Node) -> None:
        """Undo one pin."""
        node.users -= 1

    def evict(self, n_cells: int) -> int:
        """Drop least recently used leaves until `n_cells` are free or none is left; return how many became free."""
        freed = 0
        while freed < n_cells and (leaf := self._oldest_leaf()) is not None:
            freed += self._drop(leaf)
        return freed

    def evict_one(self) -> bool:
        """Drop the least recently used leaf, for its sequence id. False if none can go."""
        leaf = self._oldest_leaf()
        if leaf is None:
            return False
        self._drop(leaf)
        return True

    def evict_end(self, n_cells: int) -> int:
        """Drop the last `n_cells` of the least recently used leaf, or all that it has; return how many became free."""
        leaf = self._oldest_leaf()
        if leaf is None:
            return 0
        if len(leaf.tokens) > n_cells:
            self._split(leaf, leaf.end - n_cells)
        return self._drop(leaf)

    def nodes(self) -> Iterator[Node]:
        """Walk all nodes but the root and those that are parked."""
        stack = list(self.root.children.values())
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())

    def parked_nodes(self) -> Iterator[Node]:
        """Walk all nodes that are parked, from above."""
        stack = [parked for node in (self.root, *self.nodes()) for parked in node.parked]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.parked)

    def _grow(self, node: Node, tokens: Sequence[int], seq_id: int) -> Node:
        start, new = node.end, list(tokens[node.end :])
        if node.users == 1 and not node.children and not node.parked and node.parent is not None:
            self._memory.share(seq_id, node.seq_id, start, start + len(new))
            node.tokens.extend(new)
        else:
            node_id = self._take_id()
            if node_id is None:
                return node
            self._memory.share(seq_id, node_id, start, start + len(new))
            child = Node(new, start, node_id, node)
            node.children[new[0]] = child
            self.release(node)
            self.pin(child)
            node = child
        self.n_cells += len(new)
        self._touch(node)
        return node

    def _split(self, node: Node, at: int) -> Node | None:
        """Cut a node at position `at`; the node keeps the tail, the returned new parent has the head."""
        if node.parent is None or (upper_id := self._take_id()) is None:
            return None
        head = at - node.start
        self._memory.share(node.seq_id, upper_id, node.start, at)
        self._memory.remove(node.seq_id, node.start, at)
        upper = Node(node.tokens[:head], node.start, upper_id, node.parent, last_used=node.last_used)
        node.parent.children[upper.tokens[0]] = upper
        node.tokens, node.start, node.parent = node.tokens[head:], at, upper
        upper.children[node.tokens[0]] = node
        return upper

    def _touch(self, node: Node) -> None:
        self._clock += 1
        for step in path_of(node):
            step.last_used = self._clock

    def _oldest_leaf(self) -> Node | None:
        leaves = [n for n in self.nodes() if not n.children and not n.users]
        return min(leaves, key=lambda n: n.last_used, default=None)

    def _drop(self, leaf: Node) -> int:
        self._leave(leaf)
        self._memory.remove(leaf.seq_id)
        self._give_id(leaf.seq_id)
        if leaf.parent is not None:
            del leaf.parent.children[leaf.tokens[0]]
        self.n_cells -= len(leaf.tokens)
        return len(leaf.tokens)


def path_of(node: Node) -> Iterator[Node]:
    """Walk from a node up to the root, the root left out."""
    step: Node | None = node
    while step is not None and step.parent is not None:
        yield step
        step = step.parent


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading items are equal; both must be of one type, so that slices compare in C."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low
