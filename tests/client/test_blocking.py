"""The blocking client against a server in memory."""

from __future__ import annotations

import hashlib
import socket

import pytest

from ollamapy.client import Client
from ollamapy.errors import (
    CapacityError,
    ForbiddenError,
    InvalidInputError,
    ModelNotFoundError,
    RunnerError,
    ServiceError,
)
from ollamapy.types import ChatRequest, CreateRequest, EmbedRequest, GenerateRequest, Message, RerankRequest
from tests.fakes.ollama_api import FakeOllama, other_app, serving


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def client(fake: FakeOllama):
    with Client(fake.base_url) as client:
        yield client


def test_lists_and_details_are_records(client: Client) -> None:
    assert client.version().version == "0.33.0"
    assert [model.name for model in client.list().models] == ["wren:latest", "thinker:latest"]
    assert client.ps().models == []
    shown = client.show("wren:latest")
    assert shown.details.quantization_level == "Q8_0"
    assert shown.model_info["llama.context_length"] == 8192


def test_a_prompt_streams_its_answer(client: Client) -> None:
    records = list(client.generate(GenerateRequest("thinker:latest", "think of it")))
    assert "".join(record.response for record in records) == "think of it "
    assert "".join(record.thinking for record in records) == "Let me see."
    assert records[-1].done
    assert records[-1].eval_count == 10


def test_a_chat_streams_its_answer(client: Client) -> None:
    records = list(client.chat(ChatRequest("wren:latest", (Message("user", "good day"),))))
    assert "".join(record.message.content for record in records) == "good day "


def test_closing_a_stream_ends_the_request(client: Client, fake: FakeOllama) -> None:
    records = client.generate(GenerateRequest("wren:latest", "endless"))
    assert next(records).response == "more "
    records.close()
    assert fake.client_left.wait(20)


def test_an_error_within_a_stream_is_raised_after_what_came_before(client: Client) -> None:
    records = client.generate(GenerateRequest("wren:latest", "fail"))
    assert next(records).response == "Half an"
    with pytest.raises(RunnerError, match="the worker fell over"):
        next(records)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broken_connection_is_an_error(client: Client) -> None:
    with pytest.raises(ServiceError, match="lost the connection"):
        list(client.generate(GenerateRequest("wren:latest", "drop")))


def test_errors_before_the_stream_have_their_kind(client: Client) -> None:
    with pytest.raises(CapacityError, match="server busy"):
        next(client.generate(GenerateRequest("wren:latest", "busy")))
    for ask in (client.show, client.delete, client.unload):
        with pytest.raises(ModelNotFoundError, match="model 'nope' not found") as caught:
            ask("nope")
        assert caught.value.name == "nope"


def test_models_are_copied_and_deleted(client: Client, fake: FakeOllama) -> None:
    client.copy("wren:latest", "bird")
    client.delete("wren:latest")
    assert sorted(fake.models) == ["bird", "thinker:latest"]


def test_a_blob_is_uploaded_once_and_then_known(client: Client, fake: FakeOllama) -> None:
    content = b"GGUF" * 1000
    digest = digest_of(content)
    assert not client.has_blob(digest)
    client.upload_blob(digest, iter([content[:9], content[9:]]), len(content))
    assert client.has_blob(digest)
    assert fake.blobs[digest] == content


def test_a_blob_of_another_digest_is_refused(client: Client) -> None:
    with pytest.raises(InvalidInputError, match="digest mismatch"):
        client.upload_blob(digest_of(b"other"), iter([b"content"]), 7)


def test_a_create_streams_its_steps(client: Client) -> None:
    steps = [step.status for step in client.create(CreateRequest("new", base="wren"))]
    assert steps == ["parsing GGUF", "writing manifest", "success"]
    with pytest.raises(ServiceError, match="blob sha256:0 not found"):
        list(client.create(CreateRequest("new", files={"a.gguf": "sha256:0"})))


def test_the_key_is_sent_and_its_lack_is_told(fake: FakeOllama) -> None:
    fake.api_key = "secret"
    with Client(fake.base_url, "secret") as client:
        assert client.list().models
    with Client(fake.base_url) as client:
        assert client.is_running()
        with pytest.raises(ForbiddenError, match="unauthorized"):
            client.list()


def test_one_connection_serves_many_requests(client: Client, fake: FakeOllama) -> None:
    for _ in range(3):
        client.version()
    assert len(fake.requests) == 3
    assert len(fake.client_ports) == 1


def test_who_answers_is_told_apart(fake: FakeOllama) -> None:
    with Client(fake.base_url) as client:
        assert client.probe() == "running"
    with serving(other_app()) as url, Client(url) as client:
        assert client.probe() == "foreign"
        assert not client.is_running()
        with pytest.raises(ServiceError, match="is not what Ollama's API says"):
            client.list()


def test_nobody_at_the_address_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Client(f"127.0.0.1:{port}") as client:
        assert client.probe() == "absent"
        with pytest.raises(ServiceError, match=f"could not connect to http://127.0.0.1:{port}"):
            client.list()


def test_a_server_that_stays_silent_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.05) as client,
    ):
        assert client.probe() == "foreign"
        with pytest.raises(ServiceError, match="lost the connection"):
            client.list()


def test_vectors_and_rankings_are_records(client: Client) -> None:
    answer = client.embed(EmbedRequest("wren:latest", ("a", "bc")))
    assert (answer.embeddings, answer.prompt_eval_count) == ([[0.5, -1.0], [0.5, -2.0]], 4)
    ranked = client.rerank(RerankRequest("wren:latest", "q", ("a",)))
    assert [(score.index, score.relevance_score) for score in ranked.results] == [(0, 0.5)]
    with pytest.raises(ModelNotFoundError):
        client.rerank(RerankRequest("nope", "q", ("a",)))
