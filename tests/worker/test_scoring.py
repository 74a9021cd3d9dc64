"""Log probabilities of a prompt's own tokens, on a real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.drive import Driver, load_llama

pytestmark = pytest.mark.model

START = "Once upon a time"


def test_a_prompt_is_as_likely_as_it_was_when_it_was_an_answer(driver: Driver) -> None:
    said = driver.add(START, max_tokens=200, logprobs=True, top_logprobs=2)
    driver.run()
    request_id = driver.add(START + driver.text[said], max_tokens=1, prompt_logprobs=True, top_logprobs=2)
    others = [driver.add("The dog " * n, max_tokens=30) for n in (1, 40)]
    driver.run()
    answered, scored = driver.logprobs[said], driver.prompt_logprobs[request_id]
    tail = scored[-len(answered) :]
    assert len(scored) == driver.finished[request_id].prompt_tokens > 200
    assert [entry.token for entry in tail] == [entry.token for entry in answered]
    assert [entry.logprob for entry in tail] == pytest.approx([entry.logprob for entry in answered], abs=1e-3)
    assert [[token for token, _ in entry.top] for entry in tail] == [
        [token for token, _ in entry.top] for entry in answered
    ]
    assert not any(driver.prompt_logprobs[other] for other in (said, *others))


def test_a_bos_that_nobody_wrote_has_no_text_and_the_rest_is_the_prompt(driver: Driver) -> None:
    request_id = driver.add(START, max_tokens=1, prompt_logprobs=True)
    driver.run()
    scored = driver.prompt_logprobs[request_id]
    assert (scored[0].token, scored[0].logprob, scored[0].top) == (b"", 0.0, [])
    assert b"".join(entry.token for entry in scored).decode().strip() == START
    assert all(entry.logprob < 0 for entry in scored[1:])


def test_every_token_is_told_although_the_prompt_is_remembered(driver: Driver) -> None:
    ids = []
    for _ in range(2):
        ids.append(driver.add(START, max_tokens=1, prompt_logprobs=True))
        driver.run()
    first, second = (driver.prompt_logprobs[request_id] for request_id in ids)
    assert first == second
    assert driver.finished[ids[1]].cached_tokens == 0


def test_a_request_that_lost_its_cells_tells_each_token_once(shared_models: Path) -> None:
    small = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=512, n_batch=64)
    driver = Driver(small)
    asked = [driver.add(f"{START} {n} there was a dog. " * 9, max_tokens=60, prompt_logprobs=True) for n in range(4)]
    driver.run()
    assert driver.engine.preemptions
    for request_id in asked:
        assert len(driver.prompt_logprobs[request_id]) == driver.finished[request_id].prompt_tokens
    small.close()
