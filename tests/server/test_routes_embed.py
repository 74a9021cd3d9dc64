"""The routes of embedding models: on a real BERT, with the packages that clients use, and on workers that misbehave."""

import asyncio
import base64
import hashlib
import json
import math
import struct
from concurrent.futures import ThreadPoolExecutor

import httpx
import ollama
import openai
import pytest
from gguf import GGUFReader

from tests.fakes.worker import fake_worker_command
from tests.reranker import make_reranker
from tests.server.conftest import running
from tests.server.test_disconnects import cancelled, loaded, open_request, wait_until

pytestmark = pytest.mark.model
TEXTS = [f"text number {i} about {'cats' if i % 2 else 'markets'}" for i in range(1000)]
GLOVE = "glove25-bert-f16.gguf"


def create(daemon, name, path):
    data = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert daemon.client.post(f"/api/blobs/{digest}", content=data).status_code == 201
    assert daemon.lines("/api/create", {"model": name, "files": {path.name: digest}})[-1] == {"status": "success"}


@pytest.fixture(scope="module")
def real(tmp_path_factory, shared_models):
    """A daemon with an embedding model, a reranker, and the chat model that comes with it."""
    folder = tmp_path_factory.mktemp("embed")
    make_reranker(shared_models / "gguf" / GLOVE, folder / "reranker.gguf")
    with running(folder, max_loaded_models=2) as daemon:
        create(daemon, "glove", shared_models / "gguf" / GLOVE)
        create(daemon, "reranker", folder / "reranker.gguf")
        yield daemon


@pytest.fixture(scope="module")
def faked(tmp_path_factory, shared_models):
    """A daemon whose workers do what a text says."""
    with running(tmp_path_factory.mktemp("faked"), fake_worker_command()) as daemon:
        create(daemon, "glove", shared_models / "gguf" / GLOVE)
        yield daemon


def embed(daemon, texts, **fields):
    response = daemon.client.post("/api/embed", json={"model": "glove", "input": texts, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def refusal(daemon, path, **fields):
    response = daemon.client.post(path, json={"model": "glove", **fields})
    error = response.json()["error"]
    return response.status_code, error["message"] if path.startswith("/v1/") else error


def test_the_bundled_model_puts_paraphrases_nearer_than_other_sentences(real):
    triples = (
        ("What is the weather in Bergamo?", "Tell me the temperature in Bergamo.", "What time is it in Bergamo?"),
        ("Ophelia works as a goldsmith.", "The job of Ophelia is being a goldsmith.", "Ophelia works as a locksmith."),
        ("How do I pull a model?", "Tell me the command to download a model.", "How do I list all models?"),
    )
    for texts in triples:
        anchor, same, other = embed(real, list(texts), model="wren-embed")["embeddings"]
        assert cosine(anchor, same) > cosine(anchor, other)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


# ---- Ollama's routes


def test_near_texts_have_near_vectors_of_length_one(real):
    answer = embed(real, ["the cat sat", "a cat was sitting", "stock markets fell sharply"])
    first, near, far = answer["embeddings"]
    assert cosine(first, first) == pytest.approx(1, abs=1e-5)
    assert cosine(first, near) > cosine(first, far)
    assert answer["model"] == "glove"
    assert answer["prompt_eval_count"] > 10
    assert all(type(answer[key]) is int for key in ("total_duration", "load_duration", "prompt_eval_count"))
    assert answer["total_duration"] > 0


def test_cosines_are_those_of_the_reference(real, shared_models):
    reference = json.loads((shared_models / "expected.json").read_text())[GLOVE]
    vectors = embed(real, reference["sentences"])["embeddings"]
    for vector, row in zip(vectors, reference["cosine"], strict=True):
        assert [cosine(vector, other) for other in vectors] == pytest.approx(row, abs=2e-3)


def test_a_thousand_texts_keep_their_order(real):
    together = embed(real, TEXTS)
    assert len(together["embeddings"]) == 1000
    for index in (0, 1, 63, 64, 500, 999):
        (alone,) = embed(real, TEXTS[index])["embeddings"]
        assert together["embeddings"][index] == pytest.approx(alone, abs=1e-4)


def test_several_clients_get_their_own_vectors(real):
    expected = embed(real, TEXTS[:200])["embeddings"]

    def ask(client):
        start = client * 20
        vectors = embed(real, TEXTS[start : start + 120])["embeddings"]
        return all(
            vector == pytest.approx(wanted, abs=1e-4)
            for vector, wanted in zip(vectors[: 200 - start], expected[start : start + 120], strict=True)
        )

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(ask, range(5))) == [True] * 5


def test_no_input_loads_or_unloads_the_model(real):
    for body in ({}, {"input": ""}, {"input": []}):
        answer = real.client.post("/api/embed", json={"model": "glove", **body}).json()
        assert (answer["embeddings"], answer["prompt_eval_count"]) == ([], 0)
    assert "glove:latest" in [model["name"] for model in loaded(real)]
    real.client.post("/api/embed", json={"model": "glove", "keep_alive": 0})
    wait_until(lambda: "glove:latest" not in [model["name"] for model in loaded(real)])
    assert len(embed(real, [""])["embeddings"][0]) == 64


def test_dimensions_cut_vectors_to_length_one_again(real):
    (whole,), (short,) = embed(real, "a cat")["embeddings"], embed(real, "a cat", dimensions=8)["embeddings"]
    assert len(short) == 8
    assert cosine(short, short) == pytest.approx(1, abs=1e-5)
    assert cosine(short, whole[:8]) > 0
    assert embed(real, "a cat", dimensions=64)["embeddings"] == embed(real, "a cat", dimensions=999)["embeddings"]


def test_what_is_cut_is_counted_and_nothing_is_cut_without_leave(real):
    long = "cat " * 600
    answer = embed(real, [long, "short", long])
    assert (answer["truncated_inputs"], answer["prompt_eval_count"]) == (2, 2 * 512 + 3)
    assert "truncated_inputs" not in embed(real, "short")
    assert embed(real, "the cat sat on the mat", options={"num_ctx": 4})["prompt_eval_count"] == 4
    status, text = refusal(real, "/api/embed", input=["short", long], truncate=False)
    assert status == 400
    assert text.startswith("the input length exceeds the context length: an input has 602 tokens, 512 are possible")


def test_a_small_batch_is_a_limit_and_no_crash(real):
    answer = embed(real, ["the cat " * 40, "a dog"], options={"num_batch": 1})
    assert (len(answer["embeddings"]), answer["truncated_inputs"], answer["prompt_eval_count"]) == (2, 1, 64 + 4)


def test_the_older_route_answers_with_one_vector(real):
    vector = real.client.post("/api/embeddings", json={"model": "glove", "prompt": "a cat"}).json()["embedding"]
    assert vector == pytest.approx(embed(real, "a cat")["embeddings"][0], abs=1e-6)
    assert real.client.post("/api/embeddings", json={"model": "glove"}).json() == {"embedding": []}
    status, text = refusal(real, "/api/embeddings", prompt="cat " * 600)
    assert (status, "exceeds the context length" in text) == (400, True)


@pytest.mark.parametrize("path", ["/api/embed", "/v1/embeddings", "/api/embeddings"])
def test_models_that_are_not_there_or_make_no_vectors_are_told(real, path):
    field = "prompt" if path == "/api/embeddings" else "input"
    absent = 'model "nope" not found, try pulling it first'
    assert refusal(real, path, **{"model": "nope", field: "a"}) == (404, absent)
    for model, why in (("wren", "no way to pool a text"), ("reranker", "ask it at /api/rerank")):
        status, text = refusal(real, path, **{"model": model, field: "a"})
        assert (status, why in text) == (400, True)
    assert refusal(real, path, **{"model": "a/b/c/d/e", field: "a"})[0] == 400


def test_a_model_must_be_named(real):
    assert refusal(real, "/api/embed", model="", input="a") == (404, "model '' not found")
    assert refusal(real, "/v1/embeddings", model="", input="a") == (404, "model '' not found")
    assert refusal(real, "/api/embeddings", model="", prompt="a") == (400, "model is required")


def test_an_embedding_model_does_not_chat_but_counts_tokens(real):
    assert refusal(real, "/api/generate", prompt="a")[0] == 400
    assert refusal(real, "/api/chat", messages=[{"role": "user", "content": "a"}])[0] == 400
    tokens = real.client.post("/api/tokenize", json={"model": "glove", "content": "the cat"}).json()["tokens"]
    assert len(tokens) == 2
    assert real.client.post("/api/show", json={"model": "glove"}).json()["capabilities"] == ["embedding"]


# ---- reranking


@pytest.mark.parametrize("path", ["/api/rerank", "/v1/rerank"])
def test_documents_are_sorted_by_their_score(real, path):
    documents = ["stock markets fell", "cat cat cat", {"text": "a dog and a cat"}]
    body = {"model": "reranker", "query": "animals", "documents": documents}
    answer = real.client.post(path, json=body).json()
    assert [result["index"] for result in answer["results"]] == [1, 2, 0]
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    best = real.client.post(path, json={**body, "top_n": 1, "return_documents": True}).json()["results"]
    shown = "cat cat cat" if path == "/api/rerank" else {"text": "cat cat cat"}
    assert [(result["index"], result["document"]) for result in best] == [(1, shown)]


def test_hundreds_of_documents_are_scored_and_cuts_counted(real):
    body = {"model": "reranker", "query": "animals", "documents": [*TEXTS[:300], "cat " * 600]}
    answer = real.client.post("/api/rerank", json=body).json()
    assert sorted(result["index"] for result in answer["results"]) == list(range(301))
    assert (answer["results"][0]["index"], answer["truncated_inputs"]) == (300, 1)
    response = real.client.post("/api/rerank", json={**body, "truncate": False})
    assert (response.status_code, "exceeds the context length" in response.json()["error"]) == (400, True)


@pytest.mark.parametrize(("model", "why"), [("glove", "no reranker"), ("wren", "does not support")])
def test_other_models_do_not_rerank(real, model, why):
    status, text = refusal(real, "/v1/rerank", model=model, query="q", documents=["a"])
    assert (status, why in text) == (400, True)


# ---- the packages of others


def test_the_ollama_package_is_served(real):
    with ollama.Client(host=real.url, trust_env=False) as client:
        answer = client.embed("glove", ["a cat", "a dog"], dimensions=16)
        assert [len(vector) for vector in answer.embeddings] == [16, 16]
        assert answer.prompt_eval_count == 8
        assert len(client.embed("glove", "a cat").embeddings) == 1
        assert len(client.embeddings("glove", "a cat").embedding) == 64
        assert client.embeddings("glove", "").embedding == []
        with pytest.raises(ollama.ResponseError, match="try pulling it first"):
            client.embed("nope", "a cat")


def test_many_asynchronous_ollama_clients_are_served(real):
    wanted = embed(real, TEXTS[:40])["embeddings"]

    async def ask():
        async with ollama.AsyncClient(host=real.url, trust_env=False) as client:
            return await asyncio.gather(*(client.embed("glove", text) for text in TEXTS[:40]))

    for answer, vector in zip(asyncio.run(ask()), wanted, strict=True):
        assert list(answer.embeddings[0]) == pytest.approx(vector, abs=1e-4)


def test_the_openai_package_is_served_in_both_encodings(real):
    with openai.OpenAI(base_url=f"{real.url}/v1", api_key="any", http_client=httpx.Client(trust_env=False)) as client:
        packed = client.embeddings.create(model="glove", input=TEXTS)  # asks for base64 by itself
        plain = client.embeddings.create(model="glove", input=TEXTS[:3], encoding_format="float", dimensions=64)
        assert [entry.index for entry in packed.data] == list(range(1000))
        for one, other in zip(packed.data, plain.data, strict=False):
            assert one.embedding == pytest.approx(other.embedding, abs=1e-4)
        assert packed.usage.prompt_tokens == packed.usage.total_tokens > 1000
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="nope", input="a")
        with pytest.raises(openai.BadRequestError, match="pool a text"):
            client.embeddings.create(model="wren", input="a")


def test_token_ids_are_taken_as_they_are(real):
    tokens = real.client.post("/api/tokenize", json={"model": "glove", "content": "the cat"}).json()["tokens"]
    framed = [101, *tokens, 102]
    body = {"model": "glove", "input": [framed, framed], "encoding_format": "base64"}
    data = real.client.post("/v1/embeddings", json=body).json()["data"]
    one, other = (struct.unpack("<64f", base64.b64decode(entry["embedding"])) for entry in data)
    assert one == other == pytest.approx(embed(real, "the cat")["embeddings"][0], abs=1e-6)
    assert refusal(real, "/v1/embeddings", input=[1, 99_999])[0] == 400
    assert refusal(real, "/v1/embeddings", input=[[]]) == (
        400,
        "an input is empty: it has no tokens that could be embedded; leave it out",
    )


# ---- what goes wrong


def test_vectors_that_are_no_numbers_are_a_400(real, shared_models, tmp_path):
    source = shared_models / "gguf" / GLOVE
    (types,) = [tensor for tensor in GGUFReader(source).tensors if tensor.name == "token_types.weight"]
    data, start = source.read_bytes(), int(types.data_offset)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data[:start] + struct.pack("<f", math.nan) * 128 + data[start + 512 :])
    create(real, "broken", broken)
    for path in ("/api/embed", "/v1/embeddings"):
        wanted = (400, "embedding contains NaN or Inf values")
        assert refusal(real, path, model="broken", input=["a cat", "a dog"]) == wanted


def test_a_client_that_goes_away_ends_its_work(faked):
    embed(faked, "load")
    before = cancelled(faked, "glove")
    with open_request(faked, "/api/embed", {"model": "glove", "input": ["a"] * 200 + ["!stall"] * 200}):
        wait_until(lambda: loaded(faked)[0].get("active_requests") == 1)
    wait_until(lambda: cancelled(faked, "glove") > before)
    wait_until(lambda: "active_requests" not in loaded(faked)[0])
    assert len(embed(faked, "next")["embeddings"]) == 1


@pytest.mark.parametrize(
    ("text", "status"),
    [("!failed:invalid", 400), ("!failed:context_length", 400), ("!failed:internal", 500), ("!signal", 500)],
)
def test_what_a_worker_can_not_do_is_told_and_the_next_request_works(faked, text, status):
    assert refusal(faked, "/api/embed", input=["a", text])[0] == status
    assert embed(faked, ["abc"])["embeddings"] == [[3, 1]]


def test_a_vector_that_is_no_number_is_refused_by_the_engine(faked):
    assert refusal(faked, "/v1/embeddings", input=["!failed:invalid"]) == (400, "invalid it is")


def test_too_many_inputs_are_refused_at_once(faked):
    status, text = refusal(faked, "/api/embed", input=["a"] * 70_000)
    assert (status, "at most 65536" in text) == (400, True)
    status, text = refusal(faked, "/v1/embeddings", input="a" * (4 << 20) + "b")
    assert (status, "longer than 4194304 bytes" in text) == (400, True)
