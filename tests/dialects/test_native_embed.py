import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.dialects.fields import Fields
from ollamapy.dialects.native import encode
from ollamapy.dialects.native_embed import (
    embed_body,
    embed_request,
    embedding_body,
    embedding_request,
    rerank_record,
    rerank_request,
    vector_json,
)
from ollamapy.errors import InvalidInputError, OptionError
from ollamapy.types import Embedded, EmbedRequest, Options, Reranked, RerankRequest

RERANK = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}]}


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        pytest.param({}, (), id="absent"),
        pytest.param({"input": None}, (), id="null"),
        pytest.param({"input": ""}, (), id="empty text"),
        pytest.param({"input": []}, (), id="empty array"),
        pytest.param({"input": "a"}, ("a",), id="text"),
        pytest.param({"input": ["a", ""]}, ("a", ""), id="texts, of which one is empty"),
    ],
)
def test_inputs_are_a_text_or_texts(given, inputs):
    assert embed_request(Fields({"model": "m", **given})) == EmbedRequest("m", inputs)


def test_all_fields_of_an_embed_are_read():
    fields = {"input": "a", "truncate": False, "dimensions": 8, "options": {"num_ctx": 64}, "keep_alive": "1m"}
    assert embed_request(Fields({"model": "m", **fields})) == EmbedRequest(
        "m", ("a",), truncate=False, dimensions=8, options=Options(num_ctx=64), keep_alive_seconds=60.0
    )


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"input": 3}, r"invalid input type: .*\"input\" must be a string or an array of strings, not a number"),
        ({"input": {"a": 1}}, "invalid input type"),
        ({"input": ["a", 1]}, r"invalid input type: field \"input\[1\]\" must be a string, not a number"),
        ({"input": [[1, 2]]}, r"/v1/embeddings"),
        ({"input": "a", "dimensions": -1}, r"field \"dimensions\" must be a whole number between 0 and 65536"),
        ({"input": "a", "dimensions": 1e9}, "dimensions"),
        ({"input": "a", "dimensions": 1.5}, "dimensions"),
        ({"input": "a", "truncate": "no"}, "truncate"),
    ],
)
def test_what_can_not_be_embedded_is_named(given, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        embed_request(Fields({"model": "m", **given}))


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match="num_ctx"):
        embed_request(Fields({"model": "m", "input": "a", "options": {"num_ctx": -1}}))


def test_the_older_route_takes_one_prompt_that_is_not_cut():
    request = embedding_request(Fields({"model": "m", "prompt": "a"}))
    assert request == EmbedRequest("m", ("a",), truncate=False, as_trained=True)
    assert embedding_request(Fields({"model": "m"})).inputs == ()
    with pytest.raises(InvalidInputError, match="model is required"):
        embedding_request(Fields({"prompt": "a"}))


def test_an_answer_has_all_its_numbers_always():
    assert json.loads(embed_body("m", Embedded())) == {
        "model": "m",
        "embeddings": [],
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": 0,
    }
    vectors = (struct.pack("<2f", 0.5, -1), struct.pack("<2f", 0, 2))
    answer = json.loads(embed_body("m", Embedded(vectors, 7, 1, 2.5, 0.5)))
    assert answer["embeddings"] == [[0.5, -1], [0, 2]]
    assert (answer["prompt_eval_count"], answer["truncated_inputs"]) == (7, 1)
    assert (answer["total_duration"], answer["load_duration"]) == (2_500_000_000, 500_000_000)


def test_the_older_answer_is_one_vector():
    assert json.loads(embedding_body(Embedded((struct.pack("<f", 0.25),)))) == {"embedding": [0.25]}
    assert json.loads(embedding_body(Embedded())) == {"embedding": []}


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_numbers_are_told_exactly(values):
    form = struct.Struct(f"<{len(values)}f")
    told = json.loads(vector_json(form.pack(*values)))
    assert list(form.unpack(form.pack(*told))) == values


def test_documents_are_texts_or_objects_with_one():
    assert rerank_request(Fields(RERANK)) == RerankRequest("m", "q", ("a", "b"))
    more = {"top_n": 1, "truncate": False, "return_documents": True}
    assert rerank_request(Fields({**RERANK, **more})) == RerankRequest(
        "m", "q", ("a", "b"), 1, False, return_documents=True
    )


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"model": " "}, "model is required"),
        ({"query": ""}, '"query"'),
        ({"documents": []}, '"documents" must be an array of at least one text'),
        ({"documents": "a"}, '"documents" must be an array, not a string'),
        ({"documents": ["a", 1]}, r'"documents\[1\]"'),
        ({"documents": [{"body": "a"}]}, r'"documents\[0\]"'),
        ({"top_n": 0}, '"top_n"'),
        ({"top_n": 1 << 40}, '"top_n"'),
    ],
)
def test_what_can_not_be_reranked_is_named(given, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        rerank_request(Fields({**RERANK, **given}))


def test_a_reranking_tells_indexes_scores_and_documents_on_request():
    reranked = Reranked(((1, 0.5), (0, -0.5)), 9, 2, 1.0, 0.5)
    plain = json.loads(encode(rerank_record(RerankRequest("m", "q", ("a", "b")), reranked)))
    assert plain["results"] == [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": -0.5}]
    assert (plain["prompt_eval_count"], plain["truncated_inputs"]) == (9, 2)
    told = rerank_record(RerankRequest("m", "q", ("a", "b"), return_documents=True), reranked)
    assert [score.document for score in told.results] == ["b", "a"]
