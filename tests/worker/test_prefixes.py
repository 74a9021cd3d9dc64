"""The prefix tree against a plain model of the KV cache: which sequence holds which token at which position."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ollamapy.worker.prefixes import PrefixTree, common_prefix


class FakeMemory:
    """Cells as a list of (position, token, holders); a cell without holders is free."""

    def __init__(self) -> None:
        self.cells: list[tuple[int, int, set[int]]] = []

    def compute(self, seq_id: int, tokens: list[int], start: int) -> None:
        assert sorted(self.held(seq_id)) == list(range(start)), "positions must grow without holes"
        self.cells += [(start + i, token, {seq_id}) for i, token in enumerate(tokens[start:])]

    def held(self, seq_id: int) -> dict[int, int]:
        found = [(position, token) for position, token, holders in self.cells if seq_id in holders]
        assert len(found) == len(dict(found)), "two cells at one position of one sequence"
        return dict(found)

    def share(self, source: int, target: int, start: int, end: int) -> None:
        for position, _, holders in self.cells:
            if source in holders and start <= position < end:
                holders.add(target)

    def remove(self, seq_id: int, start: int = -1, end: int = -1) -> bool:
        for position, _, holders in self.cells:
            if start <= position and (end < 0 or position < end):
                holders.discard(seq_id)
        self.cells = [cell for cell in self.cells if cell[2]]
        return True


class World:
    def __init__(self, n_ids: int) -> None:
        self.memory = FakeMemory()
        self.free = list(range(n_ids))
        self.tree = PrefixTree(self.memory, lambda: self.free.pop() if self.free else None, self.free.append)

    def request(self, tokens: list[int], others: list[tuple[list[int], int]] | None = None) -> int | None:
        """Run one request from attach to release; return how many tokens it had not to compute."""
        if not self.free:
            return None
        seq_id = self.free.pop()
        node = self.tree.attach(tokens[:-1], seq_id)
        known = node.end
        assert self.memory.held(seq_id) == dict(enumerate(tokens[:known]))
        half = (known + len(tokens)) // 2
        for end in (half, len(tokens)):
            self.memory.compute(seq_id, tokens[:end], len(self.memory.held(seq_id)))
            node = self.tree.extend(node, tokens[:end], seq_id)
            assert self.memory.held(seq_id) == dict(enumerate(tokens[:end]))
        self.tree.release(node)
        self.memory.remove(seq_id)
        self.free.append(seq_id)
        return known

    def check(self) -> None:
        assert self.tree.n_cells == len(self.memory.cells) == sum(len(n.tokens) for n in self.tree.nodes())
        for node in self.tree.nodes():
            assert self.memory.held(node.seq_id) == dict(enumerate(node.tokens, node.start))
            assert node.users == 0


TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@given(st.lists(TOKENS, max_size=25), st.integers(1, 12), st.integers(0, 8))
@settings(max_examples=300, deadline=None)
def test_cells_always_hold_the_tokens_that_the_tree_says(requests: list[list[int]], n_ids: int, evict: int) -> None:
    world = World(n_ids)
    for tokens in requests:
        world.request(tokens)
        world.check()
        if world.tree.n_cells > 20:
            world.tree.evict(evict)
            world.check()
        if world.tree.n_cells > 10 and evict:
            before = world.tree.n_cells
            assert world.tree.evict_end(evict) == before - world.tree.n_cells > 0
            world.check()
    world.tree.evict(1000)
    assert world.memory.cells == []
    assert sorted(world.free) == list(range(n_ids))


def test_a_finished_request_serves_the_next_turn() -> None:
    world = World(8)
    assert world.request([1, 2, 3, 4]) == 0
    assert world.request([1, 2, 3, 4, 5, 6]) == 4
    assert world.request([1, 2, 9]) == 2
    assert world.request([1, 2, 3, 4, 5, 6]) == 5, "the last token is always computed"


def test_the_least_recently_used_leaf_goes_first() -> None:
    world = World(8)
    world.request([1, 1, 1])
    world.request([2, 2, 2])
    world.request([1, 1, 1])
    assert world.tree.evict(1) == 3
    assert world.tree.match([1, 1, 1]) == 3
    assert world.tree.match([2, 2, 2]) == 0


def test_a_pinned_prefix_is_never_dropped() -> None:
    world = World(8)
    world.request([1, 2, 3])
    node = world.tree.attach([1, 2], 7)
    world.tree.evict(100)
    assert world.tree.match([1, 2, 3]) == 2
    world.tree.release(node)
    world.tree.evict(100)
    assert world.tree.match([1, 2, 3]) == 0


@given(st.lists(st.integers(0, 1), max_size=40), st.lists(st.integers(0, 1), max_size=40))
def test_common_prefix_is_the_longest(a: list[int], b: list[int]) -> None:
    n = common_prefix(a, b)
    assert a[:n] == b[:n]
    assert n == min(len(a), len(b)) or a[n] != b[n]
