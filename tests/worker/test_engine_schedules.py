"""Text under any interleaving, with tokens guessed ahead or not, equals the text alone: greedy, or drawn with a seed.

No tolerance: F32 weights with an F32 cache are computed by kernels whose result for a row does not depend on the rows
beside it, so every difference is a defect of the engine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollamapy import wire
from ollamapy.worker.draft import DraftModel
from ollamapy.worker.llama import Llama
from tests.worker.drive import GREEDY, Driver, load_llama

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
MODES = ["one by one", "guessed from the text", "guessed by a draft model", "with parked prefixes"]
SCHEDULES_EACH = 40
PARKED, PIECE = 200_000, 20_000  # some 150 cells and 15
SAMPLINGS = [GREEDY, GREEDY, wire.Sampling(seed=11, temperature=0.7)]


@pytest.fixture(scope="module", params=[TINY, ROOMY], ids=["tiny pool", "roomy pool"])
def llama(request: pytest.FixtureRequest, shared_models: Path) -> Iterator[Llama]:
    loaded = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=request.param, n_batch=64, n_seq_max=24)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def small(shared_models: Path) -> Iterator[Llama]:
    loaded = load_llama(shared_models / "gguf/stories260K-q4_0.gguf", n_ctx=512, n_batch=64, n_seq_max=8, f32=False)
    yield loaded
    loaded.close()


def prompts(rng: random.Random) -> list[str]:
    cut = rng.randrange(20, len(STORY))
    shared = STORY[:cut]
    tails = rng.sample(OPENINGS, 3)
    return [shared, *[shared + " " + tail for tail in tails], *rng.sample(OPENINGS, 3)]


def fresh(llama: Llama, mode: str = MODES[0], small: Llama | None = None) -> Driver:
    llama.forget_all()
    if small is None or mode != MODES[2]:
        return Driver(
            llama, speculates=mode == MODES[1], parking_bytes=PARKED if mode == MODES[3] else 0, piece_bytes=PIECE
        )
    small.forget_all()
    return Driver(llama, speculates=True, draft=DraftModel(small, llama))


def play(driver: Driver, rng: random.Random) -> dict[int, tuple[str, wire.Sampling, int]]:
    """Let requests arrive, run and vanish at random; return the case behind each request that was not cancelled."""
    queue = [(text, rng.choice(SAMPLINGS), rng.randrange(1, 70)) for text in prompts(rng)]
    rng.shuffle(queue)
    wanted: dict[int, tuple[str, wire.Sampling, int]] = {}
    while queue or driver.engine.is_busy:
        for _ in range(min(len(queue), rng.randrange(0, 4))):
            text, sampling, n = queue.pop()
            wanted[driver.add(text, sampling=sampling, max_tokens=n, num_ctx=250)] = (text, sampling, n)
        if wanted and rng.random() < 0.05:
            victim = rng.choice(sorted(wanted))
            driver.engine.cancel(victim)
            if victim not in driver.finished:
                del wanted[victim]
        driver.engine.step()
    return wanted


@pytest.mark.parametrize("mode", MODES)
def test_random_schedules_give_the_text_of_each_request_alone(llama: Llama, small: Llama, mode: str) -> None:
    alone: dict[tuple[str, float], str] = {}
    preemptions = cached = accepted = returned = 0
    for seed in range(SCHEDULES_EACH):
        driver = fresh(llama, mode, small)
        wanted = play(driver, random.Random(f"{mode} {seed}"))
        assert not driver.failed
        preemptions += driver.engine.preemptions
        returned += driver.parking.n_returned if driver.parking else 0
        for request_id, (prompt, sampling, n_tokens) in wanted.items():
            key = (prompt, sampling.temperature)
            if key not in alone:
                alone[key] = fresh(llama).answer(prompt, sampling=sampling, max_tokens=70, num_ctx=250)
            finished = driver.finished[request_id]
            cached += finished.cached_tokens
            accepted += finished.accepted_tokens
            assert finished.completion_tokens <= n_tokens
            assert alone[key].startswith(driver.text[request_id]), f"seed {seed}: {prompt}"
        driver.engine.cells.trim(0)
        assert driver.engine.cells_used == 0
    assert cached > 0
    assert (preemptions > 0) == (llama.n_ctx == TINY)
    assert (accepted > 0) == (mode in MODES[1:3])
    assert (returned > 0) == (mode == MODES[3] and llama.n_ctx == TINY)
