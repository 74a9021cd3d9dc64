"""The embedding engine on a real BERT."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ollamapy import wire
from ollamapy.worker.embedding import EmbeddingEngine
from ollamapy.worker.llama import Llama
from tests.worker.drive import ticking

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def llama(shared_models: Path) -> Iterator[Llama]:
    path = str(shared_models / "gguf/glove25-bert-f16.gguf")
    loaded = Llama(
        wire.LoadModel(path, [], n_ctx=512, n_batch=512, n_seq_max=64, n_threads=1, embeds=True), lambda _: None
    )
    yield loaded
    loaded.close()


class EmbedDriver:
    def __init__(self, llama: Llama) -> None:
        self.llama = llama
        self.answers: dict[int, wire.Embeddings | wire.Failed] = {}
        self.engine = EmbeddingEngine(llama, self._receive, ticking())

    def _receive(self, message: wire.Message) -> None:
        assert isinstance(message, wire.Embeddings | wire.Failed)
        self.answers[message.id] = message

    def add(self, request_id: int, texts: list[str], **settings: object) -> None:
        request = wire.Embed(request_id, [[wire.Segment(t)] for t in texts], **{"num_ctx": 512, **settings})  # type: ignore[arg-type]
        self.engine.add(request, [self.llama.tokenize(t, add_special=True, parse_special=True) for t in texts])

    def run(self) -> None:
        while self.engine.is_busy:
            self.engine.step()

    def vectors(self, request_id: int) -> np.ndarray:
        answer = self.answers[request_id]
        assert isinstance(answer, wire.Embeddings), answer
        return np.array([np.frombuffer(vector, "<f4") for vector in answer.vectors])


@pytest.fixture
def driver(llama: Llama) -> EmbedDriver:
    return EmbedDriver(llama)


def test_vectors_are_unit_length_and_near_for_near_texts(driver: EmbedDriver) -> None:
    driver.add(1, ["the cat sat", "a cat was sitting", "stock markets fell sharply"])
    driver.run()
    vectors = driver.vectors(1)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > cosines[0, 2]


def test_a_thousand_texts_fill_the_batches_and_keep_their_order(driver: EmbedDriver) -> None:
    texts = [f"text number {i} about {'cats' if i % 2 else 'markets'}" for i in range(1000)]
    driver.add(1, texts)
    driver.run()
    together = driver.vectors(1)
    answer = driver.answers[1]
    assert isinstance(answer, wire.Embeddings)
    full_batches = -(-answer.prompt_tokens // 512)
    assert driver.engine.steps <= max(full_batches * 1.15, 1000 / 64 + 1)
    driver.add(2, texts[77:78])
    driver.run()
    assert np.allclose(together[77], driver.vectors(2)[0], atol=1e-4)


def test_requests_share_a_batch(driver: EmbedDriver) -> None:
    for request_id in range(1, 6):
        driver.add(request_id, ["one", "two"])
    driver.run()
    assert driver.engine.steps == 1
    assert len(driver.answers) == 5


def test_a_long_input_is_cut_and_counted_or_refused(driver: EmbedDriver) -> None:
    text = "the cat sat on the mat " * 20
    driver.add(1, [text, "short"], num_ctx=16)
    driver.add(2, [text], num_ctx=16, truncate=False)
    driver.run()
    answer, refused = driver.answers[1], driver.answers[2]
    assert isinstance(answer, wire.Embeddings)
    assert answer.truncated == 1
    assert isinstance(refused, wire.Failed)
    assert refused.kind == "context_length"
    assert refused.numbers[1] == 16


def test_dimensions_cut_and_scale_again(driver: EmbedDriver) -> None:
    driver.add(1, ["the cat sat"], dimensions=8)
    driver.add(2, ["the cat sat"])
    driver.run()
    short, whole = driver.vectors(1)[0], driver.vectors(2)[0]
    assert short.shape == (8,)
    assert np.allclose(short, whole[:8] / np.linalg.norm(whole[:8]), atol=1e-5)


def test_no_inputs_give_no_vectors(driver: EmbedDriver) -> None:
    driver.add(1, [])
    answer = driver.answers[1]
    assert isinstance(answer, wire.Embeddings)
    assert answer.vectors == []


def test_cosines_are_those_of_the_reference(driver: EmbedDriver, shared_models: Path) -> None:
    reference = json.loads((shared_models / "expected.json").read_text())["glove25-bert-f16.gguf"]
    driver.add(1, reference["sentences"])
    driver.run()
    vectors = driver.vectors(1)
    assert np.allclose(vectors @ vectors.T, np.array(reference["cosine"]), atol=2e-3)
