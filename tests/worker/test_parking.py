"""Prefixes that lose their cells are kept in memory and come back; all texts stay as they would be alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ollamapy.worker.llama import Llama
from ollamapy.worker.parking import PIECE_BYTES, Parking
from ollamapy.worker.prefixes import Node
from tests.worker.drive import Driver, load_llama

NAMES = ("Lily", "Tim", "Sara", "Ben", "Mia")
PLENTY = 1 << 24
MOST = 1000


def chat(name: str) -> str:
    return f"Once upon a time there was a child named {name}. {name} loved to play in the park with a big red ball."


@pytest.fixture(scope="module")
def small_pool(shared_models: Path) -> Iterator[Llama]:
    """A model whose cells are enough for two or three chats."""
    loaded = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=256, n_batch=64, n_seq_max=24)
    yield loaded
    loaded.close()


def second_turns(llama: Llama, parking_bytes: int) -> tuple[list[str], list[int]]:
    """Let each of five go on with a chat after the others had their turn; return the texts and what was known."""
    llama.forget_all()
    driver = Driver(llama, parking_bytes=parking_bytes)
    first = [chat(name) + driver.answer(chat(name), num_ctx=250) for name in NAMES]
    asked = [driver.add(text + " Then", num_ctx=250) for text in first]
    driver.run()
    return [driver.text[request_id] for request_id in asked], [driver.finished[i].cached_tokens for i in asked]


@pytest.mark.model
def test_chats_are_known_in_their_next_turn_though_others_took_their_cells(small_pool: Llama, llama: Llama) -> None:
    expected, known = second_turns(llama, 0)
    assert min(known) > 50
    assert second_turns(small_pool, PLENTY) == (expected, known)
    texts, few = second_turns(small_pool, 0)
    assert texts == expected
    assert min(few) < 20


@pytest.mark.model
def test_a_request_that_made_room_for_another_comes_back_without_computing(small_pool: Llama) -> None:
    small_pool.forget_all()
    driver = Driver(small_pool, parking_bytes=PLENTY)
    ids = [driver.add(chat(name), num_ctx=250, max_tokens=100) for name in NAMES[:3]]
    driver.run()
    assert driver.engine.preemptions > 0
    assert driver.parking is not None
    assert driver.parking.n_returned > 0
    for name, request_id in zip(NAMES, ids, strict=False):
        small_pool.forget_all()
        alone = Driver(small_pool).answer(chat(name), num_ctx=250, max_tokens=100)
        assert driver.text[request_id] == alone


@pytest.mark.model
def test_beside_running_requests_few_cells_are_left_to_what_nobody_uses(llama: Llama) -> None:
    llama.forget_all()
    driver = Driver(llama, parking_bytes=PLENTY)
    for name in NAMES:
        driver.answer(chat(name), max_tokens=100)
    assert driver.engine.cells_used > 400
    driver.add(chat("Ann"), max_tokens=400)
    driver.add(chat("Bob"), max_tokens=1)
    driver.run()
    assert driver.parking is not None
    assert driver.parking.n_bytes > 0
    running = driver.finished[max(driver.finished) - 1].completion_tokens
    assert driver.engine.cells_used < 256 + running + 100


class Bytes:
    """The content of cells: as many bytes as a sequence's number says."""

    def size_bytes(self, seq_id: int) -> int:
        return seq_id

    def read(self, seq_id: int) -> bytearray:
        assert seq_id <= MOST, "too large to be kept"
        return bytearray(seq_id)

    def write(self, seq_id: int, start: int, end: int, data: memoryview) -> bool:
        return True


@pytest.fixture
def parking() -> Parking:
    return Parking(Bytes(), MOST)


@pytest.fixture
def root() -> Node:
    return Node([], 0, -1, None)


def leaf(parent: Node, tokens: list[int], size: int) -> Node:
    return Node(tokens, parent.end, size, parent)


def test_what_was_parked_first_goes_first(parking: Parking, root: Node) -> None:
    for first in range(4):
        parking.park(leaf(root, [first, 9], 400))
    assert parking.n_bytes == 800
    assert [node.tokens[0] for node in root.parked] == [2, 3]


def test_what_is_larger_than_the_room_and_text_behind_pictures_is_not_parked(parking: Parking, root: Node) -> None:
    parking.park(leaf(root, [1, 2, 3], MOST + 1))
    parking.park(leaf(root, [1, -2, 3], 10))
    parking.park(leaf(leaf(root, [-2], 10), [1, 2], 10))
    parking.park(leaf(root, [1, 2, 3], 0))
    assert (root.parked, parking.n_bytes) == ([], 0)


def test_the_same_text_is_kept_once_with_all_that_follows(parking: Parking, root: Node) -> None:
    for following in ([4], [5]):
        above = leaf(root, [1, 2, 3], 10)
        parking.park(leaf(above, following, 1))
        parking.park(above)
    (node,) = root.parked
    assert [below.tokens for below in node.parked] == [[4], [5]]
    assert all(below.parent is node for below in node.parked)
    assert parking.n_bytes == 12


def test_what_is_below_goes_with_a_leaf_that_can_not_be_parked(parking: Parking, root: Node) -> None:
    above = leaf(root, [1, 2, 3], MOST + 1)
    parking.park(leaf(above, [4], 1))
    parking.park(above)
    assert parking.n_bytes == parking.n_tokens == 0


def test_what_carries_on_best_is_found(parking: Parking, root: Node) -> None:
    whole = list(range(100))
    above = leaf(root, whole[:40], 10)
    root.children[0] = above
    parking.park(leaf(above, whole[40:43], 1))
    parking.park(leaf(above, [*whole[40:60], 7], 1))
    parking.park(leaf(root, [*whole[:30], 7], 1))
    short, long = above.parked
    assert parking.find(above, 40, whole) is long
    assert parking.find(above, 40, whole[:50]) is short, "one that is known to its end is worth it however short it is"
    assert parking.find(above, 40, [*whole[:40], 7]) is None
    assert parking.find(above, 20, whole[:29]) is None, "little is won by one that is left in the middle"
    assert parking.find(above, 10, whole[:35]) is root.parked[0]
    assert parking.find(root, 0, [8, *whole]) is None


def test_a_node_that_was_taken_can_be_kept_on_or_leave_what_is_below_to_another(parking: Parking, root: Node) -> None:
    above = leaf(root, [1, 2], 10)
    parking.park(leaf(above, [3], 1))
    parking.park(above)
    (node,) = root.parked
    parking.take(node)
    assert (root.parked, parking.n_bytes) == ([], 1)
    parking.put_back(node)
    assert (root.parked, parking.n_bytes) == ([node], 11)
    alive = leaf(root, [1, 2], 10)
    parking.settle(parking.take(node), alive)
    assert [below.tokens for below in alive.parked] == [[3]]


def test_pieces_are_as_large_as_can_be_copied_without_a_pause(parking: Parking, root: Node) -> None:
    parking.park(leaf(root, list(range(10)), 500))
    assert parking.piece_cells == PIECE_BYTES // 50
