"""Guessed and forced tokens on real models: the same answers in fewer steps, told truthfully."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollamapy import wire
from ollamapy.errors import LoadError
from ollamapy.worker.constraint import Constraint, ConstraintFactory
from ollamapy.worker.draft import DraftModel
from ollamapy.worker.llama import Llama
from tests.worker.drive import Driver, load_llama

pytestmark = pytest.mark.model

START = "Once upon a time"
ECHO = "Tim had a red ball. Sue had a blue kite. Tim had a red ball. Sue had a blue kite. Tim had a"


@pytest.fixture(scope="module")
def small(shared_models: Path) -> Iterator[Llama]:
    loaded = load_llama(shared_models / "gguf/stories260K-q4_0.gguf", f32=False)
    yield loaded
    loaded.close()


def plain(llama: Llama) -> Driver:
    llama.forget_all()
    return Driver(llama)


def guessing(llama: Llama, small: Llama | None = None) -> Driver:
    llama.forget_all()
    if small is not None:
        small.forget_all()
    return Driver(llama, speculates=True, draft=None if small is None else DraftModel(small, llama))


CASES = {
    "greedy": {},
    "with a seed": {"sampling": wire.Sampling(seed=4, temperature=0.8)},
    "penalised": {"sampling": wire.Sampling(temperature=0, repeat_penalty=1.1, dry_multiplier=0.8)},
    "with mirostat": {"sampling": wire.Sampling(seed=4, temperature=0.6, mirostat=2)},
    "with a stop string": {"stop": ["play with"]},
    "beyond its context": {"num_ctx": 60, "max_tokens": 300},
    "up to its context": {"num_ctx": 60, "max_tokens": 300, "shift": False},
    "with logprobs": {"logprobs": True, "top_logprobs": 2},
    "one token": {"max_tokens": 1},
}


@pytest.mark.parametrize("drafted", [False, True], ids=["text", "draft model"])
@pytest.mark.parametrize("settings", CASES.values(), ids=list(CASES))
def test_guessing_changes_nothing_but_the_number_of_steps(
    llama: Llama, small: Llama, settings: dict[str, object], drafted: bool
) -> None:
    one_by_one, ahead = plain(llama), guessing(llama, small if drafted else None)
    wanted = {"max_tokens": 120, "return_tokens": True, **settings}
    request_id = one_by_one.add(ECHO, **wanted)
    one_by_one.run()
    llama.forget_all()
    assert ahead.add(ECHO, **wanted) == request_id
    ahead.run()
    before, after = one_by_one.finished[request_id], ahead.finished[request_id]
    assert ahead.text == one_by_one.text
    assert (after.reason, after.stop, after.tokens) == (before.reason, before.stop, before.tokens)
    assert after.completion_tokens == before.completion_tokens
    assert before.draft_tokens == before.accepted_tokens == 0
    assert [(p.token, len(p.top)) for p in ahead.logprobs[request_id]] == [
        (p.token, len(p.top)) for p in one_by_one.logprobs[request_id]
    ]
    assert [p.logprob for p in ahead.logprobs[request_id]] == pytest.approx(
        [p.logprob for p in one_by_one.logprobs[request_id]], abs=1e-4
    )


@pytest.mark.parametrize("drafted", [False, True], ids=["text", "draft model"])
def test_true_guesses_save_steps_and_are_counted(llama: Llama, small: Llama, drafted: bool) -> None:
    driver = guessing(llama, small if drafted else None)
    request_id = driver.add(ECHO, max_tokens=100)
    driver.run()
    finished = driver.finished[request_id]
    assert 10 < finished.accepted_tokens <= finished.draft_tokens
    assert len(driver.frames) == finished.completion_tokens - finished.accepted_tokens
    last = driver.frames[-1]
    assert (last.draft_tokens, last.accepted_tokens) == (finished.draft_tokens, finished.accepted_tokens)


def test_a_request_may_forbid_guessing(llama: Llama, small: Llama) -> None:
    driver = guessing(llama, small)
    request_id = driver.add(ECHO, max_tokens=60, draft_tokens=0)
    driver.run()
    assert driver.finished[request_id].draft_tokens == 0


def test_refuted_guesses_leave_no_cells_behind(llama: Llama) -> None:
    driver = guessing(llama)
    driver.add(START, max_tokens=200)
    driver.run()
    assert driver.frames[-1].accepted_tokens < driver.frames[-1].draft_tokens
    driver.engine.cells.trim(0)
    assert driver.engine.cells_used == 0
    assert driver.answer(START, max_tokens=60) == plain(llama).answer(START, max_tokens=60)


def test_a_draft_model_reads_a_long_prompt_in_pieces(llama: Llama, shared_models: Path) -> None:
    narrow = load_llama(shared_models / "gguf/stories260K-q4_0.gguf", n_batch=16, n_seq_max=4, f32=False)
    driver = guessing(llama, narrow)
    request_id = driver.add(f"{START}, there was a dog. " * 8, max_tokens=60)
    driver.run()
    assert driver.finished[request_id].accepted_tokens > 0
    narrow.close()


def test_a_draft_model_without_room_guesses_for_those_that_fit(llama: Llama, shared_models: Path) -> None:
    cramped = load_llama(shared_models / "gguf/stories260K-q4_0.gguf", n_ctx=256, n_batch=64, n_seq_max=2, f32=False)
    driver = guessing(llama, cramped)
    ids = [driver.add(text, max_tokens=120) for text in (START, "The dog", "Tim had", ECHO)]
    driver.run()
    alone = plain(llama)
    assert [driver.text[i] for i in ids] == [
        alone.answer(text, max_tokens=120) for text in (START, "The dog", "Tim had", ECHO)
    ]
    assert driver.frames[-1].accepted_tokens > 0
    cramped.close()


@pytest.mark.parametrize("name", ["babyllama361-f16", "rwkv7-834k-f32"])
def test_a_draft_model_that_does_not_fit_is_refused(llama: Llama, shared_models: Path, name: str) -> None:
    other = load_llama(shared_models / f"gguf/{name}.gguf", n_ctx=256, n_seq_max=4)
    with pytest.raises(LoadError, match="draft model"):
        DraftModel(other, llama)
    other.close()


def test_a_draft_model_of_equal_size_but_other_words_is_refused(llama: Llama, wren_gguf: Path, tmp_path: Path) -> None:
    other = load_llama(wren_gguf, f32=False)
    with pytest.raises(LoadError, match="another vocabulary"):
        DraftModel(other, llama)
    other.close()


SCHEMA = {
    "type": "object",
    "properties": {
        "favourite_animal": {"enum": ["a large elephant", "a tiny mouse"]},
        "number_of_friends": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["favourite_animal", "number_of_friends"],
    "additionalProperties": False,
}
GRAMMAR = json.dumps({"grammars": [{"json_schema": {**SCHEMA, "x-guidance": {"whitespace_flexible": False}}}]})


class Unforced(Constraint):
    """A constraint that has every token sampled."""

    def forced(self) -> list[int]:
        return []


def constrained(driver: Driver, kind: type[Constraint], **settings: object) -> tuple[str, wire.Finished, int]:
    constraint = ConstraintFactory(driver.llama).build(GRAMMAR)
    constraint.__class__ = kind
    request_id = driver.add(START, constraint=constraint, max_tokens=200, return_tokens=True, **settings)
    driver.run()
    return driver.text[request_id], driver.finished[request_id], len(driver.frames)


@pytest.mark.parametrize("seed", range(6))
def test_forced_tokens_are_those_that_sampling_gives(llama: Llama, seed: int) -> None:
    settings = {
        "sampling": wire.Sampling(temperature=0.9, seed=seed, repeat_penalty=1.2)
        if seed
        else wire.Sampling(temperature=0)
    }
    sampled = constrained(plain(llama), Unforced, **settings)
    forced = constrained(plain(llama), Constraint, **settings)
    both = constrained(guessing(llama), Constraint, **settings)
    assert sampled[0] == forced[0] == both[0]
    assert sampled[1].tokens == forced[1].tokens == both[1].tokens
    assert set(json.loads(forced[0])) == {"favourite_animal", "number_of_friends"}
    assert forced[2] < sampled[2] / 2


def test_forced_tokens_count_and_have_logprobs(llama: Llama) -> None:
    driver = plain(llama)
    constraint = ConstraintFactory(llama).build(GRAMMAR)
    request_id = driver.add(START, constraint=constraint, max_tokens=200, logprobs=True, top_logprobs=2)
    driver.run()
    logprobs = driver.logprobs[request_id]
    assert b"".join(entry.token for entry in logprobs).decode() == driver.text[request_id]
    assert len(logprobs) == driver.finished[request_id].completion_tokens
    assert {entry.logprob for entry in logprobs} > {0.0}
    assert all(score > -1e30 for entry in logprobs for _, score in entry.top), "what is forbidden is no alternative"


@pytest.mark.parametrize("most", range(1, 12))
def test_forced_tokens_keep_to_max_tokens(llama: Llama, most: int) -> None:
    driver = plain(llama)
    constraint = ConstraintFactory(llama).build(GRAMMAR)
    request_id = driver.add(START, constraint=constraint, max_tokens=most)
    driver.run()
    finished = driver.finished[request_id]
    assert (finished.completion_tokens, finished.reason) == (most, "length")


def test_constrained_and_free_requests_share_steps(llama: Llama) -> None:
    alone = constrained(plain(llama), Constraint)[0]
    driver = guessing(llama)
    constraint = ConstraintFactory(llama).build(GRAMMAR)
    ids = [driver.add(START, constraint=constraint, max_tokens=200), driver.add("The dog", max_tokens=40)]
    driver.run()
    assert driver.text[ids[0]] == alone
    assert driver.text[ids[1]] == plain(llama).answer("The dog", max_tokens=40)
