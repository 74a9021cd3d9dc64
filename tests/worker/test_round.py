"""Streams that keep their books later are told what they would be told otherwise, in the same steps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy import wire
from ollamapy.worker import engine
from ollamapy.worker import round as rounds
from ollamapy.worker.llama import Llama
from ollamapy.worker.plan import Slice, plan_of
from ollamapy.worker.sequence import Sequence
from ollamapy.worker.text import TextStream
from tests.worker.drive import GREEDY, Driver, load_llama

STARTS = ["Once upon a time", "One day, a little", "Tim had a red ball. He", "The dog", "Lily and her mom went"]
WILD = wire.Sampling(seed=5, temperature=2.5)  # its tokens are also parts of characters
SCHEDULES = 30


@pytest.fixture(scope="module", params=[200, 2048], ids=["tiny pool", "roomy pool"])
def llama(request: pytest.FixtureRequest, shared_models: Path) -> Iterator[Llama]:
    loaded = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=request.param, n_batch=64, n_seq_max=24)
    yield loaded
    loaded.close()


def some_settings(rng: random.Random) -> dict[str, object]:
    """Return what makes a stream plain, or not, or only now and then."""
    settings: dict[str, object] = {
        "max_tokens": rng.choice([1, 2, 30, 90]),
        "sampling": rng.choice([GREEDY, WILD]),
        "stop": rng.choice([[], ["ly", "the end", "é"], ["zebra"]]),
        "logprobs": rng.random() < 0.15,
        "prompt_logprobs": rng.random() < 0.15,
        "return_tokens": True,
    }
    context = {"num_ctx": 40, "num_keep": 4, "shift": rng.random() < 0.7} if rng.random() < 0.3 else {"num_ctx": 150}
    return settings | context


def told(
    llama: Llama, seed: int, *, speculates: bool, keeps_books: bool
) -> tuple[list[wire.Step], dict[int, wire.Failed]]:
    """Let requests come and go at random; return all that is said of them."""
    llama.forget_all()
    rng = random.Random(seed)
    parked = rng.choice([0, 200_000])
    driver = Driver(
        llama, speculates=speculates, n_parallel=rng.choice([0, 3]), parking_bytes=parked, piece_bytes=20_000
    )
    n_left = 14
    while n_left or driver.engine.is_busy:
        while n_left and rng.random() < 0.2:
            driver.add(rng.choice(STARTS) * rng.choice([1, 1, 4]), **some_settings(rng))
            n_left -= 1
        if rng.random() < 0.02:
            driver.engine.cancel(rng.randrange(1, 15))
        driver.engine.step()
        if keeps_books:
            assert driver.engine.cells_used == driver.engine.cells.n_cells - driver.engine.cells.n_free
    return driver.frames, driver.failed


def in_order(step: wire.Step) -> tuple[list[wire.Output], int, int, int]:
    return sorted(step.outputs, key=lambda one: one.id), step.cells_used, step.draft_tokens, step.accepted_tokens


@pytest.mark.model
@pytest.mark.parametrize("speculates", [False, True], ids=["one by one", "guessed"])
def test_steps_say_what_they_would_say_if_all_streams_went_the_long_way(
    llama: Llama, speculates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FEW_UNUSED", 8)
    n_plain, give = 0, rounds.Round.give

    def counted(self: rounds.Round, drawn: rounds.Drawn, number: int) -> tuple[list[wire.Output], list[int]]:
        nonlocal n_plain
        outputs, others = give(self, drawn, number)
        n_plain += len(outputs)
        return outputs, others

    for seed in range(SCHEDULES):
        with monkeypatch.context() as patched:
            patched.setattr(rounds, "plain_stops", lambda _sequence: None)
            slow, failed = told(llama, seed, speculates=speculates, keeps_books=True)
        with monkeypatch.context() as patched:
            patched.setattr(rounds.Round, "give", counted)
            quick, also_failed = told(llama, seed, speculates=speculates, keeps_books=False)
        assert [in_order(step) for step in quick] == [in_order(step) for step in slow], f"seed {seed}"
        assert also_failed == failed
    assert n_plain > 1000


@pytest.mark.model
def test_cells_are_counted_anew_where_somebody_was_let_in_and_sent_away_again(
    shared_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "plain_stops", lambda _sequence: None)  # so that the pool's own count is up to date
    small = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=256, n_batch=64, n_seq_max=24)
    driver = Driver(small)
    driver.answer("Tim had a red ball. He liked to play. " * 2, max_tokens=10)  # leaves a prefix that nobody uses
    long = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. " * 4
    driver.add(long, max_tokens=60, num_ctx=256)
    for _ in range(10):
        driver.engine.step()
    driver.add(long, max_tokens=4, num_ctx=256, prompt_logprobs=True)  # it can't use the known prefix
    while driver.engine.is_busy:
        driver.engine.step()
        assert driver.engine.cells_used == driver.engine.cells.n_cells - driver.engine.cells.n_free
    small.close()


def stream(number: int) -> Sequence:
    request = wire.Generate(number, [], [], False, GREEDY, num_ctx=100, max_tokens=50)
    return Sequence(request, [7, 8], None, TextStream(), 0.0, 50, 100, 1, n_computed=1, n_generated=1, n_fresh=1)  # type: ignore[arg-type]


def test_books_are_kept_late_for_plain_streams_and_at_once_for_others() -> None:
    plain, other = stream(1), stream(2)
    around = rounds.Round(plan_of([Slice(plain, 1, is_last=True), Slice(other, 1, is_last=True)], 2), [None, "a", "b"])
    around.renew(n_cells_used=2, n_free=100)
    outputs, others = around.give([1, 0], number=5)
    assert ([(one.id, one.text) for one in outputs], others) == ([(1, "a")], [1])
    assert (plain.n_computed, other.n_computed, other.last_step) == (1, 2, 5)
    other.tokens.append(0)  # as the engine does with what `give` leaves to it
    around.look_at(others)
    outputs, others = around.give([2, 2], number=6)
    assert ([(one.id, one.text) for one in outputs], others) == ([(1, "b"), (2, "b")], [])
    around.settle()
    assert (plain.tokens, plain.n_computed, plain.n_generated, plain.last_step) == ([7, 8, 1, 2], 3, 3, 6)
    assert (other.tokens, other.n_computed, other.n_generated, other.last_step) == ([7, 8, 0, 2], 3, 2, 6)
    assert around.n_cells_used == 6


@given(st.lists(st.text(st.sampled_from("abcé"), min_size=1, max_size=3), max_size=3), st.lists(st.binary(max_size=3)))
def test_a_clear_stream_gives_out_whole_characters_as_they_are(stops: list[str], pieces: list[bytes]) -> None:
    stream = TextStream(stops)
    for piece in pieces:
        stream.feed(piece)
    if stream.is_clear:
        assert stream.feed("xyzü€".encode()) == "xyzü€"
        assert stream.is_clear
        assert stream.stop_heads.isdisjoint("xyzü€")


def test_a_stream_within_a_character_or_a_stop_string_is_not_clear() -> None:
    within = TextStream()
    within.feed("é".encode()[:1])
    holding = TextStream(["stop"])
    holding.feed(b"st")
    stopped = TextStream(["stop"])
    stopped.feed(b"a stop")
    assert [stream.is_clear for stream in (TextStream(["stop"]), within, holding, stopped)] == [
        True,
        False,
        False,
        False,
    ]
