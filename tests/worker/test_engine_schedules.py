"""Greedy text under any interleaving equals the text alone.

No tolerance: F32 weights with an F32 cache are computed by kernels whose result for a row does not depend on the rows
beside it, so every difference is a defect of the engine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollamapy.worker.llama import Llama
from tests.worker.drive import Driver, load_llama

pytestmark = pytest.mark.model

OPENINGS = [
    "Once upon a time",
    "One day, a little",
    "Tim had a red ball.",
    "The dog",
    "Lily and her mom went to the park.",
]
STORY = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw "
    "a big, red ball. She wanted to play with it, but it was too high."
)
TINY, ROOMY = 256, 2048
SCHEDULES_EACH = 110


@pytest.fixture(scope="module", params=[TINY, ROOMY], ids=["tiny pool", "roomy pool"])
def llama(request: pytest.FixtureRequest, shared_models: Path) -> Iterator[Llama]:
    loaded = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=request.param, n_batch=64, n_seq_max=24)
    yield loaded
    loaded.close()


def prompts(rng: random.Random) -> list[str]:
    cut = rng.randrange(20, len(STORY))
    shared = STORY[:cut]
    tails = rng.sample(OPENINGS, 3)
    return [shared, *[shared + " " + tail for tail in tails], *rng.sample(OPENINGS, 3)]


def fresh(llama: Llama) -> Driver:
    for seq_id in range(llama.n_seq_max):
        llama.remove(seq_id)
    return Driver(llama)


def play(driver: Driver, rng: random.Random) -> dict[int, tuple[str, int]]:
    """Let requests arrive, run and vanish at random; return the case behind each request that was not cancelled."""
    queue = [(text, rng.randrange(1, 70)) for text in prompts(rng)]
    rng.shuffle(queue)
    wanted: dict[int, tuple[str, int]] = {}
    while queue or driver.engine.is_busy:
        for _ in range(min(len(queue), rng.randrange(0, 4))):
            text, n = queue.pop()
            wanted[driver.add(text, max_tokens=n, num_ctx=250)] = (text, n)
        if wanted and rng.random() < 0.05:
            victim = rng.choice(sorted(wanted))
            driver.engine.cancel(victim)
            if victim not in driver.finished:
                del wanted[victim]
        driver.engine.step()
    return wanted


def test_random_schedules_give_the_text_of_each_request_alone(llama: Llama) -> None:
    alone: dict[str, str] = {}
    preemptions = cached = 0
    for seed in range(SCHEDULES_EACH):
        driver = fresh(llama)
        wanted = play(driver, random.Random(seed))
        assert not driver.failed
        preemptions += driver.engine.preemptions
        for request_id, (prompt, n_tokens) in wanted.items():
            if prompt not in alone:
                alone[prompt] = fresh(llama).answer(prompt, max_tokens=70, num_ctx=250)
            finished = driver.finished[request_id]
            cached += finished.cached_tokens
            assert finished.completion_tokens <= n_tokens
            assert alone[prompt].startswith(driver.text[request_id]), f"seed {seed}: {prompt}"
        driver.engine.cells.trim(0)
        assert driver.engine.cells_used == 0
    assert cached > 0
    assert (preemptions > 0) == (llama.n_ctx == TINY)
