import base64
import json
import struct

import pytest

from ollamapy.dialects.fields import Fields
from ollamapy.dialects.openai_embed import embeddings_body, embeddings_request, rerank_body
from ollamapy.errors import InvalidInputError
from ollamapy.types import Embedded, EmbedRequest, Reranked, RerankRequest

VECTORS = (struct.pack("<2f", 0.5, -1), struct.pack("<2f", 0, 2))


def request(**fields):
    return embeddings_request(Fields({"model": "m", "input": "a", **fields}))


@pytest.mark.parametrize(
    ("given", "texts", "tokens"),
    [
        pytest.param("a", ("a",), (), id="text"),
        pytest.param("", ("",), (), id="empty text"),
        pytest.param(["a", "b"], ("a", "b"), (), id="texts"),
        pytest.param([1, 2], (), ((1, 2),), id="tokens"),
        pytest.param([[1, 2], [3]], (), ((1, 2), (3,)), id="arrays of tokens"),
    ],
)
def test_inputs_have_four_forms(given, texts, tokens):
    assert request(input=given).embed == EmbedRequest("m", texts, tokens)


@pytest.mark.parametrize(
    "given", [None, [], 3, {}, ["a", 1], [1, "a"], [[1], "a"], [1.5], [True], [-1], [1 << 31], [[[1]]]]
)
def test_other_inputs_are_invalid(given):
    with pytest.raises(InvalidInputError, match="invalid input"):
        request(input=given)


@pytest.mark.parametrize(("word", "is_base64"), [("float", False), ("BASE64", True), ("", False), (None, False)])
def test_the_encoding_is_float_unless_told_otherwise(word, is_base64):
    assert request(encoding_format=word).is_base64 is is_base64


def test_another_encoding_is_refused_in_ollamas_words():
    with pytest.raises(InvalidInputError) as caught:
        request(encoding_format="hex")
    text = "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64']."
    assert caught.value.message == text


@pytest.mark.parametrize("dimensions", [-1, 1 << 20, 0.5])
def test_dimensions_have_a_range(dimensions):
    with pytest.raises(InvalidInputError, match='"dimensions" must be a whole number between 0 and 65536'):
        request(dimensions=dimensions)
    assert request(dimensions=3).embed.dimensions == 3


def test_an_answer_numbers_its_vectors():
    answer = json.loads(embeddings_body(request(), Embedded(VECTORS, 7)))
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1]},
            {"object": "embedding", "index": 1, "embedding": [0, 2]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_base64_holds_the_float32_numbers_and_cuts_are_told():
    answer = json.loads(embeddings_body(request(encoding_format="base64"), Embedded(VECTORS, 7, 2)))
    assert [base64.b64decode(entry["embedding"]) for entry in answer["data"]] == list(VECTORS)
    assert answer["truncated_inputs"] == 2


def test_a_reranking_has_jinas_shape():
    ask = RerankRequest("m", "q", ("a", "b"), return_documents=True)
    answer = json.loads(rerank_body(ask, Reranked(((1, 0.5),), 9)))
    assert answer == {
        "object": "list",
        "model": "m",
        "results": [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }
