"""Prefixes that lose their cells are kept in memory and come back; all texts stay as they would be alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ollamapy.worker.llama import Llama
from ollamapy.worker.parking import LEAST_TOKENS, PIECE_BYTES, Parking
from ollamapy.worker.prefixes import Node
from tests.worker.drive import Driver, load_llama

NAMES = ("Lily", "Tim", "Sara", "Ben", "Mia")
PLENTY = 1 << 24


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

    def read(self, seq_id: int) -> bytearray:
        return bytearray(seq_id)

    def write(self, seq_id: int, start: int, end: int, data: memoryview) -> bool:
        return True


def leaf(tokens: list[int], size: int, start: int = 0) -> Node:
    root = Node([], 0, -1, None)
    above = Node(list(range(start)), 0, 1, root) if start else root
    return Node(tokens, start, size, above)


def test_what_was_parked_first_goes_first() -> None:
    parking = Parking(Bytes(), 100)
    for first in range(4):
        parking.park(leaf([first, *range(50)], 40))
    assert parking.n_bytes == 80
    assert [parked.tokens[0] for parked in parking.newest_first] == [3, 2]


def test_what_is_larger_than_the_room_and_pictures_are_not_parked() -> None:
    parking = Parking(Bytes(), 100)
    parking.park(leaf([1, 2, 3], 101))
    parking.park(leaf([1, -2, 3], 10))
    parking.park(leaf([1, 2, 3], 0))
    assert parking.newest_first == []


def test_the_same_prefix_is_kept_once() -> None:
    parking = Parking(Bytes(), 100)
    parking.park(leaf([1, 2, 3], 10))
    parking.park(leaf([1, 2, 3], 10))
    assert parking.n_bytes == 10


def test_what_carries_on_best_is_found() -> None:
    parking = Parking(Bytes(), 1000)
    whole = list(range(100))
    parking.park(leaf(whole[:40], 10))
    parking.park(leaf(whole[40:100], 10, start=40))
    assert parking.find(whole, 0) is parking.newest_first[1]
    assert parking.find(whole, 40) is parking.newest_first[0]
    assert parking.find(whole, 100) is None
    assert parking.find([7, *whole], 0) is None
    assert parking.find(whole[: LEAST_TOKENS - 1], 0) is None


def test_pieces_are_as_large_as_can_be_copied_without_a_pause() -> None:
    parking = Parking(Bytes(), 1000)
    parking.park(leaf(list(range(10)), 500))
    assert parking.piece_cells == PIECE_BYTES // 50
