"""The published document, the documentation and the server agree: on routes, on fields, and on real answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import jsonschema
import msgspec
import pytest

from ollamapy.dialects import native_embed, native_requests, openai_embed
from ollamapy.dialects.anthropic_requests import count_request, messages_request
from ollamapy.dialects.fields import Fields
from ollamapy.dialects.openai_completions import completion_request
from ollamapy.dialects.openai_requests import chat_completion_request
from ollamapy.dialects.responses_requests import response_request
from ollamapy.server.application import build_routes
from ollamapy.server.openapi import OPERATIONS, build_document
from tests.conftest import CHECKOUT, skip_or_fail
from tests.reranker import make_reranker
from tests.server.conftest import running
from tests.server.test_routes_embed import GLOVE, create

DOCUMENT = json.loads(msgspec.json.encode(build_document()))
ADDRESS = "http://127.0.0.1:11434"
SECTIONS = re.split(r"^### ", (CHECKOUT / "docs" / "api.md").read_text(), flags=re.MULTILINE)[1:]
EXAMPLES = [
    (section.split("\n", 1)[0], example)
    for section in SECTIONS
    for example in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
]
NEED_A_REGISTRY = ("/api/pull", "/api/push")
SCHEMATHESIS = CHECKOUT / ".venv-clients" / "bin" / "schemathesis"
HOOKS = CHECKOUT / "tests" / "server" / "schemathesis_hooks.py"
TURN = {"role": "user", "content": "hi"}
READERS = {
    "ChatBody": (native_requests.chat_request, {"messages": [TURN]}),
    "GenerateBody": (native_requests.generate_request, {}),
    "CreateBody": (native_requests.create_request, {}),
    "TransferBody": (native_requests.transfer_request, {}),
    "EmbedBody": (native_embed.embed_request, {}),
    "EmbeddingBody": (native_embed.embedding_request, {}),
    "RerankBody": (native_embed.rerank_request, {"query": "q", "documents": ["d"]}),
    "ChatCompletionBody": (chat_completion_request, {"messages": [TURN]}),
    "CompletionBody": (completion_request, {}),
    "V1EmbedBody": (openai_embed.embeddings_request, {"input": "x"}),
    "ResponseBody": (lambda fields: response_request(fields, lambda _: None), {"input": "x"}),
    "MessagesBody": (messages_request, {"messages": [TURN], "max_tokens": 1}),
    "CountBody": (count_request, {"messages": [TURN]}),
}
READ_UNTOLD = {"name", "quantization", "conversation"}  # older names; and what is refused


class Watched(Fields):
    """Fields that remember which of them were read."""

    def __init__(self, values: dict) -> None:
        super().__init__(values)
        self.read: set[str] = set()
        self._values = _Values(self._values, self.read)

    __slots__ = ("read",)


class _Values(dict):
    def __init__(self, values: dict, read: set[str]) -> None:
        super().__init__(values)
        self._read = read

    def get(self, name, default=None):
        self._read.add(name)
        return super().get(name, default)


def test_every_route_is_told_and_every_one_that_is_told_is_there(tmp_path):
    with running(tmp_path) as daemon:
        served = daemon.client.get("/openapi.json").json()
        told = {(method, path) for path, methods in served["paths"].items() for method in methods}
    assert served == DOCUMENT
    assert (
        told
        == {(operation.method, operation.path) for operation in OPERATIONS}
        == {
            (method.lower(), re.sub(r":\w+", "", route.path))
            for route in build_routes(None)
            for method in route.methods - ({"HEAD"} if "GET" in route.methods else set())
        }
    )


@pytest.mark.parametrize("name", READERS)
def test_a_body_tells_the_fields_that_are_read(name):
    reader, needed = READERS[name]
    fields = Watched({"model": "wren", **needed})
    reader(fields)
    assert set(DOCUMENT["components"]["schemas"][name]["properties"]) == fields.read - READ_UNTOLD


def test_the_documentation_has_an_example_of_each_route():
    told = {f"{operation.method.upper()} {operation.path}" for operation in OPERATIONS}
    assert {heading for heading, _ in EXAMPLES} == told
    assert len(SECTIONS) == len(told)


@pytest.fixture(scope="module")
def real(tmp_path_factory, shared_models):
    """A daemon with the models that the examples name."""
    folder = tmp_path_factory.mktemp("openapi")
    make_reranker(shared_models / "gguf" / GLOVE, folder / "reranker.gguf")
    with running(folder, max_loaded_models=3) as daemon:
        create(daemon, "all-minilm", shared_models / "gguf" / GLOVE)
        create(daemon, "reranker", folder / "reranker.gguf")
        (folder / ".curlrc").write_text("silent\nshow-error\nfail-with-body\n")
        shutil.copy(shared_models / "gguf" / "stories260K-f32.gguf", folder / "model.gguf")
        yield daemon, folder


def strictly(schema):
    """Return a schema by which an answer has no fields but those that are told."""
    schemas = json.loads(json.dumps(DOCUMENT["components"]["schemas"]))
    for told in schemas.values():
        if "properties" in told:
            told["additionalProperties"] = False
    return jsonschema.Draft202012Validator({**schema, "components": {"schemas": schemas}})


def pieces(media_type, text):
    match media_type:
        case "application/x-ndjson":
            return [json.loads(line) for line in text.splitlines()]
        case "text/event-stream":
            lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
            return [json.loads(line) for line in lines if line != "[DONE]"]
        case "text/plain":
            return [text]
    return [json.loads(text)]


def media_type_of(text, content):
    """Tell which of the answers that a route may give this is."""
    if "text/plain" in content:
        return "text/plain"
    if text.startswith(("data: ", "event: ")):
        return "text/event-stream"
    return "application/x-ndjson" if text.rstrip("\n").count("\n") else "application/json"


@pytest.mark.model
@pytest.mark.parametrize(("heading", "example"), EXAMPLES, ids=[heading for heading, _ in EXAMPLES])
def test_an_example_runs_and_its_answer_is_as_the_document_tells(real, heading, example):
    daemon, folder = real
    method, path = heading.split(" ")
    script = "set -e\n" + example.replace(ADDRESS, daemon.url)
    environment = {**os.environ, "HOME": str(folder), "NO_PROXY": "*"}
    done = subprocess.run(["sh", "-c", script], env=environment, cwd=folder, capture_output=True, text=True)
    told = DOCUMENT["paths"][path][method.lower()]["responses"]
    needs_more = path in NEED_A_REGISTRY
    assert (done.returncode != 0) is needs_more, done.stdout + done.stderr
    wanted = told["default"] if needs_more else told["201" if "201" in told else "200"]
    if "content" not in wanted:
        assert method == "HEAD" or done.stdout == ""
        return
    media_type = media_type_of(done.stdout, wanted["content"])
    validator = strictly(wanted["content"][media_type]["schema"])
    found = pieces(media_type, done.stdout)
    assert found
    for piece in found:
        validator.validate(piece)


@pytest.mark.model
def test_nothing_that_the_document_allows_is_too_much_for_the_server(real):
    if not SCHEMATHESIS.exists():
        skip_or_fail("scripts/install makes .venv-clients, which is not there")
    daemon, folder = real
    options = ["--checks", "not_a_server_error", "--max-examples", "6", "--phases", "fuzzing", "--seed", "1"]
    options += ["--exclude-path-regex", "^/api/(pull|push|update)$"]
    command = [str(SCHEMATHESIS), "run", f"{daemon.url}/openapi.json", *options]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
