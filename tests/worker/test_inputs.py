"""Inputs of an embedding model, on the vocabulary of a real BERT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ollamapy import wire
from ollamapy.errors import InvalidInputError
from ollamapy.worker.embedding import EmbeddingEngine
from ollamapy.worker.inputs import embed_inputs, pair_tokens, tokenize
from ollamapy.worker.llama import Llama
from tests.reranker import make_reranker
from tests.worker.drive import ticking

pytestmark = pytest.mark.model
CLS, SEP = 101, 102


def load(path: Path) -> Llama:
    return Llama(wire.LoadModel(str(path), [], n_ctx=512, n_batch=512, n_threads=1, embeds=True), lambda _: None)


@pytest.fixture(scope="module")
def llama(shared_models: Path) -> Iterator[Llama]:
    loaded = load(shared_models / "gguf/glove25-bert-f16.gguf")
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def reranker(shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    path = tmp_path_factory.mktemp("reranker") / "reranker.gguf"
    make_reranker(shared_models / "gguf/glove25-bert-f16.gguf", path)
    loaded = load(path)
    yield loaded
    loaded.close()


def plain(text: str) -> wire.Segment:
    return wire.Segment(text, special=False)


def test_texts_are_framed_and_tokens_are_left_as_they_are(llama: Llama) -> None:
    words = llama.tokenize("the cat", add_special=False, parse_special=False)
    request = wire.Embed(1, [[plain("the cat")]], 512, tokens=[[CLS, 7], [9]])
    assert embed_inputs(llama, request) == [[CLS, *words, SEP], [CLS, 7], [9]]


def test_text_from_users_never_becomes_a_control_token(llama: Llama) -> None:
    (tokens,) = embed_inputs(llama, wire.Embed(1, [[plain("[SEP] [CLS]")]], 512))
    assert tokens.count(SEP) == tokens.count(CLS) == 1


@pytest.mark.parametrize("token", [-1, 12_092, 1 << 30])
def test_tokens_of_another_vocabulary_are_refused(llama: Llama, token: int) -> None:
    with pytest.raises(InvalidInputError, match=f"token {token} is not in the vocabulary, which has 12092 tokens"):
        embed_inputs(llama, wire.Embed(1, [], 512, tokens=[[1, token]]))


def test_an_input_without_tokens_is_refused(llama: Llama) -> None:
    with pytest.raises(InvalidInputError, match="an input is empty"):
        embed_inputs(llama, wire.Embed(1, [[plain("x")]], 512, tokens=[[]]))
    assert embed_inputs(llama, wire.Embed(1, [[plain("")]], 512)) == [[CLS, SEP]]


def test_a_pair_is_read_as_bert_was_trained(llama: Llama) -> None:
    query = llama.tokenize("animals", add_special=False, parse_special=False)
    document = llama.tokenize("the cat", add_special=False, parse_special=False)
    pair = [plain("animals"), plain("the cat")]
    assert embed_inputs(llama, wire.Embed(1, [pair], 512, pairs=True)) == [[CLS, *query, SEP, *document, SEP]]
    framed = wire.Embed(1, [pair], 512, pairs=True, add_special=False)
    assert embed_inputs(llama, framed) == [[*query, *document]]


class Roberta:
    """A vocabulary that ends texts with an EOS and has a separator besides."""

    adds_bos = adds_eos = True
    separator = (2,)
    bos_token = "<s>"

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return [0, *map(ord, text), 2] if add_special else [*map(ord, text)]


def test_a_pair_is_read_as_xlm_r_was_trained() -> None:
    tokens = pair_tokens(Roberta(), [plain("q"), plain("d")], add_special=True)  # type: ignore[arg-type]
    assert tokens == [0, ord("q"), 2, 2, ord("d"), 2]


def test_a_prompt_that_begins_with_its_bos_gets_no_second_one() -> None:
    assert tokenize(Roberta(), [wire.Segment("<s>a")], add_special=True) == [*map(ord, "<s>a")]  # type: ignore[arg-type]


def test_a_reranker_gives_one_score_per_document(reranker: Llama) -> None:
    documents = ["stock markets fell", "a dog and a cat", "cat cat cat"]
    request = wire.Embed(1, [[plain("animals"), plain(text)] for text in documents], 512, pairs=True)
    sent: list[wire.Message] = []
    engine = EmbeddingEngine(reranker, sent.append, ticking())
    engine.add(request, embed_inputs(reranker, request))
    while engine.is_busy:
        engine.step()
    (answer,) = sent
    assert isinstance(answer, wire.Embeddings)
    scores = [np.frombuffer(vector, "<f4") for vector in answer.vectors]
    assert [score.shape for score in scores] == [(1,)] * 3
    assert scores == sorted(scores)
